"""Machines in the journal: heartbeats that were received, and which are asked to drain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import apsw
import msgspec

from mediactl.jobs import database
from mediactl.model.fleet import Heartbeat, Machine, MachineState

SQL = "fleet/fleet.sql"
KEPT = 3600.0
"""Seconds for which machines are listed that have ended or were lost."""

_slots = msgspec.json.Decoder(dict[str, int])
_jobs = msgspec.json.Decoder(tuple[int, ...])


class Machines:
    """Rows of the table "machines"; every change stands in a transaction of the journal."""

    def __init__(self, connection: apsw.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._sql = database.statements(SQL)

    def beat(self, heartbeats: Iterable[Heartbeat]) -> None:
        """Keep the newest heartbeat of each machine, and forget machines that are long gone."""
        now = self._clock()
        self._connection.executemany(
            self._sql["beat"],
            (
                (
                    beat.machine, beat.host, beat.pid, beat.version, msgspec.json.encode(beat.slots).decode(),
                    msgspec.json.encode(beat.running).decode(), beat.state.value, beat.started_at, beat.sent_at, now,
                )
                for beat in heartbeats
            ),
        )  # fmt: skip
        self._connection.execute(self._sql["forget_machines"], (now - KEPT,))

    def drain(self, machine: str) -> bool:
        """Ask a machine to drain; whether it is one that works."""
        self._connection.execute(self._sql["ask_drain"], (machine, self._clock()))
        return self._connection.changes() == 1

    def to_drain(self) -> tuple[str, ...]:
        """Return the machines that were asked to drain and have not begun to."""
        return tuple(row[0] for row in self._connection.execute(self._sql["asked_drain"]))


def listed(connection: apsw.Connection) -> tuple[Machine, ...]:
    """Return the machines of a journal: those that have ended last, the others by host."""
    rows: list[Any] = connection.execute(database.statements(SQL)["machines"]).fetchall()
    return tuple(
        Machine(id, host, pid, version, _slots.decode(slots), _jobs.decode(running), MachineState(state), *times)
        for id, host, pid, version, slots, running, state, *times in rows
    )
