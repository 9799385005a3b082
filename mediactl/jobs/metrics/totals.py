"""Totals that metrics export as counters: gathered while a transaction lasts, and written when it ends."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import apsw

from mediactl.jobs import database

EDGES = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0, math.inf,
)  # fmt: skip
"""Upper edges of buckets in seconds: from a thumbnail to the slack of a backfill job."""
SQL = "metrics/metrics.sql"


class Totals:
    """What a part of a transaction adds to the totals."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sql = database.statements(SQL)
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[tuple[str, str, float]] = Counter()
        self._seconds: dict[tuple[str, str, float], float] = {}
        self._bytes: Counter[str] = Counter()
        self._artefacts: Counter[str] = Counter()

    def add_attempt(self, operation: str, outcome: str) -> None:
        """Count an attempt."""
        self._attempts[operation, outcome] += 1

    def add_run(self, operation: str, seconds: float) -> None:
        """Count a job that is done."""
        self._add_timing("run", operation, seconds)

    def add_wait(self, operation: str, seconds: float) -> None:
        """Count a job that was begun for the first time."""
        self._add_timing("wait", operation, seconds)

    def add_bytes(self, direction: str, number: int) -> None:
        """Count bytes: "in" of sources that are done, "out" of what was made of them, "sent" to a store."""
        if number:
            self._bytes[direction] += number

    def add_artefacts(self, roles: Mapping[str, int]) -> None:
        """Count artefacts that were encoded or linked, by role."""
        self._artefacts.update(roles)

    def write(self) -> None:
        """Write what was gathered, inside the journal's transaction."""
        self._write("add_attempts", ((*key, number) for key, number in self._attempts.items()))
        self._write("add_timing", ((*key, number, self._seconds[key]) for key, number in self._counts.items()))
        self._write("add_bytes", self._bytes.items())
        self._write("add_artefacts", self._artefacts.items())
        self.forget()

    def forget(self) -> None:
        """Drop what was gathered: the part of the transaction that it belongs to is undone."""
        for each in (self._attempts, self._counts, self._seconds, self._bytes, self._artefacts):
            each.clear()

    def _add_timing(self, timing: str, operation: str, seconds: float) -> None:
        key = (timing, operation, EDGES[bisect_left(EDGES, seconds)])
        self._counts[key] += 1
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def _write(self, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(self._sql[name], rows)
