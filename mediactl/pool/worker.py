"""A worker process: reads jobs from its pipe, does them one after the other, answers each.

Started with the arguments CALL FD TOKEN PARENT (see ``process``); CALL is "module:function". Nothing is shared with
the supervisor or other workers but the pipe. It ends when the pipe does.
"""

from __future__ import annotations

import errno
import importlib
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from mediactl.errors import MachineBlocked, MediactlError, RejectedInput, SourceChanged
from mediactl.model import Reuse, Usage, Verdict
from mediactl.pool.messages import Answer, Frames, Hello, Progress, Run, decode_run, frame

Call = Callable[[str, bytes, tuple[Reuse, ...], bytes, Callable[[float], None]], Any]
"""(kind, payload, reuse, token, report) -> a value that msgpack can hold."""

BLOCKING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors of writing that every other job would meet too."""
PROGRESS_INTERVAL = 0.1
"""Seconds between two progress messages."""


def main(arguments: list[str]) -> None:
    """Serve the pipe until it closes."""
    call_name, fd, token, parent = arguments
    _die_with(int(parent))
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # terminals and systemd send them to all: the supervisor's to heed
        signal.signal(number, signal.SIG_IGN)
    module, _, function = call_name.partition(":")
    call: Call = getattr(importlib.import_module(module), function)
    with socket.socket(fileno=int(fd)) as pipe:
        serve(pipe, call, token.encode())


def serve(pipe: socket.socket, call: Call, token: bytes) -> None:
    """Answer every job that arrives, in order, until the other end closes."""
    frames = Frames()
    encode = msgspec.msgpack.Encoder().encode
    pipe.sendall(frame(Hello()))
    while data := pipe.recv(1 << 20):
        for body in frames.feed(data):
            pipe.sendall(frame(_do(decode_run(body), call, token, pipe, encode)))


def _do(run: Run, call: Call, token: bytes, pipe: socket.socket, encode: Callable[[Any], bytes]) -> Answer:
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            pipe.sendall(frame(Progress(run.job, run.attempt, fraction)))

    started, cpu = time.perf_counter(), _cpu()
    verdict, reason, result = Verdict.DONE, "", b""
    try:
        result = encode(call(run.kind, run.payload, run.reuse, token, report))
    except Exception as error:  # noqa: BLE001 - whatever a job raises is its verdict, never the worker's end
        verdict, reason = judge(error)
    usage = Usage(time.perf_counter() - started, _cpu() - cpu, _peak())
    return Answer(run.job, run.attempt, verdict, reason, result, usage)


def judge(error: Exception) -> tuple[Verdict, str]:
    """What an exception means for the job, and the one line that says so."""
    if isinstance(error, RejectedInput):
        return Verdict.REJECTED, str(error)
    if isinstance(error, SourceChanged):
        return Verdict.CHANGED, str(error)
    if isinstance(error, MachineBlocked):
        return Verdict.BLOCKED, str(error)
    if isinstance(error, OSError) and error.errno in BLOCKING:
        return (
            Verdict.BLOCKED,
            f"cannot write outputs: {error.strerror}; free some space or fix permissions, then run again",
        )
    if isinstance(error, MediactlError):
        return Verdict.FAILED, str(error)
    traceback.print_exception(error)  # into the run's log: a fault of ours, or of a library
    if isinstance(error, MemoryError):
        return Verdict.FAILED, "out of memory"
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return Verdict.FAILED, f"{type(error).__name__}: {text} ({os.path.basename(where.filename)}:{where.lineno})"


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak() -> int:
    # Linux counts in KiB: getrusage(2).
    return 1024 * max(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    )


def _die_with(parent: int) -> None:
    """Be killed when the supervisor dies, however it dies; a closed pipe alone is not seen in the middle of a job."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1  # linux/prctl.h
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)  # it died before we asked
