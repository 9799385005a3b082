"""Who works on what, when several processes share one journal: by locks that die with them, never by a clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from support.journals import Rows, claim, claim_one, new_job, opened, put

from mediactl.jobs import owners
from mediactl.jobs.states import State

OPEN = """
import os, subprocess, sys
from support.journals import Path, claim, opened
from mediactl.jobs.states import State
state = Path(sys.argv[1])

def say(*words):
    print(*words, flush=True)

with opened(state) as journal:
"""
CLAIM_TWO = (
    OPEN
    + """
    say(journal.run, *(each.id for each in claim(journal, 2)))
    sys.stdin.read()
"""
)
CLAIM_WITH_CHILD = (
    OPEN
    + """
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
    say(child.pid, *(each.id for each in claim(journal, 2)))
    sys.stdin.read()
"""
)
DRAIN = (
    OPEN
    + """
    say("ready")
    sys.stdin.readline()
    while found := claim(journal, 3):
        with journal.transaction():
            for each in found:
                assert journal.finish(each.id, each.attempt, State.DONE)
        say(*(each.id for each in found))
"""
)
DIE_IN_TRANSACTION = (
    OPEN
    + """
    with journal.transaction():
        claim_ = journal.claim(("quick",), 1)
        assert journal.finish(claim_[0].id, claim_[0].attempt, State.DONE)
        os.kill(os.getpid(), 9)
"""
)


class Processes:
    """Starts scripts, and leaves none behind."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[str]] = []

    def start(self, script: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """A process that runs a script, with pipes."""
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )
        self.all.append(process)
        return process


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Processes that end with the test."""
    started = Processes()
    yield started
    for process in started.all:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> list[str]:
    """The next line that a process says, in words."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_two_processes_that_claim_at_once_share_the_jobs_and_never_get_the_same(
    tmp_path: Path, processes: Processes
) -> None:
    with opened(tmp_path) as journal:
        put(journal, *(new_job(number, content=f"content {number % 40}") for number in range(120)))
    both = [processes.start(DRAIN, tmp_path) for _ in range(2)]
    assert [line(each) for each in both] == [["ready"]] * 2
    done: list[str] = []
    for each in both:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in both:
        done += each.communicate()[0].split()
        assert each.returncode == 0
    # One may find only twins of what the other works on, and leave; what it leaves is the other's.
    assert len(done) == len(set(done))
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 120}
    assert all(rows.job(number).attempt == 1 for number in range(120))


def test_the_jobs_of_a_killed_process_are_had_at_once_and_those_of_a_living_one_never(
    tmp_path: Path, processes: Processes
) -> None:
    with opened(tmp_path) as journal:
        put(journal, *(new_job(number) for number in range(4)))
        doomed, living = processes.start(CLAIM_TWO, tmp_path), processes.start(CLAIM_TWO, tmp_path)
        owner, *jobs = line(doomed)
        line(living)
        assert journal.reclaim_orphans() == []
        assert journal.waiting(("quick", "heavy", "alone")) == (None, False, True)
        doomed.kill()
        doomed.wait()
        assert journal.reclaim_orphans() == [(owner, int(job), None) for job in jobs]
        assert journal.reclaim_orphans() == []
        assert sorted(each.id for each in claim(journal, 9)) == sorted(map(int, jobs))
        assert living.poll() is None
    rows = Rows(tmp_path)
    (number,) = [number for number in range(4) if rows.job(number).id == int(jobs[0])]
    job, (attempt,) = rows.job(number), rows.attempts(number)
    assert (job.attempt, job.interruptions, job.failures, job.crashes) == (2, 1, 0, 0)
    assert (attempt.attempt, attempt.outcome, attempt.reason, attempt.run) == (
        1,
        "interrupted",
        "its run was killed",
        owner,
    )


def test_a_child_that_outlives_its_owner_does_not_keep_its_jobs(tmp_path: Path, processes: Processes) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("a"))
        doomed = processes.start(CLAIM_WITH_CHILD, tmp_path)
        child = int(line(doomed)[0])
        doomed.send_signal(signal.SIGSTOP)
        assert journal.reclaim_orphans() == [], "a stopped process is alive"
        doomed.kill()
        doomed.wait()
        os.kill(child, 0)  # it lives until its standard input, which it shares, is closed
        assert len(journal.reclaim_orphans()) == 1


def test_a_transaction_that_its_process_died_in_never_was(tmp_path: Path, processes: Processes) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("a"))
    assert processes.start(DIE_IN_TRANSACTION, tmp_path).wait() == -signal.SIGKILL
    with opened(tmp_path) as journal:
        assert Rows(tmp_path).job("a").attempt == 0
        assert claim_one(journal).key == new_job("a").key


def test_the_answer_of_a_run_that_was_taken_for_dead_changes_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot happen, for a lock does not lie; and if it did, nothing would be settled twice."""
    with opened(tmp_path) as slow, opened(tmp_path) as other:
        put(slow, new_job("a"))
        found = claim_one(slow)
        os.unlink(tmp_path / "runs" / f"{slow.run}.lock")
        assert other.reclaim_orphans() == [], "its name is in no file system"
        monkeypatch.setattr(owners, "is_alive", lambda _state, _run: False)
        assert len(other.reclaim_orphans()) == 1
        again = claim_one(other)
        with slow.transaction():
            assert not slow.finish(found.id, found.attempt, State.DONE)
        with other.transaction():
            assert other.finish(again.id, again.attempt, State.DONE)


def test_a_run_that_ended_leaves_no_lock(tmp_path: Path) -> None:
    with opened(tmp_path) as journal, opened(tmp_path) as other:
        locks = {f"{journal.run}.lock", f"{other.run}.lock"}
        assert set(os.listdir(tmp_path / "runs")) == locks
        assert owners.dead_locks(str(tmp_path)) == []
        assert owners.is_alive(str(tmp_path), journal.run)
        assert set(os.listdir(tmp_path / "runs")) == locks
    assert os.listdir(tmp_path / "runs") == []
    assert not owners.is_alive(str(tmp_path), journal.run)


def test_locks_of_killed_runs_are_swept(tmp_path: Path, processes: Processes) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("a"))
        doomed = processes.start(CLAIM_TWO, tmp_path)
        owner = line(doomed)[0]
        doomed.kill()
        doomed.wait()
        assert owners.dead_locks(str(tmp_path)) == [owner]
        assert os.listdir(tmp_path / "runs") == [f"{journal.run}.lock"]
        assert [each[0] for each in journal.reclaim_orphans()] == [owner]


def test_a_run_whose_lock_is_being_made_is_not_swept_as_dead(tmp_path: Path) -> None:
    """Between making its file and locking it there is a moment in which anybody could lock it."""
    state = str(tmp_path)
    over = threading.Event()
    sweeper = threading.Thread(target=lambda: [owners.dead_locks(state) for _ in iter(over.is_set, True)])
    sweeper.start()
    try:
        for _ in range(300):
            with owners.opening(state):
                lock = owners.RunLock(state)
            there = os.path.exists(tmp_path / "runs" / f"{lock.id}.lock")
            assert there
            lock.close()
    finally:
        over.set()
        sweeper.join()


def test_a_lock_file_that_is_gone_does_not_hinder_the_end(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        os.unlink(tmp_path / "runs" / f"{journal.run}.lock")
