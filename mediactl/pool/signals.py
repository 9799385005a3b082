"""Signals to the supervisor, passed to its loop through a socket: those that ask it to stop are counted."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from types import TracebackType
from typing import Protocol


class Stops(Protocol):
    """How a supervisor is asked to stop. It is entered for as long as the supervisor runs."""

    @property
    def count(self) -> int:
        """How often it was asked: from the second time on, running jobs are ended at once."""

    @property
    def first(self) -> str | None:
        """Name of the first signal, if there was one."""

    @property
    def to_suspend(self) -> bool:
        """Whether this process is to be stopped until it is continued."""

    @property
    def wakeup(self) -> socket.socket:
        """Readable after each request."""

    def drain(self) -> None:
        """Make ``wakeup`` unreadable until the next request."""

    def suspend(self) -> None:
        """Stop this process until it is continued."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Requests:
    """Requests of other threads, for a supervisor that does not run in the main thread, which has the signals."""

    first: str | None = None
    to_suspend = False

    def __init__(self) -> None:
        self.count = 0
        self.wakeup, self._theirs = socket.socketpair()

    def stop(self) -> None:
        """Ask to stop; the second time, at once."""
        self.count += 1
        with suppress(OSError):  # it has ended
            self._theirs.send(b"\0")

    def drain(self) -> None:
        """Make ``wakeup`` unreadable until the next request."""
        self.wakeup.recv(64)

    def suspend(self) -> None:
        """Do nothing: the process is stopped as a whole, by whoever has its signals."""

    def __enter__(self) -> Requests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wakeup.close()
        self._theirs.close()


class Signals:
    """Takes signals while it is entered; ``wakeup`` is readable after each.

    ``count`` is the number of SIGINT and SIGTERM (and SIGHUP, at a terminal), ``first`` the name of the first of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: str | None = None
        self.to_suspend = False
        """Whether SIGTSTP (Ctrl-Z) asks for this process to be stopped."""
        self.wakeup, self._theirs = socket.socketpair()
        for end in (self.wakeup, self._theirs):
            end.setblocking(False)

    def __enter__(self) -> Signals:
        self._old_fd = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        handled = [signal.SIGINT, signal.SIGTERM]
        if sys.stdin is not None and sys.stdin.isatty() and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            handled.append(signal.SIGHUP)  # its terminal is gone: drain
        self._old = {number: signal.signal(number, self._count) for number in handled}
        if signal.SIGHUP not in self._old:  # detached: ignored
            self._old[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:  # else: started by a shell without job control
            self._old[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._ask_to_suspend)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self.wakeup.close()
        self._theirs.close()

    def drain(self) -> None:
        """Make ``wakeup`` unreadable until the next signal."""
        self.wakeup.recv(64)

    def suspend(self) -> None:
        """Stop this process, as SIGTSTP does by itself, until it is continued."""
        self.to_suspend = False
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)

    def _count(self, number: int, _frame: object) -> None:
        self.first = self.first or signal.Signals(number).name
        self.count += 1

    def _ask_to_suspend(self, _number: int, _frame: object) -> None:
        self.to_suspend = True
