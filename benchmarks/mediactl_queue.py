"""mediactl's half of benchmarks/queue.py: empty jobs through the real journal and the real pool."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.assets import Reuse
from mediactl.model.events import Event, JobDone
from mediactl.model.jobs import NewJob
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe import loader

EXECUTE = "benchmarks.mediactl_queue:execute"


def execute(
    kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Callable[[float], None]
) -> dict[str, float]:
    """Nothing for "empty"; for "stamp", the milliseconds since the time in the payload go into the file named there."""
    if kind == "stamp":
        at, _, path = payload.partition(b" ")
        Path(os.fsdecode(path)).write_text(f"{(time.monotonic() - float(at)) * 1000}\n")
    return {}


class Nothing:
    """An intake of nothing: all jobs are in the journal already."""

    wakeup: socket.socket | None = None

    def step(self) -> bool | None:
        """Nothing more comes."""
        return False

    def summary(self) -> None:
        """Nothing came."""


class OneByOne(Nothing):
    """An intake of one job at a time, asked for by another thread, the next a moment after the last one was done."""

    def __init__(self, journal: Journal, stamp: Path, tries: int) -> None:
        self.journal, self.stamp, self.tries = journal, stamp, tries
        self.waits: list[float] = []
        self.done = threading.Semaphore(0)
        self.wakeup, self._asking = socket.socketpair()
        self.wakeup.setblocking(False)
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        for _ in range(self.tries):
            time.sleep(0.01)
            self._asking.send(b"%020d" % time.monotonic_ns())
            self.done.acquire()
        self._asking.close()

    def step(self) -> bool | None:
        """Add the job that was asked for, if one was."""
        assert self.wakeup is not None
        try:
            asked = self.wakeup.recv(20)
        except BlockingIOError:
            return None
        if not asked:
            return False
        payload = f"{int(asked) / 1e9} {self.stamp}".encode()
        with self.journal.transaction(durable=False):  # as an intake of files does: a scan finds it again
            self.journal.add([NewJob(key=f"stamp-{len(self.waits)}", kind="stamp", payload=payload)])
        return True

    def tell(self, event: Event) -> None:
        """A job was done: its stamp is there."""
        if isinstance(event, JobDone):
            self.waits.append(float(self.stamp.read_text()))
            self.done.release()


def run(journal: Journal, intake: Nothing, folder: str, workers: int, tell: Callable[[Event], None]) -> None:
    """Work a journal off with so many workers."""
    settings = Settings(sources=(), out=folder.encode(), state=folder)
    planner = Planner(settings, loader.load("web"), {}, journal)
    backlog = Dispatcher(journal, planner, intake, folder.encode(), tell, time.monotonic)
    pool = Supervisor(
        EXECUTE, backlog, workers=workers, token=journal.run, environment=worker_environment(os.environ), log=2
    )
    pool.run()


def measure(jobs: int, workers: int, tries: int) -> dict[str, float]:
    """Rates of adding and of draining (jobs a second, first to last settled), CPU of the supervisor (microseconds a
    job), and the median wait of one job that comes while nothing runs (milliseconds)."""
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as folder:
        with Journal.open(folder, clock=time.time, random=random.random, version="benchmark") as journal:
            new = [
                NewJob(key=hashlib.sha256(b"%d" % number).hexdigest()[:32], kind="empty", payload=b"{}")
                for number in range(jobs)
            ]
            start = time.perf_counter()
            with journal.transaction():
                journal.add(new)
            added = time.perf_counter() - start
            settled: list[float] = []

            def tell(event: Event) -> None:
                if isinstance(event, JobDone):
                    settled.append(time.perf_counter())

            cpu = time.process_time()
            run(journal, Nothing(), folder, workers, tell)
            cpu = time.process_time() - cpu
            if len(settled) != jobs:
                raise RuntimeError(f"{len(settled)} of {jobs} jobs were done")
            first = settled.count(settled[0])
            intake = OneByOne(journal, Path(folder) / "stamp", tries)
            run(journal, intake, folder, workers, intake.tell)
    waits = sorted(intake.waits)
    return {
        "rate": (jobs - first) / (settled[-1] - settled[0]),
        "idle_ms": waits[len(waits) // 2],
        "add_rate": jobs / added,
        "cpu_us": cpu / jobs * 1e6,
    }
