"""Every transition of a job is a compare-and-set: from where it may come, for whom, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from support.journals import Clock, Rows, a_source, claim, claim_one, new_job, opened, put

from mediactl.jobs.journal import Journal
from mediactl.jobs.states import PATIENCE, State
from mediactl.model.jobs import Priority

Answer = Callable[[Journal, int, int], object]

ANSWERS: dict[str, tuple[Answer, str]] = {
    "done": (lambda journal, job, attempt: journal.finish(job, attempt, State.DONE), "done"),
    "rejected": (lambda journal, job, attempt: journal.finish(job, attempt, State.REJECTED, "bad"), "rejected"),
    "cancelled": (lambda journal, job, attempt: journal.finish(job, attempt, State.CANCELLED), "cancelled"),
    "failed": (lambda journal, job, attempt: journal.fail(job, attempt, "no luck"), "ready"),
    "crashed": (lambda journal, job, attempt: journal.crash(job, attempt, "died"), "ready"),
    "interrupted": (lambda journal, job, attempt: journal.interrupt(job, attempt, "stopped"), "ready"),
}
every_answer = pytest.mark.parametrize(("answer", "state"), ANSWERS.values(), ids=ANSWERS)


@pytest.fixture
def clock() -> Clock:
    """Time stands still."""
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """An empty journal."""
    with opened(tmp_path, clock) as journal:
        yield journal


@pytest.fixture
def rows(journal: Journal, tmp_path: Path) -> Rows:
    """What its file says."""
    return Rows(tmp_path)


def test_its_sqlite_has_no_wal_reset_bug() -> None:
    """Fixed in 3.51.3: see docs/decisions/0002-apsw.md. The standard library's may be older."""
    version = tuple(map(int, apsw.sqlite_lib_version().split(".")))
    assert version >= (3, 51, 3)


@every_answer
def test_an_answer_moves_its_job(journal: Journal, rows: Rows, answer: Answer, state: str) -> None:
    put(journal, new_job("a"), new_job("b"))
    found = claim_one(journal)
    assert rows.state("a") == "running"
    with journal.transaction():
        assert answer(journal, found.id, found.attempt)
    assert rows.state("a") == state
    assert rows.state("b") == "ready"


@every_answer
def test_a_second_answer_changes_no_row(journal: Journal, rows: Rows, answer: Answer, state: str) -> None:
    put(journal, new_job("a"))
    found = claim_one(journal)
    with journal.transaction():
        answer(journal, found.id, found.attempt)
        before = rows.job("a")
        for again, _ in ANSWERS.values():
            assert not again(journal, found.id, found.attempt)
    assert rows.job("a").state == state
    assert rows.job("a").attempt == before.attempt


@every_answer
def test_a_stale_answer_changes_no_row(journal: Journal, rows: Rows, answer: Answer, state: str) -> None:
    put(journal, new_job("a"))
    first = claim_one(journal)
    with journal.transaction():
        journal.interrupt(first.id, first.attempt, "stopped")
    second = claim_one(journal)
    assert (second.id, second.attempt) == (first.id, first.attempt + 1)
    before = rows.job("a")
    with journal.transaction():
        assert not answer(journal, first.id, first.attempt)
        assert not answer(journal, second.id, second.attempt + 1)
        assert not answer(journal, second.id + 1, second.attempt)
    assert rows.job("a") == before


@every_answer
def test_another_runs_answer_changes_no_row(
    journal: Journal, rows: Rows, tmp_path: Path, answer: Answer, state: str
) -> None:
    put(journal, new_job("a"))
    found = claim_one(journal)
    before = rows.job("a")
    with opened(tmp_path) as other, other.transaction():
        assert not answer(other, found.id, found.attempt)
    assert rows.job("a") == before


