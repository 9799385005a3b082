"""A sandboxed process: forked from a worker before that has threads, confined for life, asked one thing at a time."""

from __future__ import annotations

import os
import resource
import signal
import socket
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn

from mediactl.core.processes import die_with
from mediactl.core.sandbox.channel import Channel

Serve = Callable[[Channel], None]
"""Answers what comes through the channel, until it is closed. It imports what decodes: confined, too."""


class SandboxedProcess:
    """Its parent's view of it."""

    def __init__(self, serve: Serve, confine: Callable[[], None]) -> None:
        """``confine`` is called in it before ``serve``. Raises OSError where no process can be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        tie = die_with(os.getpid())
        with theirs, warnings.catch_warnings():
            # Once a job was cut short, its successor is forked beside the pulse of the worker's clock: that thread
            # holds no lock which is needed there.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
            if self.pid == 0:
                _be(theirs, tie, serve, confine)
        self.channel = Channel(ours)

    def kill(self) -> int:
        """Kill and reap it; return its wait status."""
        os.kill(self.pid, signal.SIGKILL)
        return self.reaped()

    def reaped(self) -> int:
        """Wait for its end, which counts its resources as this process's children's; return its wait status."""
        self.channel.close()
        return os.waitpid(self.pid, 0)[1]


def end_like(status: int) -> NoReturn:
    """End this process as its child ended, so that whoever watches this one finds the same cause."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(max(code, 1))


def _be(end: socket.socket, tie: Callable[[], bool], serve: Serve, confine: Callable[[], None]) -> NoReturn:
    """Be the sandboxed process: nothing of the parent is open in it but its end of the channel, and the log."""
    code = 1
    try:
        if tie():
            os.closerange(3, end.fileno())
            os.closerange(end.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
            confine()
            serve(Channel(end))
            code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's frames must not see it
        traceback.print_exc()
    finally:
        os._exit(code)
