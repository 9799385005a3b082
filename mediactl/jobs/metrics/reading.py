"""The figures of a journal at one instant, read without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import apsw

from mediactl.jobs import database
from mediactl.jobs.fleet.workload import Expectation
from mediactl.jobs.metrics.totals import EDGES, SQL
from mediactl.jobs.runs import RunRow
from mediactl.model.figures import ActiveRun, AttemptCount, Figures, JobCount, Oldest, Timing
from mediactl.model.jobs import Priority


def figures(connection: apsw.Connection, active: Sequence[RunRow], lost_watch: bool, now: float) -> Figures:
    """Return the figures of a journal; ``active`` are its runs that are alive, ``lost_watch`` as in ``Figures``."""
    reader = _Reader(connection)
    connection.execute("BEGIN")  # all of the same instant
    try:
        return Figures(
            time=now,
            jobs=tuple(
                JobCount(lane, Priority(number), state, jobs) for lane, number, state, jobs in reader.rows("jobs")
            ),
            oldest=tuple(
                Oldest(lane, Priority(number), max(0.0, now - enqueued), max(0.0, now - due))
                for lane, number, enqueued, due in reader.rows("oldest")
            ),
            runs=reader.timings("run"),
            waits=reader.timings("wait"),
            attempts=tuple(AttemptCount(*row) for row in reader.rows("attempts")),
            bytes={"in": 0, "out": 0, "sent": 0} | dict(reader.rows("bytes")),
            artefacts=dict(reader.rows("artefacts")),
            work=Expectation(connection).by_lane(),
            workers=_workers(active, dict(reader.rows("running"))),
            quarantined=reader.value("quarantined") or 0,
            active=tuple(ActiveRun(run.id, run.command, max(0.0, now - run.heartbeat)) for run in active),
            lost_watch=lost_watch,
            last_success=reader.value("last_success"),
            last_exit_code=reader.value("last_exit_code"),
        )
    finally:
        connection.execute("COMMIT")


class _Reader:
    """Statements of an open journal."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sql = database.statements(SQL)

    def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Return the rows of a statement."""
        return self._connection.execute(self._sql[name], bindings).fetchall()

    def value(self, name: str) -> Any:
        """Return the only value of a statement; None: it has no row."""
        return self._connection.execute(self._sql[name]).get

    def timings(self, timing: str) -> tuple[Timing, ...]:
        """Return the histograms of all operations, with every bucket."""
        found = []
        for operation, rows in groupby(self.rows("timings", timing), itemgetter(0)):
            counts = {edge: (count, seconds) for _, edge, count, seconds in rows}
            buckets, number = [], 0
            for edge in sorted({*EDGES, *counts}):
                number += counts.get(edge, (0, 0.0))[0]
                buckets.append((edge, number))
            found.append(Timing(operation, tuple(buckets), sum(seconds for _, seconds in counts.values())))
        return tuple(found)


def _workers(active: Sequence[RunRow], running: dict[str, int]) -> dict[str, int]:
    """Return how many worker processes are busy and idle; jobs that were sent ahead to one do not count."""
    busy = sum(min(run.workers or 0, running.get(run.id, 0)) for run in active)
    return {"busy": busy, "idle": sum(run.workers or 0 for run in active) - busy}
