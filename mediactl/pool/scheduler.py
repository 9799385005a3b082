"""The workers of a run by lane: how many may run, which job goes to which, within the cores.

Quick workers and heavy workers are separate processes: heavy ones run at lower CPU priority, which a process cannot
take back. quick always keeps one worker that heavy cannot take, whatever the cores.
"""

from __future__ import annotations

import os
import socket
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

from mediactl.model.jobs import HEAVY, QUICK
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment, Room
from mediactl.pool.messages import Answer
from mediactl.pool.process import Worker

OVERRUN = 2.0
"""Seconds after which a quick worker's job counts as heavy, so that the quick lane gets another worker."""
HEAVY_A_CORE = 2
"""Busy heavy workers a core from which overrunning gets quick no further worker: a stalled disk makes every job
overrun, and must not lead to hundreds of processes."""
NICENESS = 10
DEPTHS = ((0.0005, 64), (0.002, 32), (0.01, 8), (0.03, 4), (0.15, 2))
"""(expected seconds, jobs in a worker's pipe): short jobs are sent ahead, so that workers do not wait for commits."""
OVERTAKING = 2
"""Slots in a pipe, beyond its depth, for jobs that are due before those in it."""
OVERTAKING_LEAD = 5.0
"""Seconds that they have to be due before: successors of a file begun earlier need not overtake."""
DELIVERY = 0.002
"""Seconds from choosing a worker for a job to its having it, at most, on a machine that is not overloaded."""
MAX_JOBS = 20_000
MAX_MEMORY = 1 << 30
"""Jobs, and bytes at its peak, after which a worker is replaced: this ends leaks and fragmentation."""


