"""One worker process as the supervisor sees it: its pipe, and the jobs that were sent down it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from mediactl.core.processes import dies_with_this_process
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment
from mediactl.pool.forkserver import Forked, ForkServer
from mediactl.pool.messages import Answer, Drain, FromWorker, Noted, Recall, Run, frame, frames_from_worker

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = "import sys; sys.path.append(sys.argv[1]); from mediactl.pool.{} import main; main(sys.argv[2:])"
"""With -P, not -m: modules must not be imported from the current folder, which may hold untrusted files."""


HELD_UP = 0.25
"""Seconds that a quick job may delay those behind it in the pipe; then they are recalled."""
START_LIMIT = 120.0
"""Seconds that a worker may take to start: many times what imports take from a cold disk on a busy machine."""
LAST_WORDS = 0.5
"""Seconds from the end of a worker's pipe to its own, at most."""
HARD_EXTRA = 2.0
"""Seconds that a worker gets, once a job's time is up, to end the job by itself; then it is killed."""


class Worker:
    """A live worker process. The first assignment in ``sent`` is the one that it runs."""

    def __init__(
        self,
        call: str,
        token: str,
        environment: Mapping[str, str],
        log: int,
        options: str | None = None,
        forks: ForkServer | None = None,
    ) -> None:
        """``options``, where given, makes it a ``network_worker``: one that does many jobs at once.

        It is forked by ``forks``, which has its environment, where that is given and can be used.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            forked = None if forks is None else forks.fork(call, token, theirs.fileno(), log)
        if forked is None:
            # With a pipe of its own: a forked worker whose answer was lost must not read from it.
            ours.close()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with theirs:
                started = _started(call, token, environment, theirs.fileno(), log, options)
        self._process: Forked | subprocess.Popen[bytes] = forked or started
        ours.setblocking(False)
        self.pipe = ours
        self.pid = self._process.pid
        self.sent: deque[Assignment] = deque()
        self._last_due: float | None = None
        self.started = 0.0
        """Monotonic time at which the first of ``sent`` began."""
        self.greeted = False
        """Whether it has sent Hello."""
        self.verdict: tuple[Verdict, str] | None = None
        """How the job ends that it is killed for."""
        self._recalled: dict[int, Assignment] = {}
        self.lane = "quick"
        self.depth = 1
        """How many jobs may be in its pipe, given those that are."""
        self.done = 0
        self.worn = False
        """Whether it is to be replaced when it is idle."""
        self.tainted = False
        """Whether a job was cut short in it."""
        self._suspended = 0.0
        """Seconds for which the first of ``sent`` was suspended."""
        self.advanced = 0.0
        """Monotonic time of the last sign of progress of the first of ``sent``."""
        self._frames = frames_from_worker()
        self._torn = False
        self._unsent = bytearray()

    def queue(self, assignment: Assignment) -> None:
        """Queue a job for it; ``flush`` sends what is queued."""
        self.sent.append(assignment)
        if self._last_due is not None:
            self._last_due = max(self._last_due, assignment.due)
        self._unsent += frame(
            Run(
                assignment.job,
                assignment.attempt,
                assignment.kind,
                assignment.payload,
                assignment.reuse,
                assignment.due,
                assignment.time_limit,
                assignment.state,
            )
        )

    def send(self, message: Noted | Drain) -> None:
        """Queue a message; ``flush`` sends it."""
        self._unsent += frame(message)

    @property
    def last_due(self) -> float:
        """Return when the last of its jobs is due; kept, for it is asked for each job that is handed out."""
        if self._last_due is None:
            self._last_due = max(assignment.due for assignment in self.sent)
        return self._last_due

    def working_on(self, job: int) -> Assignment | None:
        """Return the assignment of a job that it was sent."""
        return next((assignment for assignment in self.sent if assignment.job == job), None)

    def recall(self) -> list[Assignment]:
        """Take back all but the job that it runs; ``flush`` sends the request.

        One of them may have begun at this moment. Its answer is ignored.
        """
        back = list(self.sent)[1:]
        if back:
            self._recalled.update((assignment.job, assignment) for assignment in back)
            self._unsent += frame(Recall(tuple(assignment.job for assignment in back)))
            first = self.sent[0]
            self.sent.clear()
            self.sent.append(first)
            self._last_due = None
        return back

    def answered(self, answer: Answer) -> Assignment:
        """Return the assignment that an answer belongs to, and put the one that it runs next first.

        Raises ValueError for an answer to a job that it was never sent.
        """
        found = self._pick(answer.job)
        if found is None:
            raise ValueError(f"an answer to job {answer.job}, which it was not sent")
        if answer.next and (begun := self._pick(answer.next)) is not None:
            self.sent.appendleft(begun)
        if not self.sent:
            self._recalled.clear()
        return found

    def _pick(self, job: int) -> Assignment | None:
        for number, assignment in enumerate(self.sent):
            if assignment.job == job:
                del self.sent[number]
                self._last_due = None
                return assignment
        return self._recalled.pop(job, None)

    def held_up(self, now: float) -> bool:
        """Return whether its job takes longer than those behind it should wait."""
        return bool(self.sent) and self.greeted and now - self.started > HELD_UP

    def flush(self) -> bool:
        """Write what the pipe takes; return whether something is left."""
        while self._unsent:
            try:
                del self._unsent[: self.pipe.send(self._unsent)]
            except BlockingIOError:
                return True
            except OSError:  # it is gone; the next read finds out
                self._unsent.clear()
        return False

    def receive(self) -> list[FromWorker] | None:
        """Return the messages that have arrived; None when the worker is gone."""
        messages: list[FromWorker] = []
        if self._torn:
            return None
        try:
            while data := self.pipe.recv(1 << 18):
                messages.extend(self._frames.feed(data))
        except BlockingIOError:
            return messages
        except ValueError:
            self._torn = True  # protocol violation: nothing after it is trusted
            self.kill()
        except OSError:
            pass  # a reset: gone, like a clean end of the stream
        return messages or None  # what came before the end counts; the next call finds the end alone

    def stuck(self, now: float) -> bool:
        """Return whether it has work and did not even start."""
        return bool(self.sent) and not self.greeted and now - self.started > START_LIMIT

    def exceeded(self, now: float) -> str:
        """Return which limit of time its job has exceeded, for a person; "" if none.

        It has not ended though its time was up a while ago, or it reports progress and has reported none for too long.
        """
        if not self.sent or self.verdict is not None or not self.greeted:
            return ""
        limit, stall_limit = self.sent[0].time_limit, self.sent[0].stall_limit
        if now - self.started > limit + HARD_EXTRA:
            return f"took longer than its limit of {limit:.0f} s, and had to be killed {HARD_EXTRA:.0f} s later"
        if stall_limit is not None and now - self.advanced > stall_limit:
            return f"made no progress for {now - self.advanced:.0f} s"
        return ""

    def skip(self, seconds: float) -> None:
        """Take note that it was suspended for so long: that counts against no limit of its job."""
        self.started += seconds
        self.advanced += seconds
        if self.sent and self.greeted:
            self._suspended += seconds

    def without_suspension(self, usage: Usage) -> Usage:
        """Return the usage of the job that it has answered without the time for which it was suspended."""
        skipped, self._suspended = self._suspended, 0.0
        return msgspec.structs.replace(usage, wall=max(0.0, usage.wall - skipped)) if skipped else usage

    def processes(self) -> list[int]:
        """Return the process ids of the worker and what it started."""
        import psutil  # here and below, since a run without jobs does not need it

        return [pid for pid in psutil.pids() if self._is_ours(pid)]

    def memory(self, processes: Iterable[int]) -> int:
        """Return the bytes that these processes use; 0 when one is gone."""
        import psutil

        try:
            return sum(psutil.Process(pid).memory_info().rss for pid in processes)
        except (psutil.Error, OSError):  # OSError: no file can be opened; then it is not weighed this time
            return 0

    def _is_ours(self, pid: int) -> bool:
        """Return whether a process is of this worker's group: cheap, while asking each for its parent takes 20 us."""
        try:
            return os.getpgid(pid) == self.pid
        except OSError:
            return False

    def kill_for(self, verdict: Verdict, reason: str) -> None:
        """Kill it, and have its job end with this verdict."""
        self.verdict = (verdict, reason)
        self.kill()

    def kill(self) -> None:
        """SIGKILL its whole process group."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole process group, which its children belong to."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            self._process.send_signal(number)

    def bury(self, patience: float = 0.0) -> str:
        """Reap a worker that is gone, kill its children, and return how it died; one that ends by itself gets up to
        ``patience`` seconds for it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()
        code = self._process.wait()
        self.pipe.close()
        if code >= 0:
            return f"its worker exited with status {code}"
        try:
            return f"its worker was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"its worker was killed by signal {-code}"

    def close(self, timeout: float) -> None:
        """Let an idle worker end by itself, by closing its pipe, and kill it after ``timeout`` seconds.

        What its jobs have left behind is killed in any case.
        """
        if not self.tainted:
            self.pipe.close()
        self.bury(0.0 if self.tainted else timeout)


