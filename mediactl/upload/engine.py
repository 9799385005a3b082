"""The engine of a worker process: sends requests of many uploads at once, in turn, with retries and within limits.

A small object is sent by its own job's thread (one wait in the queue, no other thread); the parts of a large one by
threads of the engine, while its job's thread saves what they did.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterable
from typing import Generic, TypeVar

import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from mediactl.core.errors import Interrupted
from mediactl.upload.fair_queue import FairQueue, Job
from mediactl.upload.multipart.parts import MIB
from mediactl.upload.store import Expired, Refused, Throttled, Unavailable, Unreachable
from mediactl.upload.throttle import Bandwidth, Concurrency

T = TypeVar("T")

FIRST_PATIENCE = 20.0
"""Seconds of waiting for a store that never answered: a wrong address is more likely than a lost network."""
PROBE_CAP = 30.0
"""Seconds between two checks of the network, at most."""
IDLE = 10.0
"""Seconds after which a thread without work ends."""


class Stopped(Interrupted):
    """The engine was asked to stop; what was saved is resumed by the next run."""


class Tuning(msgspec.Struct, frozen=True):
    """Retries, concurrency and limits."""

    concurrency: int = 16
    """Requests in flight, at most."""
    budget: int = 64 * MIB
    """Bytes of bodies in memory."""
    bandwidth: float | None = None
    """Bytes a second; None: as fast as it goes."""
    attempts: int = 10
    """Of one request. With the base and cap below they span 55 s on average, 110 s at most."""
    base: float = 0.5
    cap: float = 20.0
    """Seconds: attempt n waits a random time up to min(cap, base * 2**n) (full jitter)."""
    patience: float = 600.0
    """Seconds that a request waits for a network that is gone."""


class Engine:
    """One a process. ``clock`` counts seconds, ``dice`` is uniform in [0, 1), ``sleep`` is for tests: without it a
    sleep ends at once when the engine is stopped."""

    def __init__(
        self,
        tuning: Tuning,
        *,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.tuning = tuning
        self.clock = clock
        self.dice = dice
        self.queue = FairQueue(Concurrency(tuning.concurrency), tuning.budget)
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
        self.bandwidth = Bandwidth(tuning.bandwidth, clock, self.sleep) if tuning.bandwidth else None
        self._threads = _Threads()
        self.answered = False
        """Whether the store ever answered, be it with an error."""

    def job(self, group: Hashable, room: int | None = None) -> Job:
        """Return a new job; those of one group end together when their bucket rejects one. ``room``: as of ``Job``."""
        return Job(group, room)

    def turn(self, job: Job, size: int = 0) -> Turn:
        """Return a slot for one request, for ``with``; ``size``: bytes of body that it holds in memory.

        Raises Stopped, or the Refused or Expired that ended the job's group, when the block is entered.
        """
        return Turn(self, job, size)

    def gather(self, job: Job, units: Iterable[tuple[int, Callable[[Turn], T]]]) -> Generator[list[T], None, None]:
        """Run (bytes of body, function) units in other threads, each in its turn; their results, some at a time.

        When one raises, those queued are dropped, the results of those in flight still come, then the first error
        is raised. No unit runs any more when this ends, however it ends.
        """
        answers: queue.SimpleQueue[_Answer[T]] = queue.SimpleQueue()
        waiting = 0
        for size, work in units:
            waiting += 1
            unit = _Unit(Turn(self, job, size), work, answers)
            self.queue.submit(job, size, lambda unit=unit: self._threads.run(unit), unit.dropped)  # type: ignore[misc]
        failed: BaseException | None = None
        try:
            while waiting:
                got = [answers.get()]
                while not answers.empty():
                    got.append(answers.get())
                waiting -= len(got)
                errors = [answer.error for answer in got if answer.error is not None]
                if errors and failed is None:
                    failed = errors[0]
                    self.queue.cancel(job, failed)
                if results := [answer.result for answer in got if answer.error is None]:
                    yield results  # type: ignore[misc]
        finally:
            if waiting:
                self.queue.cancel(job, Stopped("its upload has ended"))
                for _ in range(waiting):
                    answers.get()
        if failed is not None:
            raise failed

    def stop(self) -> None:
        """Begin no more requests: those queued, asleep or to come raise Stopped; requests in flight continue."""
        self.queue.close(Stopped("stopped; run again to resume"))
        self._stopping.set()

    def backoff(self, attempt: int) -> float:
        """Return the seconds to wait after so many attempts (full jitter)."""
        return self.dice() * min(self.tuning.cap, self.tuning.base * 2.0 ** min(attempt, 16))

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises Stopped."""
        self._sleep(seconds)
        if self._stopping.is_set():
            raise Stopped("stopped; run again to resume")


