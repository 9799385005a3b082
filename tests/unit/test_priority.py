"""A due time instead of a rank: urgent goes first, and backfill is never starved."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import Clock, claim, claim_one, new_job, opened, put

from mediactl.jobs.priority import SLACK, due
from mediactl.jobs.states import State
from mediactl.model.jobs import Priority

HOUR = 3600.0


@pytest.mark.parametrize("priority", Priority)
def test_a_job_is_due_its_slack_after_it_was_enqueued(priority: Priority) -> None:
    assert due(1000.0, priority) == 1000.0 + SLACK[priority]


def test_the_more_urgent_the_sooner_due() -> None:
    assert [SLACK[priority] for priority in Priority] == sorted(SLACK.values())
    assert SLACK[Priority.URGENT] == 0
    assert due(0.0, Priority.BACKFILL) == 24 * HOUR


def test_other_slacks_may_be_chosen() -> None:
    assert due(10.0, Priority.LOW, {Priority.LOW: 5.0}) == 15.0


def test_urgent_jobs_overtake_a_backlog_that_waits(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        put(journal, *(new_job(f"old {number}", priority=Priority.BACKFILL) for number in range(20)))
        clock.advance(HOUR)
        put(journal, new_job("now", priority=Priority.URGENT))
        assert claim_one(journal).key == new_job("now").key


def test_a_backfill_job_waits_no_longer_than_its_bound_behind_an_endless_stream_of_urgent_ones(tmp_path: Path) -> None:
    """Every ten minutes bring one urgent job more, and the one worker does one job in ten minutes."""
    clock = Clock()
    begin = clock.now
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("backfill", priority=Priority.BACKFILL))
        for turn in range(25 * 6):
            with journal.transaction():
                journal.add([new_job(turn, priority=Priority.URGENT)])
                (found,) = journal.claim(("quick",), 1)
                journal.finish(found.id, found.attempt, State.DONE)
            if found.priority == Priority.BACKFILL:
                break
            clock.advance(600.0)
    assert found.key == new_job("backfill").key
    assert 0 <= clock.now - begin - SLACK[Priority.BACKFILL] <= 600.0


def test_equally_urgent_jobs_go_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        put(journal, *(new_job(number) for number in range(10)))
        assert [each.key for each in claim(journal, 10)] == [new_job(number).key for number in range(10)]
