"""The contract of docs/events.md: every event of real runs is what the schema says, and the docs say what it says."""

from __future__ import annotations

import functools
import shutil
import signal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from conftest import ROOT, CommandLine
from support.events import check, parsed
from support.servers import Server
from support.shipped import Bucket, a_bucket, a_command_line, picture

from mediactl.admin import event_docs
from mediactl.core import json_schema

DOCS = ROOT / "docs" / "events.md"
EVERYTHING = """
name = "everything"
[[image]]
name = "w50"
width = 50
[[video]]
name = "v90"
height = 90
preset = "ultrafast"
[[hls]]
name = "hls"
heights = [90]
preset = "ultrafast"
[[poster]]
name = "poster"
width = 50
[[storyboard]]
name = "storyboard"
width = 50
[[preview]]
name = "preview"
width = 50
[[subtitles]]
name = "subtitles"
[[audio]]
name = "audio"
format = "opus"
[[waveform]]
name = "waveform"
"""
"""An output of each kind, small: events tell the same of large ones."""


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that allows no other fields than those it names."""
    parts = {
        name: {**part, "additionalProperties": False} if "properties" in part else part
        for name, part in schema["$defs"].items()
    }
    return {**schema, "$defs": parts}


@functools.cache
def schema() -> dict[str, Any]:
    """Return the schema of events: once, for it is read from the sources."""
    return event_docs.schema()


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    """Return what takes an event with known fields only."""
    return jsonschema.Draft202012Validator(closed(schema()))


def valid(events: list[dict[str, Any]]) -> set[str]:
    """Return the names of events, all of which must be valid."""
    for event in events:
        validator().validate(event)
    return {event["event"] for event in events}


@pytest.fixture
def bucket(ministack_server: Server) -> Bucket:
    """An empty bucket."""
    return a_bucket(ministack_server)


@pytest.fixture
def mediactl(tmp_path: Path) -> CommandLine:
    """The command line with the server's credentials, a small recipe, and two photos in ``in``."""
    for number in range(2):
        picture(tmp_path / f"in/{number}.jpg", number)
    return a_command_line(tmp_path)


def small(mediactl: CommandLine, *more: str) -> list[dict[str, Any]]:
    """Return the events of a run on the photos with the small recipe."""
    return mediactl("process", "in", "--recipe", "small.toml", "--json", *more).events


def test_the_schema_in_docs_is_what_the_command_prints(mediactl: CommandLine) -> None:
    printed = mediactl("events", "schema").out
    assert printed == json_schema.text(schema())
    hint = "is not what `mediactl events schema > docs/events.schema.json` writes"
    assert (ROOT / "docs" / "events.schema.json").read_text() == printed, hint
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_reference_in_docs_is_what_the_command_prints(mediactl: CommandLine) -> None:
    _, how, generated = DOCS.read_text().partition("<!-- Generated from here on.")
    assert how, "the marker is gone"
    assert generated.partition("-->\n")[2].strip() == mediactl("events", "docs").out.strip(), "run what the marker says"


def test_every_field_of_every_event_is_described() -> None:
    for name, part in schema()["$defs"].items():
        for field, values in part.get("properties", {}).items():
            assert field == "event" or values.get("description"), (name, field)


def test_every_event_of_a_run_on_the_samples_is_valid(mediactl: CommandLine, samples: Path) -> None:
    (mediactl.folder / "everything.toml").write_text(EVERYTHING)
    arguments = ("process", samples, "--recipe", "everything.toml", "--json")
    dry = mediactl(*arguments, "--dry-run").events
    first = mediactl(*arguments).events
    second = mediactl(*arguments).events
    assert valid(dry) >= {"source.planned", "plan"}
    usual = {"run.started", "source.planned", "plan", "job.probed", "job.progress", "job.done", "summary"}
    assert valid(first) >= usual | {"job.rejected"}
    assert valid(second) >= {"run.started", "plan", "summary"}
    for event in (first[-1], second[-1]):
        parts = ("up_to_date", "done", "rejected", "quarantined", "unfinished")
        assert event["sources"] == sum(event[part] for part in parts)


def test_every_event_of_a_watch_is_valid(mediactl: CommandLine) -> None:
    (mediactl.folder / "in" / "notes.txt").write_text("hello")
    watch = mediactl("watch", "in", "--recipe", "small.toml", "--json", "--max-duration", "5", "--grace", "0").events
    assert valid(watch) >= {"run.started", "source.planned", "source.ignored", "plan", "job.done", "summary"}
    assert watch[0]["watching"] is True


def test_every_event_of_a_job_that_fails_is_valid(mediactl: CommandLine) -> None:
    (mediactl.folder / "derived").mkdir()
    (mediactl.folder / "derived" / "0.jpg").write_text("where the outputs of in/0.jpg go")
    assert valid(small(mediactl, "--retry-delay", "0")) >= {"job.retry", "job.quarantined", "job.done"}


def test_every_event_of_a_run_that_is_stopped_is_valid(mediactl: CommandLine, samples: Path) -> None:
    run = mediactl.start("process", str(samples), "--json", "--grace", "0")
    assert run.stdout is not None
    events = []
    for line in run.stdout:
        events.append(parsed(line))
        if len(events) > 1 and events[-1]["event"] == "job.progress" and run.poll() is None:
            run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 75
    assert valid(events) >= {"job.interrupted", "run.stopped", "summary"}


def test_every_event_of_a_journal_that_is_rebuilt_is_valid(mediactl: CommandLine) -> None:
    small(mediactl)
    journal = mediactl.folder / "derived" / ".mediactl"
    (journal / "journal.db").write_bytes(b"damaged" * 1000)
    assert "journal.damaged" in valid(small(mediactl))
    shutil.rmtree(journal)
    assert "journal.rebuilt" in valid(small(mediactl))


def test_every_event_of_uploads_is_valid(mediactl: CommandLine, bucket: Bucket) -> None:
    planned = small(mediactl, "--dry-run", *bucket.to())
    assert "plan" in valid(planned)
    assert planned[-1]["upload"]["objects"] >= 0
    assert valid(small(mediactl, *bucket.to())) >= {"upload.planned", "upload.done", "summary"}
    bucket.put("q/notes.txt", b"another's")
    (mediactl.folder / "notes.txt").write_text("ours")
    sent = mediactl("upload", "notes.txt", "in", "--json", *bucket.to(prefix="q")).events
    assert valid(sent) >= {"upload.planned", "upload.done", "job.rejected", "summary"}
    lost = mediactl("upload", "in", "--json", *Bucket(bucket.server, "no-such-bucket").to()).events
    assert valid(lost) >= {"upload.planned", "upload.stopped", "summary"}


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"run.stopped"}',
        b'{"event":"run.stopped","reason":null}',
        b'{"event":"run.stopped","reason":"x","more":1}',
        b'{"event":"upload.planned","jobs":"1","bytes":2}',
        b'{"event":"upload.planned","bytes":2,"jobs":1}',
        b'{"event":"no.such","reason":"x"}',
    ],
)
def test_what_is_no_event_is_found_by_every_test_that_reads_one(line: bytes) -> None:
    with pytest.raises((AssertionError, msgspec.ValidationError)):
        check(line)
