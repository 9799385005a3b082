"""The event socket of a run, as the run serves it: events go out, requests come in, and no client is waited for.

It has no thread of its own: the supervisor's loop calls ``serve`` when its file descriptor is readable, and each event
that passes writes what can be written.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import msgspec

from mediactl.control.address import addressed, socket_file
from mediactl.core import system
from mediactl.core.outbox import Outbox, send
from mediactl.model.control import AnyRequest, Snapshot
from mediactl.model.events import (
    ControlAnswer,
    Event,
    EventsMissed,
    RunSnapshot,
    RunStarted,
    Suspending,
    Tick,
)

QUEUE = 1 << 20
"""Bytes that a client may be behind, about 4000 events; then it misses some."""
MOST_CLIENTS = 32
LONGEST_REQUEST = 1 << 16
"""Bytes of one request; a client that sends a longer one is disconnected."""
STALLED, MOST = 0.2, 5.0
"""Seconds in which a client takes nothing, at the end, after which it is disconnected, and that this takes at most."""
PAUSE = 0.01
"""Seconds between two attempts to write the rest."""

_decode = msgspec.json.Decoder(AnyRequest).decode


class Actions(Protocol):
    """What clients may ask for."""

    def snapshot(self) -> RunSnapshot:
        """Return how the run stands."""

    def carry_out(self, request: AnyRequest) -> ControlAnswer:
        """Do what is asked for."""


class Server:
    """Serves events to any number of clients, and lets them ask for something; does nothing until ``listen``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` returns seconds since 1970."""
        self._clock = clock
        self._selector = selectors.EpollSelector()
        self._listener: socket.socket | None = None
        self._path = ""
        self._clients: list[_Client] = []
        self._actions: Actions | None = None
        self._started: RunStarted | None = None

    def listen(self, state: str, run: str, actions: Actions) -> None:
        """Make the socket of a run, for its user alone. Raises OSError."""
        self._actions = actions
        self._path = socket_file(state, run)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        try:
            os.fchmod(listener.fileno(), 0o600)  # before it has a name: the file gets this mode
            with addressed(self._path) as address:
                listener.bind(address)
            listener.listen(MOST_CLIENTS)
        except OSError:
            listener.close()
            with suppress(OSError):
                os.unlink(self._path)
            raise
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, None)

    def fileno(self) -> int:
        """Return what is readable when ``serve`` has something to do."""
        return self._selector.fileno()

    def take(self, event: Event) -> None:
        """Send one event to every client, as far as that can be done at once."""
        if isinstance(event, RunStarted):
            self._started = event
        if not self._clients:
            return
        if isinstance(event, Tick | Suspending):  # once a turn of the loop: many events go out together
            for client in list(self._clients):
                if client.box and not client.events & selectors.EVENT_WRITE:  # else ``serve`` does, when it reads again
                    self._flush(client)
        else:
            make = _Line(event, self._clock()).made
            for client in self._clients:
                client.box.defer(make)

    def serve(self) -> None:
        """Accept clients, answer their requests, and go on writing to those that read again."""
        for key, events in self._selector.select(0):
            client: _Client | None = key.data
            if client is None:
                self._accept()
            elif events & selectors.EVENT_READ:
                self._read(client)
            else:
                self._flush(client)

    def stop_listening(self) -> None:
        """Remove the socket, and answer nothing more; those that are connected stay so until ``close``."""
        self._actions = None
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
            with suppress(OSError):
                os.unlink(self._path)

    def close(self) -> None:
        """Send every client the rest, unless it does not read, and disconnect."""
        self.stop_listening()
        end = time.monotonic() + MOST
        for client in self._clients:
            with suppress(OSError):
                client.box.finish(STALLED, end - time.monotonic(), partial(time.sleep, PAUSE))
            client.peer.close()
        self._clients.clear()
        self._selector.close()

    def line(self, event: Event) -> bytes:
        """Return an event as it is written, with the time."""
        return _line(event, self._clock())

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return  # it has gone, or there are too many open files
        if len(self._clients) >= MOST_CLIENTS or not _is_allowed(peer):
            peer.close()
            return
        peer.setblocking(False)
        client = _Client(peer, self._behind)
        self._clients.append(client)
        self._selector.register(peer, selectors.EVENT_READ, client)
        if self._started is not None:
            client.box.add(self.line(self._started))
        client.box.add(self._snapshot())
        self._flush(client)

    def _behind(self, missed: int) -> bytes:
        """Return what a client gets instead of the events that it missed."""
        return self.line(EventsMissed(missed=missed)) + self._snapshot()

    def _snapshot(self) -> bytes:
        return b"" if self._actions is None else self.line(self._actions.snapshot())

    def _read(self, client: _Client) -> None:
        try:
            requests = client.received()
        except (OSError, ValueError):
            self._disconnect(client)
            return
        for request in requests:
            client.box.add(self._answer(request))
        self._flush(client)

    def _answer(self, line: bytes) -> bytes:
        assert self._actions is not None
        try:
            request = _decode(line)
        except msgspec.DecodeError as error:
            return self.line(ControlAnswer(request="", done=False, reason=f"malformed request: {error}"))
        if isinstance(request, Snapshot):
            return self._snapshot()
        return self.line(self._actions.carry_out(request))

    def _flush(self, client: _Client) -> None:
        try:
            client.box.flush()
        except OSError:
            self._disconnect(client)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.box else 0)
        if events != client.events:
            client.events = events
            self._selector.modify(client.peer, events, client)

    def _disconnect(self, client: _Client) -> None:
        self._selector.unregister(client.peer)
        client.peer.close()
        self._clients.remove(client)


class _Client:
    """A connection: what was not sent yet, and the start of a request."""

    def __init__(self, peer: socket.socket, marker: Callable[[int], bytes]) -> None:
        self.peer = peer
        self.box = Outbox(partial(send, peer), QUEUE, marker)
        self.events = selectors.EVENT_READ
        """What is waited for."""
        self._request = bytearray()

    def received(self) -> list[bytes]:
        """Return the requests that are complete. Raises OSError or ValueError where there is to be no other."""
        with suppress(BlockingIOError):
            data = self.peer.recv(LONGEST_REQUEST)
            if not data:
                raise ConnectionResetError
            self._request += data
        *lines, rest = bytes(self._request).split(b"\n")
        if len(rest) > LONGEST_REQUEST:
            raise ValueError("the request is too long")
        self._request[:] = rest
        return lines


class _Line:
    """The line of an event, made once for all clients, when the first of them takes it."""

    __slots__ = ("_event", "_text", "_time")

    def __init__(self, event: Event, at: float) -> None:
        self._event, self._time, self._text = event, at, b""

    def made(self) -> bytes:
        """Return it."""
        if not self._text:
            self._text = _line(self._event, self._time)
        return self._text


def _line(event: Event, now: float) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(event, time=round(now, 3))) + b"\n"


def _is_allowed(peer: socket.socket) -> bool:
    """Return whether a client is of this process's user, or root's."""
    return system.peer_user(peer) in (0, os.geteuid())
