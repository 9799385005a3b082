"""Time during which the whole tree of processes was stopped counts against no limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from support.journals import Rows, opened, put
from support.pools import HERE, PATHS, odd

from mediactl.pool.clock import GAP, LivedClock

STOPPED = 4.0
"""Seconds; more than a job's limit and what its worker gets beyond it."""


def test_a_clock_stands_still_over_a_gap_and_goes_on_from_there() -> None:
    now = 100.0
    clock = LivedClock(lambda: now)
    now += GAP / 2
    assert clock() == 100.0 + GAP / 2
    now += 3600.0
    assert clock() == 100.0 + GAP / 2
    now += 0.1
    assert abs(clock() - (100.1 + GAP / 2)) < 1e-6


def test_a_clock_with_a_pulse_goes_on_while_nobody_reads_it() -> None:
    clock = LivedClock()
    with clock.pulse():
        before = clock()
        time.sleep(GAP * 1.5)  # the time is what is measured
        assert GAP * 1.4 < clock() - before < GAP * 3


def test_a_job_that_was_stopped_with_everything_else_keeps_its_time_and_no_more(tmp_path: Path) -> None:
    """One job needs less than its limit, and is stopped for twice as long; the other never ends."""
    os.mkfifo(tmp_path / "started")
    os.mkfifo(tmp_path / "never")
    short = odd("short", child=tmp_path / "started", seconds=1.0, _time_limit=2.0)
    endless = odd("endless", wait=tmp_path / "never", _time_limit=2.0, _stall_limit=2.0)
    with opened(tmp_path, time.time) as journal:
        put(journal, endless, short)
    options = {"workers": 2, "grace": 1.0}
    run = subprocess.Popen(
        [sys.executable, HERE / "support" / "pools.py", tmp_path, json.dumps(options)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATHS}, start_new_session=True,
    )  # fmt: skip
    try:
        with open(tmp_path / "started") as fifo:
            fifo.read()  # it runs
        tree = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        for each in tree:
            each.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED)  # the time is what is measured
        for each in tree:
            each.send_signal(signal.SIGCONT)
        begun = time.monotonic()
        rows = Rows(tmp_path)
        assert run.stdout is not None
        for line in run.stdout:
            event = json.loads(line)
            if event["event"] in ("job.retry", "job.quarantined") and event["job"].startswith("endless"):
                break
        assert time.monotonic() - begun > 0.5, "it had time left"
    finally:
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=30)
    job = rows.job("short")
    assert (job.state, job.failures, job.interruptions) == ("done", 0, 0)
    assert rows.attempts("endless")[0].outcome == "timed_out"
