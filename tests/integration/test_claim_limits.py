"""What a claim leaves alone: kinds of which enough run, what is due later, all else when a job has to be alone."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import Clock, Rows, claim_one, new_job, opened, put

from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.priority import SLACK
from mediactl.jobs.states import PATIENCE
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.verdict import Verdict
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pool.contract import Assignment, Ended, Room
from mediactl.recipe import loader

ROOM = Room({"quick": 2, "heavy": 1})


class NoIntake:
    """All is taken in."""

    wakeup: socket.socket | None = None

    def step(self) -> bool:
        """Nothing is left."""
        return False

    def summary(self) -> None:
        """Nothing was found."""


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
def backlog(journal: Journal, tmp_path: Path, clock: Clock) -> Dispatcher:
    """What the pool would ask."""
    out = os.fsencode(tmp_path / "out")
    planner = Planner(Settings(sources=(), out=out, state=str(tmp_path)), loader.load("web"), {}, journal)
    return Dispatcher(journal, planner, NoIntake(), out, lambda _: None, clock)


def taken(
    journal: Journal, room: int, kinds: dict[str, int] | None = None, before: float | None = None, lane: str = "quick"
) -> list[str]:
    """Kinds of the jobs that a claim finds, in its order."""
    with journal.transaction():
        found = journal.claim((lane,), room, kinds) if before is None else journal.claim((lane,), room, kinds, before)
    return [each.kind for each in found]


def films_and_photos(count: int) -> list[NewJob]:
    """First the films, then as many photos."""
    return [new_job(f"{kind} {number}", kind=kind) for kind in ("video", "image") for number in range(count)]


def test_a_kind_of_which_enough_run_lets_the_others_pass(journal: Journal) -> None:
    put(journal, *films_and_photos(3))
    assert taken(journal, 4, {"video": 0}) == ["image"] * 3
    assert taken(journal, 4, {"video": 0}) == []
    assert taken(journal, 4, {}) == ["video"] * 3


def test_the_places_of_a_kind_are_counted_down_over_lanes_and_claims(journal: Journal) -> None:
    put(journal, *(new_job(number, kind="video", lane=("quick", "heavy")[number % 2]) for number in range(8)))
    kinds = {"video": 3, "image": 5}
    assert taken(journal, 2, kinds) == ["video"] * 2
    assert kinds == {"video": 1, "image": 5}
    assert taken(journal, 2, kinds, lane="heavy") == ["video"]
    assert kinds == {"video": 0, "image": 5}
    assert taken(journal, 2, kinds, lane="heavy") == []
    assert taken(journal, 2, kinds) == []


def test_a_claim_of_two_lanes_keeps_to_the_places_of_a_kind(journal: Journal) -> None:
    put(journal, *(new_job(number, kind="video", lane=("quick", "heavy")[number % 2]) for number in range(8)))
    with journal.transaction():
        assert len(journal.claim(("quick", "heavy"), 8, {"video": 3})) == 3


def test_kinds_that_are_not_named_are_free(journal: Journal) -> None:
    put(journal, *films_and_photos(3))
    assert sorted(taken(journal, 6, {"audio": 0})) == ["image"] * 3 + ["video"] * 3


def test_what_is_due_later_is_not_taken_before(journal: Journal, clock: Clock) -> None:
    put(journal, *(new_job(priority.name, kind=priority.name, priority=priority) for priority in Priority))
    assert taken(journal, 9, before=clock.now) == [], "it has to be due before that, not then"
    assert taken(journal, 9, before=clock.now + 0.001) == ["URGENT"]
    assert taken(journal, 9, before=clock.now + SLACK[Priority.LOW]) == ["HIGH", "NORMAL"]
    assert taken(journal, 9) == ["LOW", "BACKFILL"]


def test_a_job_that_runs_alone_is_due_at_its_due_time_and_only_while_it_is_ready(
    journal: Journal, clock: Clock
) -> None:
    assert not journal.alone_is_due()
    put(journal, new_job("urgent", priority=Priority.URGENT))
    assert not journal.alone_is_due(), "it need not be alone"
    put(journal, new_job("alone", lane="alone"))
    assert not journal.alone_is_due()
    clock.advance(SLACK[Priority.NORMAL] - 0.001)
    assert not journal.alone_is_due()
    clock.advance(0.001)
    assert journal.alone_is_due()
    found = claim_one(journal, "alone")
    assert not journal.alone_is_due(), "it runs"
    with journal.transaction():
        journal.fail(found.id, found.attempt, "no luck")
    assert not journal.alone_is_due(), "its retry has to wait"
    clock.advance(PATIENCE.cap)
    with journal.transaction():
        journal.wake()
    assert journal.alone_is_due()


def kinds_of(assignments: list[Assignment]) -> list[str]:
    """What was taken."""
    return [each.kind for each in assignments]


def done(assignments: list[Assignment]) -> list[Ended]:
    """That these are done."""
    return [Ended(each, Verdict.DONE, "", worker=1) for each in assignments]


def test_when_a_job_is_due_that_runs_alone_nothing_else_is_taken_until_it_ran(
    journal: Journal, backlog: Dispatcher, clock: Clock
) -> None:
    put(journal, new_job("alone", kind="alone", lane="alone"))
    put(journal, *(new_job(number, kind="urgent", priority=Priority.URGENT) for number in range(6)))
    running = backlog.exchange([], ROOM, alone=True)
    assert kinds_of(running) == ["urgent"] * 2, "it is not due"
    clock.advance(SLACK[Priority.NORMAL])
    assert backlog.exchange(done(running[:1]), ROOM, alone=False) == []
    assert backlog.exchange([], Room({"quick": 9}, {}, 9, clock.now + 1), alone=False) == [], "nor by overtaking"
    alone = backlog.exchange(done(running[1:]), ROOM, alone=True)
    assert kinds_of(alone) == ["alone"]
    assert alone[0].alone
    assert kinds_of(backlog.exchange(done(alone), ROOM, alone=True)) == ["urgent"] * 2


def test_a_job_that_runs_alone_and_is_not_due_runs_when_nothing_else_is_to_be_had(
    journal: Journal, backlog: Dispatcher
) -> None:
    put(journal, new_job("alone", kind="alone", lane="alone"), new_job("other", kind="other"))
    other = backlog.exchange([], ROOM, alone=True)
    assert kinds_of(other) == ["other"]
    assert backlog.exchange([], ROOM, alone=False) == []
    assert kinds_of(backlog.exchange(done(other), ROOM, alone=True)) == ["alone"]


@pytest.mark.parametrize("priority", [Priority.URGENT, Priority.HIGH, Priority.NORMAL])
def test_under_an_endless_stream_of_urgent_jobs_one_that_runs_alone_runs_when_it_is_due(
    journal: Journal, backlog: Dispatcher, clock: Clock, priority: Priority
) -> None:
    """Two workers, jobs of two seconds that end in turns: never are both idle by themselves."""
    start = clock.now
    put(journal, new_job("alone", kind="alone", lane="alone", priority=priority))
    running: list[Assignment] = []
    for turn in itertools.count():
        clock.advance(1.0)
        put(journal, *(new_job(f"{turn} {n}", kind="urgent", priority=Priority.URGENT) for n in range(3)))
        over, running = running[:1], running[1:]
        running += backlog.exchange(done(over), Room({"quick": 2 - len(running)}), alone=not running)
        if "alone" in kinds_of(running):
            break
        assert turn < 2 * SLACK[Priority.NORMAL], "it never ran"
    assert kinds_of(running) == ["alone"]
    assert SLACK[priority] <= clock.now - start <= SLACK[priority] + 4.0


def test_an_answer_of_what_was_given_back_changes_nothing(
    journal: Journal, backlog: Dispatcher, tmp_path: Path
) -> None:
    """It had begun when it was taken back; by the time that it answers, another worker has it."""
    put(journal, new_job("a", kind="a"))
    (first,) = backlog.exchange([], ROOM, alone=True)
    (second,) = backlog.exchange([Ended(first, Verdict.INTERRUPTED, "waited")], ROOM, alone=True)
    assert (second.job, second.attempt) == (first.job, 2)
    for verdict in Verdict:
        assert backlog.exchange([Ended(first, verdict, "late", worker=1)], ROOM, alone=False) == []
    job = Rows(tmp_path).job("a")
    assert (job.state, job.attempt, job.failures, job.crashes, job.interruptions) == ("running", 2, 0, 0, 0)
    backlog.exchange([*done([first]), *done([second])], Room(), alone=False)
    assert Rows(tmp_path).state("a") == "done"
    assert [each.outcome for each in Rows(tmp_path).attempts("a")] == ["interrupted", "done"]


def test_of_two_answers_in_one_exchange_the_stale_one_does_not_make_a_job_done(
    journal: Journal, backlog: Dispatcher, tmp_path: Path
) -> None:
    put(journal, new_job("a", kind="a"))
    (first,) = backlog.exchange([], ROOM, alone=True)
    (second,) = backlog.exchange([Ended(first, Verdict.INTERRUPTED, "waited")], ROOM, alone=True)
    backlog.exchange([*done([first]), Ended(second, Verdict.REJECTED, "bad", worker=1)], Room(), alone=False)
    assert Rows(tmp_path).state("a") == "rejected"


def test_answers_of_many_jobs_settle_those_alone_that_are_not_stale(journal: Journal, tmp_path: Path) -> None:
    put(journal, *(new_job(number) for number in range(6)))
    with journal.transaction():
        mine = journal.claim(("quick",), 3)
    with opened(tmp_path, Clock()) as other:
        with other.transaction():
            theirs = other.claim(("quick",), 2)
        with journal.transaction():
            pairs = [(mine[0].id, 1), (mine[1].id, 2), (mine[2].id, 1), (theirs[0].id, 1), (999, 1), (mine[0].id, 1)]
            assert journal.finish_done(pairs) == {mine[0].id, mine[2].id}
            assert journal.finish_done(pairs) == set()
            assert journal.finish_done([]) == set()
    rows = Rows(tmp_path)
    assert [rows.state(number) for number in range(6)] == ["done", "running", "done", "running", "running", "ready"]
