"""Verdict on figures in the convention of Monitoring Plugins: a status, one line, performance data.

https://www.monitoring-plugins.org/doc/guidelines.html: exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; a value beyond
a limit breaks it; performance data are "label=value[unit];warning;critical;minimum".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

import msgspec

from mediactl.model.figures import Figures
from mediactl.model.jobs import Priority

LEAST_PROMISE = 60.0
"""Seconds. An urgent job is due at once; it is overdue for a check after a minute."""
DAY = 86_400.0


class Status(IntEnum):
    """Exit code of a check."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Limits(msgspec.Struct, frozen=True):
    """From which value on, not included, something is a warning, or critical; None: never."""

    warning: float | None = None
    critical: float | None = None

    def status(self, value: float) -> Status:
        """Return the status of a value."""
        if self.critical is not None and value > self.critical:
            return Status.CRITICAL
        return Status.WARNING if self.warning is not None and value > self.warning else Status.OK

    def broken(self, value: float) -> float:
        """Return the limit that a value has passed."""
        return (self.critical if self.status(value) is Status.CRITICAL else self.warning) or 0.0


HEARTBEAT = Limits(60.0, 300.0)
"""Seconds since an active run last did anything; it shows that it goes on every five seconds."""
ANY = Limits(0.0)
"""A warning from the first on."""


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """What a check was asked for."""

    promises: Mapping[Priority, float]
    """Seconds after which a job of each priority is due."""
    depth: Limits = Limits()
    """Pending jobs."""
    ages: Mapping[str, Limits] = {}
    """Lane -> age in seconds of its oldest pending job, in place of the promises."""
    failed: Limits = ANY
    """Quarantined sources."""
    fresh: float | None = None
    """Seconds since the last success that are critical."""


class Finding(NamedTuple):
    """One thing that was checked."""

    status: Status
    text: str
    """In words; printed where the status is not OK."""
    data: str = ""
    """Performance data."""


class Verdict(msgspec.Struct, frozen=True):
    """What a check prints."""

    status: Status
    problems: tuple[str, ...]
    """In words, the worst first."""
    line: str


def judged(figures: Figures, thresholds: Thresholds) -> Verdict:
    """Return the verdict on figures."""
    found = [
        *_overdue(figures, thresholds),
        *_ages(figures, thresholds),
        _depth(figures, thresholds.depth),
        _failed(figures, thresholds.failed),
        *_heartbeats(figures),
        *_freshness(figures, thresholds.fresh),
    ]
    status = max(each.status for each in found)
    broken = sorted((each for each in found if each.status), key=lambda each: -each.status)
    problems = tuple(each.text for each in broken)
    return Verdict(status, problems, line(status, "; ".join(problems) or _well(figures), (each.data for each in found)))


def line(status: Status, text: str, data: Iterable[str] = ()) -> str:
    """Return the line of a status; a "|" in its text would begin performance data."""
    values = " ".join(filter(None, data))
    return f"MEDIACTL {status.name} - {text.replace('|', '/')}" + (f" | {values}" if values else "")


def _overdue(figures: Figures, thresholds: Thresholds) -> Iterator[Finding]:
    """Yield for each priority how long its jobs are overdue: a warning at once, critical at twice the promise."""
    latest: dict[Priority, float] = {}
    for oldest in figures.oldest:
        if oldest.lane not in thresholds.ages:
            latest[oldest.priority] = max(oldest.overdue, latest.get(oldest.priority, 0.0))
    for priority, overdue in sorted(latest.items()):
        slack = thresholds.promises[priority]
        promise = max(slack, LEAST_PROMISE)
        late = max(0.0, overdue - (promise - slack))
        name, limits = priority.name.lower(), Limits(0.0, promise)
        text = f"oldest {name} job overdue {about(late)} (promised {about(promise)})"
        yield Finding(limits.status(late), text, _data(f"overdue_{name}", late, limits, "s"))


def _ages(figures: Figures, thresholds: Thresholds) -> Iterator[Finding]:
    for lane, limits in thresholds.ages.items():
        age = max((oldest.age for oldest in figures.oldest if oldest.lane == lane), default=0.0)
        text = f"oldest job of lane {lane} pending for {about(age)} (limit {about(limits.broken(age))})"
        yield Finding(limits.status(age), text, _data(f"age_{lane}", age, limits, "s"))


def _depth(figures: Figures, limits: Limits) -> Finding:
    pending = _pending(figures)
    text = f"{pending:,} jobs pending (limit {limits.broken(pending):,.0f})"
    return Finding(limits.status(pending), text, _data("pending", pending, limits))


def _failed(figures: Figures, limits: Limits) -> Finding:
    number = figures.quarantined
    return Finding(limits.status(number), f"{number:,} quarantined", _data("quarantined", number, limits))


def _heartbeats(figures: Figures) -> Iterator[Finding]:
    for run in figures.active:
        text = f"{run.command} {run.id[:8]} without heartbeat for {about(run.heartbeat)}"
        yield Finding(HEARTBEAT.status(run.heartbeat), text)
    if figures.lost_watch and not any(run.command == "watch" for run in figures.active):
        yield Finding(Status.CRITICAL, "the last watch was killed and none is active")


def _freshness(figures: Figures, fresh: float | None) -> Iterator[Finding]:
    """Yield how long ago a run succeeded. A watch that is alive is up to date, however long ago it started."""
    if fresh is None:
        return
    watched = any(run.command == "watch" and not HEARTBEAT.status(run.heartbeat) for run in figures.active)
    if figures.last_success is None and not watched:
        yield Finding(Status.CRITICAL, "no run has succeeded")
        return
    age = 0.0 if watched else max(0.0, figures.time - (figures.last_success or 0.0))
    limits = Limits(None, fresh)
    text = f"last success {about(age)} ago (limit {about(fresh)})"
    yield Finding(limits.status(age), text, _data("since_success", age, limits, "s"))


def _well(figures: Figures) -> str:
    """Return what is good to know where nothing is broken."""
    pending = _pending(figures)
    since = figures.last_success
    last = "" if since is None else f"; last success {about(max(0.0, figures.time - since))} ago"
    return f"{pending:,} pending, none overdue{last}" if pending else f"nothing pending{last}"


def _pending(figures: Figures) -> int:
    return sum(each.jobs for each in figures.jobs if each.state == "ready")


def _data(label: str, value: float, limits: Limits, unit: str = "") -> str:
    def bound(limit: float | None) -> str:
        return "" if limit is None else f"{limit:.0f}"

    return f"{label}={round(value)}{unit};{bound(limits.warning)};{bound(limits.critical)};0"


def about(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two: "21 min"."""
    for unit, length in (("d", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
