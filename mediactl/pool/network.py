"""The lane of jobs that wait for the network: processes of its own, each with many jobs at once."""

from __future__ import annotations

import socket
from bisect import insort
from collections.abc import Callable, Iterable

from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment, Ended
from mediactl.pool.messages import Leave
from mediactl.pool.process import Worker

NETWORK = "network"
DEPTH = 128
"""Jobs in one process: what its threads do, and a reserve, so that commits are not waited for."""
SILENCE = 900.0
"""Seconds without any sign of life from a process with work, after which it is killed; requests and the waiting for a
lost network end sooner."""


class Service:
    """How a process of the lane is started: ``call`` names the maker of its service, ``options`` is its text."""

    def __init__(self, call: str, options: str, processes: int = 1) -> None:
        self.call = call
        self.options = options
        self.processes = processes


class Network:
    """The lane's processes, and the assignments that wait for one of them."""

    def __init__(self, service: Service | None, start: Callable[[Service], Worker]) -> None:
        self._service = service
        self._start = start
        self.closed: tuple[Verdict, str] | None = None
        """Why nothing is begun any more."""
        self.workers: dict[socket.socket, Worker] = {}
        self.waiting: list[Assignment] = []

    def room(self) -> int:
        """How many more jobs can be taken."""
        if self._service is None or self.closed:
            return 0
        there = sum(len(worker.sent) for worker in self.workers.values()) + len(self.waiting)
        return self._service.processes * DEPTH - there

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Have these wait for a process."""
        for assignment in assignments:
            insort(self.waiting, assignment, key=_due)

    def hand_out(self, now: float) -> set[Worker]:
        """Give waiting jobs to the processes; those that got something."""
        given: set[Worker] = set()
        while self.waiting and self._service is not None:
            if len(self.workers) < self._service.processes:
                worker = self._start(self._service)
                worker.lane = NETWORK
                self.workers[worker.pipe] = worker
            worker = min(self.workers.values(), key=lambda each: len(each.sent))
            if not worker.sent:
                worker.advanced = now
            worker.queue(self.waiting.pop(0))
            given.add(worker)
        return given

    def busy(self) -> int:
        """Jobs that are under way."""
        return sum(len(worker.sent) for worker in self.workers.values())

    def give_back(self, reason: str) -> list[Ended]:
        """What waits, as interrupted before it began."""
        back = [Ended(assignment, Verdict.INTERRUPTED, reason) for assignment in self.waiting]
        self.waiting.clear()
        return back

    def leave(self, seconds: float) -> set[Worker]:
        """Ask the processes to end what goes on; those that have something to flush."""
        for worker in self.workers.values():
            worker.tell(Leave(seconds))
        return set(self.workers.values())

    def lost(self, worker: Worker, how: str) -> list[Ended]:
        """A process died: nobody knows which of its jobs was to blame, so none is."""
        verdict = worker.verdict or (Verdict.INTERRUPTED, how)
        return [Ended(assignment, *verdict, worker=worker.pid) for assignment in worker.sent]

    def silent(self, now: float) -> list[Worker]:
        """Processes that have work and gave no sign of life for too long."""
        return [worker for worker in self.workers.values() if worker.sent and now - worker.advanced > SILENCE]


def _due(assignment: Assignment) -> float:
    return assignment.due