class Scheduler:
    """Workers, and the assignments queued for one.

    ``limits`` caps how many jobs of a lane or kind run at once; ``memory`` (bytes) what running jobs are expected to
    take together: a job that does not fit waits, and one that never would runs alone.
    """

    def __init__(self, size: int, start: Callable[[], Worker], limits: Mapping[str, int], memory: int | None) -> None:
        self._size = size
        self._start = start
        self._limits = limits
        self._memory = memory
        self._expected: float | None = None
        """Predicted seconds of the quick job that was answered last, taken for the next one of idle workers."""
        self.workers: dict[socket.socket, Worker] = {}
        self.waiting: dict[str, list[Assignment]] = {QUICK: [], HEAVY: []}
        """By lane, in due order."""

    def room(self, now: float) -> Room:
        """Return how many more jobs can be taken now."""
        if any(assignment.alone for assignment in self._all()):
            return Room()
        busy = self._busy_in(QUICK)
        for worker in busy:
            worker.depth = _depth(worker, now)
        waiting, free = len(self.waiting[QUICK]), self._quick_room(busy)
        overtaking, before = (0, 0.0) if waiting or free else self._overtaking(busy, now)
        lanes = {QUICK: max(0, free - waiting), HEAVY: 1 if self._takes_heavy() else 0}
        return Room(lanes, self._kinds(), overtaking, before)

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Queue these for a worker of their lane."""
        for assignment in assignments:
            if self._memory is not None and assignment.memory > self._memory:
                assignment = msgspec.structs.replace(assignment, alone=True)
            insort(self.waiting[QUICK if assignment.lane == QUICK else HEAVY], assignment, key=_due)

    def hand_out(self, now: float) -> set[Worker]:
        """Give waiting jobs to workers as far as there is room; return the workers that got any."""
        given: set[Worker] = set()
        for lane, choose in ((QUICK, self._quick_worker), (HEAVY, self._heavy_worker)):
            queue = self.waiting[lane]
            while queue and (worker := choose(queue[0], now)) is not None:
                given.add(self._give(worker, queue.pop(0), now))
        return given

    def answered(self, worker: Worker, assignment: Assignment, answer: Answer) -> None:
        """Update predictions, and whether the worker has to be replaced.

        One whose job timed out has to be: what that job had started may still run in its process group.
        """
        if worker.lane == QUICK:
            self._expected = assignment.expected
        worker.done += 1
        worker.tainted = worker.tainted or answer.verdict is Verdict.TIMED_OUT
        worker.worn = worker.tainted or worker.done >= MAX_JOBS or answer.usage.peak_memory >= MAX_MEMORY

    def held_up(self, now: float) -> list[Worker]:
        """Return the workers whose job holds up others behind it."""
        return [worker for worker in self.workers.values() if len(worker.sent) > 1 and worker.held_up(now)]

    def idle(self) -> bool:
        """Return whether a job that came now could begin at once."""
        return self.busy() < self._size and not any(self.waiting.values())

    def overrunning(self, now: float) -> list[tuple[Assignment, float]]:
        """Return quick workers' jobs that turn out to be long; their workers become heavy ones, within bounds."""
        found = []
        heavy = len(self._busy_in(HEAVY))
        for worker in self.workers.values():
            if worker.lane == QUICK and worker.sent and worker.greeted and now - worker.started > OVERRUN:
                if heavy < HEAVY_A_CORE * self._size:
                    heavy += 1
                    lower_priority(worker)
                found.append((worker.sent[0], now - worker.started))
        return found

    def spare(self) -> list[Worker]:
        """Return idle workers to be ended: worn ones, and more than the machine can use."""
        idle = [worker for worker in self.workers.values() if not worker.sent]
        surplus = len(self.workers) - (self._size + 2)
        return [worker for number, worker in enumerate(idle) if worker.worn or number < surplus]

    def numbers(self) -> dict[str, tuple[int, int]]:
        """Return how many jobs are running and queued, by lane."""
        found = {}
        for lane, queue in self.waiting.items():
            busy = self._busy_in(lane)
            found[lane] = len(busy), len(queue) + sum(len(worker.sent) - 1 for worker in busy)
        return found

    def busy(self) -> int:
        """Return the number of workers with jobs."""
        return sum(1 for worker in self.workers.values() if worker.sent)

    # -- which worker ----------------------------------------------------------------------------------------------

    def _quick_worker(self, assignment: Assignment, now: float) -> Worker | None:
        """Return an idle worker where there is a slot for the job, else a busy one that it can be queued behind."""
        if assignment.alone and self.busy():
            return None
        busy = [worker for worker in self._busy_in(QUICK) if not worker.worn]
        # A job that is due, as urgent ones are from the start, does not wait for cores that heavy jobs use: those run
        # at lower CPU priority.
        slots = self._quick_slots() if assignment.due > time.time() else self._most(QUICK)
        if len(busy) < slots and self._fits(assignment):
            return self._idle(QUICK)
        return self._busy_worker(busy, assignment, now)

    def _busy_worker(self, busy: list[Worker], assignment: Assignment, now: float) -> Worker | None:
        """Return the busy worker whose pipe the job is put into; None: it waits until one of them is done."""
        if assignment.due < max((worker.last_due for worker in busy), default=0.0) - OVERTAKING_LEAD:
            best = min(busy, key=partial(_wait, now), default=None)  # it is the next job of whichever worker gets it
        else:
            best = min(busy, key=_load, default=None)
        if best is None or best.held_up(now) or not self._fits(assignment, best):
            return None
        overtakes = len(best.sent) > 1 and assignment.due < best.last_due - OVERTAKING_LEAD
        depth = best.depth + OVERTAKING if overtakes else min(best.depth, depth_of(assignment.expected))
        return best if len(best.sent) < depth else None

    def _heavy_worker(self, assignment: Assignment, _now: float) -> Worker | None:
        used = self._heavy_cores()
        if used and used + assignment.cores > self._size:
            return None
        if (assignment.alone and self.busy()) or not self._fits(assignment):
            return None
        return self._idle(HEAVY)

    def _idle(self, lane: str) -> Worker:
        """Return an idle worker of this lane, started now if there is none."""
        for worker in self.workers.values():
            if worker.lane == lane and not worker.sent and not worker.worn:
                return worker
        return self._start_in(lane)

    def _fits(self, assignment: Assignment, behind: Worker | None = None) -> bool:
        """Return whether there is memory for a job; always while nothing runs. Behind another only the excess counts.

        The memory of an overdue heavy job is reserved against all that is due later, or small jobs would starve it.
        """
        if self._memory is None or not self.busy():
            return True
        used = sum(_memory(worker) for worker in self.workers.values() if worker is not behind)
        needed = assignment.memory if behind is None else max(assignment.memory, _memory(behind))
        first = next(iter(self.waiting[HEAVY]), None)
        if first is not None and first is not assignment and first.due < assignment.due and first.due <= time.time():
            needed += first.memory
        return used + needed <= self._memory

    def _quick_room(self, busy: list[Worker]) -> int:
        """Return how many quick jobs fit into the pipes: behind those of busy workers, and into unused slots."""
        behind = sum(max(0, worker.depth - len(worker.sent)) for worker in busy)
        unused = max(0, self._quick_slots() - len(busy))
        idle = any(worker.lane == QUICK and not worker.sent for worker in self.workers.values())
        return behind + unused * (depth_of(self._expected) if idle else 1)

    def _takes_heavy(self) -> bool:
        """Return whether one more heavy job can be taken."""
        cores_left = self._heavy_cores() < self._size
        return cores_left and not self.waiting[HEAVY] and len(self._busy_in(HEAVY)) < self._most(HEAVY)

    def _overtaking(self, busy: list[Worker], now: float) -> tuple[int, float]:
        """Return how many jobs may be sent although no slot is free, and before when they have to be due for that.

        They overtake what is queued in the pipes, or use a core that heavy jobs have.
        """
        queued = [worker for worker in busy if len(worker.sent) > 1 and not worker.held_up(now)]
        unused = sum(max(0, worker.depth + OVERTAKING - len(worker.sent)) for worker in queued)
        before = max((worker.last_due for worker in queued), default=0.0) - OVERTAKING_LEAD
        shared = self._most(QUICK) - len(busy)
        return (max(unused, shared), max(before, time.time())) if shared > 0 else (unused, before)

    def _kinds(self) -> dict[str, int]:
        there = Counter(assignment.kind for assignment in self._all())
        return {kind: max(0, most - there[kind]) for kind, most in self._limits.items() if kind not in (QUICK, HEAVY)}

    def _give(self, worker: Worker, assignment: Assignment, now: float) -> Worker:
        depth = depth_of(assignment.expected)
        if worker.sent:
            worker.depth = min(worker.depth, depth)
        else:
            worker.depth = depth
            worker.started = worker.advanced = now
        worker.queue(assignment)
        return worker

    def _start_in(self, lane: str) -> Worker:
        worker = self._start()
        self.workers[worker.pipe] = worker
        if lane == HEAVY:
            lower_priority(worker)
        return worker

    def _quick_slots(self) -> int:
        return min(max(1, self._size - self._heavy_cores()), self._most(QUICK))

    def _most(self, lane: str) -> int:
        """Return how many jobs of a lane may run at once, whatever the others do."""
        return self._limits.get(lane, self._size)

    def _heavy_cores(self) -> int:
        return sum(worker.sent[0].cores for worker in self._busy_in(HEAVY))

    def _busy_in(self, lane: str) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.sent and worker.lane == lane]

    def _all(self) -> Iterable[Assignment]:
        for queue in self.waiting.values():
            yield from queue
        for worker in self.workers.values():
            yield from worker.sent


