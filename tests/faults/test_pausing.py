"""A paused run starts nothing, a suspended job keeps its limits, and hours are kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.journals import Rows
from support.pools import Pool, odd, run_pool

from mediactl.jobs.states import Patience
from mediactl.model.events import (
    Event,
    JobDone,
    JobProgress,
    PauseCause,
    RunPaused,
    RunResumed,
    RunStopping,
    StopCause,
    Tick,
)
from mediactl.model.hours import Hours
from mediactl.pool.clock import LivedClock
from mediactl.pool.contract import Stopped

ONCE = Patience(failures=1)
THREE_MINUTES = 180.0
NIGHT = Hours(22 * 60, 6 * 60)


class Ahead:
    """The supervisor's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._clock = LivedClock()

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._clock() + self.ahead

    @contextmanager
    def pulse(self) -> Iterator[None]:
        """As of the real one."""
        with self._clock.pulse():
            yield


@pytest.mark.parametrize("suspended", [True, False])
def test_three_minutes_suspended_exceed_no_limit_and_three_minutes_running_do(suspended: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    job = odd("job", report=True, wait=tmp_path / "fifo", _time_limit=60.0, _stall_limit=60.0)
    clock = Ahead()
    ticks = 0

    def prepare(pool: Pool) -> None:
        supervisor = pool.supervisor
        supervisor._clock = clock  # type: ignore[assignment]

        def follow(event: Event) -> None:
            nonlocal ticks
            match event:
                case JobProgress() if suspended:
                    supervisor.pause(now=True)
                    clock.ahead += THREE_MINUTES
                case JobProgress():
                    clock.ahead += THREE_MINUTES
                case Tick() if supervisor.is_suspended:
                    ticks += 1
                    if ticks == 4:
                        supervisor.resume()
                case RunResumed():
                    threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(b"go",)).start()

        pool.on_event = follow

    stopped, pool = run_pool(tmp_path, job, prepare=prepare, patience=ONCE)
    assert stopped is Stopped.COMPLETE
    row = Rows(tmp_path).job("job")
    if suspended:
        assert (row.state, row.failures, row.interruptions) == ("done", 0, 0)
        assert [each for each in pool.events if isinstance(each, RunPaused | RunResumed)] == [
            RunPaused(cause=PauseCause.COMMAND, suspended=True), RunResumed(),
        ]  # fmt: skip
    else:
        assert row.state == "quarantined", "or this test shows nothing"


def test_nothing_starts_while_paused_and_all_is_done_after_it(tmp_path: Path) -> None:
    """Also of those that workers have in their pipes; none of them counts as interrupted."""
    note = tmp_path / "note"
    done_at_pause, done_at_resume, ticks = 0, 0, 0

    def prepare(pool: Pool) -> None:
        def done() -> int:
            return sum(isinstance(each, JobDone) for each in pool.events)

        def follow(event: Event) -> None:
            nonlocal done_at_pause, done_at_resume, ticks
            if isinstance(event, JobDone) and not done_at_pause and done() >= 50:
                pool.supervisor.pause(now=False)
                done_at_pause = done()
            elif isinstance(event, Tick) and pool.supervisor.pause_cause is not None:
                ticks += 1
                if ticks == 10:
                    done_at_resume = done()
                    pool.supervisor.resume()

        pool.on_event = follow

    stopped, _ = run_pool(tmp_path, *(odd(n, note=note, seconds=0.002) for n in range(300)), prepare=prepare)
    assert stopped is Stopped.COMPLETE
    # What had been answered by then is reported after it, and so is what was recalled in vain.
    assert done_at_pause <= done_at_resume < done_at_pause + 150
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 300}
    assert {(rows.job(n).failures, rows.job(n).interruptions) for n in range(300)} == {(0, 0)}


def test_a_suspended_run_that_is_stopped_continues_its_jobs_for_the_grace(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    finishes = odd("finishes", report=True, wait=tmp_path / "fifo")
    hangs = odd("hangs", report=True, wait=tmp_path / "never")
    os.mkfifo(tmp_path / "never")

    def prepare(pool: Pool) -> None:
        def follow(event: Event) -> None:
            match event:
                case JobProgress() if sum(isinstance(each, JobProgress) for each in pool.events) == 2:
                    pool.supervisor.pause(now=True)
                case RunPaused():
                    os.kill(os.getpid(), signal.SIGTERM)
                case RunStopping():
                    assert not pool.supervisor.is_suspended
                    threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(b"go",)).start()

        pool.on_event = follow

    stopped, pool = run_pool(tmp_path, finishes, hangs, prepare=prepare, grace=2.0)
    assert stopped is Stopped.ASKED
    assert [each for each in pool.events if isinstance(each, RunPaused)], "it was suspended"
    assert (Rows(tmp_path).job("finishes").state, Rows(tmp_path).job("hangs").state) == ("done", "ready")


def test_a_run_that_waits_starts_within_its_hours(tmp_path: Path) -> None:
    noon, ten = 1_767_268_800.0, 1_767_304_800.0  # 12:00 and 22:00 of a day in UTC
    now, ticks = noon, 0

    def prepare(pool: Pool) -> None:
        pool.supervisor._pause._now = lambda: now
        pool.supervisor._pause._hours = Hours(_minute(ten), (_minute(ten) + 60) % 1440)

        def follow(event: Event) -> None:
            nonlocal now, ticks
            if isinstance(event, Tick) and not pool.backlog.answers:
                ticks += 1
                if ticks == 5:
                    now = ten

        pool.on_event = follow

    stopped, pool = run_pool(tmp_path, *(odd(n) for n in range(5)), prepare=prepare)
    assert stopped is Stopped.COMPLETE
    first, second, *others = (event for event in pool.events if not isinstance(event, Tick))
    assert first == RunPaused(cause=PauseCause.HOURS, suspended=False, until=ten)
    assert Rows(tmp_path).jobs() == {"done": 5}
    assert RunResumed() in (second, *others)
    assert ticks >= 5


def _minute(now: float) -> int:
    local = time.localtime(now)
    return 60 * local.tm_hour + local.tm_min


def test_a_run_that_ends_with_its_hours_finishes_what_runs_whatever_the_grace(tmp_path: Path) -> None:
    noon, ten = 1_767_268_800.0, 1_767_304_800.0
    now = ten
    jobs = [odd(n, report=True, seconds=0.5, _time_limit=60.0) for n in range(6)]

    def prepare(pool: Pool) -> None:
        pool.supervisor._pause._now = lambda: now
        pool.supervisor._pause._hours = Hours(_minute(ten), (_minute(ten) + 60) % 1440)

        def follow(event: Event) -> None:
            nonlocal now
            if isinstance(event, JobProgress):
                now = noon

        pool.on_event = follow

    stopped, pool = run_pool(tmp_path, *jobs, prepare=prepare, workers=1, grace=0.0, ends_with_hours=True)
    assert stopped is Stopped.HOURS
    (stopping,) = [event for event in pool.events if isinstance(event, RunStopping)]
    assert stopping.cause is StopCause.HOURS and stopping.jobs >= 1 and stopping.grace_s >= 60.0
    counts = Rows(tmp_path).jobs()
    assert 1 <= counts["done"] <= 2 and counts["done"] + counts["ready"] == 6
    stopped, _ = run_pool(tmp_path, prepare=prepare, workers=1, ends_with_hours=True)
    assert stopped is Stopped.HOURS
    assert Rows(tmp_path).jobs() == counts, "outside of them nothing is started"
