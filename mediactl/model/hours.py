"""Hours of the day in which jobs may be started: ``--hours 22:00-06:00``, in local time."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import msgspec

_RANGE = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DAY = 24 * 60


class Hours(msgspec.Struct, frozen=True):
    """From one time of day until another, in minutes since midnight; over midnight where it ends before it starts."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{_text(self.start)}-{_text(self.end)}"

    def contain(self, now: float) -> bool:
        """Return whether a time (seconds since 1970) is within them."""
        local = time.localtime(now)
        minute = 60 * local.tm_hour + local.tm_min
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def next_start(self, now: float) -> float:
        """Return when they start next after a time, both in seconds since 1970."""
        local = datetime.fromtimestamp(now)
        start = local.replace(hour=self.start // 60, minute=self.start % 60, second=0, microsecond=0)
        return (start if start > local else start + timedelta(days=1)).timestamp()


def parse(text: str) -> Hours:
    """Return the hours that a text such as "22:00-06:00" names. Raises ValueError."""
    found = _RANGE.fullmatch(text.strip())
    expected = f"{text}: expected FROM-TO in local time, e.g. 22:00-06:00"
    if found is None:
        raise ValueError(expected)
    start, end = (60 * int(found[number]) + int(found[number + 1]) for number in (1, 3))
    if end > _DAY or start % _DAY == end % _DAY:
        raise ValueError(expected)
    return Hours(start, end)


def _text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
