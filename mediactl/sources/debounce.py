"""Debounce files that may still be written to: until size and modification time have not changed for a while."""

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


class Debouncer(Generic[Key]):
    """Holds files until they settle. No clock and no disk of its own: ``now`` is in seconds, ``look`` is a stat.

    A file is taken ``settle`` seconds after its last change was seen, and checked once more then: if it has changed
    since, it goes on to be held; if it is gone, it is forgotten.
    """

    def __init__(
        self,
        settle: float,
        look: Callable[[Key], os.stat_result | None],
        give_up: Callable[[Key, Exception], None],
    ) -> None:
        """``give_up`` ends a file for which a check raised: it is held no longer."""
        self._settle = settle
        self._look = look
        self._give_up = give_up
        self._held: dict[Key, tuple[Mark, float]] = {}
        """With the time at which each is to be checked; all are held equally long, so the first is due first."""

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, key: Key, mark: Mark, now: float) -> None:
        """Hold a file that was seen in this state; its settle time starts over if it was in another one before."""
        held = self._held.get(key)
        if held is None or held[0] != mark:
            self._held.pop(key, None)
            self._held[key] = mark, now + self._settle

    def due(self, now: float) -> bool:
        """Return whether ``take`` has something to check."""
        return bool(self._held) and next(iter(self._held.values()))[1] <= now

    def take(self, now: float, most: int) -> list[tuple[Key, os.stat_result]]:
        """Check up to ``most`` files whose time has come; return those that have settled, which are held no longer."""
        due = [(key, mark) for key, (mark, until) in islice(self._held.items(), most) if until <= now]
        settled: list[tuple[Key, os.stat_result]] = []
        for key, mark in due:
            del self._held[key]
            try:
                status = self._look(key)
                if status is None or not stat.S_ISREG(status.st_mode):
                    continue
                if settle_mark(status) == mark:
                    settled.append((key, status))
                else:
                    self.hold(key, settle_mark(status), now)
            except Exception as error:  # noqa: BLE001 - the others have settled all the same
                self._give_up(key, error)
        return settled


def settle_mark(status: os.stat_result) -> Mark:
    """Return what of a file must not change while it settles."""
    return status.st_size, storable(status.st_mtime_ns)
