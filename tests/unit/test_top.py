"""The view of ``mediactl top``: what it draws of events, and what its keys ask for."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from support.events import event_of

from mediactl.ui.top import Act, Depth, Top

SNAPSHOT: dict[str, Any] = {
    "elapsed_s": 100.0,
    "lanes": {"quick": {"running": 1, "queued": 5}, "heavy": {"running": 1, "queued": 0}},
    "running": [
        {"pid": 12, "lane": "quick", "job": "a" * 64, "kind": "image", "path": "[red]beach[/]/1.jpg", "seconds": 0.2},
        {"pid": 13, "lane": "heavy", "job": "b" * 64, "kind": "piece", "path": "trip.mov", "seconds": 65.0,
         "piece": 2, "pieces": 5, "fraction": 0.25},
    ],
    "workers": 2, "planned": True, "sources": 40, "done": 10, "rejected": 1, "quarantined": 0, "jobs": 20,
    "artefacts": 30, "bytes_in": 1_000_000, "bytes_out": 1000, "fraction": 0.25,
}  # fmt: skip
STARTED = {"run": "r" * 32, "version": "1.2", "recipe": "web", "out": "/out", "workers": 2, "watching": False}


def view(*events: tuple[str, dict[str, Any]]) -> Top:
    """Return a view that has seen a start, a snapshot, and these events."""
    top = Top()
    for name, fields in (("run.started", STARTED), ("run.snapshot", SNAPSHOT), *events):
        top.take(event_of(name, fields))
    return top


def drawn(top: Top, rows: int = 24) -> list[str]:
    """Return the lines that it draws."""
    out = io.StringIO()
    Console(file=out, width=100, height=rows, highlight=False, color_system=None).print(top.draw(rows))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def typed(top: Top, text: str) -> list[Act]:
    """Return what typing a text asks for."""
    return [act for key in text if (act := top.press(key)) is not None]


def test_lanes_workers_rate_and_end_are_drawn() -> None:
    later = SNAPSHOT | {"elapsed_s": 105.0, "jobs": 30, "bytes_in": 6_000_000}
    top = view(("run.snapshot", later))
    top.depths = [Depth("heavy", "normal", 1200, 185.0, 600.0), Depth("quick", "urgent", 3, 2.0, 0.0)]
    text = "\n".join(drawn(top))
    assert "mediactl 1.2: recipe web, 2 workers, to /out" in text
    assert "10 of 40 sources done, 1 rejected, 30 jobs in 1 min 45 s: 2.0 jobs/s, 1 MB/s" in text
    assert "about 5 min left" in text
    assert "quick       1 running      5 queued" in text
    assert "1,200 pending   normal: oldest 3 min 05 s, promised 10 min 00 s\n" in text
    assert "3 pending   urgent: oldest 2.0 s, promised 0.0 s, overdue" in text
    assert "[red]beach[/]/1.jpg" in text, "a name is no markup"
    assert "trip.mov (2 of 5)" in text and "25 %" in text and "1 min 05 s" in text


def test_it_fits_every_height() -> None:
    failures = [("job.rejected", {"job": "c", "kind": "image", "path": f"{n}.jpg", "reason": "bad"}) for n in range(50)]
    for rows in range(3, 60):
        lines = drawn(view(*failures), rows)
        assert len(lines) <= rows
        assert "q quit" in lines[-1]
    assert "rejected: 49.jpg: bad" in "\n".join(drawn(view(*failures), 24)), "the last ones are shown"


def test_the_filter_applies_to_workers_and_failures() -> None:
    rejected = {"job": "c", "kind": "image", "reason": "bad"}
    top = view(("job.rejected", rejected | {"path": "BEACH.jpg"}), ("job.rejected", rejected | {"path": "c.jpg"}))
    assert typed(top, "/beachx\x7f\n") == []
    text = "\n".join(drawn(top))
    assert "beach[/]/1.jpg" in text and "BEACH.jpg" in text
    assert "trip.mov" not in text and "c.jpg" not in text
    assert "filter: beach" in text
    typed(top, "\x1b")
    assert "trip.mov" in "\n".join(drawn(top))


def test_keys_ask_for_what_they_say() -> None:
    top = view()
    assert typed(top, "p") == [Act.PAUSE]
    assert typed(top, "P") == [Act.SUSPEND]
    top.take(event_of("run.snapshot", SNAPSHOT | {"paused": "command", "suspended": True}))
    assert typed(top, "p") == [Act.RESUME]
    assert typed(top, "b") == [] and "press /" in top.note
    assert typed(top, "/q\nb") == [Act.COUNT], "a key that is typed into the filter does nothing else"
    top.ask(0)
    assert typed(top, "y") == []
    top.ask(3)
    assert typed(top, "n") == []
    top.ask(3)
    assert "bump 3 pending jobs matching 'q'? y or n" in drawn(top)[-1]
    assert typed(top, "y") == [Act.BUMP]
    assert typed(top, "q") == [Act.QUIT] == typed(top, "\x03")


def test_a_pause_is_shown_until_the_run_resumes() -> None:
    paused = ("run.paused", {"cause": "command", "suspended": True})
    again = ("run.snapshot", SNAPSHOT | {"paused": "command", "suspended": True})
    assert "paused: running jobs are suspended" in "\n".join(drawn(view(paused, again)))
    assert "paused:" not in "\n".join(drawn(view(paused, ("run.resumed", {}), ("run.snapshot", SNAPSHOT))))
