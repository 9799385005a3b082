"""What a job will take, from what jobs like it took; and so which lane it belongs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from mediactl.jobs import history

QUICK, HEAVY = "quick", "heavy"
QUICK_SECONDS = 2.0
"""A job predicted to take longer is heavy: what a person would wait for an urgent thumbnail behind it."""
QUANTILE = 0.9
CALM = 0.95
"""The quantile by which a heavy class is found quick again: on the edge, it would change lanes with every few jobs, and
all that waits of it each time."""
ENOUGH = 3
"""Measured jobs of a class from which they are believed more than the guess."""

ENOUGH_FOR_LIMITS = 20
LIMIT_FACTOR = 10.0
LIMIT_FLOOR = 30.0
"""Seconds."""

Class = tuple[str, str, int]
"""(operation, format, size bucket): jobs that are alike."""


class Predictor:
    """Durations by class: those in the journal, and those that this run adds."""

    def __init__(self, load: Callable[[Class], Iterable[tuple[int, int]]]) -> None:
        self._load = load
        self._counts: dict[Class, Counter[int]] = {}
        self._overruns: dict[Class, float] = {}
        self._heavy: set[Class] = set()

    @staticmethod
    def class_of(kind: str, format_: str, size: int) -> Class:
        """The class of a job."""
        return kind, format_, history.size_bucket(size)

    def seconds(self, like: Class, guess: float) -> float:
        """Seconds that nine of ten jobs of a class take at most; the guess while too few were measured.

        Of a class found heavy, nineteen of twenty. A class of which one was seen to run for long is not believed to be
        shorter until it was measured.
        """
        counts = self._known(like)
        if counts.total() < ENOUGH:
            return max(guess, self._overruns.get(like, 0.0))
        found = history.quantile(counts.items(), CALM if like in self._heavy else QUANTILE)
        return guess if found is None else found

    def lane(self, like: Class, guess: float) -> str:
        """The lane for jobs of a class."""
        if self.seconds(like, guess) <= QUICK_SECONDS:
            self._heavy.discard(like)
            return QUICK
        self._heavy.add(like)
        return HEAVY

    def limit(self, like: Class, guess: float) -> float:
        """Seconds after which a job of a class is stopped: a multiple of what 99 of 100 took, within bounds.

        ``guess`` while too few were measured, and what is learnt is never more than ten times below it: a machine
        that is busy today must not kill what it did quickly yesterday.
        """
        counts = self._known(like)
        if counts.total() < ENOUGH_FOR_LIMITS:
            return guess
        slowest = history.quantile(counts.items(), 0.99) or 0.0
        return max(LIMIT_FLOOR, guess / 10, min(guess * 10, LIMIT_FACTOR * slowest))

    def learn(self, like: Class, seconds: float) -> None:
        """A job of this class took so long."""
        self._known(like)[history.bucket(seconds)] += 1

    def overran(self, like: Class, seconds: float) -> None:
        """A job of this class runs for so long already."""
        self._overruns[like] = max(seconds, self._overruns.get(like, 0.0))

    def _known(self, like: Class) -> Counter[int]:
        if like not in self._counts:
            self._counts[like] = Counter(dict(self._load(like)))
        return self._counts[like]
