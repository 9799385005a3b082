"""The interface between the pool and its dispatcher: plain values, and a protocol."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from mediactl.model.assets import Reuse
from mediactl.model.events import PauseCause
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict


class Assignment(msgspec.Struct, frozen=True):
    """A job for the pool: opaque except for what scheduling needs."""

    job: int
    attempt: int
    kind: str
    payload: bytes
    reuse: tuple[Reuse, ...]
    time_limit: float
    """Seconds of wall time after which it is asked to stop; some seconds later its worker is killed."""
    lane: str = "quick"
    cores: int = 1
    stall_limit: float | None = None
    """Seconds without progress after which the worker is killed; None: it reports no progress."""
    memory_limit: int | None = None
    """Bytes of the worker and its children together, above which it is killed."""
    alone: bool = False
    """Runs while nothing else does."""
    due: float = 0.0
    """Seconds since 1970; in a worker's pipe, what is due first runs first."""
    expected: float | None = None
    """Predicted seconds, from the history of similar jobs; None: too few of them."""
    memory: int = 0
    """Bytes that it is expected to take at its peak, with its worker."""
    state: bytes = b""
    """State that its earlier attempts noted."""


class Ended(msgspec.Struct, frozen=True):
    """An attempt that ended."""

    assignment: Assignment
    verdict: Verdict
    reason: str
    result: bytes = b""
    usage: Usage = Usage()
    worker: int = 0
    """Process id; 0: it never reached one, or was given back before it began."""


class Noting(msgspec.Struct, frozen=True):
    """A step of a running job that has to be on disk before the job continues."""

    assignment: Assignment
    body: bytes


class Room(msgspec.Struct, frozen=True):
    """Capacity: what the pool can take now."""

    lanes: Mapping[str, int] = {}
    """Lane -> jobs."""
    kinds: Mapping[str, int] = {}
    """Kind -> jobs of it at most, whatever the lane; kinds that are not named are free."""
    overtaking: int = 0
    """Quick jobs beyond that, if they are due before ``before``: they overtake what is queued in the pipes."""
    before: float = 0.0

    def __bool__(self) -> bool:
        return self.overtaking > 0 or any(self.lanes.values())


class IntakeStep(Enum):
    """The outcome of a small piece of planning."""

    MORE = "there is more to plan"
    ADDED = "jobs were added, and there is more to plan"
    QUIET = "there is nothing to plan now, but there may be later"
    DONE = "all is planned"


class Queue(Protocol):
    """Where jobs come from and their outcomes go to."""

    wakeup: socket.socket | None
    """Readable when planning, QUIET before, has more to do."""

    def exchange(
        self, ended: Sequence[Ended], room: Room, alone: bool, notes: Sequence[Noting] = ()
    ) -> Sequence[Assignment]:
        """Write notes, settle attempts and take jobs; on disk when it returns. ``alone``: nothing runs now."""

    def closed(self, lane: str, verdict: Verdict, reason: str) -> None:
        """Take note that no more jobs of this lane run."""

    def plan(self) -> IntakeStep:
        """Do a small piece of planning."""

    def complete(self) -> bool:
        """Return whether the run is complete; asked, again and again, while there are no jobs."""

    def progress(self, job: int, attempt: int, fraction: float, sent: int) -> None:
        """Report the progress of a running job."""

    def overran(self, job: int, attempt: int, seconds: float) -> None:
        """Report that a job of the quick lane has been running for so long."""

    def stopping(self, why: Stopped, signal: str | None, running: int, grace: float) -> None:
        """Report that no more jobs are taken, and that the running ones get ``grace`` seconds; ``signal``: the name of
        the first signal, if there was one."""

    def paused(self, cause: PauseCause, *, suspended: bool, until: float | None) -> None:
        """Report that no jobs are started for now, ``until`` a time (seconds since 1970) where it is known;
        ``suspended``: running ones are suspended, too."""

    def resumed(self) -> None:
        """Report that jobs are started again."""

    def suspending(self) -> None:
        """Report that this process and its workers are about to be stopped until continued (Ctrl-Z)."""

    def tick(self, running: int) -> None:
        """Do what is periodic; called several times a second."""


class Busy(msgspec.Struct, frozen=True):
    """A job that a worker runs."""

    pid: int
    lane: str
    assignment: Assignment
    seconds: float | None
    """For how long; None: unknown, since its worker runs many at once."""


class Clients(Protocol):
    """Those that follow the run from outside, and may ask it for something."""

    def fileno(self) -> int:
        """Return what is readable when ``serve`` has something to do."""

    def serve(self) -> None:
        """Do it, without waiting."""


class Stopped(Enum):
    """Why the loop ended."""

    COMPLETE = "complete"
    ASKED = "asked to stop"
    DRAIN = "this machine is being drained"
    TIME_UP = "the time of --max-duration is up"
    HOURS = "outside of --hours"
    BLOCKED = "blocked"
    FORBIDDEN = "forbidden"
