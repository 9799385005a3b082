"""The event socket of a run, as a client uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from mediactl.control.address import addressed, runs_with_sockets, socket_file
from mediactl.core.errors import ExitCode, MediactlError, UsageError
from mediactl.core.files import shown
from mediactl.model.control import AnyRequest
from mediactl.model.events import AnyEvent, ControlAnswer, Event

CONNECTING = 5.0
"""Seconds until a run has to have accepted."""
ANSWERING = 30.0
"""Seconds until it has to have answered: it may be in the middle of a commit on a slow disk."""

_decode: msgspec.json.Decoder[Event] = msgspec.json.Decoder(AnyEvent)


class Unanswered(MediactlError):
    """A run did not answer, or ended before it did."""

    exit_code = ExitCode.STOPPED_EARLY


class Connection:
    """A connection to a run; events arrive in it from the first on, answers among them."""

    def __init__(self, run: str, peer: socket.socket) -> None:
        self.run = run
        self._peer = peer
        self._unread = bytearray()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()

    def fileno(self) -> int:
        """Return what is readable when ``arrived`` has something to return."""
        return self._peer.fileno()

    def send(self, request: AnyRequest) -> None:
        """Send a request; its answer arrives among the events. Raises Unanswered where the run has ended."""
        try:
            self._peer.sendall(msgspec.json.encode(request) + b"\n")
        except OSError:
            raise self._ended() from None

    def ask(self, request: AnyRequest) -> ControlAnswer:
        """Return the answer to a request, dropping the events before it. Raises Unanswered."""
        self.send(request)
        self._peer.settimeout(ANSWERING)
        try:
            for line in self.lines():
                event = event_of(line)
                if isinstance(event, ControlAnswer):
                    return event
        except TimeoutError:
            raise Unanswered(f"run {self.run[:8]}: no answer within {ANSWERING:.0f} s") from None
        raise self._ended()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the events until the run has ended."""
        while (arrived := self.arrived()) is not None:
            yield from arrived

    def arrived(self) -> list[bytes] | None:
        """Wait for lines and return them; None: the run has ended."""
        data = b""
        with suppress(ConnectionResetError):
            data = self._peer.recv(1 << 16)
        if not data:
            return None
        *lines, rest = bytes(self._unread + data).split(b"\n")
        self._unread[:] = rest
        return lines

    def _ended(self) -> Unanswered:
        return Unanswered(f"run {self.run[:8]}: it has ended")


def event_of(line: bytes) -> Event | None:
    """Return the event in a line; None: it is of another version, which has other events."""
    try:
        return _decode.decode(line)
    except msgspec.DecodeError:
        return None


def connect(state: str, run: str | None) -> Connection:
    """Connect to the run with this id (its first digits), or to the only one. Raises UsageError."""
    found = active(state, run)
    if len(found) > 1:
        names = ", ".join(each.run[:8] for each in found)
        for each in found:
            each.__exit__()
        raise UsageError(f"{len(found)} runs are active: {names}; name one with --run")
    if not found:
        raise UsageError(no_run(state, run))
    return found[0]


def active(state: str, run: str | None = None) -> list[Connection]:
    """Return connections to all active runs, or those whose id begins so, the last one first. Raises UsageError."""
    found = []
    try:
        for name in runs_with_sockets(state):
            if name.startswith(run or "") and (peer := _connected(socket_file(state, name))) is not None:
                found.append(Connection(name, peer))
    except PermissionError:
        for each in found:
            each.__exit__()
        raise UsageError(f"runs in {shown(state)}: permission denied; only their user and root may ask them") from None
    return found


def no_run(state: str, run: str | None) -> str:
    """Return that no run was found, for a person."""
    which = "no run is active" if run is None else f"--run {shown(run)}: no such run is active"
    return f"{which} in {shown(state)}; `mediactl status` shows what is pending"


def _connected(path: str) -> socket.socket | None:
    """Return a connection to a socket; None: its run is dead. Raises PermissionError."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(CONNECTING)
    try:
        with addressed(path) as address:
            peer.connect(address)
    except PermissionError:
        peer.close()
        raise
    except OSError:
        peer.close()
        return None
    peer.settimeout(None)
    return peer
