"""How many machines a journal requires: by the seconds of its work, not by the number of its jobs.

A job occupies one slot, and no number of machines makes it faster. So each counts as the drain time at most (of the
jobs' predicted seconds, ``Workload`` has that much): eight videos of an hour require eight slots, not those that would
do eight hours of work in ten minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from mediactl.model.fleet import Workload
from mediactl.planning.schedule import Schedule

AHEAD = 300.0
"""Seconds that a prediction looks ahead: what machines take to start."""


class Goal(msgspec.Struct, frozen=True):
    """What scaling aims at."""

    drain: float
    """Seconds within which the jobs of a moment are to be done."""
    slots: int
    """Jobs that one machine runs at once."""
    least: int = 0
    """Machines."""
    most: int | None = None
    """The same; None: unbounded."""
    schedules: tuple[Schedule, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """How many machines are required, and what for."""

    machines: int
    work: int
    """Machines that do pending and running work within the drain time."""
    at_work: int
    """Machines that run jobs: removing one of them would interrupt these."""
    scheduled: int
    predicted: int
    """Machines for the work that usually arrives around the time ``AHEAD`` seconds from now."""
    reason: str
    """Which of these decides."""


def wanted(goal: Goal, workload: Workload, at_work: int, rate: float | None, now: float) -> Wanted:
    """Return the number of machines: the largest that work, machines at work, schedule or prediction asks for.

    ``rate``: seconds of work that usually arrive in a second, ``AHEAD`` seconds from ``now`` (seconds since 1970);
    None: unknown.
    """
    asked = {
        "work": math.ceil((workload.pending + workload.running) / (goal.drain * goal.slots)),
        "at_work": at_work,
        "scheduled": max((each.machines_at(now) for each in goal.schedules), default=0),
        "predicted": 0 if rate is None else math.ceil(rate / goal.slots),
    }
    machines = max(asked.values())
    reason = next(name for name, number in asked.items() if number == machines)
    if machines < goal.least:
        machines, reason = goal.least, "min"
    if goal.most is not None and machines > goal.most:
        machines, reason = goal.most, "max"
    return Wanted(machines=machines, reason=reason, **asked)


def busy(running: Sequence[int], jobs: int, slots: int) -> int:
    """Return how many machines are at work.

    ``running``: of each live machine the jobs that it runs; where none is known, as many as ``jobs`` occupy at least.
    """
    return sum(1 for each in running if each) if running else math.ceil(jobs / slots)
