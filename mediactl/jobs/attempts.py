"""The history of attempts, and the durations that predictions are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import apsw

from mediactl.jobs import database, history
from mediactl.jobs.claims import Claim
from mediactl.jobs.fleet.arrivals import Arrivals
from mediactl.jobs.metrics.totals import Totals
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict


class Attempts:
    """Attempts of one run; they are gathered, and written all at once when their part of the transaction ends."""

    def __init__(self, connection: apsw.Connection, run: str, clock: Callable[[], float], version: str) -> None:
        self._connection = connection
        self._run = run
        self._clock = clock
        self._version = version
        self._sql = database.statements()
        self._rows: list[tuple[Any, ...]] = []
        self._durations: list[tuple[str, str, int, int]] = []
        self.totals = Totals(connection)
        self.arrivals = Arrivals(connection, clock)

    def add(self, claim: Claim, verdict: Verdict, reason: str, usage: Usage, worker: int) -> None:
        """Add an attempt; when it is done, its duration, too."""
        now = self._clock()
        self._rows.append(
            (claim.id, claim.attempt, self._run, worker, verdict.value, reason, now, usage.wall, usage.cpu,
             usage.peak_memory, self._version)
        )  # fmt: skip
        self.totals.add_attempt(claim.operation, verdict.value)
        self.totals.add_bytes("sent", usage.sent)
        if claim.attempt == 1:
            self.totals.add_wait(claim.operation, max(0.0, now - usage.wall - claim.enqueued_at))
        if verdict is Verdict.DONE:
            size = history.size_bucket(claim.size)
            self._durations.append((claim.operation, claim.format, size, history.bucket(usage.wall)))
            self.totals.add_run(claim.operation, usage.wall)
            self.arrivals.add(claim, usage.wall)

    def add_killed(self, job: int, attempt: int, run: str, operation: str) -> None:
        """Add an attempt that ended with its run."""
        self._rows.append(
            (job, attempt, run, 0, Verdict.INTERRUPTED.value, "its run was killed", self._clock(), 0.0, 0.0, 0,
             self._version)
        )  # fmt: skip
        self.totals.add_attempt(operation, Verdict.INTERRUPTED.value)

    def write(self) -> None:
        """Write what was gathered, inside the journal's transaction."""
        if self._rows:
            self._connection.executemany(self._sql["attempt"], self._rows)
            self._connection.executemany(
                self._sql["duration"], ((*key, count) for key, count in Counter(self._durations).items())
            )
            self._rows.clear()
            self._durations.clear()
        self.totals.write()
        self.arrivals.write()

    def forget(self) -> None:
        """Drop what was gathered: the part of the transaction that it belongs to is undone."""
        self._rows.clear()
        self._durations.clear()
        self.totals.forget()
        self.arrivals.forget()
