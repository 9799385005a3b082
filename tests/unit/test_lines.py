"""Plain lines for pipes, cron and CI."""

from __future__ import annotations

import io
from typing import Any

import pytest
from support.events import event_of

from mediactl.model.events import Summary
from mediactl.ui.lines import FIRST_LINE, NEXT_LINES, WATCH_LINES, Lines, count, duration, ending, size

SUMMARY: dict[str, Any] = dict.fromkeys(
    "sources up_to_date done rejected quarantined unfinished ignored troubles jobs artefacts uploaded bytes_in"
    " bytes_out bytes_sent elapsed_s exit_code internal_errors".split(),
    0,
) | {"internal_error": ""}


class Drawn:
    """Lines into a string, at a time that the test sets."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.now = 0.0
        self._out = io.StringIO()
        self._lines = Lines(self._out, lambda: self.now, quiet=quiet, verbose=verbose)

    def __call__(self, name: str, **fields: object) -> str:
        """What an event adds."""
        before = len(self._out.getvalue())
        self._lines.take(event_of(name, fields))
        return self._out.getvalue()[before:]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (4_200_000, "4.2 MB"), (999_600, "1 MB"), (12_345_678_901, "12.3 GB")],
)
def test_sizes_are_readable(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (3.21, "3.2 s"), (245, "4 min 05 s"), (3599.6, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_is_not_many() -> None:
    assert [count(number, "file") for number in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]
    assert count(2, "box", "boxes") == "2 boxes"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "nothing to do: no images, videos or audio found in 0.0 s"),
        ({"sources": 3, "up_to_date": 3}, "nothing to do: 3 sources, 3 up to date in 0.0 s"),
        (
            {"sources": 2, "done": 1, "jobs": 2, "artefacts": 3, "bytes_in": 2000, "bytes_out": 1000, "unfinished": 1},
            "1 source done, 3 files made (2 kB -> 1 kB), 1 unfinished in 0.0 s",
        ),
        (
            {"sources": 3, "up_to_date": 1, "rejected": 1, "quarantined": 1, "jobs": 2, "ignored": 1, "troubles": 2},
            "1 up to date, 1 rejected, 1 quarantined; 1 other file ignored; 2 things could not be read in 0.0 s",
        ),
    ],
)
def test_the_summary_is_one_sentence(fields: dict[str, int], text: str) -> None:
    assert ending(Summary(**{**SUMMARY, **fields})) == text


PROBLEMS: list[tuple[str, dict[str, Any], str]] = [
    ("job.rejected", {"job": "k", "path": "a.jpg", "reason": "is broken"}, "rejected: a.jpg: is broken\n"),
    ("job.quarantined", {"job": "k", "path": "a.jpg", "reason": "no luck"}, "quarantined: a.jpg: no luck\n"),
    ("job.rejected", {"job": "k", "reason": "is broken"}, "rejected: k: is broken\n"),
    ("job.internal_error", {"job": "k", "path": "a", "reason": "TypeError"}, "left unfinished: a: TypeError\n"),
    ("job.unreadable", {"job": "k", "path": "a", "reason": "EIO"}, "left for the next run: a: EIO\n"),
    ("scan.trouble", {"path": "x", "reason": "cannot be read"}, "x: cannot be read\n"),
    (
        "socket.unusable",
        {"reason": "Operation not supported"},
        "event socket: cannot be created: Operation not supported; top, pause and events do not reach this run\n",
    ),
    ("events.missed", {"missed": 2000}, "2,000 events missed: this reader was too slow\n"),
]


@pytest.mark.parametrize(("name", "fields", "line"), PROBLEMS)
def test_what_went_wrong_is_always_reported(name: str, fields: dict[str, object], line: str) -> None:
    for quiet in (False, True):
        drawn = Drawn(quiet=quiet)
        if name.startswith("job."):
            fields = {**fields, "kind": "image"}
        assert drawn(name, **fields) == line


def test_a_retry_is_reported_unless_quiet_for_its_end_will_be() -> None:
    fields: dict[str, Any] = {"job": "k", "kind": "image", "path": "a.jpg", "reason": "x", "attempt": 1}
    assert Drawn(quiet=False)("job.retry", **fields) == "will be retried: a.jpg: x\n"
    assert Drawn(quiet=True)("job.retry", **fields) == ""


def test_files_of_an_equal_key_are_linked() -> None:
    fields: dict[str, int] = {"sources": 2, "done": 2, "jobs": 2, "artefacts": 6, "bytes_in": 9000}
    assert ending(Summary(**{**SUMMARY, **fields})) == "2 sources done, 6 files linked in 0.0 s"
    assert ending(Summary(**{**SUMMARY, **fields, "artefacts": 0})) == "2 sources done, 0 files made in 0.0 s"


def test_quiet_reports_nothing_else_and_verbose_each_file() -> None:
    fields: dict[str, Any] = {
        "job": "k", "kind": "image", "source_kind": "image", "bytes": 5, "path": "a.jpg",
        "outputs": ["w1.webp", "w2.webp"], "seconds": 0.1, "warnings": ["lost its audio"],
        "made": 2, "bytes_in": 1, "bytes_out": 1,
    }  # fmt: skip
    assert Drawn()("job.done", **fields) == ""
    assert Drawn(verbose=True)("job.done", **fields) == "done: a.jpg: w1.webp, w2.webp in 0.1 s; lost its audio\n"
    assert Drawn(verbose=True)("source.ignored", path="x", reason="empty file") == "ignored: x: empty file\n"
    assert Drawn()("source.ignored", path="x", reason="empty file") == ""
    assert Drawn(quiet=True)("summary", **SUMMARY) == ""
    assert Drawn()("summary", **SUMMARY).startswith("nothing to do")


def test_a_long_run_says_how_far_it_is_once_in_a_while() -> None:
    drawn = Drawn()
    drawn.now = FIRST_LINE - 0.1
    assert drawn("tick", running=1) == ""
    drawn.now = FIRST_LINE
    assert drawn("tick", running=1) != ""
    assert drawn("tick", running=1) == ""
    drawn.now = FIRST_LINE + NEXT_LINES
    assert drawn("tick", running=1).endswith("\n")
    assert Drawn(quiet=True)("tick", running=1) == ""


def test_no_line_holds_an_escape_code() -> None:
    drawn = Drawn(verbose=True)
    drawn.now = FIRST_LINE
    text = (
        "".join(drawn(name, **{**fields, "kind": "image"}) for name, fields, _ in PROBLEMS if name.startswith("job."))
        + drawn("tick", running=1)
        + drawn("summary", **SUMMARY)
    )
    assert "\x1b" not in text


def job_done(path: str) -> dict[str, Any]:
    """Fields of a source that is done."""
    return {
        "job": path, "kind": "image", "source_kind": "image", "bytes": 5, "path": path, "outputs": ["w1.webp"],
        "seconds": 0.1, "warnings": [], "made": 2, "bytes_in": 1000, "bytes_out": 100,
    }  # fmt: skip


def test_a_watch_reports_what_it_has_done_when_it_is_idle_and_at_most_now_and_then() -> None:
    drawn = Drawn()
    drawn("run.started", run="r", version="1", recipe="web", workers=2, out="/out", watching=True)
    line = drawn("plan", sources=5, up_to_date=3, ignored=0, planned=2, reasons={})
    assert line == "watching: 5 sources found, 3 up to date, 2 to be done\n"
    for number in range(5):
        assert drawn("job.done", **job_done(f"{number}.jpg")) == ""
        assert drawn("tick", running=1) == ""
    assert drawn("tick", running=0) == "done: 0.jpg, 1.jpg, 2.jpg and 2 more: 10 files made (5 kB -> 500 B)\n"
    drawn("job.done", **job_done("late.jpg"))
    drawn("job.cancelled", job="k", kind="probe", path="x.jpg", source_kind="image", bytes=5, reason="removed")
    drawn.now = WATCH_LINES - 0.1
    assert drawn("tick", running=0) == ""
    drawn.now = WATCH_LINES
    assert drawn("tick", running=0) == "done: late.jpg: 2 files made (1 kB -> 100 B), 1 source removed before done\n"
    drawn.now = 3600.0
    assert drawn("tick", running=0) == ""
    drawn("job.done", **job_done("long.jpg"))
    assert drawn("tick", running=1).startswith("done: long.jpg: ")
    assert drawn("watch.trouble", path="/in", reason="is gone") == "/in: is gone\n"
    assert drawn("watch.resumed", path="/in") == "/in: is back\n"


def test_a_short_run_says_only_how_it_begins_and_ends() -> None:
    drawn = Drawn()
    assert drawn("run.started", run="r", version="1", recipe="web", workers=2, out="derived", watching=False)
    drawn.now = FIRST_LINE - 0.1
    assert drawn("tick", running=1) == ""


def test_each_line_begins_with_the_time_where_it_is_asked_for() -> None:
    out = io.StringIO()
    lines = Lines(out, lambda: 0.0, quiet=False, verbose=False, stamp=lambda: "2026-11-26T20:00:00+0000")
    lines.take(event_of("summary", {**SUMMARY, "internal_errors": 1, "internal_error": "TypeError: x"}))
    texts = out.getvalue().splitlines()
    assert len(texts) == 3
    assert all(text.startswith("2026-11-26T20:00:00+0000 ") for text in texts)


def test_a_stopping_run_is_one_line_and_no_problem_where_it_was_limited_to_a_time() -> None:
    fields: dict[str, Any] = {"reason": "asked to stop", "cause": "signal", "jobs": 2, "grace_s": 0.2}
    text = "Stopping: finishing 2 jobs, up to 1 s. Another signal stops now.\n"
    for quiet in (False, True):
        assert Drawn(quiet=quiet)("run.stopping", **fields, signal="SIGTERM") == text
    limited = Drawn(quiet=True)
    assert limited("run.stopping", **{**fields, "cause": "time limit"}) == ""
    assert limited("run.stopped", reason="the time is up", cause="time limit") == ""
    assert limited("summary", **{**SUMMARY, "sources": 1, "unfinished": 1, "exit_code": 75}) == ""


def test_an_exit_code_never_comes_without_a_word() -> None:
    fields = {**SUMMARY, "sources": 3, "up_to_date": 2, "rejected": 1}
    assert Drawn(quiet=True)("summary", **fields) == ""
    assert Drawn(quiet=True)("summary", **{**fields, "exit_code": 1}).startswith(
        "nothing to do: 3 sources, 2 up to date, 1 r"
    )