def lower_priority(worker: Worker) -> None:
    """Make a worker a heavy one: whatever it starts from now on yields to quick work."""
    worker.lane = HEAVY
    try:
        own = os.getpriority(os.PRIO_PROCESS, 0)  # under nice it may not, and should not, go below that
        os.setpriority(os.PRIO_PROCESS, worker.pid, min(19, own + NICENESS))
    except ProcessLookupError:
        return  # it died; the next read finds out


def depth_of(expected: float | None) -> int:
    """Return how many jobs of so many predicted seconds each may be in a pipe."""
    if expected is None:
        return 1
    for limit, depth in DEPTHS:
        if expected < limit:
            return depth
    return 1


def _depth(worker: Worker, now: float) -> int:
    """Return how many jobs may be in a busy worker's pipe, given those that are."""
    if worker.held_up(now):
        return 0
    longest = 0.0
    for assignment in worker.sent:
        if assignment.expected is None:
            return 1
        longest = max(longest, assignment.expected)
    return depth_of(longest)


def _load(worker: Worker) -> int:
    return len(worker.sent)


def _wait(now: float, worker: Worker) -> float:
    """Return the seconds until a worker begins its next job; one that is about to begin it has chosen it already."""
    expected = worker.sent[0].expected or 0.0
    left = expected - (now - worker.started)
    return left if left > DELIVERY else left + expected


def _memory(worker: Worker) -> int:
    return max((assignment.memory for assignment in worker.sent), default=0)


def _due(assignment: Assignment) -> float:
    return assignment.due
