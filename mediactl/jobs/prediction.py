"""What a job will take, from what jobs like it took; and so which lane it belongs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from mediactl.jobs import history
from mediactl.model.jobs import HEAVY, QUICK

QUICK_SECONDS = 2.0
"""A job predicted to take longer is heavy: what a person would wait for an urgent thumbnail behind it."""
QUANTILE = 0.9
CALM = 0.95
"""The quantile by which a heavy class is found quick again: on the edge, it would change lanes with every few jobs, and
all that is pending of it each time."""
ENOUGH = 3
"""Measured jobs of a class from which they are believed more than the guess."""

ENOUGH_FOR_LIMITS = 20
LIMIT_FACTOR = 10.0
LIMIT_FLOOR = 30.0
"""Seconds."""

Class = tuple[str, str, int]
"""(operation, format, size bucket): similar jobs."""


class _Measured:
    """A class's histogram, with its quantiles kept until enough was added to move them."""

    def __init__(self, counts: Iterable[tuple[int, int]]) -> None:
        self.counts = Counter(dict(counts))
        self.total = self.counts.total()
        self._kept: dict[float, float] = {}
        self._stale_at = 0

    def add(self, seconds: float) -> bool:
        """One more; whether quantiles have to be read again."""
        self.counts[history.bucket(seconds)] += 1
        self.total += 1
        if self.total >= self._stale_at:
            self._stale_at = self.total + self.total // 16
            self._kept.clear()
            return True
        return False

    def quantile(self, q: float) -> float:
        """Of what was measured, one in sixteen may not be counted yet."""
        if q not in self._kept:
            self._kept[q] = history.quantile(self.counts.items(), q) or 0.0
        return self._kept[q]


class Predictor:
    """Durations by class: those in the journal, and those that this run adds."""

    def __init__(self, load: Callable[[Class], Iterable[tuple[int, int]]]) -> None:
        self._load = load
        self._measured: dict[Class, _Measured] = {}
        self._overruns: dict[Class, float] = {}
        self._heavy: set[Class] = set()

    @staticmethod
    def class_of(kind: str, format_: str, size: int) -> Class:
        """The class of a job."""
        return kind, format_, history.size_bucket(size)

    def expected(self, like: Class) -> float | None:
        """Seconds that nine of ten jobs of a class take at most; None while too few were measured."""
        measured = self._known(like)
        return measured.quantile(QUANTILE) if measured.total >= ENOUGH else None

    def seconds(self, like: Class, guess: float) -> float:
        """What a class is expected to take, in seconds; the guess while too few were measured.

        Of a class found heavy, what nineteen of twenty take. A class of which one was seen to run for long is not
        believed to be shorter until it was measured.
        """
        measured = self._known(like)
        if measured.total < ENOUGH:
            return max(guess, self._overruns.get(like, 0.0))
        return measured.quantile(CALM if like in self._heavy else QUANTILE)

    def typical(self, like: Class) -> float | None:
        """Seconds that half of the jobs of a class take at most; None while too few were measured."""
        measured = self._known(like)
        return measured.quantile(0.5) if measured.total >= ENOUGH else None

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
        measured = self._known(like)
        if measured.total < ENOUGH_FOR_LIMITS:
            return guess
        return max(LIMIT_FLOOR, guess / 10, min(guess * 10, LIMIT_FACTOR * measured.quantile(0.99)))

    def learn(self, like: Class, seconds: float) -> bool:
        """A job of this class took so long; whether its lane may be another one now."""
        return self._known(like).add(seconds)

    def overran(self, like: Class, seconds: float) -> None:
        """A job of this class runs for so long already."""
        self._overruns[like] = max(seconds, self._overruns.get(like, 0.0))

    def _known(self, like: Class) -> _Measured:
        found = self._measured.get(like)
        if found is None:
            found = self._measured[like] = _Measured(self._load(like))
        return found
