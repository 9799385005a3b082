"""Files that may still be written to: held until size and time of change have been still for a while."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

from mediactl.core.files import storable

Key = TypeVar("Key")
Mark = tuple[int, int]
"""(size, mtime_ns)."""


class Settling(Generic[Key]):
    """Holds files until they are still. No clock and no disk of its own: ``now`` is in seconds, ``look`` is a stat.

    A file is taken ``still`` seconds after it was last seen to have changed, and it is looked at once more then: what
    has changed since goes on waiting, what is gone is forgotten.
    """

    def __init__(self, still: float, look: Callable[[Key], os.stat_result | None]) -> None:
        self._still = still
        self._look = look
        self._held: dict[Key, tuple[Mark, float]] = {}
        """With the time at which each is to be looked at; all wait equally long, so the first is due first."""

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, key: Key, mark: Mark, now: float) -> None:
        """A file was seen to be so. Its wait begins anew if it was otherwise before."""
        held = self._held.get(key)
        if held is None or held[0] != mark:
            self._held.pop(key, None)
            self._held[key] = mark, now + self._still

    def due(self, now: float) -> bool:
        """Whether ``take`` has something to look at."""
        return bool(self._held) and next(iter(self._held.values()))[1] <= now

    def take(self, now: float, most: int) -> list[tuple[Key, os.stat_result]]:
        """Look at up to ``most`` files whose time has come; those that were still are held no longer."""
        due = [(key, mark) for key, (mark, until) in islice(self._held.items(), most) if until <= now]
        still: list[tuple[Key, os.stat_result]] = []
        for key, mark in due:
            del self._held[key]
            status = self._look(key)
            if status is None or not stat.S_ISREG(status.st_mode):
                continue
            if still_mark(status) == mark:
                still.append((key, status))
            else:
                self.hold(key, still_mark(status), now)
        return still


def still_mark(status: os.stat_result) -> Mark:
    """What of a file has to be still."""
    return status.st_size, storable(status.st_mtime_ns)
