"""The loop over the workers: hands out jobs, gathers answers, keeps limits, stops in order.

It knows no journal. A ``Backlog`` settles and claims for it, both in one call, so that one transaction can hold them.
"""

from __future__ import annotations

import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from types import MappingProxyType
from typing import Protocol

import msgspec

from mediactl.errors import MediactlError
from mediactl.model import Usage, Verdict
from mediactl.pool.crew import Crew
from mediactl.pool.messages import Answer, Progress
from mediactl.pool.process import Assignment, Worker

TICK = 0.1
"""Seconds between two looks at timers and the display, at the most."""
IDLE_TICK = 0.5
"""Seconds between two looks for work while there is none: retries, jobs of runs that died."""
SLICE = 0.005
"""Seconds of planning between two looks at the pipes."""
MAX_STARTS = 3
"""Workers that may die one after the other before they said hello; then something is wrong with the installation."""
WEIGHING_INTERVAL = 0.25
"""Seconds between two looks at the memory of workers: a runaway decoder takes about 1 GB in that time."""
CLOSE_TIMEOUT = 2.0
"""Seconds that an idle worker gets to end by itself."""


class Ended(msgspec.Struct, frozen=True):
    """An attempt that ended, however it did."""

    assignment: Assignment
    verdict: Verdict
    reason: str
    result: bytes = b""
    usage: Usage = Usage()
    worker: int = 0
    """Process id; 0: it never reached one."""


class Backlog(Protocol):
    """Where jobs come from and go to."""

    def exchange(self, ended: Sequence[Ended], room: Mapping[str, int], alone: bool) -> Sequence[Assignment]:
        """Settle attempts and take jobs, so many a lane; on disk when it returns. ``alone``: nothing runs now."""

    def plan(self) -> bool:
        """Do a small piece of planning; True while there is more."""

    def complete(self) -> bool:
        """Asked when nothing is to be had: True ends the run, False asks again after a while."""

    def progress(self, job: int, fraction: float) -> None:
        """A running job is so far along."""

    def overran(self, job: int, seconds: float) -> None:
        """A job of the quick lane runs for so long already."""

    def tick(self, running: int) -> None:
        """Called several times a second."""


class Stopped(Enum):
    """Why the loop ended."""

    COMPLETE = "complete"
    ASKED = "asked to stop"
    LEAVE = "this machine is to be left"
    TIME_UP = "the time of --max-duration is up"
    BLOCKED = "blocked"


