"""Messages and descriptors between a worker and its sandboxed process, over a pair of Unix sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence

from mediactl.core import system

_CLOSE_ON_EXEC = system.socket_flag("MSG_CMSG_CLOEXEC")
_LENGTH = struct.Struct("!I")
MOST = 64 << 20
"""Bytes of a message; a longer one is a protocol violation."""
MOST_FDS = 4


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = bytearray()

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._end.fileno()

    def send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Send a message, with copies of open descriptors. Raises Closed."""
        data = _LENGTH.pack(len(message)) + message
        try:
            sent = socket.send_fds(self._end, [data], fds) if fds else self._end.send(data)
            if sent < len(data):
                self._end.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def receive(self) -> bytes:
        """Return the next message; without descriptors that came with it. Raises Closed, for malformed ones too."""
        return self._message(self._end.recv)

    def receive_with_fds(self) -> tuple[bytes, list[int]]:
        """Return the next message, and the descriptors that came with it. Raises Closed."""
        found: list[int] = []

        def read(most: int) -> bytes:
            data, fds, _flags, _address = socket.recv_fds(self._end, most, MOST_FDS, _CLOSE_ON_EXEC)
            found.extend(fds)
            return data

        return self._message(read), found

    def _message(self, read: Callable[[int], bytes]) -> bytes:
        self._fill(read, _LENGTH.size)
        end = _LENGTH.size + _LENGTH.unpack_from(self._rest)[0]
        if end > MOST:
            raise Closed
        self._fill(read, end)
        message = bytes(self._rest[_LENGTH.size : end])
        del self._rest[:end]
        return message

    def _fill(self, read: Callable[[int], bytes], length: int) -> None:
        while len(self._rest) < length:
            try:
                data = read(max(1 << 16, min(length - len(self._rest), 1 << 20)))
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed
            self._rest += data

    def close(self) -> None:
        """Close this end."""
        self._end.close()
