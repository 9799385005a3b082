"""Jobs are named as they were printed or typed: key, path, escaped, absolute, relative, by output; misses get hints."""

from __future__ import annotations

import json

import pytest
from conftest import CommandLine
from PIL import Image

ODD = "new\nline \u202e.png"


@pytest.fixture
def processed(mediactl: CommandLine) -> CommandLine:
    """Two images, one with an odd name, and an invalid one, processed."""
    folder = mediactl.folder / "uploads" / "trip"
    folder.mkdir(parents=True)
    for name in ("holiday.png", ODD):
        Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "broken.jpg").write_text("text")
    (mediactl.folder / "mine.toml").write_text('name = "mine"\n[[image]]\nname = "i"\nwidth = 4\n')
    assert mediactl("process", "uploads", "--recipe", "mine.toml").code == 1
    return mediactl


def test_every_name_that_is_printed_or_typed_is_accepted(processed: CommandLine) -> None:
    listed = [json.loads(line) for line in processed("jobs", "--json").out.splitlines()]
    (key,) = {job["key"] for job in listed if job["path"] == "trip/holiday.png" and job["kind"] == "image"}
    names = [
        key, key[:12], key[:6], "trip/holiday.png", "uploads/trip/holiday.png", "./uploads/trip/holiday.png",
        f"{processed.folder}/uploads/trip/holiday.png", "derived/trip/holiday.png", "derived/trip/holiday.png/i.webp",
    ]  # fmt: skip
    for name in names:
        result = processed("why", name)
        assert (result.code, result.err) == (0, ""), (name, result)
        assert f"image job {key[:12]} is done" in result.out, name


def test_an_escaped_name_is_that_of_the_file(processed: CommandLine) -> None:
    (line, *_) = [line for line in processed("jobs").out.splitlines() if "line" in line]
    printed = line.split(maxsplit=3)[3]
    assert printed.isprintable()
    assert processed("show", printed).out == processed("show", f"trip/{ODD}").out != ""


def test_a_near_miss_is_answered_with_the_name(processed: CommandLine) -> None:
    for wrong in ("trip/holidy.png", "holiday.png", "elsewhere/holiday.png"):
        result = processed("why", wrong)
        assert (result.code, result.err) == (
            2, f"mediactl: {wrong}: no such job; did you mean trip/holiday.png?\n"
        )  # fmt: skip
    assert "`mediactl jobs` lists them" in processed("why", "nothing-like-it").err


def test_changes_name_what_they_changed(processed: CommandLine) -> None:
    result = processed("retry", "trip/broken.jpg")
    assert result.out.splitlines()[-1] == "1 job ready; the next run retries them"
    assert ": trip/broken.jpg" in result.out.splitlines()[0]
    bumped = processed("bump", "trip/broken.jpg", "--json")
    assert json.loads(bumped.out)["path"] == "trip/broken.jpg"
    assert processed("cancel", "--all").out.splitlines()[-1] == "1 job cancelled; retry makes them pending again"
    assert processed("bump", "trip/broken.jpg").out == "nothing to bump: the job is not pending\n"


def test_a_state_where_the_journals_directory_is_expected_is_understood(processed: CommandLine) -> None:
    assert processed("jobs", "--state", "rejected").out == processed("jobs", "--only", "rejected").out != ""


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["jobs"], ["show", "trip/holiday.png"], ["why", "trip/holiday.png"], ["lanes"], ["doctor"], ["prune"],
     ["duplicates"], ["verify", "--local-only"], ["uploads", "list"]],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_commands_that_read_take_out_state_and_json_alike(processed: CommandLine, arguments: list[str]) -> None:
    flags = ["--out", "derived", "--state", "derived/.mediactl"]
    result = processed(*arguments, *flags, "--json")
    assert (result.code, result.err) == (0, "")
    for line in result.out.splitlines():
        assert isinstance(json.loads(line), dict)


def test_jobs_are_selected_and_counted_by_what_they_are(processed: CommandLine) -> None:
    lines = processed("jobs", "--reason", "*", "--kind", "probe").out.splitlines()
    assert len(lines) == 4 and lines[-1] == "3 jobs"
    assert processed("jobs", "--path", "trip/*.jpg", "--only", "rejected").out.splitlines()[-1] == "1 job"
    assert processed("jobs", "--path", "*.jpg", "--since", "1h").out.splitlines()[-1] == "1 job"
    assert processed("jobs", "--path", "TRIP/*").out == "no jobs match\n"
    (one,) = processed("jobs", "--reason", "*signature*", "--json").out.splitlines() or [""]
    assert not one or json.loads(one)["path"] == "trip/broken.jpg"


def test_a_filter_lists_what_it_would_change_and_yes_changes_it(processed: CommandLine) -> None:
    listed = processed("retry", "--path", "trip/*")
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.splitlines()[-1] == "1 job match; --yes changes them"
    assert processed("status", "--json").out == processed("status", "--json").out
    assert "1 rejected" in processed("status").out
    *jobs, totals = map(json.loads, processed("retry", "--path", "trip/*", "--json", "--yes").out.splitlines())
    assert ([job["path"] for job in jobs], totals) == (
        ["trip/broken.jpg"], {"what": "summary", "jobs": 1, "changed": 1}
    )  # fmt: skip
    assert processed("bump", "--kind", "probe", "--yes").out.splitlines()[-1] == "1 job now urgent"
    assert processed("cancel", "--since", "1h", "--yes").out.splitlines()[-1].startswith("1 job cancelled")
    assert processed("retry", "--state", "cancelled", "--yes").out.splitlines()[-1].startswith("1 job ready")
    assert processed("cancel", "--reason", "[", "--yes").out == "nothing to cancel\n"


@pytest.mark.parametrize("command", ["retry", "cancel", "bump"])
def test_a_job_and_a_filter_exclude_each_other(processed: CommandLine, command: str) -> None:
    for arguments in ((), ("trip/broken.jpg", "--kind", "probe")):
        result = processed(command, *arguments)
        assert (result.code, result.out) == (2, "")
        assert "name one JOB" in result.err
