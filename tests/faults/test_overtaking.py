"""In a worker's pipe: what is due first goes first, and nothing waits there behind a job that takes long."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import odd_jobs
from support.journals import Rows
from support.pools import PATHS, NoIntake, Pool, odd, run_pool, spans

from mediactl.model.events import Event, JobInterrupted, Tick
from mediactl.model.jobs import Priority, Usage
from mediactl.model.verdict import Verdict
from mediactl.pool import process
from mediactl.pool.contract import Assignment, Stopped
from mediactl.pool.messages import Answer
from mediactl.pool.process import Worker, worker_environment
from mediactl.pool.scheduler import OVERTAKING, depth_of

SHORT = 0.001
"""Seconds that the jobs here are said to take."""


def sent(job: int, due: float, **what: Any) -> Assignment:
    """A job of ``odd_jobs`` as the pool hands it out."""
    payload = json.dumps({"name": job, **what}, default=str).encode()
    return Assignment(job, 1, "odd", payload, (), 60.0, due=due)


def answer(job: int, following: int = 0) -> Answer:
    """That a job is done, and which one was begun then."""
    return Answer(job, 1, Verdict.DONE, "", b"", Usage(), following)


class Line:
    """A real worker, and what it is heard to say."""

    def __init__(self, folder: Path) -> None:
        self.fifo, self.note = folder / "fifo", folder / "note"
        os.mkfifo(self.fifo)
        with open(folder / "log", "wb") as log:
            environment = worker_environment({**os.environ, "PYTHONPATH": PATHS})
            self.worker = Worker(odd_jobs.EXECUTE, "token", environment, log.fileno())

    def send(self, *assignments: Assignment) -> None:
        """Have these jobs, and what was taken back, in the pipe."""
        for assignment in assignments:
            self.worker.queue(assignment)
        while self.worker.flush():
            assert select.select([], [self.worker.pipe], [], 30)[1]

    def answers(self, count: int) -> list[Answer]:
        """The next answers."""
        found: list[Answer] = []
        while len(found) < count:
            assert select.select([self.worker.pipe], [], [], 30)[0], "it says nothing"
            messages = self.worker.receive()
            assert messages is not None, "it is gone"
            found += [each for each in messages if isinstance(each, Answer)]
        return found

    def release(self) -> None:
        """Let the job end that waits for this."""
        open(self.fifo, "wb").close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A worker that ends with the test."""
    line = Line(tmp_path)
    yield line
    line.worker.bury()


def test_of_the_jobs_that_wait_in_its_pipe_the_one_that_is_due_first_goes_first(line: Line) -> None:
    first, late, early = sent(1, 100.0, wait=line.fifo), sent(2, 300.0), sent(3, 200.0)
    line.send(first, late, early)
    line.release()
    order = []
    for each in line.answers(3):
        assert line.worker.sent[0].job == each.job, "the first of them is not the one that was worked on"
        line.worker.answered(each)
        order.append(each.job)
    assert order == [1, 3, 2]
    assert not line.worker.sent


def test_of_jobs_that_are_due_at_the_same_time_the_one_that_was_sent_first_goes_first(line: Line) -> None:
    line.send(sent(1, 5.0, wait=line.fifo), *(sent(job, 5.0) for job in range(2, 10)))
    line.release()
    assert [each.job for each in line.answers(9)] == list(range(1, 10))


def test_jobs_that_were_taken_back_are_not_run(line: Line) -> None:
    line.send(sent(1, 1.0, wait=line.fifo, note=line.note), *(sent(job, 2.0, note=line.note) for job in (2, 3)))
    assert [each.job for each in line.worker.recall()] == [2, 3]
    line.send(sent(4, 9.0, note=line.note))
    line.release()
    answers = line.answers(2)
    assert [(each.job, line.worker.answered(each).job) for each in answers] == [(1, 1), (4, 4)]
    line.worker.close(30)
    assert [name for name, _, _ in spans(line.note)] == ["1", "4"]


def test_a_job_that_was_taken_back_can_be_sent_again(line: Line) -> None:
    line.send(sent(1, 1.0, wait=line.fifo), sent(2, 2.0))
    line.worker.recall()
    line.send(sent(2, 2.0), sent(3, 1.5))
    line.release()
    answers = line.answers(3)
    assert [(each.job, line.worker.answered(each).job) for each in answers] == [(1, 1), (3, 3), (2, 2)]


