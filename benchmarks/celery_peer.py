"""The Celery application that queue.py measures: late acknowledgement, one task ahead, results ignored.

Settings that lose no task when a worker dies, as mediactl loses none: anything else would be another race.
"""

from __future__ import annotations

import os
import time

from celery import Celery

from benchmarks.arrivals import note

app = Celery("celery_peer", broker=os.environ.get("MEDIACTL_BENCH_BROKER", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"priority_steps": [0, 9], "queue_order_strategy": "priority"},  # 0 goes first
)


def _nothing() -> None:
    """An empty task."""


def _stamp(path: str, sent: float) -> None:
    """Write how many seconds after `sent` this began (CLOCK_MONOTONIC is one clock for all processes)."""
    waited = time.monotonic() - sent
    with open(path, "w") as out:
        out.write(f"{waited!r}\n")


def _nap(seconds: float, name: str, notes: str, sent: float) -> None:
    """Note how long it waited, then sleep."""
    if name:
        note(notes, name, time.monotonic() - sent)
    time.sleep(seconds)


nothing = app.task(name="nothing")(_nothing)
stamp = app.task(name="stamp")(_stamp)
nap = app.task(name="nap")(_nap)
