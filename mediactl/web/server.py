"""The server: a port of 127.0.0.1, and the link that opens the dashboard."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from mediactl.core.errors import UsageError
from mediactl.web.access import ENTRY, Tokens
from mediactl.web.app import Dashboard
from mediactl.web.outputs import Output

HOST = "127.0.0.1"
GRACE = 3
"""Seconds that connections get to end."""
CONNECTIONS = 200
"""At once; each page that is open has one for events."""


def serve(found: Sequence[Output], port: int, *, actions: bool, announce: Callable[[str], None]) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM; ``announce`` gets each link that opens it, once.

    Port 0: any that is free. Raises UsageError where the port cannot be had.
    """
    with _listening(port) as listening:
        port = listening.getsockname()[1]

        def announce_token(token: str) -> None:
            with suppress(OSError):  # nobody reads it
                announce(f"http://{HOST}:{port}{ENTRY}?token={token}")

        tokens = Tokens(announce_token)
        dashboard = Dashboard(found, actions=actions, is_ending=lambda: server.should_exit)
        server = _Server(
            uvicorn.Config(
                dashboard.app(port, tokens), http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None,
                log_level="error", access_log=False, server_header=False, proxy_headers=False,
                limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=GRACE,
            )
        )  # fmt: skip
        announce_token(tokens.token)
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends with signals, without raising them again once it has ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have SIGINT and SIGTERM end the server."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, the second time at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen(64)
        except OSError as error:
            hint = "; use another --port, or 0 for any that is free" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(f"--port {port}: {os.strerror(error.errno or 0)}{hint}") from None
        yield listening