def test_a_job_waits_until_it_is_claimed_and_is_claimed_once(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a"))
    for answer, _ in ANSWERS.values():
        with journal.transaction():
            assert not answer(journal, rows.job("a").id, 0)
    assert rows.state("a") == "ready"
    assert len(claim(journal, 9)) == 1
    assert claim(journal, 9) == []


def test_adding_is_idempotent_while_a_job_waits_or_runs(journal: Journal, rows: Rows) -> None:
    assert put(journal, new_job("a"), new_job("a"), new_job("b")) == 2
    assert put(journal, new_job("a", priority=Priority.URGENT, payload=b"other")) == 0
    assert rows.job("a").priority == Priority.NORMAL
    found = claim_one(journal)
    assert found.payload == b"{}"
    assert put(journal, new_job("a")) == 0
    assert rows.state("a") == "running"


def test_a_retry_that_waits_stays_as_it_is_when_it_is_added_again(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a"))
    found = claim_one(journal)
    with journal.transaction():
        journal.fail(found.id, found.attempt, "no luck")
    before = rows.job("a")
    assert put(journal, new_job("a")) == 0
    assert rows.job("a") == before


@pytest.mark.parametrize("ended", ["done", "cancelled", "rejected", "quarantined"])
def test_a_job_that_ended_and_is_asked_for_again_starts_afresh(
    journal: Journal, rows: Rows, clock: Clock, ended: str
) -> None:
    put(journal, new_job("a", priority=Priority.LOW))
    while rows.state("a") == "ready":
        clock.advance(PATIENCE.cap)
        with journal.transaction():
            journal.wake()
        found = claim_one(journal)
        with journal.transaction():
            if ended == "quarantined":
                journal.fail(found.id, found.attempt, "no luck")
            else:
                journal.finish(found.id, found.attempt, State(ended), "why")
    assert rows.state("a") == ended
    assert put(journal, new_job("a", payload=b"new", priority=Priority.HIGH)) == 1
    job = rows.job("a")
    assert (job.state, job.failures, job.crashes, job.reason, job.priority) == ("ready", 0, 0, "", Priority.HIGH)
    again = claim_one(journal)
    assert (again.payload, again.attempt) == (b"new", found.attempt + 1)


def test_a_job_is_quarantined_after_its_last_failure_and_waits_longer_each_time(
    journal: Journal, rows: Rows, clock: Clock
) -> None:
    put(journal, new_job("a"))
    for number in range(1, PATIENCE.failures + 1):
        found = claim_one(journal)
        assert found.attempt == number
        with journal.transaction():
            state = journal.fail(found.id, found.attempt, f"failure {number}")
        job = rows.job("a")
        assert (job.state, job.failures, job.reason) == (state, number, f"failure {number}")
        if number == PATIENCE.failures:
            assert state is State.QUARANTINED
            assert job.run_after is None
            break
        assert job.run_after is not None
        assert job.run_after == clock.now + 0.5 * min(PATIENCE.cap, PATIENCE.base * 4 ** (number - 1))
        assert claim(journal) == []
        clock.advance(job.run_after - clock.now - 0.001)
        with journal.transaction():
            journal.wake()
        assert claim(journal) == []
        clock.advance(0.002)
        with journal.transaction():
            journal.wake()
    assert claim(journal, 1, "quick", "heavy", "alone") == []


def test_a_clock_that_was_set_back_does_not_make_a_retry_wait_for_it(journal: Journal, clock: Clock) -> None:
    put(journal, new_job("a"))
    found = claim_one(journal)
    with journal.transaction():
        journal.fail(found.id, found.attempt, "no luck")
    clock.advance(-24 * 3600.0)
    with journal.transaction():
        journal.wake()
    assert claim_one(journal).id == found.id


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999999])
def test_a_retry_waits_a_random_part_of_its_bound(tmp_path: Path, chance: float) -> None:
    clock = Clock()
    with opened(tmp_path, clock, random=lambda: chance) as journal:
        put(journal, new_job("a"))
        found = claim_one(journal)
        with journal.transaction():
            journal.fail(found.id, found.attempt, "no luck")
        assert Rows(tmp_path).job("a").run_after == clock.now + chance * PATIENCE.base
        assert journal.waiting(("quick", "heavy", "alone")) == (clock.now + chance * PATIENCE.base, False, False)


def test_a_job_that_kills_workers_is_tried_alone_before_it_is_quarantined(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a"))
    for number in range(1, PATIENCE.crashes + 1):
        last = number == PATIENCE.crashes
        assert len(claim(journal, 9)) == (0 if last else 1)
        found = claim_one(journal, "alone") if last else None
        job = rows.job("a")
        with journal.transaction():
            state = journal.crash(job.id, job.attempt, "died")
        assert found is None or found.lane == "alone"
        assert state is (State.QUARANTINED if last else State.READY)
        assert rows.job("a").lane == ("quick" if number < PATIENCE.crashes - 1 else "alone")
    assert (rows.job("a").crashes, rows.job("a").failures) == (PATIENCE.crashes, 0)


def test_interruptions_never_count_towards_quarantine(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a"))
    for _ in range(10):
        found = claim_one(journal)
        with journal.transaction():
            assert journal.interrupt(found.id, found.attempt, "stopped")
    job = rows.job("a")
    assert (job.state, job.interruptions, job.failures, job.crashes, job.lane) == ("ready", 10, 0, 0, "quick")


def test_a_stopped_job_is_retried_with_its_counters_at_zero(journal: Journal, rows: Rows) -> None:
    with journal.transaction():
        source = journal.sources.put(a_source(), "", "", "pending")
    put(journal, new_job("a", source=source))
    for lane in ("quick", "quick", "alone"):
        found = claim_one(journal, lane)
        with journal.transaction():
            journal.crash(found.id, found.attempt, "died")
    with journal.transaction():
        journal.sources.set_state(source, "quarantined", "died")
        assert journal.retry(found.id)
        assert not journal.retry(found.id), "it is ready now"
    job = rows.job("a")
    assert (job.state, job.crashes, job.reason) == ("ready", 0, "")
    assert job.lane != "alone"
    assert rows.sources() == {"pending": 1}
    assert claim_one(journal).attempt == 4


def test_a_retry_by_hand_need_not_wait(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a"))
    found = claim_one(journal)
    with journal.transaction():
        assert not journal.retry(found.id), "it runs"
        journal.fail(found.id, found.attempt, "no luck")
        assert journal.retry(found.id)
    assert rows.job("a").run_after is None
    assert claim_one(journal).id == found.id


def test_what_waits_can_be_cancelled_and_what_runs_is_left_to_finish(journal: Journal, rows: Rows) -> None:
    with journal.transaction():
        source = journal.sources.put(a_source(), "", "", "pending")
    put(journal, new_job("a", source=source), new_job("b", source=source), new_job("c"))
    running = claim_one(journal)
    with journal.transaction():
        assert not journal.cancel(running.id)
        assert journal.cancel(rows.job("b").id)
        assert not journal.cancel(rows.job("b").id)
    assert (rows.state("a"), rows.state("b"), rows.state("c")) == ("running", "cancelled", "ready")
    assert rows.sources() == {"cancelled": 1}


def test_a_transaction_that_raises_leaves_nothing(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a"))
    with pytest.raises(RuntimeError), journal.transaction():
        journal.add([new_job("b")])
        journal.claim(("quick",), 5)
        raise RuntimeError
    assert rows.jobs() == {"ready": 1}
