"""Receivers of notifications and of statsd's packets, on 127.0.0.1."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Received(NamedTuple):
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """An HTTP server that keeps what it gets, and answers with these statuses, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[Received] = []
        self.hangs = threading.Event()
        """Cleared once answers are given; set: requests are left without."""
        self._statuses = list(statuses)
        self._goes_on = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Received(self.path, headers, body))
                if receiver.hangs.is_set():
                    receiver._goes_on.wait(60)
                    return
                self.send_response(receiver._statuses.pop(0) if receiver._statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        """Stop, and let go who is left without an answer."""
        self._goes_on.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def receiver(*statuses: int) -> Iterator[Receiver]:
    """A receiver that runs."""
    found = Receiver(*statuses)
    threading.Thread(target=found.server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield found
    finally:
        found.close()
