"""A pool on a real journal, with jobs that do nothing but what a test wants. Run as a program: a supervisor to kill."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from mediactl.core.settings import Destination, Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.states import PATIENCE, Patience
from mediactl.model.events import Event, Plan, Tick
from mediactl.model.jobs import NewJob
from mediactl.model.uploads import Location
from mediactl.pipeline.dispatcher import LANES, Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import LANE as NETWORK
from mediactl.pipeline.publish import Publisher
from mediactl.pool.contract import Assignment, Ended, Noting, Room, Stopped
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe import loader
from support import odd_jobs
from support.journals import new_job, opened, put

HERE = Path(__file__).resolve().parents[1]
PATHS = f"{HERE.parent}:{HERE}"
BUCKET = Destination(location=Location("bucket"))
"""Of uploads that jobs of a test pretend to do."""


def odd(name: str | int, **what: Any) -> NewJob:
    """A job of ``odd_jobs``; the limits and lane of it may be given with an underscore in front."""
    fields = {key[1:]: what.pop(key) for key in list(what) if key.startswith("_")}
    return new_job(name, kind="odd", payload=json.dumps({"name": name, **what}, default=str).encode(), **fields)


def spans(note: Path) -> list[tuple[str, int, int]]:
    """What jobs have noted: (name, start, end) in the order in which they ended."""
    parts = (line.rsplit(" ", 2) for line in note.read_text().splitlines())
    return [(name, int(start), int(end)) for name, start, end in parts]


class NoIntake:
    """All is taken in, unless a test overrides this."""

    wakeup: socket.socket | None = None

    def step(self) -> bool | None:
        """True while there is more."""
        return False

    def summary(self) -> Plan:
        """Of no interest."""
        return Plan(sources=0, up_to_date=0, ignored=0, planned=0, reasons={})


class Recording(Dispatcher):
    """Keeps every answer."""

    answers: list[Ended]

    def exchange(
        self, ended: Sequence[Ended], room: Room, alone: bool, notes: Sequence[Noting] = ()
    ) -> list[Assignment]:
        """Settle and claim."""
        self.answers.extend(ended)
        return super().exchange(ended, room, alone, notes)


class Pool:
    """A journal in a folder, a backlog on it, and a supervisor. Events are kept."""

    def __init__(self, folder: Path, journal: Journal, log: int, **options: Any) -> None:
        self.events: list[Event] = []
        self.journal = journal
        self.on_event: Callable[[Event], object] = lambda _: None
        self.intake: NoIntake = options.pop("intake", None) or NoIntake()
        wanted = Settings(sources=(), out=os.fsencode(folder / "out"), state=str(folder))
        planner = Planner(wanted, loader.load("web"), {}, journal)
        lanes = options.pop("lanes", LANES)
        uploading = Publisher(journal, BUCKET, wanted.out) if NETWORK in lanes else None
        self.backlog = Recording(
            journal, planner, self.intake, wanted.out, self._take, time.monotonic, uploading, lanes=lanes
        )
        self.backlog.answers = []
        call = options.pop("call", odd_jobs.EXECUTE)
        environment = worker_environment({**os.environ, "PYTHONPATH": PATHS})
        options.setdefault("workers", 2)
        self.supervisor = Supervisor(call, self.backlog, token=journal.run, environment=environment, log=log, **options)

    def _take(self, event: Event) -> None:
        if not isinstance(event, Tick):
            self.events.append(event)
        self.on_event(event)

    def names(self) -> list[str]:
        """Names of the events so far."""
        return [event.name for event in self.events]


def run_pool(
    folder: Path,
    *jobs: NewJob,
    prepare: Callable[[Pool], object] = lambda _: None,
    patience: Patience = PATIENCE,
    **options: Any,
) -> tuple[Stopped, Pool]:
    """Work the jobs off; retries need not wait."""
    with ExitStack() as stack:
        journal = stack.enter_context(opened(folder, time.time, random=lambda: 0.0, patience=patience))
        put(journal, *jobs)
        log = stack.enter_context(open(folder / "log", "ab"))
        pool = Pool(folder, journal, log.fileno(), **options)
        prepare(pool)
        return pool.supervisor.run(), pool


def has_died(pid: int, timeout: float = 30.0) -> bool:
    """Wait, without polling, until a process has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], timeout)[0])
    finally:
        os.close(fd)


def main() -> None:
    """Run what waits in the journal of a folder; print events, last why it stopped: FOLDER, options as JSON."""

    def say(event: Event) -> None:
        if not isinstance(event, Tick):
            print(msgspec.json.encode(event).decode(), flush=True)

    def prepare(pool: Pool) -> None:
        pool.on_event = say

    stopped, _ = run_pool(Path(sys.argv[1]), prepare=prepare, **json.loads(sys.argv[2]))
    print(json.dumps({"event": "stopped", "why": stopped.name}), flush=True)


if __name__ == "__main__":
    main()
