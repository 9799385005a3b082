"""The worker processes of a machine for the jobs of one run: a supervisor in a thread, fed by deliveries."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress

from mediactl.engines.messages import Advanced, Begun, Outcome, Overran, RemoteJob
from mediactl.engines.reporter import Reporter
from mediactl.model.events import PauseCause
from mediactl.model.jobs import HEAVY, QUICK
from mediactl.model.verdict import Verdict
from mediactl.pipeline.workers import EXECUTE, PRELOADED
from mediactl.pool.contract import Assignment, Ended, IntakeStep, Noting, Room, Stopped
from mediactl.pool.forkserver import ForkServer
from mediactl.pool.signals import Requests
from mediactl.pool.supervisor import Supervisor

PROGRESS_INTERVAL = 1.0
"""Seconds between two reports of a job's progress."""
STDERR = 2

_Mark = tuple[int, int]


class LocalPool:
    """Runs jobs, and reports how they end; also the queue of its supervisor, whose thread calls those methods."""

    def __init__(
        self,
        token: str,
        outcomes: str,
        reporter: Reporter,
        environment: Mapping[str, str],
        *,
        slots: int,
        memory: int,
        grace: float,
    ) -> None:
        """``memory`` is in bytes; ``grace``, in seconds, is what running jobs get once it is drained."""
        self._token = token
        self._outcomes = outcomes
        self._reporter = reporter
        self._environment = environment
        self._slots, self._memory, self._grace = slots, memory, grace
        self._lock = threading.Lock()
        self._inbox: list[Assignment] = []
        self._jobs: dict[_Mark, Future[None]] = {}
        self._closing = self._over = False
        self._progressed: dict[_Mark, float] = {}
        self._requests = Requests()
        self.wakeup: socket.socket | None
        self.wakeup, self._theirs = socket.socketpair()
        for end in (self.wakeup, self._theirs):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()
        self.used = time.monotonic()

    def submit(self, job: RemoteJob) -> Future[None] | None:
        """Run a job; the result is there once its outcome has reached the broker. None: this pool has ended.

        The result is an exception where the pool fails: the job is to be handed back.
        """
        assignment = Assignment(
            job=job.job, attempt=job.attempt, kind=job.kind, payload=job.payload.encode(), reuse=job.reuse,
            time_limit=job.time_limit, lane=QUICK if job.lane == QUICK else HEAVY, cores=job.cores,
            stall_limit=job.stall_limit, memory_limit=job.memory_limit, alone=job.alone, due=job.due,
            expected=job.expected, memory=job.memory,
        )  # fmt: skip
        mark = (job.job, job.attempt)
        with self._lock:
            if self._over:
                return None
            if mark in self._jobs:
                return self._jobs[mark]
            self.used = time.monotonic()
            ended = self._jobs[mark] = Future()
            self._inbox.append(assignment)
        self._reporter.note(self._outcomes, Begun(self._token, *mark))
        self._wake()
        return ended

    @property
    def over(self) -> bool:
        """Whether it takes no jobs any more."""
        return self._over

    @property
    def idle_since(self) -> float | None:
        """When it got its last job (``time.monotonic``); None: it has some."""
        with self._lock:
            return None if self._jobs else self.used

    def drain(self) -> None:
        """Take no more jobs, and give running ones their grace."""
        self._requests.stop()

    def close(self) -> None:
        """End once there are no jobs."""
        self._closing = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        with suppress(OSError):  # it is full, or the supervisor has ended
            self._theirs.send(b"\0")

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            with closing(ForkServer(PRELOADED, self._environment)) as forks:
                pool = Supervisor(
                    EXECUTE, self, workers=self._slots, token=self._token, environment=self._environment, log=STDERR,
                    grace=self._grace, memory=self._memory, forks=forks, signals=self._requests,
                )  # fmt: skip
                pool.run()
        except Exception as error:  # noqa: BLE001 - above all workers that do not start
            failure = error
        with self._lock:
            self._over = True
            left = list(self._jobs)
        for job, attempt in left:
            if failure is None:
                reason = "its machine stopped before it was done"
                self._report(Outcome(self._token, job, attempt, Verdict.INTERRUPTED, reason))
            else:
                self._jobs.pop((job, attempt)).set_exception(failure)

    def _report(self, outcome: Outcome) -> None:
        with self._lock:
            ended = self._jobs.pop((outcome.job, outcome.attempt), None)
        self._progressed.pop((outcome.job, outcome.attempt), None)
        if ended is not None:
            published = self._reporter.note(self._outcomes, outcome)
            published.add_done_callback(lambda _: ended.set_result(None))

    # -- the supervisor's queue ------------------------------------------------------------------------------------

    def exchange(
        self, ended: Sequence[Ended], room: Room, alone: bool, notes: Sequence[Noting] = ()
    ) -> list[Assignment]:
        """Report attempts that ended, and return jobs that there is room for."""
        for end in ended:
            assignment = end.assignment
            if end.verdict is Verdict.INTERRUPTED and not end.worker and not self._requests.count:
                with self._lock:
                    self._inbox.append(assignment)  # it waited behind a longer one
            else:
                self._report(
                    Outcome(
                        self._token,
                        assignment.job,
                        assignment.attempt,
                        end.verdict,
                        end.reason,
                        end.result,
                        end.usage,
                        end.worker,
                    )
                )
        free = dict(room.lanes)
        taken, left = [], []
        with self._lock:
            for assignment in sorted(self._inbox, key=lambda each: each.due):
                if free.get(assignment.lane, 0) > 0 and (alone or not assignment.alone):
                    free[assignment.lane] -= 1
                    taken.append(assignment)
                else:
                    left.append(assignment)
            self._inbox = left
        return taken

    def closed(self, lane: str, verdict: Verdict, reason: str) -> None:
        """No lane of these is closed."""

    def plan(self) -> IntakeStep:
        """Take note of deliveries."""
        with suppress(OSError):
            assert self.wakeup is not None
            while self.wakeup.recv(4096):
                pass
        if self._closing:
            return IntakeStep.DONE
        return IntakeStep.QUIET

    def complete(self) -> bool:
        """Return whether there are no jobs."""
        with self._lock:
            if self._jobs:
                return False
            self._over = True
            return True

    def progress(self, job: int, attempt: int, fraction: float, sent: int) -> None:
        """Report progress, once a second."""
        now = time.monotonic()
        if now - self._progressed.get((job, attempt), 0.0) >= PROGRESS_INTERVAL:
            self._progressed[job, attempt] = now
            self._reporter.note(self._outcomes, Advanced(self._token, job, attempt, fraction))

    def overran(self, job: int, attempt: int, seconds: float) -> None:
        """Report that a quick job takes long."""
        self._reporter.note(self._outcomes, Overran(self._token, job, attempt, seconds))

    def stopping(self, why: Stopped, signal: str | None, running: int, grace: float) -> None:
        """Whoever stops it has reported that."""

    def paused(self, cause: PauseCause, *, suspended: bool, until: float | None) -> None:
        """It is never paused."""

    def resumed(self) -> None:
        """It is never paused."""

    def suspending(self) -> None:
        """There is no display."""

    def tick(self, running: int) -> None:
        """There is no display."""
