"""Journals to test with: a clock that stands still until told, jobs made of nothing, rows as they stand on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import FILE, Journal
from mediactl.jobs.report import Attempt, JobRow, Report
from mediactl.jobs.states import PATIENCE, Patience
from mediactl.model.jobs import NewJob, Usage
from mediactl.model.media import Fingerprint, Kind, Source
from mediactl.model.verdict import Verdict

NOW = 1_800_000_000.0


class Clock:
    """Seconds since 1970 that pass only when the test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def new_job(name: str | int, **fields: Any) -> NewJob:
    """A job that means nothing; equal names make equal keys."""
    key = hashlib.sha256(str(name).encode()).hexdigest()[:32]
    return msgspec.structs.replace(NewJob(key=key, kind="empty", payload=b"{}"), **fields)


def a_source(place: bytes = b"a.jpg", **changes: object) -> Source:
    """Some photo at a place of OUT."""
    source = Source(b"/photos", place, place, Fingerprint(100, 2, 3, 4), Kind.IMAGE, "jpeg")
    return msgspec.structs.replace(source, **changes)


@contextmanager
def opened(
    folder: Path,
    clock: Callable[[], float] | None = None,
    random: Callable[[], float] = lambda: 0.5,
    rebuild: Callable[[Journal], None] | None = None,
    patience: Patience = PATIENCE,
) -> Iterator[Journal]:
    """The journal in a folder, held as a run of its own."""
    with Journal.open(
        str(folder), clock=clock or Clock(), random=random, version="test", rebuild=rebuild, patience=patience
    ) as journal:
        yield journal


def put(journal: Journal, *jobs: NewJob) -> int:
    """Add jobs in a transaction of their own."""
    with journal.transaction():
        return journal.add(jobs)


def claim(journal: Journal, room: int = 1, *lanes: str) -> list[Claim]:
    """Claim in a transaction of its own, from the ordinary lanes unless others are named."""
    with journal.transaction():
        return journal.claim(lanes or ("quick", "heavy"), room)


def claim_one(journal: Journal, *lanes: str) -> Claim:
    """The one job that is to be had next."""
    (found,) = claim(journal, 1, *lanes)
    return found


def record(journal: Journal, which: Claim, verdict: Verdict) -> None:
    """Note an attempt in the history."""
    journal.record(which, verdict, "", Usage(wall=1.0), 1)


class Rows:
    """What a journal's file says, read through a connection of its own."""

    def __init__(self, folder: Path) -> None:
        self.connection = apsw.Connection(str(folder / FILE))
        self._report = Report(self.connection, str(folder))

    def job(self, name: str | int) -> JobRow:
        """One job by the name that ``new_job`` was given."""
        (found,) = self._report.find(new_job(name).key.encode())
        return found

    def state(self, name: str | int) -> str:
        """A job's state."""
        return self.job(name).state

    def jobs(self) -> dict[str, int]:
        """State -> number of jobs."""
        return self._report.jobs()

    def sources(self) -> dict[str, int]:
        """State -> number of sources."""
        return self._report.sources()

    def attempts(self, name: str | int) -> list[Attempt]:
        """History of a job."""
        return self._report.attempts(self.job(name).id)
