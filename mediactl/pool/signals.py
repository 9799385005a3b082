"""Signals to the supervisor, passed to its loop through a socket: those that ask it to stop are counted."""

from __future__ import annotations

import os
import signal
import socket
import sys
from types import TracebackType


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
