"""Runs in the journal: what each was started as, and what came of it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

EDIT = "edit"
"""A command that changes the journal for a moment (retry, cancel, bump, verify --repair), and is no run for people."""


class Counts(NamedTuple):
    """How the sources of a run stand at its end, as its summary counts them."""

    done: int
    rejected: int
    quarantined: int
    unfinished: int


UNCOUNTED = (None, None, None, None)
"""Instead of ``Counts``: the run reported none."""


class RunRow(msgspec.Struct, frozen=True):
    """A run as it stands. Fields in the order of the query "runs"; times in seconds since 1970."""

    id: str
    pid: int
    boot: str
    version: str
    command: str
    """process, watch, upload or resume; "" of an older mediactl."""
    started_at: float
    ended_at: float | None
    exit_code: int | None
    done: int | None
    rejected: int | None
    quarantined: int | None
    unfinished: int | None
    """None, as the three before: it ended without a summary, or has not ended."""
    workers: int | None = None
    """Worker processes; None: of an older mediactl."""
    active: bool = False
    """Whether its process is alive."""
    heartbeat: float = 0.0
    """Of an active one: when it last did anything."""

    @property
    def killed(self) -> bool:
        """Whether it ended without coming to its end."""
        return self.ended_at is None and not self.active


class Earlier(NamedTuple):
    """Totals of the runs that were pruned."""

    runs: int
    done: int
    """Sources that they completed."""
    since: float | None
    """When the first of them started, in seconds since 1970."""
