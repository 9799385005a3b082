"""Stopping: first signal, second signal, SIGKILL; nothing is lost, nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.invariants import assert_holds
from support.journals import Rows, new_job, opened, put
from support.pools import HERE, PATHS, has_died, odd

from mediactl.model.jobs import NewJob


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, jobs: list[NewJob], **options: Any) -> None:
        with opened(folder, time.time) as journal:
            put(journal, *jobs)
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, HERE / "support" / "pools.py", folder, json.dumps(options)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PATHS},
            start_new_session=True,
        )

    def event(self, name: str) -> dict[str, Any]:
        """The next event of this name."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"ended without {name!r}")

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def ended(self) -> str:
        """Why it stopped, once it has."""
        why: str = self.event("stopped")["why"]
        assert self.process.wait() == 0
        if why == "COMPLETE":
            assert_holds(self.folder / "out", self.folder, ended=True)
        return why


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    """Starts supervisors, and leaves none behind."""
    started: list[Running] = []

    def start(*jobs: NewJob, **options: Any) -> Running:
        started.append(Running(tmp_path, list(jobs), **options))
        return started[-1]

    yield start
    for each in started:
        for worker in psutil.Process(each.process.pid).children() if each.process.poll() is None else []:
            worker.kill()
        each.process.kill()
        each.process.communicate()


def waits(tmp_path: Path, name: str = "waits") -> NewJob:
    """A job that tells that it has begun, then waits for a word through a FIFO."""
    os.mkfifo(tmp_path / name)
    return odd(name, report=True, wait=tmp_path / name)


def let_go(tmp_path: Path, name: str = "waits") -> None:
    """The word that it waits for."""
    with open(tmp_path / name, "wb"):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_running_jobs_finish_and_claims_no_more(
    tmp_path: Path, run: Any, number: signal.Signals
) -> None:
    pool = run(waits(tmp_path), *(new_job(each, kind="empty") for each in range(3)), workers=1)
    pool.event("job.progress")
    pool.process.send_signal(number)
    let_go(tmp_path)
    assert pool.ended() == "ASKED"
    rows = Rows(tmp_path)
    assert rows.state("waits") == "done"
    assert rows.jobs() == {"done": 1, "ready": 3}
    assert all(rows.job(each).attempt == 0 for each in range(3))


def test_what_does_not_finish_in_time_is_given_back_at_no_cost(tmp_path: Path, run: Any) -> None:
    pool = run(waits(tmp_path), workers=1, grace=0.2)
    pool.event("job.progress")
    (worker,) = pool.workers()
    pool.process.terminate()
    assert pool.ended() == "ASKED"
    assert has_died(worker)
    job = Rows(tmp_path).job("waits")
    assert (job.state, job.interruptions, job.failures, job.crashes) == ("ready", 1, 0, 0)
    assert job.reason == "stopped before it was done"


def test_the_second_signal_ends_at_once(tmp_path: Path, run: Any) -> None:
    pool = run(waits(tmp_path, "one"), waits(tmp_path, "two"), workers=2, grace=3600.0)
    pool.event("job.progress")
    pool.event("job.progress")
    workers = pool.workers()
    pool.process.send_signal(signal.SIGTERM)
    pool.process.send_signal(signal.SIGINT)  # not SIGTERM again: two that wait are one
    assert pool.ended() == "ASKED"
    assert all(map(has_died, workers))
    rows = Rows(tmp_path)
    assert rows.jobs() == {"ready": 2}
    assert {rows.job(name).interruptions for name in ("one", "two")} == {1}


def test_a_time_limit_of_the_run_stops_it_as_the_first_signal_does(tmp_path: Path, run: Any) -> None:
    pool = run(waits(tmp_path), new_job("next", kind="empty"), workers=1, grace=0.1, max_duration=0.5)
    assert pool.ended() == "TIME_UP"
    assert Rows(tmp_path).jobs() == {"ready": 2}


def test_workers_do_not_heed_the_signals_that_a_terminal_or_systemd_sends_to_all(tmp_path: Path, run: Any) -> None:
    pool = run(waits(tmp_path), workers=1)
    pool.event("job.progress")
    (worker,) = pool.workers()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker, number)
    pool.process.terminate()
    let_go(tmp_path)
    assert pool.ended() == "ASKED"
    job = Rows(tmp_path).job("waits")
    assert (job.state, job.attempt, job.crashes) == ("done", 1, 0)


def test_workers_die_with_a_supervisor_that_is_killed_and_its_jobs_are_the_next_runs(tmp_path: Path, run: Any) -> None:
    jobs = [waits(tmp_path, name) for name in ("one", "two")]
    pool = run(*jobs, new_job("later", kind="empty"), workers=2)
    pool.event("job.progress")
    pool.event("job.progress")
    workers = pool.workers()
    assert len(workers) == 2
    pool.process.kill()
    assert all(map(has_died, workers))
    pool.process.wait()
    again = run(workers=2)
    again.event("job.progress")
    again.event("job.progress")
    let_go(tmp_path, "one")
    let_go(tmp_path, "two")
    assert again.ended() == "COMPLETE"
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 3}
    for name in ("one", "two"):
        assert [each.outcome for each in rows.attempts(name)] == ["interrupted", "done"]
        assert (rows.job(name).crashes, rows.job(name).failures) == (0, 0)


def test_a_killed_worker_is_replaced_and_its_job_done_by_another(tmp_path: Path, run: Any) -> None:
    pool = run(waits(tmp_path), workers=1)
    pool.event("job.progress")
    (worker,) = pool.workers()
    os.kill(worker, signal.SIGKILL)
    assert pool.event("job.retry")["reason"] == "its worker was killed by SIGKILL"
    pool.event("job.progress")
    assert pool.workers() != [worker]
    let_go(tmp_path)
    assert pool.ended() == "COMPLETE"
    assert [each.outcome for each in Rows(tmp_path).attempts("waits")] == ["crashed", "done"]


def test_two_runs_at_once_do_each_job_once_and_the_first_to_finish_waits_for_nobodys_job(
    tmp_path: Path, run: Any
) -> None:
    count = 60
    note = tmp_path / "note"
    first = run(waits(tmp_path), *(odd(number, note=note) for number in range(count)), workers=1)
    first.event("job.progress")
    second = run(workers=2)
    assert second.ended() == "COMPLETE"  # the job that the first one holds is none of its sources'
    let_go(tmp_path)
    assert first.ended() == "COMPLETE"
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": count + 1}
    assert all(rows.job(number).attempt == 1 for number in range(count))
    assert len(note.read_text().splitlines()) == count


def test_a_run_takes_the_jobs_of_one_that_dies_beside_it(tmp_path: Path, run: Any) -> None:
    first = run(waits(tmp_path), workers=1)
    first.event("job.progress")
    second = run(waits(tmp_path, "mine"), workers=2)
    second.event("job.progress")
    workers = first.workers()
    first.process.kill()
    assert all(map(has_died, workers))
    assert second.event("job.progress")["job"] == new_job("waits").key
    let_go(tmp_path)
    let_go(tmp_path, "mine")
    assert second.ended() == "COMPLETE"
    assert Rows(tmp_path).jobs() == {"done": 2}
