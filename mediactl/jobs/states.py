"""States of a job, and the transitions between them. The schema's CHECKs hold the same rules on disk."""

from __future__ import annotations

from enum import StrEnum

import msgspec

LONGEST_DELAY = 3600.0
"""Seconds that any retry waits at most, whoever set it; one that would wait longer saw the clock set back."""


class Patience(msgspec.Struct, frozen=True):
    """How often a job may go wrong before it is quarantined, and how long it waits in between."""

    failures: int = 3
    crashes: int = 3
    """Worker deaths; before the last attempt the job is moved to the lane "alone"."""
    interruptions: int = 20
    """Times that it was begun and stopped from outside. Costs nothing, but a job that never comes to its end must not
    be begun again and again: it may be what takes the whole run down each time."""
    base: float = 1.0
    cap: float = 60.0
    """Seconds: attempt n waits a random time up to min(cap, base * 4**n) (full jitter)."""

    def delay(self, failures: int, random: float) -> float:
        """Seconds until the next attempt after so many failures; ``random`` is uniform in [0, 1)."""
        return random * min(self.cap, self.base * 4.0 ** min(failures, 32))


PATIENCE = Patience()
"""The default of a new journal."""


class State(StrEnum):
    """Where a job is. Done, rejected, quarantined and cancelled are final until someone asks for a retry."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"
