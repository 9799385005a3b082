"""Serves the number of machines that are wanted over HTTP: as JSON for KEDA's metrics-api scaler, and as a metric."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from mediactl.core.errors import MediactlError, UsageError

KEPT = 5.0
"""Seconds for which an answer is good: autoscalers ask every 15 or 30 s, and a large journal takes a second to read."""
PATIENCE = 10.0
"""Seconds that a client may take to send its request."""

Read = Callable[[], Mapping[str, Any]]
"""Returns the fields of the answer; "wanted" is one of them. Raises MediactlError."""


class Answers:
    """The figures of the moment, read for many requests at once."""

    def __init__(self, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = -KEPT
        self._kept: Mapping[str, Any] = {}

    def get(self) -> Mapping[str, Any]:
        """Return them. Raises MediactlError where the journal cannot be read: an old answer would be a wrong one."""
        with self._lock:
            if self._clock() - self._read_at >= KEPT:
                self._kept, self._read_at = self._read(), self._clock()
            return self._kept


def serve(host: str, port: int, read: Read, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; ``announce`` gets the URL. Raises UsageError where it cannot listen."""
    answers = Answers(read)
    try:
        server = _Server((host, port), lambda *arguments: _Handler(answers, *arguments))
    except OSError as error:
        raise UsageError(f"--listen {host}:{port}: {error.strerror}") from None
    with server:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        announce(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        server.serve_forever(poll_interval=0.2)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        import socket

        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE

    def __init__(self, answers: Answers, *arguments: Any) -> None:
        self._answers = answers
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.partition("?")[0]
        if path not in ("/", "/metrics"):
            self._answer(HTTPStatus.NOT_FOUND, {"error": "paths: / and /metrics"})
            return
        try:
            found = self._answers.get()
        except MediactlError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})
            return
        if path == "/":
            self._answer(HTTPStatus.OK, found)
        else:
            self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, _metrics(found))

    def _answer(self, status: HTTPStatus, fields: Mapping[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(fields).encode() + b"\n")

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests come every few seconds, for as long as it serves."""


def _metrics(fields: Mapping[str, Any]) -> bytes:
    registry = CollectorRegistry()
    Gauge("mediactl_machines_wanted", "Machines that the work of the journal requires.", registry=registry).set(
        fields["wanted"]
    )
    return generate_latest(registry)