def test_the_answer_of_a_job_that_had_begun_when_it_was_taken_back_is_matched(line: Line) -> None:
    """It crossed the request on its way. What is sent meanwhile is not what the worker works on."""
    worker = line.worker
    for job in (1, 2, 3):
        worker.queue(sent(job, float(job)))
    assert [each.job for each in worker.recall()] == [2, 3]
    worker.queue(sent(4, 4.0))
    assert worker.answered(answer(1, following=2)).job == 1
    assert [each.job for each in worker.sent] == [2, 4], "it works on the one that was taken back too late"
    assert worker.answered(answer(2)).job == 2
    assert [each.job for each in worker.sent] == [4]
    assert worker.answered(answer(4)).job == 4
    with pytest.raises(ValueError, match="job 3, which it was not sent"):
        worker.answered(answer(3))


def test_an_answer_to_what_was_never_sent_is_not_believed(line: Line) -> None:
    line.worker.queue(sent(1, 1.0))
    with pytest.raises(ValueError, match="job 7, which it was not sent"):
        line.worker.answered(answer(7))
    assert [each.job for each in line.worker.sent] == [1]


def learn_that_they_are_short(pool: Pool) -> None:
    """So that they are sent ahead from the first."""
    like = pool.journal.predictor.class_of("odd", "", 0)
    for _ in range(5):
        pool.journal.predictor.learn(like, SHORT)


def let_through(fifo: Path) -> bool:
    """Release whoever waits there; False: nobody does yet."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_what_waits_behind_a_job_that_hangs_is_done_by_another_worker(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    over: list[bool] = []
    os.mkfifo(fifo)

    def prepare(pool: Pool) -> None:
        learn_that_they_are_short(pool)

        def look(event: Event) -> None:
            if isinstance(event, Tick) and pool.names().count("job.done") == 200 and not over and let_through(fifo):
                over.append(True)

        pool.on_event = look

    hang = odd("hang", wait=fifo, _time_limit=100.0)
    stopped, pool = run_pool(
        tmp_path, hang, *(odd(number) for number in range(200)), prepare=prepare, max_duration=50.0, grace=0.0
    )
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 201}
    jobs = [rows.job(name) for name in ("hang", *range(200))]
    assert {(job.interruptions, job.failures, job.crashes) for job in jobs} == {(0, 0, 0)}
    assert rows.job("hang").attempt == 1
    back = [event for event in pool.events if isinstance(event, JobInterrupted)]
    assert {event.reason for event in back} == {"waited behind a job that takes long"}
    assert [each.outcome for number in range(200) for each in rows.attempts(number)].count("interrupted") == len(back)


class UrgentOnceThePipeIsFull(NoIntake):
    """Adds urgent jobs when the pipe of the only worker is full of others; lets the first of these end after that."""

    def __init__(self, folder: Path, count: int) -> None:
        self.fifo, self.note = folder / "fifo", folder / "note"
        self.count = count
        self.added = False
        self.pool: Pool | None = None
        self.rows: Rows | None = None
        self.folder = folder

    def prepare(self, pool: Pool) -> None:
        """Know the pool."""
        learn_that_they_are_short(pool)
        self.pool, self.rows = pool, Rows(self.folder)

    def step(self) -> bool | None:
        """Look at what was handed out."""
        assert self.pool is not None and self.rows is not None
        running = self.rows.jobs().get("running", 0)
        if not self.added:
            if running < depth_of(SHORT):
                return None
            self.added = True
            with self.pool.journal.transaction():
                urgent = [odd(f"urgent {n}", note=self.note, _priority=Priority.URGENT) for n in range(self.count)]
                assert self.pool.journal.add(urgent) == self.count
            return True
        if running < depth_of(SHORT) + min(self.count, OVERTAKING):
            return None
        return None if not let_through(self.fifo) else False


@pytest.mark.parametrize("count", [1, OVERTAKING])
def test_an_urgent_job_overtakes_a_pipe_that_is_full_of_backfill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(process, "HELD_UP", 100.0)  # what is full stays full until the test goes on
    intake = UrgentOnceThePipeIsFull(tmp_path, count)
    os.mkfifo(intake.fifo)
    begun = odd("begun", note=intake.note, wait=intake.fifo, _priority=Priority.BACKFILL)
    backfill = [odd(number, note=intake.note, _priority=Priority.BACKFILL) for number in range(100)]
    stopped, _ = run_pool(
        tmp_path, begun, *backfill, intake=intake, prepare=intake.prepare, workers=1, max_duration=60.0, grace=0.0
    )
    assert stopped is Stopped.COMPLETE
    order = [name for name, _, _ in spans(intake.note)]
    assert order == ["begun", *(f"urgent {n}" for n in range(count)), *map(str, range(100))]


def test_backfill_does_not_overtake_backfill_that_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "HELD_UP", 100.0)
    note = tmp_path / "note"
    run_pool(tmp_path, *(odd(n, note=note) for n in range(200)), prepare=learn_that_they_are_short, workers=1)
    assert [name for name, _, _ in spans(note)] == [str(number) for number in range(200)]
