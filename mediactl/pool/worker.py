"""A worker process: reads jobs from its pipe, runs them one after the other, answers each.

Started with the arguments CALL FD TOKEN PARENT (see ``process``); CALL is "module:function", or "module:class" of which
one object, a context, is called for all jobs. Nothing is shared with the supervisor or other workers but the pipe. It
ends when the pipe does.
"""

from __future__ import annotations

import importlib
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import msgspec

from mediactl.core import machine
from mediactl.core.errors import ExitCode
from mediactl.core.processes import die_with, gain_no_privileges
from mediactl.core.verdicts import judge as judge
from mediactl.core.verdicts import noted, notes_of
from mediactl.model.assets import Reuse
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict
from mediactl.pool.clock import LivedClock
from mediactl.pool.messages import Answer, Hello, Progress, Recall, Run, frame, frames_to_worker

Call = Callable[[str, bytes, tuple[Reuse, ...], bytes, Callable[[float], None]], Any]
"""(kind, payload, reuse, token, report) -> a value that msgpack can hold."""

EARLY = 0.05
"""Seconds before its end at which a job's time is up: timers and clocks agree to less than that."""
PROGRESS_INTERVAL = 0.1
"""Seconds between two progress messages."""


def main(arguments: list[str]) -> None:
    """Serve the pipe until it closes. Exits with 75 where the machine is too short of anything to begin."""
    call_name, fd, token, parent = arguments
    settle_in(int(parent))
    with socket.socket(fileno=int(fd)) as pipe:
        try:
            found = named(call_name)
            with found() if isinstance(found, type) else nullcontext(found) as call:
                serve(pipe, call, token.encode())
        except Exception as error:
            if not (machine.trouble(error) or machine.shortage()):
                raise
            traceback.print_exception(error)
            sys.exit(ExitCode.STOPPED_EARLY)


def settle_in(parent: int) -> None:
    """Die with the supervisor, however it dies, and leave it the signals that terminals and systemd send to all.

    A closed pipe alone would not be noticed in the middle of a job.
    """
    if not die_with(parent)():
        sys.exit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump holds sources, and credentials of the network lane
    gain_no_privileges()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def named(call: str) -> Any:
    """Return the object named by "module:name"."""
    module, _, name = call.partition(":")
    return getattr(importlib.import_module(module), name)


def serve(pipe: socket.socket, call: Call, token: bytes) -> None:
    """Answer every job until the other end closes; of those queued, the one that is due first runs first."""
    inbox = Inbox(pipe)
    clock = LivedClock()
    alarm = Alarm(clock)
    encode = msgspec.msgpack.Encoder().encode
    with clock.pulse():
        pipe.sendall(frame(Hello()))
        run = inbox.wait()
        while run is not None:
            answer = _do(run, call, token, pipe, encode, alarm)
            following = inbox.next()
            if following is not None:
                answer = msgspec.structs.replace(answer, next=following.job)
            pipe.sendall(frame(answer))
            run = following or inbox.wait()


class Inbox:
    """Jobs that arrived and have not begun."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._frames = frames_to_worker()
        self._runs: list[Run] = []

    def wait(self) -> Run | None:
        """Return the first job to arrive, as the supervisor expects while nothing runs; None: the pipe is closed."""
        while not self._runs:
            data = self._pipe.recv(1 << 20)
            if not data:
                return None
            self._take(data)
        return self._runs.pop(0)

    def next(self) -> Run | None:
        """Return the job that is due first of those that have arrived; None when there are none."""
        try:
            if data := self._pipe.recv(1 << 20, socket.MSG_DONTWAIT):
                self._take(data)
        except BlockingIOError:
            pass
        if not self._runs:
            return None
        first = min(range(len(self._runs)), key=lambda number: self._runs[number].due)
        return self._runs.pop(first)

    def _take(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            if isinstance(message, Run):
                self._runs.append(message)
            elif isinstance(message, Recall):
                self._runs = [run for run in self._runs if run.job not in message.jobs]


class TimeUp(BaseException):
    """A job's time is up. Not an Exception, so that no fallback of a job takes it for a damaged file."""


class Alarm:
    """Raises TimeUp in the main thread after a job's time. Code that never returns to Python is not reached by it:
    for that, the supervisor kills."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """While ``clock`` stands still, a job's time does, too."""
        self.clock = clock
        self._end = 0.0
        self._armed = self._held = self._rang = False
        signal.signal(signal.SIGALRM, self._ring)

    def arm(self, seconds: float) -> None:
        """Begin to count."""
        self._armed, self._rang = True, False
        self._end = self.clock() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def disarm(self) -> None:
        """The job has ended."""
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def send(self, pipe: socket.socket, data: bytes) -> None:
        """Send all of a frame before time can be up: half a frame would be a protocol violation."""
        self._held = True
        pipe.sendall(data)
        self._held = False
        if self._rang:
            raise TimeUp

    def _ring(self, _number: int, _frame: object) -> None:
        left = self._end - self.clock()
        if self._armed and left > EARLY:  # the timer went on while this process was stopped
            signal.setitimer(signal.ITIMER_REAL, left)
        elif self._armed and self._held:
            self._rang = True
        elif self._armed:
            self._armed = False
            raise TimeUp


def _do(
    run: Run, call: Call, token: bytes, pipe: socket.socket, encode: Callable[[Any], bytes], alarm: Alarm
) -> Answer:
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            alarm.send(pipe, frame(Progress(run.job, run.attempt, fraction)))

    started, cpu = time.perf_counter(), _cpu() + cost_of(call)[0]
    verdict, reason, result = Verdict.DONE, "", b""
    try:
        try:
            alarm.arm(run.time_limit)
            result = encode(call(run.kind, run.payload, run.reuse, token, report))
        finally:
            alarm.disarm()
    except TimeUp:
        verdict, reason = Verdict.TIMED_OUT, f"took longer than its limit of {run.time_limit:.0f} s"
    except Exception as error:  # noqa: BLE001 - whatever a job raises is its verdict, never the worker's end
        verdict, reason = judge(error)
        if notes := notes_of(error):
            sys.stderr.write(noted(run.job, run.attempt, notes))
    elsewhere, peak = cost_of(call)
    cpu = _cpu() + elsewhere - cpu
    usage = Usage(time.perf_counter() - started, cpu, max(peak, peak_memory()))
    return Answer(run.job, run.attempt, verdict, reason, result, usage)


def cost_of(call: Call) -> tuple[float, int]:
    """Return CPU seconds and peak memory in bytes of a process that a call keeps for its jobs, if it has one."""
    cost: Callable[[], tuple[float, int]] = getattr(call, "cost", lambda: (0.0, 0))
    return cost()


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_memory() -> int:
    """Return the peak memory in bytes, of this process or its largest child so far."""
    # Linux counts in KiB: getrusage(2).
    return 1024 * max(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    )