class Supervisor:
    """Runs the jobs of a backlog in worker processes.

    ``call`` names the workers' function ("module:function"); ``token`` marks their temporary files; ``log`` is a file
    descriptor for whatever they print. ``grace`` and ``max_duration`` are seconds. ``lane_limits`` caps the jobs of
    a lane that run at once; ``leave``, asked many times a second, tells that the machine is to be left.
    """

    def __init__(
        self,
        call: str,
        backlog: Backlog,
        *,
        workers: int,
        token: str,
        environment: Mapping[str, str],
        log: int,
        grace: float = 25.0,
        max_duration: float | None = None,
        lane_limits: Mapping[str, int] = MappingProxyType({}),
        leave: Callable[[], bool] = lambda: False,
    ) -> None:
        self._call = call
        self._backlog = backlog
        self._leave = leave
        self._token = token
        self._environment = environment
        self._log = log
        self._grace = grace
        self._end = None if max_duration is None else time.monotonic() + max_duration
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(workers, self._start, lane_limits)
        self._ended: list[Ended] = []
        self._failed_starts = 0
        self._planning = True
        self._signals = 0
        self._stopping: Stopped | None = None
        self._deadline = 0.0
        self._next_weighing = 0.0
        self.blocked_by = ""

    def run(self) -> Stopped:
        """Work until the backlog is complete, or until asked to stop, and say which.

        The first SIGINT or SIGTERM claims nothing more and lets running jobs finish for ``grace`` seconds; the second
        ends them at once. What did not finish is given back as interrupted. No worker is left when this returns.
        """
        next_look = 0.0
        with self._signal_handlers() as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            try:
                while True:
                    if self._planning and not self._stopping:
                        self._plan()
                    room = {} if self._stopping else self._crew.room()
                    if self._ended or (any(room.values()) and time.monotonic() >= next_look):
                        taken = self._exchange(room)
                        # With nothing to take, ask again after a while, or at once after the next answer.
                        next_look = 0.0 if taken or self._ended else time.monotonic() + IDLE_TICK
                    if self._planning:
                        next_look = 0.0
                    self._hand_out()
                    busy = self._crew.busy()
                    if not busy and not self._ended and not any(self._crew.waiting.values()):
                        if self._stopping:
                            return self._stopping
                        if next_look and not self._planning and self._backlog.complete():
                            return Stopped.COMPLETE
                    self._wait(wakeup, 0.0 if self._planning and not self._stopping else TICK)
                    self._watch_the_clock()
                    self._backlog.tick(busy)
            finally:
                self._close()

    # -- one turn of the loop --------------------------------------------------------------------------------------

    def _plan(self) -> None:
        until = time.monotonic() + SLICE
        while self._planning and time.monotonic() < until:
            self._planning = self._backlog.plan()

    def _exchange(self, room: Mapping[str, int]) -> int:
        ended, self._ended = self._ended, []
        for end in ended:
            if end.verdict is Verdict.BLOCKED:
                self.blocked_by = end.reason
                self._stop(Stopped.BLOCKED)
        room = {} if self._stopping else room
        alone = not self._crew.busy() and not any(self._crew.waiting.values())
        taken = self._backlog.exchange(ended, room, alone)
        self._crew.add(taken)
        return len(taken)

    def _wait(self, wakeup: socket.socket, timeout: float) -> None:
        for key, events in self._selector.select(timeout):
            if key.fileobj is wakeup:
                wakeup.recv(64)
                continue
            worker: Worker = key.data
            if events & selectors.EVENT_WRITE and not worker.flush():
                self._selector.modify(worker.pipe, selectors.EVENT_READ, worker)
            if events & selectors.EVENT_READ:
                self._read(worker)

    def _read(self, worker: Worker) -> None:
        messages = worker.receive()
        if messages is None:
            self._lost(worker)
            return
        for message in messages:
            if isinstance(message, Answer):
                self._answered(worker, message)
            elif isinstance(message, Progress):
                # Whatever it says: a film that is longer than its header told stays at the same fraction.
                worker.advanced = time.monotonic()
                self._backlog.progress(message.job, message.fraction)
            else:
                self._failed_starts, worker.greeted = 0, True
                worker.started = worker.advanced = time.monotonic()  # its own start is none of the job's time

    def _answered(self, worker: Worker, answer: Answer) -> None:
        assignment = worker.sent.popleft()  # answers come in the order of the jobs
        if worker.verdict is not None:  # it was killed, but had answered: that verdict was not for the next job
            worker.verdict = (Verdict.INTERRUPTED, "its worker was killed")
        worker.started = worker.advanced = time.monotonic()
        self._crew.answered(worker, assignment, answer.usage.wall, answer.usage.peak_memory)
        self._ended.append(Ended(assignment, answer.verdict, answer.reason, answer.result, answer.usage, worker.pid))

    def _lost(self, worker: Worker) -> None:
        """A worker died: its first job is to blame, if anything is; those behind it only waited."""
        self._selector.unregister(worker.pipe)
        del self._crew.workers[worker.pipe]
        how = worker.bury()
        if not worker.greeted and worker.verdict is None:
            self._failed_starts += 1
            if self._failed_starts >= MAX_STARTS:
                raise MediactlError(f"workers cannot start: {how}; see the newest log in the journal's folder")
        for number, assignment in enumerate(worker.sent):
            usage = Usage(wall=time.monotonic() - worker.started) if number == 0 else Usage()
            if number == 0 and worker.verdict is not None:
                self._ended.append(Ended(assignment, *worker.verdict, usage=usage, worker=worker.pid))
            elif number == 0 and worker.greeted:
                self._ended.append(Ended(assignment, Verdict.CRASHED, how, usage=usage, worker=worker.pid))
            else:
                self._ended.append(Ended(assignment, Verdict.INTERRUPTED, "its worker died before it began"))

    def _watch_the_clock(self) -> None:
        now = time.monotonic()
        if self._signals and self._stopping is None:
            self._stop(Stopped.ASKED)
        elif self._end is not None and now >= self._end and self._stopping is None:
            self._stop(Stopped.TIME_UP)
        elif self._stopping is None and self._leave():
            self._stop(Stopped.LEAVE)
        if self._stopping and (self._signals > 1 or now >= self._deadline):
            for worker in self._crew.workers.values():
                if worker.sent and worker.verdict is None:
                    worker.verdict = (Verdict.INTERRUPTED, "stopped before it was done")
                    worker.kill()
        for worker in self._crew.workers.values():
            if worker.sent and worker.verdict is None and now - worker.started > worker.sent[0].time_limit:
                limit = worker.sent[0].time_limit
                worker.verdict = (Verdict.TIMED_OUT, f"took longer than its limit of {limit:.0f} s")
                worker.kill()
            elif worker.stalled(now):
                worker.verdict = (Verdict.TIMED_OUT, f"made no progress for {now - worker.advanced:.0f} s")
                worker.kill()
        if now >= self._next_weighing:
            self._next_weighing = now + WEIGHING_INTERVAL
            self._weigh()
        for assignment, seconds in self._crew.overrunning(now):
            self._backlog.overran(assignment.job, seconds)
        for worker in self._crew.spare():
            self._selector.unregister(worker.pipe)
            del self._crew.workers[worker.pipe]
            worker.close(CLOSE_TIMEOUT)

    def _weigh(self) -> None:
        for worker in self._crew.workers.values():
            limit = worker.sent[0].memory_limit if worker.sent and worker.verdict is None else None
            if limit is not None and (used := worker.memory()) > limit:
                text = f"took {used >> 20} MiB of memory, more than its limit of {limit >> 20} MiB"
                worker.verdict = (Verdict.CRASHED, text)
                worker.kill()

    # -- workers ---------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        if self._stopping:
            for queue in self._crew.waiting.values():
                self._ended.extend(
                    Ended(assignment, Verdict.INTERRUPTED, "stopped before it began") for assignment in queue
                )
                queue.clear()
        for worker in self._crew.hand_out(time.monotonic()):
            if worker.flush():
                self._selector.modify(worker.pipe, selectors.EVENT_READ | selectors.EVENT_WRITE, worker)

    def _start(self) -> Worker:
        worker = Worker(self._call, self._token, self._environment, self._log)
        self._selector.register(worker.pipe, selectors.EVENT_READ, worker)
        return worker

    # -- stopping --------------------------------------------------------------------------------------------------

    def _stop(self, why: Stopped) -> None:
        if self._stopping is None:
            self._stopping = why
            self._deadline = time.monotonic() + self._grace

    def _close(self) -> None:
        """Leave no worker behind. Busy ones (an error is on its way out) are killed, their jobs stay claimed by this
        run, whose lock is about to fall: the next run takes them."""
        for worker in self._crew.workers.values():
            if worker.sent:
                worker.kill()
                worker.bury()
        for worker in self._crew.workers.values():
            if not worker.sent:
                worker.close(CLOSE_TIMEOUT)
        self._crew.workers.clear()
        self._selector.close()

    @contextmanager
    def _signal_handlers(self) -> Iterator[socket.socket]:
        """Count SIGINT and SIGTERM (and SIGHUP, at a terminal), and wake the loop for them."""

        def count(_number: int, _frame: object) -> None:
            self._signals += 1

        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        old_fd = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        heard = [signal.SIGINT, signal.SIGTERM]
        if sys.stdin is not None and sys.stdin.isatty() and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            heard.append(signal.SIGHUP)  # the terminal that somebody watched is gone: stop in order
        old = {number: signal.signal(number, count) for number in heard}
        if signal.SIGHUP not in old:
            old[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # detached: it means nothing to us
        try:
            yield ours
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_fd)
            ours.close()
            theirs.close()


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What workers inherit: the parent's variables, with native libraries kept to one thread each."""
    return {**environment, "VIPS_CONCURRENCY": "1", "PYTHONUNBUFFERED": "1"}
