"""What ``scale`` prints and serves: how many machines a journal requires at a moment, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mediactl.jobs.report import Report
from mediactl.model.fleet import Workload
from mediactl.planning import scaling
from mediactl.planning.scaling import AHEAD, Goal, Wanted
from mediactl.ui.lines import duration


class Scale(msgspec.Struct, frozen=True):
    """The machines that are wanted, and the figures that they follow from."""

    wanted: Wanted
    workload: Workload
    rate: float | None
    """Seconds of work that usually arrive in a second, around the time ``AHEAD`` seconds from now; None: unknown."""
    live: int
    """Machines that have sent a heartbeat of late."""


def measure(rows: Report, goal: Goal, now: float) -> Scale:
    """Return the machines that a journal requires now, in seconds since 1970."""
    live = [each for each in rows.machines() if each.is_live(now)]
    workload = rows.workload(goal.drain)
    rate = rows.usual_rate(now + AHEAD)
    at_work = scaling.busy([len(each.running) for each in live], workload.running_jobs, goal.slots)
    return Scale(scaling.wanted(goal, workload, at_work, rate, now), workload, rate, len(live))


def as_json(scale: Scale) -> dict[str, Any]:
    """Return the object of ``--json`` and of the HTTP endpoint."""
    wanted, workload = scale.wanted, scale.workload
    return {
        "wanted": wanted.machines,
        "reason": wanted.reason,
        "work": wanted.work,
        "at_work": wanted.at_work,
        "scheduled": wanted.scheduled,
        "predicted": wanted.predicted,
        "live": scale.live,
        "pending_seconds": round(workload.pending, 3),
        "running_seconds": round(workload.running, 3),
        "pending_jobs": workload.pending_jobs,
        "running_jobs": workload.running_jobs,
        "usual_rate": None if scale.rate is None else round(scale.rate, 6),
    }


def lines(scale: Scale, goal: Goal) -> Iterator[str]:
    """Yield the number alone, then what it follows from; the row that decides is marked."""
    wanted, workload = scale.wanted, scale.workload
    yield str(wanted.machines)
    usual = "less than a week of history" if scale.rate is None else f"{scale.rate:.2f} s of work a second are usual"
    rows = [
        (
            "work", wanted.work,
            f"{duration(workload.pending)} pending ({workload.pending_jobs:,} jobs),"
            f" {duration(workload.running)} running ({workload.running_jobs:,});"
            f" to be done in {duration(goal.drain)} by {goal.slots} slots each",
        ),
        ("at_work", wanted.at_work, f"machines that run jobs, of {scale.live:,} live"),
        ("scheduled", wanted.scheduled, "by --schedule" if goal.schedules else "no --schedule"),
        ("predicted", wanted.predicted, f"{usual} in {duration(AHEAD)}"),
        ("min", goal.least, ""),
    ]  # fmt: skip
    if goal.most is not None:
        rows.append(("max", goal.most, ""))
    for name, number, text in rows:
        mark = "*" if name == wanted.reason else " "
        yield f"{mark} {name.replace('_', ' '):<10} {number:>6,}  {text}".rstrip()
