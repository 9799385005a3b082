"""A small web server for tests that a browser runs: folders under prefixes, with byte ranges, and what was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4", ".vtt": "text/vtt", ".webp": "image/webp", ".jpg": "image/jpeg",
}  # fmt: skip


class Asked(NamedTuple):
    """One request and its answer."""

    path: str
    range: str
    status: int


class Web(NamedTuple):
    """A running server."""

    address: str
    asked: list[Asked]


@contextmanager
def serving(places: Mapping[str, Path]) -> Iterator[Web]:
    """Serve files and folders, each under its prefix ("/media/"), on a free port of 127.0.0.1."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            file = next((_below(place, path[len(prefix) :]) for prefix, place in places.items()
                         if path.startswith(prefix)), None)  # fmt: skip
            if file is None or not file.is_file():
                self._answer(404, b"", "text/plain")
                return
            data, kind = file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream")
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not wanted:
                self._answer(200, data, kind)
                return
            first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            if first > last:
                self._answer(416, b"", kind, f"bytes */{len(data)}")
            else:
                self._answer(206, data[first : last + 1], kind, f"bytes {first}-{last}/{len(data)}")

        def _answer(self, status: int, data: bytes, kind: str, span: str = "") -> None:
            asked.append(Asked(self.path, self.headers.get("Range", ""), status))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Accept-Ranges", "bytes")
            if span:
                self.send_header("Content-Range", span)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # A browser that has enough hangs up.

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Web(f"http://127.0.0.1:{server.server_port}", asked)
        finally:
            server.shutdown()
            thread.join()


def _below(place: Path, rest: str) -> Path:
    return place / rest.rsplit("/", 1)[-1] if rest else place
