"""Retries: how long they wait, and who says how often."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journals import claim_one, new_job, put
from support.repeatable import REPEATABLE

from mediactl.core.settings import Settings
from mediactl.jobs.states import PATIENCE, Patience, State
from mediactl.pipeline.pool_run import open_journal

chance = st.floats(0.0, 1.0, exclude_max=True)
patience = st.builds(Patience, base=st.floats(0.0, 1000.0), cap=st.floats(0.0, 10_000.0))


@REPEATABLE
@given(patience, st.integers(0, 10**9), chance)
def test_a_delay_is_never_negative_and_never_above_its_bounds(which: Patience, failures: int, random: float) -> None:
    found = which.delay(failures, random)
    assert 0.0 <= found <= which.cap
    if failures < 30:
        assert found <= which.base * 4.0**failures


@REPEATABLE
@given(patience, st.integers(0, 1000), chance)
def test_bounds_never_fall_with_further_failures_and_chance_takes_a_part_of_them(
    which: Patience, failures: int, random: float
) -> None:
    bound = which.delay(failures, 1.0)
    assert which.delay(failures + 1, 1.0) >= bound
    assert which.delay(failures, random) == pytest.approx(bound * random)
    assert which.delay(failures, 0.0) == 0.0


def test_bounds_grow_fourfold_up_to_a_minute() -> None:
    assert [PATIENCE.delay(failures, 1.0) for failures in range(5)] == [1.0, 4.0, 16.0, 60.0, 60.0]


def fail_once(folder: Path, **settings: float) -> tuple[State | None, float | None]:
    """What a job becomes whose first attempt fails in a run with these settings, and when it is tried again."""
    wanted = Settings(sources=(), out=b"/out", state=str(folder), **settings)  # type: ignore[arg-type]
    with open_journal(wanted, lambda _: None, "process") as journal:
        journal._clock, journal._random = lambda: 1000.0, lambda: 0.5
        put(journal, new_job("a"))
        found = claim_one(journal)
        with journal.transaction():
            state = journal.fail(found.id, found.attempt, "no luck")
        return state, journal.waiting(("quick", "heavy", "alone"))[0]


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0, 20.0, 60.0])
def test_the_first_retry_waits_for_a_part_of_what_was_asked_for(tmp_path: Path, seconds: float) -> None:
    assert fail_once(tmp_path, retry_delay=seconds) == (State.READY, 1000.0 + seconds / 2)


@pytest.mark.parametrize("seconds", [90.0, 600.0])
def test_more_than_a_minute_between_attempts_can_be_asked_for(tmp_path: Path, seconds: float) -> None:
    """--retry-delay: "The first retry waits up to S seconds"."""
    assert fail_once(tmp_path, retry_delay=seconds) == (State.READY, 1000.0 + seconds / 2)


def test_a_job_is_given_up_after_as_many_attempts_as_were_asked_for(tmp_path: Path) -> None:
    assert fail_once(tmp_path, attempts=1) == (State.QUARANTINED, None)


def test_a_retry_that_waits_long_is_not_taken_for_one_of_before_the_clock_was_set_back(tmp_path: Path) -> None:
    fail_once(tmp_path, retry_delay=60.0)
    wanted = Settings(sources=(), out=b"/out", state=str(tmp_path))
    with open_journal(wanted, lambda _: None, "process") as journal:
        journal._clock = lambda: 1000.0
        with journal.transaction():
            journal.wake()
        assert journal.waiting(("quick", "heavy", "alone")) == (1030.0, False, False)
