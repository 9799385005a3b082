"""Machines by the hours of the week: ``--schedule "mon-fri 08:00-20:00 America/New_York = 10"``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from mediactl.model import hours
from mediactl.model.hours import Hours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY = "daily"
EXAMPLE = "mon-fri 08:00-20:00 America/New_York = 10"
_FORM = re.compile(r"(?P<days>\S+)\s+(?P<hours>\S+)(?:\s+(?P<zone>[^\s=]+))?\s*=\s*(?P<machines>[0-9]+)")


class Schedule(msgspec.Struct, frozen=True):
    """So many machines during some hours of some days. Hours over midnight belong to the day on which they start."""

    days: frozenset[int]
    """0: Monday."""
    hours: Hours
    zone: str
    """Name in the IANA database; "": the zone of this machine."""
    machines: int

    def machines_at(self, now: float) -> int:
        """Return the number of machines at a time (seconds since 1970); 0 outside of the hours."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.zone) if self.zone else None)
        minute = 60 * local.hour + local.minute
        if self.hours.start < self.hours.end:
            began = local if self.hours.start <= minute < self.hours.end else None
        elif minute >= self.hours.start:
            began = local
        else:
            began = local - timedelta(days=1) if minute < self.hours.end else None
        return self.machines if began is not None and began.weekday() in self.days else 0


def parse(text: str) -> Schedule:
    """Return the schedule that a text describes. Raises ValueError."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text}: expected DAYS FROM-TO [ZONE] = N, e.g. {EXAMPLE}")
    zone = found["zone"] or ""
    try:
        if zone:
            ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text}: unknown time zone {zone}; expected a name such as America/New_York") from None
    return Schedule(_days(found["days"].lower(), text), hours.parse(found["hours"]), zone, int(found["machines"]))


def _days(text: str, whole: str) -> frozenset[int]:
    """Return the days of "mon-fri", "sat,sun", "fri-mon" or "daily"."""
    if text == DAILY:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"{whole}: unknown day in {text}; expected {', '.join(DAYS)} or {DAILY}")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found.update(day % 7 for day in range(start, end + 1 + (7 if end < start else 0)))
    return frozenset(found)
