"""Events where something is wrong before a run, in dry runs, and beside the text for people (--log)."""

from __future__ import annotations

import json
import re

import pytest
from conftest import CommandLine
from test_process import picture

ERRORS = [
    (["process", "--json"], "no SOURCE given; for example: mediactl process ./uploads"),
    (["process", "missing.jpg", "--json"], "missing.jpg: no such file or folder"),
    (["process", "missing.jpg", "--dry-run", "--json"], "missing.jpg: no such file or folder"),
    (["watch", "a.jpg", "--json", "--settle", "x"], "--settle: x: expected a duration"),
    (["--config", "none.toml", "process", "a.jpg", "--json"], "--config none.toml: no such file"),
    (["uploads", "resume", "--json"], ""),
    (["upload", "a.jpg", "--json"], "no destination; add --to s3://BUCKET/PREFIX"),
]


@pytest.mark.parametrize(("arguments", "reason"), ERRORS, ids=[" ".join(arguments) for arguments, _ in ERRORS])
def test_an_error_is_the_last_event(mediactl: CommandLine, arguments: list[str], reason: str) -> None:
    picture(mediactl.folder / "a.jpg")
    ended = mediactl(*arguments)
    (event,) = ended.events
    assert (event["event"], event["exit_code"]) == ("run.failed", 2)
    assert reason in event["reason"] and ended.err.endswith(f": {event['reason']}\n"), ended
    assert mediactl(*(each for each in arguments if each != "--json")).out == "", "people read standard error"


def test_commands_that_print_no_events_print_none_for_errors(mediactl: CommandLine) -> None:
    ended = mediactl("status", "--json", "-o", "process")
    assert (ended.code, ended.out, bool(ended.err)) == (2, "", True)


def test_a_log_has_the_events_and_standard_output_the_text(mediactl: CommandLine) -> None:
    picture(mediactl.folder / "in/a.jpg")
    plan = mediactl("process", "in", "--recipe", "thumbnails", "--dry-run", "--json").events
    assert [(each["event"], each["time"] > 1.7e9) for each in plan] == [("source.planned", True), ("plan", True)]

    ended = mediactl("process", "in", "--recipe", "thumbnails", "--log", "run.log", "--log-format", "auto")
    assert ended.code == 0
    stamped = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ")
    assert [bool(stamped.match(line)) for line in ended.out.splitlines()] == [True, True], "a pipe adds no time"
    names = [json.loads(line)["event"] for line in (mediactl.folder / "run.log").read_text().splitlines()]
    assert (names[0], names[-1]) == ("run.started", "summary")
    assert mediactl("process", "in", "--recipe", "thumbnails", "--log", "run.log", "--quiet").out == ""
    again = (mediactl.folder / "run.log").read_text().splitlines()
    assert (len(again) > len(names), json.loads(again[-1])["up_to_date"]) == (True, 1)

    refused = mediactl("process", "in", "--log", "none/run.log")
    assert (refused.code, refused.err) == (
        2,
        "mediactl: --log none/run.log: cannot be written: No such file or directory\n",
    )
