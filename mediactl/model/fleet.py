"""Machines that work for a journal: what each reports of itself, and how much work there is for them."""

from __future__ import annotations

from enum import Enum

import msgspec

BEAT = 10.0
"""Seconds between two heartbeats of a machine."""
LOST = 4 * BEAT
"""Seconds without a heartbeat after which a machine is believed lost: three in a row may be late or dropped."""


class MachineState(Enum):
    """What a machine does, as its last heartbeat has it."""

    WORKING = "working"
    DRAINING = "draining"
    """It finishes what it runs, and takes no more."""
    STOPPED = "stopped"
    """It has ended in order."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine sends at its start, every ``BEAT`` seconds, when it begins to drain, and at its end.

    It goes through the broker's queue "fleet", in any order and at least once: ``sent_at`` says which is the newest.
    """

    machine: str
    """Identity of one start of ``mediactl worker``: random digits, since host names return."""
    host: str
    pid: int
    version: str
    """Of mediactl."""
    slots: dict[str, int]
    """Lane -> jobs that it runs at once."""
    running: tuple[int, ...] = ()
    """Rows in the journal of the jobs that it runs."""
    state: MachineState = MachineState.WORKING
    started_at: float
    """By its own clock, in seconds since 1970."""
    sent_at: float
    """The same."""


class Machine(msgspec.Struct, frozen=True):
    """A machine as the journal has it. Fields in the order of the query "machines"."""

    id: str
    host: str
    pid: int
    version: str
    slots: dict[str, int]
    running: tuple[int, ...]
    state: MachineState
    started_at: float
    seen_at: float
    """When its last heartbeat arrived, in seconds since 1970 by the dispatcher's clock."""
    drain_at: float | None
    """When it was asked to drain; None: it was not."""

    def is_live(self, now: float) -> bool:
        """Return whether it has neither ended nor been lost."""
        return self.state is not MachineState.STOPPED and now - self.seen_at <= LOST


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to do. Seconds of one slot, by prediction."""

    pending: float = 0.0
    """Of pending jobs and, for sources that are not probed yet, what is expected to follow."""
    running: float = 0.0
    """Of running jobs, from their start."""
    pending_jobs: int = 0
    running_jobs: int = 0
