"""One worker process as the supervisor sees it: its pipe, and the jobs that were sent down it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping

import msgspec

from mediactl.model import Reuse, Verdict
from mediactl.pool.messages import Frames, FromWorker, Run, decode_from_worker, frame

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = "import sys; sys.path.append(sys.argv[1]); from mediactl.pool.worker import main; main(sys.argv[2:])"
"""With -P, not -m: the current folder is full of strangers' files and must not be imported from."""


class Assignment(msgspec.Struct, frozen=True):
    """A job for the pool: opaque but for what scheduling needs."""

    job: int
    attempt: int
    kind: str
    payload: bytes
    reuse: tuple[Reuse, ...]
    time_limit: float
    """Seconds of wall time after which the worker is killed."""
    lane: str = "quick"
    cores: int = 1
    stall_limit: float | None = None
    """Seconds without progress after which the worker is killed; None: it tells no progress."""
    memory_limit: int | None = None
    """Bytes of the worker and its children together, above which it is killed."""
    alone: bool = False
    """Runs while nothing else does."""


class Worker:
    """A live worker process. The first assignment in ``sent`` is the one that it works on."""

    def __init__(self, call: str, token: str, environment: Mapping[str, str], log: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, _HERE, call, str(theirs.fileno()), token, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                env=dict(environment),
                start_new_session=True,  # its own process group: it is killed together with its ffmpeg
            )
        ours.setblocking(False)
        self.pipe = ours
        self.pid = self._process.pid
        self.sent: deque[Assignment] = deque()
        self.started = 0.0
        """Monotonic time at which the first of ``sent`` began."""
        self.greeted = False
        """Whether it has said that it is ready."""
        self.verdict: tuple[Verdict, str] | None = None
        """What the job becomes that it is killed for."""
        self.last_kind: str | None = None
        self.lane = "quick"
        self.done = 0
        self.worn = False
        """Whether it is to be replaced when it is idle."""
        self.advanced = 0.0
        """Monotonic time of the last sign of progress of the first of ``sent``."""
        self._frames = Frames()
        self._torn = False
        self._unsent = bytearray()

    def queue(self, assignment: Assignment) -> None:
        """Put a job in line for it; ``flush`` sends what is in line."""
        self.sent.append(assignment)
        run = Run(assignment.job, assignment.attempt, assignment.kind, assignment.payload, assignment.reuse)
        self._unsent += frame(run)

    def flush(self) -> bool:
        """Write what the pipe takes; tell whether something is left."""
        while self._unsent:
            try:
                del self._unsent[: self.pipe.send(self._unsent)]
            except BlockingIOError:
                return True
            except OSError:  # it is gone; reading from it will say so
                self._unsent.clear()
        return False

    def receive(self) -> list[FromWorker] | None:
        """Messages that have arrived; None when the worker is gone."""
        messages: list[FromWorker] = []
        if self._torn:
            return None
        try:
            while data := self.pipe.recv(1 << 18):
                messages.extend(decode_from_worker(body) for body in self._frames.feed(data))
        except BlockingIOError:
            return messages
        except ValueError:
            self._torn = True  # nothing that it says from here on is believed
            self.kill()
        except OSError:
            pass  # a reset: gone, like a clean end of the stream
        return messages or None  # what came before the end counts; the next call finds the end alone

    def stalled(self, now: float) -> bool:
        """Whether its job, one that tells progress, has told none for longer than it may."""
        limit = self.sent[0].stall_limit if self.sent and self.verdict is None else None
        return limit is not None and now - self.advanced > limit

    def memory(self) -> int:
        """Bytes in use by the worker and what it started; 0 when it is gone."""
        import psutil  # here, for a run that finds nothing to do has no use for it

        try:
            return sum(psutil.Process(pid).memory_info().rss for pid in psutil.pids() if self._is_ours(pid))
        except psutil.Error:
            return 0

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is of this worker's group: cheap, where to ask each for its parent takes 20 us."""
        try:
            return os.getpgid(pid) == self.pid
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL its whole process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._process.kill()

    def bury(self) -> str:
        """Wait for the end of a worker that is gone, take its children along, and say how it died."""
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
        """Let an idle worker end by itself, by the end of its pipe; kill it after ``timeout`` seconds."""
        self.pipe.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
