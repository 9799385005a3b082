"""What crosses a broker: jobs to other machines, and what those report of them. JSON, and complete in itself."""

from __future__ import annotations

import msgspec

from mediactl.model.assets import Reuse
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict

SCHEMA = 1
"""Of these messages; machines with another one understand nothing of them."""


Mark = tuple[str, int, int]
"""Token, job and attempt: numbers alone begin again with the next journal of an output directory."""


class RemoteJob(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a job, for whichever machine takes it."""

    schema: int = SCHEMA
    version: str
    """Of mediactl, where it was published."""
    encoders: dict[str, str]
    """Series of the encoders that its artefact keys contain; a machine with others would make other bytes."""
    outcomes: str
    """Queue of the reports about it."""
    token: str
    """Marks its temporary files: the run that owns them."""
    out: bytes
    """Absolute path of OUT, the same on all machines."""
    follow_symlinks: bool = False
    job: int
    attempt: int
    kind: str
    payload: str
    """JSON of its task."""
    reuse: tuple[Reuse, ...] = ()
    lane: str
    cores: int = 1
    time_limit: float
    stall_limit: float | None = None
    memory_limit: int | None = None
    memory: int = 0
    alone: bool = False
    due: float = 0.0
    expected: float | None = None


class Machine(msgspec.Struct, frozen=True):
    """A process that takes jobs of a broker, as it describes itself in each of its reports."""

    id: str
    """Unique, and new with each start."""
    host: str
    pid: int
    version: str
    schema: int
    slots: dict[str, int]
    """Lane -> jobs that it runs at once."""
    interval: float
    """Seconds between two of its reports, at most."""
    running: tuple[Mark, ...] | None = None
    """What it has of the journal that the report is for; None: it is for whoever counts machines."""
    draining: bool = False
    """It takes no more jobs."""
    worker: str = ""
    """Names the `mediactl worker` that started it, with the consumers of other lanes; "": none did."""


class _OfAttempt(msgspec.Struct, frozen=True):
    token: str
    job: int
    attempt: int

    @property
    def mark(self) -> Mark:
        """What it is about."""
        return self.token, self.job, self.attempt


class Begun(_OfAttempt, frozen=True, tag=True):
    """A machine has taken a job."""


class Advanced(_OfAttempt, frozen=True, tag=True):
    """A running job's progress."""

    fraction: float


class Overran(_OfAttempt, frozen=True, tag=True):
    """A job of the quick lane has been running for so many seconds."""

    seconds: float


class Outcome(_OfAttempt, frozen=True, tag=True):
    """How an attempt ended."""

    verdict: Verdict
    reason: str
    result: bytes = b""
    """msgpack of the result."""
    usage: Usage = Usage()
    worker: int = 0
    """Process id there; 0: it never began."""


class Redelivered(_OfAttempt, frozen=True, tag=True):
    """The broker has delivered a job again: whoever had it may be lost. It was not run."""


class HandedBack(_OfAttempt, frozen=True, tag=True):
    """A job that a machine cannot run: its version or its encoders are others, or its workers do not start."""

    reason: str


Note = Begun | Advanced | Overran | Outcome | Redelivered | HandedBack


class Report(msgspec.Struct, frozen=True):
    """What a machine has to report; without notes, that it is there."""

    machine: Machine
    notes: tuple[Note, ...] = ()