def _started(
    call: str, token: str, environment: Mapping[str, str], pipe: int, log: int, options: str | None
) -> subprocess.Popen[bytes]:
    boot = _BOOT.format("worker" if options is None else "network_worker")
    more = [] if options is None else [options]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", boot, _HERE, call, str(pipe), token, str(os.getpid()), *more],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(pipe,),
        env=dict(environment),
        start_new_session=True,  # its own process group: it is killed together with its ffmpeg
        preexec_fn=dies_with_this_process(),
    )


_INHERITED = frozenset({"PATH", "TMPDIR", "TZ", "MEDIACTL_FFMPEG"})
_INHERITED_GROUPS = (
    "PYTHON",
    "LD_",
    "LC_",
    "LANG",
    "VIPS_",
    "G_",
    "GLIBC_",
    "MALLOC_",
    "FONTCONFIG_",
    "OMP_",
    "LIBVA_",
)
"""What decides how Python and native libraries start; ffmpeg is given less (``media.ffmpeg.binary``)."""


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what workers inherit of the parent's variables: no credentials, no home directory, nothing unknown.

    Native libraries are kept to one thread each.
    """
    kept = {
        name: value for name, value in environment.items() if name in _INHERITED or name.startswith(_INHERITED_GROUPS)
    }
    return {**kept, "VIPS_CONCURRENCY": "1", "PYTHONUNBUFFERED": "1"}


def network_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the worker of the network lane inherits: all of it, credentials, proxies and certificates included.

    It decodes nothing.
    """
    return {**environment, "PYTHONUNBUFFERED": "1"}
