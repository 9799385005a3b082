"""The socket to the caller, as a host has it: it never waits, and grows as far as the caller is behind."""

from __future__ import annotations

import os
import socket
from collections import deque

from mediactl.api.messages import Begun, FromHost, ToHost, frames_to_host
from mediactl.core.outbox import send
from mediactl.pool.messages import frame

CHUNK = 1 << 16


class Connection:
    """One end of it. ``closed`` once the caller, a process with id ``parent``, has closed its end or is gone."""

    def __init__(self, peer: socket.socket, parent: int) -> None:
        self.peer = peer
        self.closed = False
        self._parent = parent
        self._frames = frames_to_host()
        self._arrived: deque[ToHost] = deque()
        self._unsent = bytearray()

    def begun(self) -> Begun | None:
        """Wait for the first message and return it; None: there is none."""
        self.peer.setblocking(True)
        while not self._arrived and not self.closed:
            self._take(self.peer.recv(CHUNK))
        self.peer.setblocking(False)
        first = self._arrived.popleft() if self._arrived else None
        return first if isinstance(first, Begun) else None

    def received(self) -> list[ToHost]:
        """Return what has arrived since the last call."""
        try:
            while not self.closed:
                self._take(self.peer.recv(CHUNK))
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        # A process that was forked from the caller may have its end, too, and outlive it.
        self.closed = self.closed or os.getppid() != self._parent
        found = list(self._arrived)
        self._arrived.clear()
        return found

    def send(self, message: FromHost) -> None:
        """Send a message, or queue what does not fit for ``flush``."""
        self._unsent += frame(message)
        self.flush()

    def flush(self) -> None:
        """Send what is queued, as far as that is possible now."""
        try:
            while self._unsent and (sent := send(self.peer, bytes(self._unsent[:CHUNK]))):
                del self._unsent[:sent]
        except OSError:
            self.closed = True
            self._unsent.clear()

    def close(self) -> None:
        """Send the rest, waiting for the caller, and close it."""
        self.peer.setblocking(True)
        try:
            self.peer.sendall(self._unsent)
        except OSError:
            pass
        self.peer.close()

    def _take(self, data: bytes) -> None:
        self.closed = not data
        self._arrived.extend(self._frames.feed(data))
