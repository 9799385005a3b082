"""Time limits: first told to the job itself, then enforced; what a job left running goes with its worker."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from support import odd_jobs, pools
from support.journals import Rows, new_job
from support.pools import PATHS, NoIntake, Pool, has_died, odd, run_pool

from mediactl.jobs.states import Patience
from mediactl.model.events import Event, Tick
from mediactl.model.verdict import Verdict
from mediactl.pool import process, synthetic
from mediactl.pool.contract import Assignment, Stopped
from mediactl.pool.messages import Answer
from mediactl.pool.process import HARD_EXTRA, Worker, worker_environment

ONCE = Patience(failures=1)


def test_a_job_that_waits_in_python_ends_by_its_own_alarm_and_its_worker_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "log", "wb") as log:
        environment = worker_environment({**os.environ, "PYTHONPATH": PATHS})
        worker = Worker(odd_jobs.EXECUTE, "token", environment, log.fileno())
    try:
        payload = b'{"wait": "%s"}' % os.fsencode(tmp_path / "fifo")
        worker.queue(Assignment(1, 1, "odd", payload, (), 1.0, due=1.0))
        worker.queue(Assignment(2, 1, "odd", b"{}", (), 0.5, due=2.0))
        worker.flush()
        answers: list[Answer] = []
        while len(answers) < 2:
            assert select.select([worker.pipe], [], [], 30)[0]
            answers += [each for each in worker.receive() or [] if isinstance(each, Answer)]
        first, second = answers
        assert (first.job, first.verdict, first.reason) == (1, Verdict.TIMED_OUT, "took longer than its limit of 1 s")
        assert 1.0 <= first.usage.wall < 1.0 + HARD_EXTRA
        assert (second.job, second.verdict) == (2, Verdict.DONE), "it takes the next one"
    finally:
        worker.bury()


def test_a_job_that_hears_no_alarm_is_killed_a_while_later_and_the_reason_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    deaf = odd("deaf", deaf=True, wait=tmp_path / "fifo", _time_limit=1.0)
    stopped, _ = run_pool(tmp_path, deaf, *(odd(number) for number in range(5)), patience=ONCE)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 5, "quarantined": 1}
    job, (attempt,) = rows.job("deaf"), rows.attempts("deaf")
    assert (job.failures, job.crashes, job.interruptions) == (1, 0, 0)
    assert job.reason == "took longer than its limit of 1 s, and had to be killed 2 s later"
    assert attempt.outcome == "timed_out"
    assert attempt.wall >= 1.0 + HARD_EXTRA


def test_an_alarm_is_not_that_of_the_job_before(tmp_path: Path) -> None:
    """Fifty jobs one after the other in the same worker, which together take longer than each of them may."""
    jobs = [odd(number, seconds=0.02, _time_limit=0.5) for number in range(50)]
    stopped, _ = run_pool(tmp_path, *jobs, workers=1)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 50}
    assert {rows.job(number).failures for number in range(50)} == {0}


class UntilItsChildIsGone(NoIntake):
    """Keeps the run going until what a job left behind is dead."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.gone = False

    def step(self) -> bool | None:
        """Look for it."""
        if not self.file.exists() or not self.file.read_text().endswith("\n"):
            return None
        self.gone = self.gone or has_died(int(self.file.read_text().split()[1]), 0.0)
        return False if self.gone else None


@pytest.mark.parametrize("deaf", [{}, {"deaf": True}], ids=["by itself", "killed"])
def test_what_a_job_left_running_when_its_time_was_up_dies_while_the_run_goes_on(
    tmp_path: Path, deaf: dict[str, bool]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    intake = UntilItsChildIsGone(tmp_path / "child")
    parent = odd("parent", child=tmp_path / "child", wait=tmp_path / "fifo", _time_limit=0.5, **deaf)
    stopped, _ = run_pool(
        tmp_path, parent, *(odd(number) for number in range(5)), intake=intake, patience=ONCE, max_duration=60.0
    )
    assert intake.gone
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 5, "quarantined": 1}


SEND_LATE = """
import socket, threading
from mediactl.pool.worker import Alarm, TimeUp
ours, theirs = socket.socketpair()
data, found = b"x" * (8 << 20), []

def read():
    threading.Event().wait(0.5)  # waits for nothing: time is up while nobody reads
    while part := theirs.recv(1 << 20):
        found.append(len(part))

reader = threading.Thread(target=read)
reader.start()
alarm = Alarm()
try:
    alarm.arm(0.1)
    alarm.send(ours, data)
    print("was not told")
except TimeUp:
    print("told")
ours.close()
reader.join()
print(sum(found) == len(data))
"""


def test_a_message_that_fills_the_pipe_is_sent_to_its_end_before_time_is_up() -> None:
    """In a process of its own, for pytest has an alarm too."""
    environment = {**os.environ, "PYTHONPATH": PATHS}
    done = subprocess.run(
        [sys.executable, "-c", SEND_LATE], capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.stdout, done.stderr) == ("told\nTrue\n", "")


def test_a_progress_message_is_never_torn_by_the_alarm(tmp_path: Path) -> None:
    """They fill the pipe as fast as they can, so that time is up in the middle of one; half a frame kills a worker."""
    chatter = [odd(f"chatter {number}", chatter=True, _time_limit=0.2) for number in range(20)]
    stopped, pool = run_pool(tmp_path, *chatter, patience=ONCE)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"quarantined": 20}
    jobs = [rows.job(f"chatter {number}") for number in range(20)]
    assert {(job.failures, job.crashes, job.interruptions) for job in jobs} == {(1, 0, 0)}
    assert {job.reason for job in jobs} == {"took longer than its limit of 0 s"}
    assert pool.names().count("job.progress") > 1000, "they told too little to fill a pipe"


LATE = f"import time\ntime.sleep(3)\nfrom {synthetic.__name__} import execute\n"


def test_the_start_of_a_worker_is_none_of_its_first_jobs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine takes seconds to start one: that is no fault of the job."""
    monkeypatch.setattr(process, "HARD_EXTRA", 0.1)
    (tmp_path / "late.py").write_text(LATE)
    monkeypatch.setattr(pools, "PATHS", f"{pools.PATHS}:{tmp_path}")
    stopped, _ = run_pool(tmp_path, new_job("empty", time_limit=0.5), call="late:execute", max_duration=30.0)
    assert stopped is Stopped.COMPLETE
    job = Rows(tmp_path).job("empty")
    assert (job.state, job.failures) == ("done", 0)


def test_a_job_whose_worker_was_still_starting_when_the_run_was_stopped_has_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late.py").write_text(LATE)
    monkeypatch.setattr(pools, "PATHS", f"{pools.PATHS}:{tmp_path}")
    handed_out: list[bool] = []

    def prepare(pool: Pool) -> None:
        def look(event: Event) -> None:
            if isinstance(event, Tick) and event.running:
                handed_out.append(True)

        pool.on_event = look

    stopped, pool = run_pool(
        tmp_path, new_job("empty"), call="late:execute", prepare=prepare, drain=lambda: bool(handed_out), grace=0.0
    )
    assert stopped is Stopped.DRAIN
    assert "job.interrupted" in pool.names()
    job = Rows(tmp_path).job("empty")
    assert (job.state, job.interruptions) == ("ready", 0)
