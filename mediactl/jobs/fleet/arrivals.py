"""When work arrives: measured seconds by the time at which their source came, for the same hour of later weeks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

import apsw

from mediactl.jobs import database
from mediactl.jobs.claims import Claim
from mediactl.jobs.fleet.machines import SQL
from mediactl.jobs.fleet.workload import NETWORK
from mediactl.jobs.priority import SLACK
from mediactl.model.jobs import Priority

INTERVAL = 300
"""Seconds of a row."""
HOUR = 3600.0
WEEKS = 4
"""Weeks that are looked back."""
KEPT = (WEEKS * 7 + 1) * 86_400.0
"""Seconds for which arrivals are kept: with a day for clocks that change and jobs that end late."""


class Arrivals:
    """What a part of a transaction adds to the table "arrivals"."""

    def __init__(self, connection: apsw.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._sql = database.statements(SQL)
        self._gathered: dict[int, tuple[int, float]] = {}
        self._pruned_at = 0.0

    def add(self, claim: Claim, seconds: float) -> None:
        """Count a job that is done after so many seconds."""
        if claim.lane != NETWORK:
            start = int(arrived_at(claim.enqueued_at, claim.due, Priority(claim.priority))) // INTERVAL * INTERVAL
            jobs, sum_ = self._gathered.get(start, (0, 0.0))
            self._gathered[start] = (jobs + 1, sum_ + seconds * claim.cores)

    def write(self) -> None:
        """Write what was gathered, inside the journal's transaction; remove what is too old once a day."""
        if self._gathered:
            rows = [(start, *counts) for start, counts in self._gathered.items()]
            self._connection.executemany(self._sql["add_arrivals"], rows)
            self._gathered.clear()
            now = self._clock()
            if now - self._pruned_at >= 86_400.0:
                self._pruned_at = now
                self._connection.execute(self._sql["forget_arrivals"], (now - KEPT,))

    def forget(self) -> None:
        """Drop what was gathered: the part of the transaction that it belongs to is undone."""
        self._gathered.clear()


def arrived_at(enqueued_at: float, due: float, priority: Priority) -> float:
    """Return when the source of a job came, in seconds since 1970.

    A successor is due by the time at which its first predecessor was enqueued (``priority.successor_due``), however
    long that was pending. What is due as soon as it was enqueued is urgent, or was retried by a person.
    """
    return enqueued_at if due == enqueued_at else min(enqueued_at, due - SLACK[priority])


def usual_rate(connection: apsw.Connection, at: float, zone: tzinfo | None) -> float | None:
    """Return seconds of work that usually arrive in a second around a time (seconds since 1970).

    The mean of the hour around it in the last weeks, at the same local time of the same day; None before the journal
    has a week of history.
    """
    sql = database.statements(SQL)
    first = connection.execute(sql["first_arrival"]).get
    rates = []
    for weeks in range(1, WEEKS + 1):
        middle = _weeks_before(at, weeks, zone)
        if first is None or middle - HOUR / 2 < first:
            break
        start = round((middle - HOUR / 2) / INTERVAL) * INTERVAL
        rates.append(connection.execute(sql["arrived"], (start, start + HOUR)).get / HOUR)
    return sum(rates) / len(rates) if rates else None


def _weeks_before(at: float, weeks: int, zone: tzinfo | None) -> float:
    """Return the same time of day so many weeks ago: on the clock of the zone (None: of this machine)."""
    local = datetime.fromtimestamp(at, zone)
    return (local - timedelta(weeks=weeks)).timestamp()
