"""States of a job, and the transitions between them. The schema's CHECKs hold the same rules on disk."""

from __future__ import annotations

from enum import StrEnum

MAX_FAILURES = 3
"""Failed attempts after which a job is quarantined."""
MAX_CRASHES = 3
"""Worker deaths after which a job is quarantined; before the last attempt it is moved to the lane "alone"."""
RETRY_BASE = 1.0
RETRY_CAP = 60.0
"""Seconds: attempt n waits a random time up to min(cap, base * 4**n) (full jitter)."""


class State(StrEnum):
    """Where a job is. Done, rejected, quarantined and cancelled are final until someone asks for a retry."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.DONE, State.REJECTED, State.QUARANTINED, State.READY, State.CANCELLED}),
    State.DONE: frozenset({State.READY}),  # planned again: its outputs went missing
    State.REJECTED: frozenset({State.READY}),
    State.QUARANTINED: frozenset({State.READY}),
    State.CANCELLED: frozenset({State.READY}),
}


def retry_delay(failures: int, random: float) -> float:
    """Seconds until the next attempt after so many failures; ``random`` is uniform in [0, 1)."""
    return random * min(RETRY_CAP, RETRY_BASE * 4.0**failures)
