"""The lane of jobs that wait for the network: processes of its own, each with many jobs at once."""

from __future__ import annotations

import socket
from bisect import insort
from collections.abc import Callable, Iterable

from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment, Ended
from mediactl.pool.messages import Drain
from mediactl.pool.process import Worker

NETWORK = "network"
DEPTH = 128
"""Jobs in one process: those of its threads, and a reserve, so that threads do not wait for commits."""
SILENCE = 900.0
"""Seconds without a message from a process with jobs, after which it is killed; requests and waits for a lost network
end sooner."""


class Service:
    """How a process of the lane is started: ``call`` names the function that makes its service from ``options``."""

    def __init__(self, call: str, options: str, processes: int = 1) -> None:
        self.call = call
        self.options = options
        self.processes = processes


class Network:
    """The lane's processes, and the assignments queued for them."""

    def __init__(self, service: Service | None, start: Callable[[Service], Worker]) -> None:
        self._service = service
        self._start = start
        self.closed: tuple[Verdict, str] | None = None
        """Why no more jobs are begun."""
        self.workers: dict[socket.socket, Worker] = {}
        self.waiting: list[Assignment] = []

    def room(self) -> int:
        """Return how many more jobs can be taken."""
        if self._service is None or self.closed:
            return 0
        there = sum(len(worker.sent) for worker in self.workers.values()) + len(self.waiting)
        return self._service.processes * DEPTH - there

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Queue these for a process."""
        for assignment in assignments:
            insort(self.waiting, assignment, key=_due)

    def hand_out(self, now: float) -> set[Worker]:
        """Give waiting jobs to the processes; return those that got any."""
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
        """Return the number of running jobs."""
        return sum(len(worker.sent) for worker in self.workers.values())

    def give_back(self, reason: str) -> list[Ended]:
        """Return the queued jobs, as interrupted before they began."""
        back = [Ended(assignment, Verdict.INTERRUPTED, reason) for assignment in self.waiting]
        self.waiting.clear()
        return back

    def drain(self, seconds: float) -> set[Worker]:
        """Ask the processes to end running jobs; return those that have something to flush."""
        for worker in self.workers.values():
            worker.send(Drain(seconds))
        return set(self.workers.values())

    def lost(self, worker: Worker, how: str) -> list[Ended]:
        """Return the jobs of a process that died, as interrupted: which one is to blame is unknown."""
        verdict = worker.verdict or (Verdict.INTERRUPTED, how)
        return [Ended(assignment, *verdict, worker=worker.pid) for assignment in worker.sent]

    def silent(self, now: float) -> list[Worker]:
        """Return the processes that have jobs and sent no message for too long."""
        return [worker for worker in self.workers.values() if worker.sent and now - worker.advanced > SILENCE]


def _due(assignment: Assignment) -> float:
    return assignment.due