class Turn:
    """The right to have one request in flight, and the retries of what is sent in it."""

    def __init__(self, engine: Engine, job: Job, size: int) -> None:
        self._engine = engine
        self._job = job
        self._size = size
        self._slot = True

    def __enter__(self) -> Turn:
        self._engine.queue.enter(self._job, self._size)
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.queue.release(self._job, self._size, self._slot)

    def call(self, request: Callable[[], T], body: int = 0, fatal: bool = True, most: int | None = None) -> T:
        """Return the answer to a request, tried as often as the tuning says; ``body``: bytes that it sends.

        With ``most``, so many attempts are made, be the store unavailable or unreachable.

        Unavailable is tried again after a pause; Unreachable is waited for and costs no attempt; SlowDown halves the
        concurrency of all. Refused and Expired end everything of the job's group; unless ``fatal``, they are the
        caller's alone. Raises StoreError, Stopped.
        """
        tries = _Tries(self._engine, most)
        try:
            return self._once(request, body, fatal, tries)
        except Unavailable:  # most requests succeed at once: tenacity's 30 us are a tenth of a small object's cost
            if tries.stop():
                raise
        self._rest(tries.wait())
        retrying = Retrying(
            stop=tries.stop,
            wait=tries.wait,
            retry=retry_if_exception_type(Unavailable),
            sleep=self._rest,
            reraise=True,
        )
        answer: T = retrying(self._once, request, body, fatal, tries)
        return answer

    def pause(self, attempt: int) -> None:
        """Rest as before the retry after so many attempts. Raises Stopped."""
        self._rest(self._engine.backoff(attempt))

    def _once(self, request: Callable[[], T], body: int, fatal: bool, tries: _Tries) -> T:
        fair = self._engine.queue
        fair.check(self._job)
        if body and self._engine.bandwidth is not None:
            self._engine.bandwidth.take(body)
        round_ = fair.round
        try:
            answer = request()
        except Unreachable:
            tries.unreachable()
            raise
        except Unavailable as error:
            self._engine.answered = True
            tries.failed()
            if isinstance(error, Throttled):
                fair.throttled(round_)
            raise
        except (Refused, Expired) as error:
            if fatal:
                fair.fail(self._job.group, error)
            raise
        self._engine.answered = True
        fair.succeeded()
        return answer

    def _rest(self, seconds: float) -> None:
        """Sleep without the slot, so that others send meanwhile; the body stays in memory, and in the budget."""
        fair = self._engine.queue
        self._slot = False
        fair.release(self._job, 0)
        self._engine.sleep(seconds)
        fair.come_back(self._job)
        self._slot = True


class _Tries:
    """The attempts at one request: those that count, and since when the network is gone."""

    def __init__(self, engine: Engine, most: int | None = None) -> None:
        self._engine = engine
        self._most = most
        self._count = 0
        self._gone_since: float | None = None
        self._probes = 0

    def unreachable(self) -> None:
        if self._gone_since is None:
            self._gone_since, self._probes = self._engine.clock(), 0
        self._probes += 1

    def failed(self) -> None:
        self._gone_since = None
        self._count += 1

    def stop(self, _: RetryCallState | None = None) -> bool:
        tuning = self._engine.tuning
        if self._most is not None and self._count + self._probes >= self._most:
            return True
        if self._gone_since is not None:
            patience = tuning.patience if self._engine.answered else min(tuning.patience, FIRST_PATIENCE)
            return self._engine.clock() - self._gone_since >= patience
        return self._count >= tuning.attempts

    def wait(self, _: RetryCallState | None = None) -> float:
        if self._gone_since is not None:  # never zero: these are not bounded in number
            longest = min(PROBE_CAP, self._engine.tuning.base * 2.0 ** min(self._probes, 16))
            return longest * (0.5 + self._engine.dice() / 2)
        return self._engine.backoff(self._count)


class _Answer(Generic[T]):
    __slots__ = ("error", "result")

    def __init__(self, result: T | None, error: BaseException | None) -> None:
        self.result = result
        self.error = error


class _Unit(Generic[T]):
    """One piece of a job's work, run in a turn that was admitted already."""

    def __init__(self, turn: Turn, work: Callable[[Turn], T], answers: queue.SimpleQueue[_Answer[T]]) -> None:
        self._turn = turn
        self._work = work
        self._answers = answers

    def __call__(self) -> None:
        try:
            answer = _Answer(self._work(self._turn), None)
        except BaseException as error:  # noqa: BLE001 - it is raised in the job's own thread
            answer = _Answer(None, error)
        self._turn.__exit__()
        self._answers.put(answer)

    def dropped(self, error: BaseException) -> None:
        self._answers.put(_Answer(None, error))


class _Threads:
    """Daemon threads that run what they are given; as many as were ever busy at once. Daemons, because a socket that
    hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Unit[object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, unit: _Unit[object]) -> None:
        """Have a free thread run it, or a new one."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._serve, name="upload", daemon=True).start()
        self._queue.put(unit)

    def _serve(self) -> None:
        while True:
            try:
                unit = self._queue.get(timeout=IDLE)
            except queue.Empty:
                with self._lock:
                    if self._idle:  # else one that is free was promised, and it is this one
                        self._idle -= 1
                        return
            else:
                unit()
                with self._lock:
                    self._idle += 1
