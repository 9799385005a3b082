"""A proxy in front of an S3 server that does to requests what bad networks and ill servers do."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Fault(StrEnum):
    """What may happen to a request."""

    ERROR = "error"
    """500 InternalError; the server never sees the request."""
    SLOWDOWN = "slowdown"
    """503 SlowDown."""
    RESET = "reset"
    """The connection is reset in the middle of the body (or instead of an answer, where there is none)."""
    LOST = "lost"
    """The request takes place, its answer never comes: the connection is closed."""
    FLIP = "flip"
    """One bit of the body arrives wrong."""
    SILENCE = "silence"
    """Nothing for so many seconds, then the connection is closed; the server never sees the request."""
    DRESSED = "dressed"
    """200 with an error in its body, as S3 may answer Complete."""


class Request(NamedTuple):
    """What is known of a request when its fate is decided."""

    number: int
    """From 1."""
    method: str
    path: str
    """With its query."""
    size: int
    """Bytes of its body."""

    @property
    def completes(self) -> bool:
        """Is it CompleteMultipartUpload?"""
        return self.method == "POST" and "uploadId=" in self.path

    @property
    def possible(self) -> list[Fault]:
        """The faults that can happen to it."""
        faults = [Fault.ERROR, Fault.SLOWDOWN, Fault.RESET, Fault.LOST, Fault.SILENCE]
        if self.method == "PUT" and self.size:
            faults.append(Fault.FLIP)
        if self.completes:
            faults.append(Fault.DRESSED)
        return faults


Script = Callable[[Request], Fault | None]


def dice(seed: int, one_in: float, without: frozenset[Fault] = frozenset()) -> Script:
    """A random fault in every ``one_in``-th request on average; the same for the same seed and order of requests."""
    numbers, lock = random.Random(seed), threading.Lock()

    def fate(request: Request) -> Fault | None:
        with lock:
            if numbers.random() * one_in >= 1:
                return None
            return numbers.choice([fault for fault in request.possible if fault not in without])

    return fate


class Proxy:
    """Listens on 127.0.0.1 (at ``listen``, or where it likes) and passes requests on to another port there, as
    ``script`` has it.

    The Host header is passed on as it is, so signatures stay right.
    """

    def __init__(self, port: int, script: Script, silence: float = 10.0, listen: int = 0) -> None:
        self.script = script
        self.faults: Counter[str] = Counter()
        """How often each happened."""
        self.requests = 0
        self.log: list[str] = []
        self._upstream = port
        self._silence = silence
        self._lock = threading.Lock()
        self._closing = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    super().handle_one_request()
                    return
                self.close_connection = True

            def do_any(self) -> None:
                proxy._serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Server(("127.0.0.1", listen), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("Content-Length") or 0)
        with self._lock:
            self.requests += 1
            request = Request(self.requests, handler.command, handler.path, size)
            fault = self.script(request)
            if fault:
                self.faults[fault.value] += 1
            self.log.append(f"{request.method} {request.path} {fault or ''}")
        if fault is Fault.RESET:
            handler.rfile.read(size // 2)
            return self._reset(handler)
        body = bytearray(handler.rfile.read(size))
        if len(body) < size:
            handler.close_connection = True
            return None
        if fault is Fault.ERROR:
            return self._answer(handler, 500, "InternalError")
        if fault is Fault.SLOWDOWN:
            return self._answer(handler, 503, "SlowDown")
        if fault is Fault.DRESSED:
            return self._answer(handler, 200, "InternalError")
        if fault is Fault.SILENCE:
            self._closing.wait(self._silence)
            handler.close_connection = True
            return None
        if fault is Fault.FLIP:
            body[len(body) // 3] ^= 4
        status, headers, content = self._forward(handler, bytes(body))
        if fault is Fault.LOST:
            handler.close_connection = True
            return None
        handler.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                handler.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length")
        handler.send_header("Content-Length", length if handler.command == "HEAD" and length else str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return None

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=60)) as upstream:
            upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in ("expect", "connection"):
                    upstream.putheader(name, value)
            upstream.endheaders()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read all
                upstream.send(body)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>by the proxy</Message></Error>"
        body = b"" if handler.command == "HEAD" else text.encode()
        handler.send_response_only(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _reset(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()


@contextlib.contextmanager
def proxied(port: int, script: Script, silence: float = 10.0) -> Iterator[Proxy]:
    """A proxy in front of a port, closed in the end."""
    proxy = Proxy(port, script, silence)
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def flipping(port: int, offsets: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    """A relay of bytes to another port, which need not be HTTP: its own port, and the offsets that are still to come.

    Of all that goes to the server one bit is wrong at each of these offsets, or at the end of what comes first behind.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    to_come, lock, passed = sorted(offsets), threading.Lock(), 0

    def flip(data: memoryview) -> None:
        nonlocal passed
        with lock:
            passed += len(data)
            if to_come and passed > to_come[0]:
                del to_come[0]
                data[-1] ^= 4

    def relay(here: socket.socket, there: socket.socket, touch: Callable[[memoryview], None]) -> None:
        buffer = memoryview(bytearray(1 << 16))
        with contextlib.suppress(OSError):
            while count := here.recv_into(buffer):
                touch(buffer[:count])
                there.sendall(buffer[:count])
        for each in (here, there):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, server, flip), (server, client, lambda _: None)):
                    threading.Thread(target=relay, args=pair, daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], to_come
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
