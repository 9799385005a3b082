"""Figures of a journal as metrics and checks report them: durations in seconds, times in seconds since 1970."""

from __future__ import annotations

import msgspec

from mediactl.model.jobs import Priority


class JobCount(msgspec.Struct, frozen=True):
    """Number of jobs of a lane and priority in a state."""

    lane: str
    priority: Priority
    state: str
    jobs: int


class Oldest(msgspec.Struct, frozen=True):
    """The pending jobs of a lane and priority."""

    lane: str
    priority: Priority
    age: float
    """Since the oldest was enqueued."""
    overdue: float
    """Since the first of them was due; 0 if none is overdue."""


class AttemptCount(msgspec.Struct, frozen=True):
    """Number of attempts of an operation that ended with an outcome."""

    operation: str
    outcome: str
    attempts: int


class Timing(msgspec.Struct, frozen=True):
    """Histogram of durations of an operation."""

    operation: str
    buckets: tuple[tuple[float, int], ...]
    """Upper edge -> number of durations up to it, all smaller ones included; the last edge is infinite."""
    seconds: float
    """Sum of the durations."""


class ActiveRun(msgspec.Struct, frozen=True):
    """A run whose process is alive."""

    id: str
    command: str
    heartbeat: float
    """Since it last did anything."""


class Build(msgspec.Struct, frozen=True):
    """Versions that decide what is encoded."""

    version: str
    ffmpeg: str
    libvips: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, at one instant."""

    time: float
    jobs: tuple[JobCount, ...] = ()
    oldest: tuple[Oldest, ...] = ()
    runs: tuple[Timing, ...] = ()
    """How long jobs ran that are done."""
    waits: tuple[Timing, ...] = ()
    """How long jobs were pending before their first attempt."""
    attempts: tuple[AttemptCount, ...] = ()
    bytes: dict[str, int] = {}
    """By direction: in, out, sent."""
    artefacts: dict[str, int] = {}
    """By role."""
    work: dict[str, float] = {}
    """Lane -> seconds that its pending jobs are predicted to run."""
    workers: dict[str, int] = {}
    """State (busy, idle) -> worker processes of active runs."""
    quarantined: int = 0
    """Sources that are quarantined, or whose upload is."""
    active: tuple[ActiveRun, ...] = ()
    lost_watch: bool = False
    """Whether the last watch was killed, and none is active."""
    last_success: float | None = None
    """When the last run ended with exit code 0."""
    last_exit_code: int | None = None
