"""What a journal keeps of the machines of a run: one heartbeat for all consumers of a ``mediactl worker``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import msgspec

from mediactl.engines.messages import Machine
from mediactl.model.fleet import Heartbeat, MachineState


def heartbeat(machine: Machine, running: tuple[int, ...], started: float, reported: float) -> Heartbeat:
    """Return that of one consumer; ``started`` and ``reported`` are in seconds since 1970, by the clock of the run."""
    return Heartbeat(
        machine=machine.worker or machine.id, host=machine.host, pid=machine.pid, version=machine.version,
        slots=machine.slots, running=running, started_at=started, sent_at=reported,
        state=MachineState.DRAINING if machine.draining else MachineState.WORKING,
    )  # fmt: skip


def by_worker(heartbeats: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Return one heartbeat for each worker, whose lanes are consumers of their own."""
    found: dict[str, list[Heartbeat]] = {}
    for each in heartbeats:
        found.setdefault(each.machine, []).append(each)
    return [reduce(_merged, each) for each in found.values()]


def _merged(one: Heartbeat, other: Heartbeat) -> Heartbeat:
    return msgspec.structs.replace(
        one, slots={**one.slots, **other.slots}, running=one.running + other.running,
        started_at=min(one.started_at, other.started_at), sent_at=max(one.sent_at, other.sent_at),
    )  # fmt: skip
