"""Signals that ask the supervisor to stop: counted, and passed to its loop through a socket."""

from __future__ import annotations

import signal
import socket
import sys
from types import TracebackType


class StopSignals:
    """Counts SIGINT and SIGTERM (and SIGHUP, at a terminal) while it is entered; ``wakeup`` is readable after each."""

    def __init__(self) -> None:
        self.count = 0
        self.wakeup, self._theirs = socket.socketpair()
        for end in (self.wakeup, self._theirs):
            end.setblocking(False)

    def __enter__(self) -> StopSignals:
        self._old_fd = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        handled = [signal.SIGINT, signal.SIGTERM]
        if sys.stdin is not None and sys.stdin.isatty() and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            handled.append(signal.SIGHUP)  # its terminal is gone: drain
        self._old = {number: signal.signal(number, self._count) for number in handled}
        if signal.SIGHUP not in self._old:  # detached: ignored
            self._old[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
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

    def _count(self, _number: int, _frame: object) -> None:
        self.count += 1
