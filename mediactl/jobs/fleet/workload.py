"""How much work the jobs of a journal are: seconds of one slot, by what jobs like them took."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import apsw

from mediactl.jobs import database, history
from mediactl.jobs.fleet.machines import SQL
from mediactl.jobs.prediction import ENOUGH
from mediactl.model.fleet import Workload
from mediactl.planning.cost import SECONDS_A_BYTE, seconds_of

NETWORK = "network"
"""The lane of uploads: these occupy no slot."""


class Expectation:
    """Seconds that jobs of a class take on average, each counted as ``most`` seconds at most."""

    def __init__(self, connection: apsw.Connection, most: float = math.inf) -> None:
        self._connection = connection
        self._most = most
        self._sql = database.statements(SQL)

    def by_lane(self) -> dict[str, float]:
        """Return lane -> seconds that its pending jobs will run, however many cores they keep busy."""
        found: dict[str, float] = {}
        for lane, is_running, _, _, seconds in self._classes():
            if not is_running:
                found[lane] = found.get(lane, 0.0) + seconds
        return found

    def workload(self) -> Workload:
        """Return what there is to do, uploads aside."""
        seconds, jobs = [self._unprobed(), 0.0], [0, 0]
        for lane, is_running, cores, number, each in self._classes():
            if lane != NETWORK:
                seconds[is_running] += each * cores
                jobs[is_running] += number
        pending, running = seconds
        return Workload(pending=pending, running=running, pending_jobs=jobs[0], running_jobs=jobs[1])

    def _classes(self) -> Iterator[tuple[str, int, int, int, float]]:
        """Yield lane, whether they run, cores, number and seconds of the jobs of each class."""
        durations = database.statements()["durations"]
        for lane, operation, format_, bucket, cores, is_running, jobs, size in self._rows(self._sql["work"]):
            counts = self._rows(durations, operation, format_, bucket)
            yield lane, is_running, cores, jobs, self._seconds(jobs, counts, seconds_of(operation, size) / cores)

    def _unprobed(self) -> float:
        """Return seconds of the jobs that will follow pending probes."""
        return sum(
            self._seconds(
                jobs, self._rows(self._sql["durations_of"], kind, format_), SECONDS_A_BYTE.get(kind, 0.0) * size
            )
            for kind, format_, jobs, size in self._rows(self._sql["unprobed"])
        )

    def _seconds(self, jobs: int, counts: list[tuple[int, int]], guess: float) -> float:
        """Return seconds of so many jobs, by the durations of those like them, or a guess for all together."""
        if sum(count for _, count in counts) >= ENOUGH:
            return jobs * history.mean(counts, self._most)
        return min(guess, jobs * self._most)

    def _rows(self, statement: str, *bindings: Any) -> list[Any]:
        return self._connection.execute(statement, bindings).fetchall()
