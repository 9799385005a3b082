"""Counting what happened, from events alone."""

from __future__ import annotations

import pytest
from support.events import event_of

from mediactl.planning.cost import Pace, seconds_of
from mediactl.ui.live import progress
from mediactl.ui.tally import Tally


def tally_of(*events: tuple[str, dict[str, object]]) -> Tally:
    """Return a tally that has seen these events."""
    tally = Tally()
    for name, fields in events:
        tally.take(event_of(name, fields))
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


def test_no_events_are_no_counts() -> None:
    tally = tally_of()
    assert (tally.jobs, tally.assets, tally.artefacts, tally.fraction) == (0, 0, 0, None)


def test_jobs_assets_artefacts_and_bytes_are_counted() -> None:
    tally = tally_of(planned(), probed(1, 10**6), done(1), planned(), probed(2, 10**6), done(2, made=1))
    assert (tally.found, tally.jobs, tally.assets, tally.artefacts) == (2, 4, 2, 4)
    assert (tally.bytes_in, tally.bytes_out) == (2000, 200)


def test_what_went_wrong_is_counted_by_how_it_ended() -> None:
    tally = tally_of(
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


def test_other_events_change_nothing() -> None:
    tally = tally_of(("tick", {"running": 2}), ("run.stopped", {"reason": "x"}))
    assert tally.jobs == 0


def test_the_bar_is_weighed_by_work_and_not_by_number() -> None:
    tally = tally_of(planned(), planned(), probed(1, 9 * 10**6), probed(2, 10**6))
    assert tally.fraction == 0.0
    tally.take(event_of(*done(2)))
    assert tally.fraction == pytest.approx(0.1)
    tally.take(event_of("job.progress", {**head(1), "fraction": 0.5}))
    assert tally.fraction == pytest.approx(0.55)
    tally.take(event_of(*done(1)))
    assert tally.fraction == pytest.approx(1.0)
    assert tally.running == {}


def test_a_job_that_is_tried_again_begins_at_nothing() -> None:
    tally = tally_of(planned(), probed(1, 10**6), ("job.progress", {**head(1), "fraction": 0.9}))
    assert tally.fraction == pytest.approx(0.9)
    tally.take(event_of("job.retry", {**head(1), "reason": "no luck", "attempt": 1}))
    assert tally.fraction == 0.0


def test_what_is_not_read_yet_is_guessed_and_the_bar_never_leaves_its_ends() -> None:
    tally = tally_of(*[planned()] * 10)
    for number in range(10):
        tally.take(event_of(*probed(number, 10**6)))
        tally.take(event_of(*done(number)))
        assert tally.fraction is not None
        assert tally.fraction == pytest.approx((number + 1) / 10)


def test_videos_weigh_more_than_photos() -> None:
    assert seconds_of("image", 25_000_000) == pytest.approx(1.0)
    assert seconds_of("audio", 60_000) == pytest.approx(1.0)
    assert seconds_of("video", 3_000) == pytest.approx(1.0)


def test_a_source_that_changed_or_was_removed_leaves_nothing_behind() -> None:
    tally = tally_of(planned(), probed(1, 10**6), ("job.progress", {**head(1), "fraction": 0.5}))
    tally.take(event_of("job.changed", {**head(1), "reason": "it changed"}))
    assert (tally.running, tally._sizes, tally.work_known) == ({}, {}, 0.0)
    for event in (probed(2, 10**6), ("job.cancelled", {**head(2), "reason": "removed"})):
        tally.take(event_of(*event))
    assert (tally.removed, tally._sizes, tally.work_known) == (1, {}, 0.0)
    assert tally._unread["image"] == 0


def test_jobs_that_others_bring_to_an_end_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediactl.ui.tally.MOST_KNOWN", 10)
    tally = tally_of(*(probed(number, 10**6) for number in range(100)))
    assert len(tally._sizes) == 10


def piece(number: int, size: int = 1000) -> dict[str, object]:
    """What every event of a piece of a video says."""
    head = {"job": f"piece {number}", "kind": "piece", "path": "a.mov", "source_kind": "video", "bytes": size}
    return {**head, "piece": number, "pieces": 3 if number else 0}


def cut(number: int = 1) -> tuple[str, dict[str, object]]:
    """A video was read that is encoded in three pieces of 3,000 ms, with 300 for its audio and 700 for the rest."""
    name, fields = probed(number, 700, kind="video")
    sizes = {0: 300, 1: 3_000, 2: 3_000, 3: 3_000}
    return name, fields | {"parts": [{"job": f"piece {each}", "size": size} for each, size in sizes.items()]}


def test_the_bar_weighs_pieces_by_media_time_and_is_full_when_the_video_is_published() -> None:
    video = {**head(1), "kind": "video", "source_kind": "video"}
    tally = tally_of(planned(kind="video"), cut())
    assert tally.fraction == 0.0
    for number, fraction in ((0, 0.03), (2, 0.33), (1, 0.63), (3, 0.93)):
        tally.take(event_of("job.done", {**piece(number), "seconds": 1.0, "size": 1}))
        assert tally.fraction == pytest.approx(fraction)
    assert (tally.jobs, tally.assets) == (5, 0)
    tally.take(event_of("job.progress", {**video, "fraction": 0.5}))
    assert tally.fraction == pytest.approx(0.965)
    tally.take(event_of("job.progress", {**video, "fraction": 1.0}))
    assert tally.fraction == pytest.approx(0.9993), "all is made, and nothing published"
    tally.take(
        event_of("job.done", {**video, "made": 3, "bytes_in": 1000, "bytes_out": 100, "seconds": 0.1, "outputs": []})
    )
    assert tally.fraction == 1.0
    assert tally.assets == 1


def test_a_video_that_is_rejected_for_one_piece_counts_once_and_leaves_nothing_to_do() -> None:
    tally = tally_of(
        planned(kind="video"),
        cut(),
        ("job.rejected", {**piece(1), "reason": "is broken"}),
        ("job.cancelled", {**piece(2), "reason": "its video was replanned or cancelled"}),
    )
    assert (tally.rejected, tally.removed, tally.fraction) == (1, 0, 1.0)


def test_a_video_that_changes_while_its_pieces_are_made_starts_over() -> None:
    tally = tally_of(
        planned(kind="video"),
        cut(),
        ("job.done", {**piece(0), "seconds": 1.0, "size": 1}),
        ("job.changed", {**piece(1), "reason": "changed"}),
        ("job.cancelled", {**piece(2), "reason": "its video was replanned or cancelled"}),
    )
    tally.take(event_of(*cut()))
    assert tally.fraction == pytest.approx(0.03 / 1.03, abs=0.01)


def test_pieces_of_one_video_are_shown_apart_and_in_media_time() -> None:
    pace = Pace(60.0, 24.0)
    tally = tally_of(planned(kind="video"), cut())
    for number, now, fraction in ((3, 100.0, 0.1), (3, 110.0, 0.4), (0, 110.0, 0.5)):
        measured = pace.progress(fraction, now) if number else Pace(180.0, 0.0).progress(fraction, now)
        tally.take(event_of("job.progress", {**piece(number), "fraction": fraction, **measured}))
    assert [path for path, _ in tally.running.values()] == ["a.mov (piece 3 of 3)", "a.mov (audio)"]
    assert progress(0.4, tally.paces["piece 3"]) == "0:24 of 1:00  43 fps  1.8x  about 20 s left"
    assert progress(0.5, tally.paces["piece 0"]) == "1:30 of 3:00"
    assert progress(0.999, None) == " 99 %"


def test_an_internal_error_is_counted_and_the_first_one_is_kept() -> None:
    tally = tally_of(
        planned(),
        probed(1, 10**6),
        ("job.internal_error", {**head(1), "reason": "internal error: TypeError"}),
        ("job.internal_error", {**head(2), "kind": "upload", "reason": "another", "bytes_sent": 5}),
    )
    assert (tally.internal_errors, tally.internal_error, tally.bytes_sent) == (2, "internal error: TypeError", 5)
    assert tally.fraction == 1.0


def test_a_source_that_the_machine_failed_to_read_leaves_nothing_behind() -> None:
    tally = tally_of(planned(), ("job.unreadable", {**head(1), "kind": "probe", "reason": "EIO"}))
    assert (tally.running, tally._unread["image"]) == ({}, 0)
