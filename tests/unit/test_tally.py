"""Counting what happened, from events alone."""

from __future__ import annotations

import pytest

from mediactl.effort import seconds_of
from mediactl.model import Event
from mediactl.ui.tally import Tally


def told(*events: tuple[str, dict[str, object]]) -> Tally:
    """A tally that has seen these events."""
    tally = Tally()
    for name, fields in events:
        tally.take(Event(name, fields))
    return tally


def planned(size: int = 1000, kind: str = "image") -> tuple[str, dict[str, object]]:
    """A source was found."""
    return "source.planned", {"path": "a.jpg", "kind": kind, "reason": "new", "bytes": size}


def probed(number: int, pixels: int, size: int = 1000, kind: str = "image") -> tuple[str, dict[str, object]]:
    """A source was read; its next job is known."""
    fields = {"path": "a.jpg", "kind": "probe", "source_kind": kind, "bytes": size}
    return "job.probed", {
        **fields,
        "job": f"probe {number}",
        "next": f"make {number}",
        "next_kind": kind,
        "size": pixels,
    }


def head(number: int, size: int = 1000) -> dict[str, object]:
    """What every event of a make job says."""
    return {"job": f"make {number}", "kind": "image", "path": "a.jpg", "source_kind": "image", "bytes": size}


def done(number: int, made: int = 3) -> tuple[str, dict[str, object]]:
    """A source is complete."""
    return "job.done", {**head(number), "made": made, "bytes_in": 1000, "bytes_out": 100, "seconds": 0.1, "outputs": []}


def test_nothing_told_is_nothing_counted() -> None:
    tally = told()
    assert (tally.jobs, tally.assets, tally.artefacts, tally.fraction) == (0, 0, 0, None)


def test_jobs_assets_artefacts_and_bytes_are_counted() -> None:
    tally = told(planned(), probed(1, 10**6), done(1), planned(), probed(2, 10**6), done(2, made=1))
    assert (tally.found, tally.jobs, tally.assets, tally.artefacts) == (2, 4, 2, 4)
    assert (tally.bytes_in, tally.bytes_out) == (2000, 200)


def test_what_went_wrong_is_counted_by_how_it_ended() -> None:
    tally = told(
        planned(),
        probed(1, 10**6),
        ("job.retry", {**head(1), "reason": "no luck", "attempt": 1}),
        ("job.quarantined", {**head(1), "reason": "no luck"}),
        planned(),
        ("job.rejected", {**head(2), "kind": "probe", "reason": "is broken"}),
        ("source.ignored", {"path": "x", "reason": "no media"}),
    )
    assert (tally.retries, tally.quarantined, tally.rejected, tally.ignored) == (1, 1, 1, 1)
    assert tally.jobs == 3
    assert tally.running == {}


def test_events_that_are_not_counted_are_let_pass() -> None:
    tally = told(("tick", {"running": 2}), ("run.started", {}), ("something.new", {"x": 1}))
    assert tally.jobs == 0


def test_the_bar_is_weighed_by_work_and_not_by_number() -> None:
    tally = told(planned(), planned(), probed(1, 9 * 10**6), probed(2, 10**6))
    assert tally.fraction == 0.0
    tally.take(Event(*done(2)))
    assert tally.fraction == pytest.approx(0.1)
    tally.take(Event("job.progress", {**head(1), "fraction": 0.5}))
    assert tally.fraction == pytest.approx(0.55)
    tally.take(Event(*done(1)))
    assert tally.fraction == pytest.approx(1.0)
    assert tally.running == {}


def test_a_job_that_is_tried_again_begins_at_nothing() -> None:
    tally = told(planned(), probed(1, 10**6), ("job.progress", {**head(1), "fraction": 0.9}))
    assert tally.fraction == pytest.approx(0.9)
    tally.take(Event("job.retry", {**head(1), "reason": "no luck", "attempt": 1}))
    assert tally.fraction == 0.0


def test_what_is_not_read_yet_is_guessed_and_the_bar_never_leaves_its_ends() -> None:
    tally = told(*[planned()] * 10)
    for number in range(10):
        tally.take(Event(*probed(number, 10**6)))
        tally.take(Event(*done(number)))
        assert tally.fraction is not None
        assert tally.fraction == pytest.approx((number + 1) / 10)


def test_films_weigh_more_than_photos() -> None:
    assert seconds_of("image", 25_000_000) == pytest.approx(1.0)
    assert seconds_of("audio", 60_000) == pytest.approx(1.0)
    assert seconds_of("video", 3_000) == pytest.approx(1.0)


def test_a_source_that_changed_or_was_removed_leaves_nothing_behind() -> None:
    tally = told(planned(), probed(1, 10**6), ("job.progress", {**head(1), "fraction": 0.5}))
    tally.take(Event("job.changed", {**head(1), "reason": "it changed"}))
    assert (tally.running, tally._sizes, tally.work_known) == ({}, {}, 0.0)
    for event in (probed(2, 10**6), ("job.cancelled", {**head(2), "reason": "removed"})):
        tally.take(Event(*event))
    assert (tally.removed, tally._sizes, tally.work_known) == (1, {}, 0.0)
    assert tally._unread["image"] == 0


def test_jobs_that_others_bring_to_an_end_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediactl.ui.tally.MOST_KNOWN", 10)
    tally = told(*(probed(number, 10**6) for number in range(100)))
    assert len(tally._sizes) == 10
