"""Lines for a reader that may be slow, or read nothing at all: whoever writes them never waits for it."""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable

from mediactl.core import system

_NO_SIGNAL = system.socket_flag("MSG_NOSIGNAL")
"""Without the flag Python ignores SIGPIPE all the same."""
CHUNK = 4096
"""Bytes written at once to what may be full: a pipe that polls as writable takes a page without blocking (pipe(7))."""
ASSUMED = 256
"""Bytes that a line counts for that was not made yet: about what an event takes, in memory as on the wire."""

Write = Callable[[bytes], int]
"""Writes what it can without waiting, and returns how many bytes that was. Raises OSError where nobody reads."""
Make = Callable[[], bytes]
"""Makes a line."""


class Outbox:
    """Keeps up to ``limit`` bytes of lines that could not be written yet.

    Lines beyond that are dropped and counted; once half of the room is free, ``marker`` makes the line that says how
    many. The last of them is kept: it may be the last one of all.
    """

    def __init__(self, write: Write, limit: int, marker: Callable[[int], bytes]) -> None:
        self._write = write
        self._limit = limit
        self._marker = marker
        self._unsent = bytearray()
        self._lines: deque[tuple[Make, int]] = deque()
        """What comes after that, with the bytes that it counts for."""
        self._counted = 0
        """Bytes of ``_lines``."""
        self._missed = 0
        self._last: Make = bytes
        """Makes the last line that was dropped."""

    def __bool__(self) -> bool:
        """Return whether something is left to be written."""
        return bool(self._unsent or self._lines or self._missed)

    def __len__(self) -> int:
        """Return how many bytes that counts for, without what was dropped."""
        return len(self._unsent) + self._counted

    def add(self, line: bytes) -> None:
        """Queue a line; ``flush`` writes it."""
        self.defer(lambda: line, len(line))

    def defer(self, make: Make, size: int = ASSUMED) -> None:
        """Queue a line that is made only when it can be written: for a reader that takes nothing, none is."""
        if self._missed or (self and len(self) + size > self._limit):
            self._missed += 1
            self._last = make
        else:
            self._lines.append((make, size))
            self._counted += size

    def flush(self) -> int:
        """Write what can be written now; return the number of bytes. Raises OSError where nobody reads."""
        written = 0
        while True:
            self._fill()
            if not self._unsent:
                return written
            try:
                number = self._write(bytes(self._unsent[:CHUNK]))
            except OSError:
                self._forget()  # nobody is going to read it
                raise
            if not number:
                return written
            del self._unsent[:number]
            written += number

    def finish(
        self, stalled: float, most: float, wait: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Write the rest, with the last line in any case; give up after so many seconds in which the reader takes
        nothing, and after ``most`` of them. ``wait`` returns after a moment, or when more can be written."""
        if self._missed:
            self._go_on()
        begun = last = clock()
        while True:
            if self.flush():
                last = clock()
            now = clock()
            if not self or now - last >= stalled or now - begun >= most:
                return
            wait()

    def _fill(self) -> None:
        """Make the lines that are written next."""
        if self._missed and len(self) <= self._limit // 2:
            self._go_on()
        while self._lines and len(self._unsent) < CHUNK:
            make, size = self._lines.popleft()
            self._counted -= size
            self._unsent += make()

    def _go_on(self) -> None:
        missed, last = self._missed, self._last
        self._missed, self._last = 0, bytes
        if missed > 1:
            self._queue(self._marker(missed - 1))  # made now: it may say how things stand at this time
        self._queue(last())

    def _queue(self, line: bytes) -> None:
        self._lines.append((lambda: line, len(line)))
        self._counted += len(line)

    def _forget(self) -> None:
        self._unsent.clear()
        self._lines.clear()
        self._counted, self._missed = 0, 0


def writer(fd: int) -> Write:
    """Return what writes to a file without waiting for a reader, whatever it is: pipe, terminal, socket or file.

    Its flags are left alone, for other processes may share them (O_NONBLOCK would be theirs, too).
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        peer = socket.socket(fileno=os.dup(fd))
        return lambda data: send(peer, data)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return lambda data: os.write(fd, data) if poll.poll(0) else 0
    return lambda data: os.write(fd, data)


def send(peer: socket.socket, data: bytes) -> int:
    """Send what a socket takes without waiting; return the number of bytes."""
    try:
        return peer.send(data, socket.MSG_DONTWAIT | _NO_SIGNAL)
    except BlockingIOError:
        return 0
