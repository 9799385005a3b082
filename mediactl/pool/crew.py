"""The workers of a run by lane: how many may work, who takes what, within the cores.

Quick workers and heavy workers are separate processes: heavy ones run at lower CPU priority, which a process cannot
take back. quick always keeps one worker that heavy cannot take, whatever the cores.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from mediactl.pool.process import Assignment, Worker

QUICK, HEAVY = "quick", "heavy"
OVERRUN = 2.0
"""Seconds after which a quick worker's job counts as heavy, so that quick gets another worker."""
HEAVY_A_CORE = 2
"""Busy heavy workers a core from which overrunning gets quick no further worker: a disk that stalls makes every job
overrun, and must not end in hundreds of processes."""
NICENESS = 10
DEPTHS = ((0.002, 32), (0.01, 8), (0.03, 4), (0.15, 2))
"""(mean seconds, jobs in a worker's pipe): short jobs are sent a few ahead, so that commits are not waited for."""
MAX_JOBS = 20_000
MAX_MEMORY = 1 << 30
"""Jobs, and bytes at its peak, after which a worker is replaced: what leaks or fragments goes with it."""


class Crew:
    """Workers, and the assignments that wait for one. ``limits`` caps how many jobs of a lane run at once."""

    def __init__(self, size: int, start: Callable[[], Worker], limits: Mapping[str, int]) -> None:
        self._size = size
        self._start = start
        self._limits = limits
        self._means: dict[str, float] = {}
        self.workers: dict[socket.socket, Worker] = {}
        self.waiting: dict[str, deque[Assignment]] = {QUICK: deque(), HEAVY: deque()}

    def room(self) -> dict[str, int]:
        """Lane -> how many more jobs it can take now."""
        if any(assignment.alone for assignment in self._all()):
            return {}
        busy = [worker for worker in self.workers.values() if worker.sent and worker.lane == QUICK]
        idle = [worker for worker in self.workers.values() if not worker.sent and worker.lane == QUICK]
        unused = max(0, self._quick_slots() - len(busy))
        quick = sum(max(0, self._depth(worker) - len(worker.sent)) for worker in busy)
        quick += sum(self._depth(worker) for worker in idle[:unused]) + max(0, unused - len(idle))
        heavy = 0 if self.waiting[HEAVY] or self._heavy_cores() >= self._size else 1
        if sum(1 for worker in self.workers.values() if worker.sent and worker.lane == HEAVY) >= self._heavy_limit():
            heavy = 0
        return {QUICK: max(0, quick - len(self.waiting[QUICK])), HEAVY: heavy}

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Have these wait for a worker of their lane."""
        for assignment in assignments:
            self.waiting[QUICK if assignment.lane == QUICK else HEAVY].append(assignment)

    def hand_out(self, now: float) -> set[Worker]:
        """Give waiting jobs to workers as far as there is room; the workers that got something."""
        given: set[Worker] = set()
        queue = self.waiting[QUICK]
        while queue and (worker := self._quick_worker(queue[0])) is not None:
            given.add(self._give(worker, queue.popleft(), now))
        queue = self.waiting[HEAVY]
        while queue and (worker := self._heavy_worker(queue[0])) is not None:
            given.add(self._give(worker, queue.popleft(), now))
        return given

    def answered(self, worker: Worker, assignment: Assignment, seconds: float, peak_memory: int) -> None:
        """Learn from an answer: how far ahead jobs of this kind are sent, and whether the worker is worn out."""
        mean = self._means.get(assignment.kind, seconds)
        self._means[assignment.kind] = mean + 0.2 * (seconds - mean)
        worker.last_kind = assignment.kind
        worker.done += 1
        worker.worn = worker.done >= MAX_JOBS or peak_memory >= MAX_MEMORY

    def overrunning(self, now: float) -> list[tuple[Assignment, float]]:
        """Jobs of quick workers that turn out to be long; their workers are heavy ones from now on, within bounds."""
        found = []
        heavy = sum(1 for worker in self.workers.values() if worker.sent and worker.lane == HEAVY)
        for worker in self.workers.values():
            if worker.lane == QUICK and worker.sent and worker.greeted and now - worker.started > OVERRUN:
                if heavy < HEAVY_A_CORE * self._size:
                    heavy += 1
                    lower_priority(worker)
                found.append((worker.sent[0], now - worker.started))
        return found

    def spare(self) -> list[Worker]:
        """Idle workers to be let go: worn ones, and more than the machine can use."""
        idle = [worker for worker in self.workers.values() if not worker.sent]
        surplus = len(self.workers) - (self._size + 2)
        return [worker for number, worker in enumerate(idle) if worker.worn or number < surplus]

    def busy(self) -> int:
        """Workers that have something to do."""
        return sum(1 for worker in self.workers.values() if worker.sent)

    # -- who takes what --------------------------------------------------------------------------------------------

    def _quick_worker(self, assignment: Assignment) -> Worker | None:
        quick = [worker for worker in self.workers.values() if worker.lane == QUICK and not worker.worn]
        worker = min(quick, key=_load, default=None)
        if (worker is not None and worker.sent) or worker is None:
            busy = sum(1 for each in quick if each.sent)
            if busy < self._quick_slots():
                return self._hire(QUICK)
        elif sum(1 for each in quick if each.sent) >= self._quick_slots():
            # An idle one is there, but heavy work holds its core; the busy ones may take it behind theirs.
            worker = min((each for each in quick if each.sent), key=_load, default=worker)
        if worker is None or (worker.sent and len(worker.sent) >= self._depth(worker, assignment.kind)):
            return None
        return worker

    def _heavy_worker(self, assignment: Assignment) -> Worker | None:
        used = self._heavy_cores()
        if used and (assignment.alone or used + assignment.cores > self._size):
            return None
        for worker in self.workers.values():
            if worker.lane == HEAVY and not worker.sent and not worker.worn:
                return worker
        return self._hire(HEAVY)

    def _give(self, worker: Worker, assignment: Assignment, now: float) -> Worker:
        if not worker.sent:
            worker.started = worker.advanced = now
        worker.queue(assignment)
        return worker

    def _hire(self, lane: str) -> Worker:
        worker = self._start()
        self.workers[worker.pipe] = worker
        if lane == HEAVY:
            lower_priority(worker)
        return worker

    def _quick_slots(self) -> int:
        return min(max(1, self._size - self._heavy_cores()), self._limits.get(QUICK, self._size))

    def _heavy_limit(self) -> int:
        return self._limits.get(HEAVY, self._size)

    def _heavy_cores(self) -> int:
        return sum(worker.sent[0].cores for worker in self.workers.values() if worker.sent and worker.lane == HEAVY)

    def _depth(self, worker: Worker, kind: str | None = None) -> int:
        """How many jobs may stand in a worker's pipe, given those there and one more of this kind."""
        kinds = {assignment.kind for assignment in worker.sent}
        if kind is not None:
            kinds.add(kind)
        elif not kinds and worker.last_kind is not None:
            kinds.add(worker.last_kind)
        return min((self._depth_of(each) for each in kinds), default=1)

    def _depth_of(self, kind: str) -> int:
        mean = self._means.get(kind)
        if mean is None:
            return 1
        return next((depth for limit, depth in DEPTHS if mean < limit), 1)

    def _all(self) -> Iterable[Assignment]:
        for queue in self.waiting.values():
            yield from queue
        for worker in self.workers.values():
            yield from worker.sent


def lower_priority(worker: Worker) -> None:
    """Make a worker a heavy one: whatever it starts from now on yields to quick work."""
    worker.lane = HEAVY
    try:
        own = os.getpriority(os.PRIO_PROCESS, 0)  # started by nice: it may not, and should not, go below that
        os.setpriority(os.PRIO_PROCESS, worker.pid, min(19, own + NICENESS))
    except ProcessLookupError:
        return  # it died; reading from it will say so


def _load(worker: Worker) -> int:
    return len(worker.sent)
