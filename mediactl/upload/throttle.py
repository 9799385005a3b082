"""Throttling: concurrency that follows the store's answers, and a bandwidth limit."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Concurrency:
    """How many requests may be in flight: halved when the store asks for fewer, one more after a round of successes.

    A round is as many successes as the limit, so that after a halving it takes some time, not some milliseconds, to
    come back to what was too much (additive increase, multiplicative decrease, as TCP does it). Not locked: its owner
    calls it under a lock of its own.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = max(1, ceiling)
        self._successes = 0
        self.limit = self._ceiling
        """Requests that may be in flight now, from 1 to the ceiling."""
        self.round = 0
        """How often it was halved; a request keeps the number that it started with."""

    def succeeded(self) -> None:
        """A request was answered well."""
        if self.limit < self._ceiling:
            self._successes += 1
            if self._successes >= self.limit:
                self._successes = 0
                self.limit += 1

    def throttled(self, round_: int) -> None:
        """A request that started in that round was answered with SlowDown.

        The requests that were in flight together all get that answer; only the first of them halves.
        """
        if round_ == self.round:
            self.round += 1
            self._successes = 0
            self.limit = max(1, self.limit // 2)


class Bandwidth:
    """So many bytes a second, over any time longer than what one body takes.

    Each body waits until those before it would have left at that rate; time in which nobody sent is not made up for.
    """

    def __init__(self, rate: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        if rate <= 0:
            raise ValueError(f"a bandwidth of {rate} bytes/s")
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, size: int) -> None:
        """Wait for the turn of ``size`` bytes. Raises what ``sleep`` raises."""
        with self._lock:
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + size / self._rate
        if start > now:
            self._sleep(start - now)
