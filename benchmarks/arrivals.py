"""Jobs that arrive at given times while mediactl's pool works: the intake behind priorities.py and mixed.py."""

from __future__ import annotations

import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.assets import Reuse
from mediactl.model.events import Event, JobDone
from mediactl.model.jobs import NewJob
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner, in_lane
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe import loader

EXECUTE = "benchmarks.arrivals:execute"


class Task(msgspec.Struct, frozen=True):
    """A job that sleeps; told by name, it notes how long it waited."""

    seconds: float
    name: str = ""
    notes: str = ""
    """File that a line "NAME SECONDS_WAITED" is appended to."""
    asked_at: float = 0.0
    """Monotonic seconds, one clock for all processes."""


def execute(
    kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Callable[[float], None]
) -> dict[str, float]:
    """Note how long it waited, then sleep."""
    task = msgspec.json.decode(payload, type=Task)
    if task.name:
        note(task.notes, task.name, time.monotonic() - task.asked_at)
    time.sleep(task.seconds)
    return {}


def note(path: str, name: str, waited: float) -> None:
    """Append a line; whole, however many processes do."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{name} {waited!r}\n".encode())
    os.close(fd)


def noted(path: Path) -> dict[str, float]:
    """Name -> seconds waited, of what was noted so far."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: float(waited) for name, waited in (line.split() for line in lines)}


def exponential(number: int, mean: float, seed: int) -> list[float]:
    """Pauses in seconds between arrivals that know nothing of each other."""
    dice = random.Random(seed)
    return [dice.expovariate(1 / mean) for _ in range(number)]


class Arrivals:
    """An intake that another thread feeds: job n comes ``pauses[n]`` seconds after the one before."""

    def __init__(
        self, journal: Journal, jobs: Sequence[NewJob], pauses: Sequence[float], ready: threading.Event
    ) -> None:
        self._journal, self._jobs, self._pauses, self._ready = journal, jobs, pauses, ready
        self.wakeup: socket.socket | None
        self.wakeup, self._asking = socket.socketpair()
        self.wakeup.setblocking(False)
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        self._ready.wait()
        for number, pause in enumerate(self._pauses):
            time.sleep(pause)
            self._asking.send(b"%08d%024d" % (number, time.monotonic_ns()))
        self._asking.close()

    def step(self) -> bool | None:
        """Add the jobs that have arrived by now."""
        assert self.wakeup is not None
        try:
            asked = self.wakeup.recv(32 * 1000)
        except BlockingIOError:
            return None
        if not asked:
            return False
        with self._journal.transaction(durable=False):  # as an intake of files does: a scan finds it again
            for at in range(0, len(asked), 32):
                job = self._jobs[int(asked[at : at + 8])]
                task = msgspec.json.decode(job.payload, type=Task)
                task = msgspec.structs.replace(task, asked_at=int(asked[at + 8 : at + 32]) / 1e9)
                job = msgspec.structs.replace(job, payload=msgspec.json.encode(task))
                self._journal.add([in_lane(job, self._journal.predictor)])
        return True

    def summary(self) -> None:
        """Of no interest."""


def run(
    waiting: Sequence[NewJob], arriving: Sequence[NewJob], pauses: Sequence[float], notes: Path, names: set[str],
    workers: int, state: str,
) -> dict[str, float]:  # fmt: skip
    """Let jobs arrive at a pool that has others waiting already, until all of ``names`` have begun; how long these
    waited (seconds)."""
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.open(state, clock=time.time, random=random.random, version="benchmark"))
        with journal.transaction():
            journal.add(waiting)
        warm = threading.Event()
        done = 0

        def tell(event: Event) -> None:
            nonlocal done
            if isinstance(event, JobDone):
                done += 1
                if done >= min(200, len(waiting)):
                    warm.set()

        if not waiting:
            warm.set()
        intake = Arrivals(journal, arriving, pauses, warm)
        settings = Settings(sources=(), out=state.encode(), state=state)
        planner = Planner(settings, loader.load("web"), {}, journal)
        backlog = Dispatcher(journal, planner, intake, state.encode(), tell, time.monotonic)
        log = stack.enter_context(open(os.devnull, "wb"))
        pool = Supervisor(
            EXECUTE, backlog, workers=workers, token=journal.run, environment=worker_environment(os.environ),
            log=log.fileno(), drain=lambda: len(noted(notes)) >= len(names), grace=0.0,
        )  # fmt: skip
        pool.run()
    return {name: waited for name, waited in noted(notes).items() if name in names}


def folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for a journal and notes."""
    return tempfile.TemporaryDirectory(prefix="mediactl-bench-")


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that a share ``q`` of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
