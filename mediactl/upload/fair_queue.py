"""One queue for parts and small objects: round robin over the jobs, so many at once, so many bytes in flight."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from mediactl.upload.throttle import Concurrency


class Job:
    """One upload in the queue; jobs of one group (one bucket location) fail together."""

    __slots__ = ("bytes", "group", "room")

    def __init__(self, group: Hashable, room: int | None = None) -> None:
        """``room``: bytes of this job that may be in flight at once; None: as many as of all together."""
        self.group = group
        self.room = room
        self.bytes = 0
        """In flight now. The queue's alone."""

    def fits(self, size: int) -> bool:
        """Return whether that many bytes more may be in flight: any number where there are none."""
        return self.room is None or not self.bytes or self.bytes + size <= self.room


class _Unit:
    """A unit queued for admission. Exactly one of its two callables is called, once."""

    __slots__ = ("admitted", "dropped", "size")

    def __init__(self, size: int, admitted: Callable[[], None], dropped: Callable[[BaseException], None]) -> None:
        self.size = size
        self.admitted = admitted
        self.dropped = dropped


class FairQueue:
    """Admits units: at most ``concurrency.limit`` at once and ``budget`` bytes of them, each job in its turn and within
    its own room.

    A unit larger than the whole budget is admitted when nothing else is in flight. Whoever was admitted must release
    what it holds.
    """

    def __init__(self, concurrency: Concurrency, budget: int) -> None:
        self._concurrency = concurrency
        self._budget = budget
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Job, deque[_Unit]] = OrderedDict()
        self._returning: deque[tuple[Job, _Unit]] = deque()
        """Units that gave their slot back but hold bytes: first, since others may wait for just those bytes."""
        self._running = 0
        self._bytes = 0
        self._closed: BaseException | None = None
        self._failed: dict[Hashable, BaseException] = {}

    def enter(self, job: Job, size: int) -> None:
        """Wait to be admitted in this thread. Raises what the queue was closed, or the job's group has failed, with."""
        self._wait(job, size, returning=False)

    def come_back(self, job: Job) -> None:
        """Wait for a slot only, after ``release(job, 0)``. Raises as ``enter`` does."""
        self._wait(job, 0, returning=True)

    def submit(
        self, job: Job, size: int, admitted: Callable[[], None], dropped: Callable[[BaseException], None]
    ) -> None:
        """Have ``admitted`` called when it is this unit's turn, by whatever thread makes room: it must not block."""
        with self._lock:
            error = self._closed or self._failed.get(job.group)
            if error is None:
                self._append(job, _Unit(size, admitted, dropped))
                return
        dropped(error)

    def release(self, job: Job, size: int, slot: bool = True) -> None:
        """Give back a slot and ``size`` bytes."""
        with self._lock:
            self._running -= slot
            self._bytes -= size
            job.bytes -= size
            self._admit()

    def check(self, job: Job) -> None:
        """Raise what the queue was closed, or the job's group has failed, with."""
        with self._lock:
            self._raise_if_closed(job)

    def cancel(self, job: Job, error: BaseException) -> None:
        """Drop what is still queued of a job."""
        with self._lock:
            units = self._waiting.pop(job, ())
            self._admit()
        for unit in units:
            unit.dropped(error)

    def fail(self, group: Hashable, error: BaseException) -> None:
        """Drop all that is queued of a group, and whatever of it comes later."""
        with self._lock:
            self._failed.setdefault(group, error)
            gone = [unit for job in list(self._waiting) if job.group == group for unit in self._waiting.pop(job)]
            gone += [unit for job, unit in self._returning if job.group == group]
            self._returning = deque(pair for pair in self._returning if pair[0].group != group)
            self._admit()
        for unit in gone:
            unit.dropped(error)

    def close(self, error: BaseException) -> None:
        """Drop all that is queued, and whatever comes later."""
        with self._lock:
            self._closed = self._closed or error
            gone = [unit for units in self._waiting.values() for unit in units]
            gone += [unit for _, unit in self._returning]
            self._waiting.clear()
            self._returning.clear()
        for unit in gone:
            unit.dropped(error)

    def succeeded(self) -> None:
        """A request was answered well."""
        with self._lock:
            self._concurrency.succeeded()

    def throttled(self, round_: int) -> None:
        """A request that was started in that round was answered with SlowDown."""
        with self._lock:
            self._concurrency.throttled(round_)

    @property
    def round(self) -> int:
        """``Concurrency.round`` as it is now."""
        return self._concurrency.round

    def _wait(self, job: Job, size: int, returning: bool) -> None:
        gate = threading.Lock()
        refused: list[BaseException] = []

        def dropped(error: BaseException) -> None:
            refused.append(error)
            gate.release()

        with self._lock:
            self._raise_if_closed(job)
            if self._fits(size) and job.fits(size) and (returning or not self._waiting):
                self._take(job, size)
                return
            gate.acquire()
            unit = _Unit(size, gate.release, dropped)
            if returning:
                self._returning.append((job, unit))
            else:
                self._append(job, unit)
        gate.acquire()
        if refused:
            raise copy.copy(refused[0])

    def _raise_if_closed(self, job: Job) -> None:
        if error := self._closed or self._failed.get(job.group):
            raise copy.copy(error)

    def _append(self, job: Job, unit: _Unit) -> None:
        self._waiting.setdefault(job, deque()).append(unit)
        self._admit()

    def _fits(self, size: int) -> bool:
        room = not size or not self._bytes or self._bytes + size <= self._budget
        return room and self._running < self._concurrency.limit

    def _take(self, job: Job, size: int) -> None:
        self._running += 1
        self._bytes += size
        job.bytes += size

    def _admit(self) -> None:
        while self._returning and self._fits(0):
            job, unit = self._returning.popleft()
            self._take(job, 0)
            unit.admitted()
        while found := next(((job, units) for job, units in self._waiting.items() if job.fits(units[0].size)), None):
            job, units = found
            if not self._fits(units[0].size):
                return
            unit = units.popleft()
            if units:
                self._waiting.move_to_end(job)
            else:
                del self._waiting[job]
            self._take(job, unit.size)
            unit.admitted()
