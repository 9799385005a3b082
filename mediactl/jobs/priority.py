"""Priority is a due time: a job goes before whatever is due later.

A job enqueued now is due after its priority's slack. So an urgent job overtakes a waiting backfill job, but only
for the first 24 h of that job's wait: a backfill job goes before any urgent job that arrives 24 h after it. No
priority can starve another.
"""

from __future__ import annotations

from collections.abc import Mapping

from mediactl.model.jobs import Priority

SLACK: Mapping[Priority, float] = {
    Priority.URGENT: 0.0,
    Priority.HIGH: 60.0,
    Priority.NORMAL: 600.0,
    Priority.LOW: 2 * 3600.0,
    Priority.BACKFILL: 24 * 3600.0,
}
"""Seconds that a job of each priority lets later arrivals overtake it."""


def due(enqueued_at: float, priority: Priority, slack: Mapping[Priority, float] = SLACK) -> float:
    """When a job enqueued at that time (seconds since 1970) is due."""
    return enqueued_at + slack[priority]


SUCCESSOR_LEAD = 1.0
"""Seconds. What a job yields is due so much before it: what was begun is finished before more is begun, so that
results come early and a file is still in memory when it is read for the second time."""


def successor_due(parent_due: float) -> float:
    """When a successor is due, given its parent's due time."""
    return parent_due - SUCCESSOR_LEAD
