"""Metrics of a run for Prometheus: a file for the textfile collector of node_exporter, and an HTTP server.

prometheus_client is imported when it is used, by a thread of the file's own: it takes as long as a small run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mediactl.core.errors import MediactlError
from mediactl.core.faults import internal_error
from mediactl.core.files import shown
from mediactl.model.events import Event
from mediactl.model.figures import Build, Figures

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

INTERVAL = 15.0
"""Seconds between two writes of the file: the usual interval between two scrapes."""
SHARE = 50
"""Reading figures takes at most one part in so many of the time, however large the journal is."""


class TextFile:
    """Writes metrics to a file, whole or not at all, at intervals and at the end."""

    takes = ()

    def __init__(
        self, path: str, read: Callable[[], Figures], build: Callable[[], Build], interval: float = INTERVAL
    ) -> None:
        self.name = f"--metrics-textfile {shown(path)}"
        self.trouble = ""
        self._path = path
        self._read = read
        self._build = build
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def take(self, event: Event) -> None:
        """Nothing follows from single events."""

    def close(self, deadline: float) -> None:
        """Write for the last time."""
        self._ended.set()
        if self._thread.ident:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.is_set()
            began = time.monotonic()
            self._write()
            if not is_last:
                self._ended.wait(max(self._interval, SHARE * (time.monotonic() - began)))

    def _write(self) -> None:
        from prometheus_client import write_to_textfile

        from mediactl.monitor.openmetrics import registry

        try:
            write_to_textfile(self._path, registry(self._read, self._build()))
        except OSError as error:
            self.trouble = f"cannot be written: {error.strerror}"
        except MediactlError as error:
            self.trouble = str(error)
        except Exception as error:  # noqa: BLE001 - the run goes on, whatever fails here
            self.trouble = internal_error(error)


class HttpServer:
    """Serves metrics at /metrics; they are read from the journal at each request."""

    takes = ()

    def __init__(self, host: str, port: int, read: Callable[[], Figures], build: Callable[[], Build]) -> None:
        self.name = f"--metrics-listen {host}:{port}"
        self.trouble = ""
        self._address = (host, port)
        self._read = read
        self._build = build
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to listen."""
        from prometheus_client import start_http_server

        from mediactl.monitor.openmetrics import registry

        host, port = self._address
        try:
            self._server, self._thread = start_http_server(port, host, registry(self._read, self._build()))
        except OSError as error:
            self.trouble = f"cannot listen: {error.strerror or error}"

    def take(self, event: Event) -> None:
        """Nothing follows from single events."""

    def close(self, deadline: float) -> None:
        """Stop."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            with suppress(OSError):
                self._server.server_close()
            self._thread.join(max(0.0, deadline - time.monotonic()))
