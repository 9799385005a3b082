"""Connections that are kept, connections that break, and where the credentials and the address come from."""

from __future__ import annotations

import base64
import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import botocore.session
import pytest
from support.servers import KEY, Answering, Reply, Server, free_port

from mediactl.model.uploads import About, Location
from mediactl.upload.body import Body
from mediactl.upload.s3.client import Address, address, client
from mediactl.upload.s3.headers import CRC32, crc32_text
from mediactl.upload.s3.http import SLICE, Wire
from mediactl.upload.s3.store import S3Store
from mediactl.upload.store import Condition, Corrupted, Expired, Refused, StoreError, Unavailable, Unreachable

pytestmark = pytest.mark.usefixtures("credentials")

GOOD = Reply(200, b"", {"ETag": '"841a2d689ad86bd1611447453c22c6fc"'})
LARGE = bytes(8 * 1024 * 1024)


def put(store: S3Store, body: bytes = b"body") -> str:
    """Store some bytes."""
    return store.put("key", Body(body), About(), Condition())


@contextmanager
def listening(serve: Callable[[socket.socket], object], buffer: int = 0) -> Iterator[str]:
    """The address of a server that does that with each connection. ``buffer``: bytes that it takes unread."""
    server = socket.create_server(("127.0.0.1", 0))
    if buffer:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

    def handle(connection: socket.socket) -> None:
        with connection:
            serve(connection)

    def loop() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def reset(connection: socket.socket) -> None:
    """End a connection the rude way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_requests_share_a_connection() -> None:
    with Answering(GOOD) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        for _ in range(5):
            put(store)
        store.head("key")
        assert server.connections == 1
        assert len(server.asked) == 6


def test_requests_over_https_share_a_connection(ministack_https_server: Server) -> None:
    location = ministack_https_server.location(ministack_https_server.new_bucket())
    with closing(S3Store(location, 1)) as store:
        used = set()
        for _ in range(3):
            put(store, LARGE)
            used.add(store._wire._idle[0])
        assert len(used) == 1


def test_over_plain_http_a_body_has_the_one_digest_that_its_store_compares() -> None:
    """The MD5 of the ETag, which takes none in the signature, until an answer has the CRC32."""
    body = Body(b"body")
    confirming = Reply(200, b"", {**GOOD.headers, CRC32: crc32_text(body.crc32)})
    with Answering(GOOD, confirming, GOOD) as server:
        with closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
            for _ in range(3):
                put(store)
    signed = [asked.headers["x-amz-content-sha256"] for asked in server.asked]
    assert signed == ["UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD", body.sha256]


def test_another_checksum_in_the_answer_is_a_corrupted_body() -> None:
    wrong = Reply(200, b"", {**GOOD.headers, CRC32: crc32_text(1)})
    with Answering(wrong) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        with pytest.raises(Corrupted):
            put(store)


def test_a_connection_that_the_store_closed_meanwhile_is_not_used_again() -> None:
    with Answering(GOOD._replace(hang_up=True)) as server:
        with closing(Wire(server.url, ca_bundle=None)) as wire:
            for number in (1, 2, 3):
                assert wire.send("PUT", "/", {"content-length": "0"}, memoryview(b"")).status == 200
                assert server.connections == number
                (idle,) = wire._idle
                assert select.select([idle.sock], [], [], 10)[0]


def test_an_answer_with_connection_close_closes_it() -> None:
    reply = Reply(200, b"", {**GOOD.headers, "Connection": "close"})
    with Answering(reply) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        put(store)
        put(store)
        assert server.connections == 2


@pytest.mark.parametrize("size", [0, 1, SLICE, SLICE + 1, len(LARGE)])
def test_a_body_arrives_whole_whatever_its_size(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    with Answering(GOOD) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        put(store, body[:size])
        asked = server.asked[0]
    assert asked.body == body[:size]
    assert asked.headers["content-length"] == str(size)
    assert "expect" not in asked.headers
    assert "transfer-encoding" not in asked.headers


def test_a_connection_that_breaks_in_the_middle_of_a_body_is_unavailable() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100_000)
        reset(connection)

    with listening(serve) as url, closing(S3Store(Location("bucket", endpoint_url=url), 1)) as store:
        for _ in range(5):
            with pytest.raises(Unavailable, match="s3://bucket/key at .*: the connection broke") as caught:
                put(store, LARGE)
            assert type(caught.value) is Unavailable


def test_a_store_that_hangs_up_without_an_answer_is_unavailable() -> None:
    with listening(lambda connection: connection.recv(10)) as url:
        with closing(S3Store(Location("bucket", endpoint_url=url), 1)) as store:
            for call in (lambda: put(store), lambda: list(store.listed(""))):
                with pytest.raises(Unavailable) as caught:
                    call()
                assert type(caught.value) is Unavailable


def test_a_store_that_talks_nonsense_is_unavailable() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100_000)
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    with listening(serve) as url, closing(S3Store(Location("bucket", endpoint_url=url), 1)) as store:
        with pytest.raises(Unavailable, match="the connection broke"):
            put(store)


def test_a_no_in_the_middle_of_a_body_is_heard() -> None:
    body = b"<Error><Code>AccessDenied</Code></Error>"

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with listening(serve) as url, closing(S3Store(Location("bucket", endpoint_url=url), 1)) as store:
        with pytest.raises(Refused, match="access denied"):
            put(store, LARGE)


def test_a_no_before_a_hang_up_in_the_middle_of_a_body_is_heard() -> None:
    body = b"<Error><Code>AccessDenied</Code></Error>"

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with listening(serve) as url, closing(S3Store(Location("bucket", endpoint_url=url), 1)) as store:
        for _ in range(5):
            with pytest.raises(Refused, match="access denied"):
                put(store, LARGE)


def test_silence_is_unavailable_after_a_while() -> None:
    with Answering(Reply(200, silent=True)) as server:
        with closing(S3Store(Location("bucket", endpoint_url=server.url), 1, read_timeout=0.2)) as store:
            for call in (lambda: put(store), lambda: list(store.listed(""))):
                with pytest.raises(Unavailable, match="timed out") as caught:
                    call()
                assert type(caught.value) is Unavailable


def test_a_body_that_nobody_takes_is_unavailable_after_a_while() -> None:
    over = threading.Event()
    with listening(lambda _: over.wait(30)) as url:
        with closing(S3Store(Location("bucket", endpoint_url=url), 1, read_timeout=0.2)) as store:
            with pytest.raises(Unavailable, match="timed out"):
                put(store, LARGE)
        over.set()


def test_a_slow_line_is_no_timeout_as_long_as_something_moves() -> None:
    answer = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\n\r\n'
    pause = threading.Event()

    def serve(connection: socket.socket) -> None:
        got = len(connection.recv(65536).partition(b"\r\n\r\n")[2])
        while got < len(LARGE):
            got += len(connection.recv(65536))
            pause.wait(0.02)
        connection.sendall(answer)

    # 3 MB/s: sent at once, the body would have to arrive within the timeout.
    with (
        listening(serve, 65536) as url,
        closing(S3Store(Location("bucket", endpoint_url=url), 1, read_timeout=0.8)) as store,
    ):
        assert put(store, LARGE) == '"x"'


def test_a_proxy_is_asked_for_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with Answering(GOOD) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:pass%40word@"))
        location = Location("bucket", endpoint_url="http://store.test:9000", path_style=False)
        with closing(S3Store(location, 1)) as store:
            put(store)
        asked = proxy.asked[0]
    assert asked.target == "http://bucket.store.test:9000/key"
    assert asked.headers["host"] == "bucket.store.test:9000"
    assert base64.b64decode(asked.headers["proxy-authorization"].removeprefix("Basic ")) == b"user:pass@word"


def test_no_proxy_is_asked_for_what_no_proxy_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Answering(GOOD) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        put(store)


def test_a_proxy_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with closing(S3Store(Location("bucket", endpoint_url="http://store.test"), 1)) as store:
        for call in (lambda: put(store), lambda: list(store.listed(""))):
            with pytest.raises(Unreachable):
                call()


def test_https_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch, ministack_https_server: Server) -> None:
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        asked.append(head)
        host, port = head.split()[1].split(b":")
        with socket.create_connection((host.decode(), int(port))) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {connection: other, other: connection}
            while True:
                for ready in select.select(list(ends), [], [])[0]:
                    if not (some := ready.recv(65536)):
                        return
                    ends[ready].sendall(some)

    with listening(serve) as url:
        monkeypatch.setenv("https_proxy", url.replace("//", "//user:word@"))
        with closing(S3Store(ministack_https_server.location(ministack_https_server.new_bucket()), 1)) as store:
            put(store, LARGE)
            assert store.head("key") is not None
    assert asked[0].startswith(f"CONNECT {ministack_https_server.url.removeprefix('https://')} ".encode())
    assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in asked[0]


def test_keys_come_from_a_profile_and_their_token_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile other]\naws_access_key_id = AKOTHER\naws_secret_access_key = s\naws_session_token = token==\n"
        "region = eu-south-2\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with Answering(GOOD) as server:
        with closing(S3Store(Location("bucket", endpoint_url=server.url, profile="other"), 1)) as store:
            put(store)
        headers = server.asked[0].headers
    assert "Credential=AKOTHER/" in headers["authorization"]
    assert "/eu-south-2/s3/aws4_request" in headers["authorization"]
    assert "x-amz-security-token" in headers["authorization"]
    assert headers["x-amz-security-token"] == "token=="


def process_profile(folder: Path, script: str) -> Path:
    """An AWS configuration whose credentials come from a program."""
    program = folder / "credentials.py"
    program.write_text(script)
    config = folder / "config"
    config.write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")
    return config


# Each call gives another key, which expires so soon that botocore asks again for each request.
CHANGING = """
import datetime, json, pathlib
count = pathlib.Path(__file__).with_name("count")
number = len(count.read_text()) + 1 if count.exists() else 1
count.write_text("x" * number)
soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)
if number > LAST:
    raise SystemExit("no more")
print(json.dumps({"Version": 1, "AccessKeyId": f"AK{number}", "SecretAccessKey": "s", "Expiration": soon.isoformat()}))
"""


def test_keys_that_expire_are_refreshed_and_their_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = process_profile(tmp_path, CHANGING.replace("LAST", "7"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with Answering(GOOD) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        ended = None
        for _ in range(10):
            try:
                put(store)
            except StoreError as error:
                ended = error
                break
        keys = [asked.headers["authorization"].partition("Credential=")[2].partition("/")[0] for asked in server.asked]
    assert len(set(keys)) > 1
    assert keys == sorted(keys)
    assert type(ended) is Expired


def test_a_credential_program_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = /no/such/program\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Refused, match="no credentials: .*/no/such/program"):
        S3Store(Location("bucket", endpoint_url="http://127.0.0.1:1"), 1)


def test_a_role_that_may_not_be_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/uploader\ncredential_source = Environment\n"
        "region = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    with Answering(Reply(403, denied, {"Content-Type": "text/xml"})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        with pytest.raises(Refused, match=r"no credentials: AssumeRole was refused \(AccessDenied\)"):
            S3Store(Location("bucket", endpoint_url="http://127.0.0.1:1", profile="role"), 1)


def test_the_endpoint_of_the_aws_configuration_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with Answering(GOOD) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        with closing(S3Store(Location("bucket"), 1)) as store:
            put(store)
        assert server.asked[0].target == "/bucket/key"


@pytest.mark.parametrize(
    ("location", "environment", "expected"),
    [
        (Location("my-bucket", region="eu-west-1"), {}, ("my-bucket.s3.eu-west-1.amazonaws.com", "", "eu-west-1")),
        (Location("my-bucket"), {}, ("my-bucket.s3.amazonaws.com", "", "us-east-1")),
        (
            Location("my.bucket", region="eu-west-1"),
            {},
            ("s3.eu-west-1.amazonaws.com", "/my.bucket", "eu-west-1"),
        ),
        (
            Location("my-bucket", region="eu-west-1", path_style=True),
            {},
            ("s3.eu-west-1.amazonaws.com", "/my-bucket", "eu-west-1"),
        ),
        (
            Location("my-bucket", region="us-west-2"),
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            ("my-bucket.s3-fips.us-west-2.amazonaws.com", "", "us-west-2"),
        ),
        (
            Location("my-bucket", region="us-west-2"),
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            ("my-bucket.s3.dualstack.us-west-2.amazonaws.com", "", "us-west-2"),
        ),
        (
            Location("my-bucket", endpoint_url="https://minio.test:9000/base"),
            {},
            ("minio.test:9000", "/base/my-bucket", "us-east-1"),
        ),
        (
            Location("my-bucket", endpoint_url="https://nyc3.digitaloceanspaces.test", path_style=False, region="nyc3"),
            {},
            ("my-bucket.nyc3.digitaloceanspaces.test", "", "nyc3"),
        ),
    ],
)
def test_our_requests_go_where_botos_go(
    monkeypatch: pytest.MonkeyPatch, location: Location, environment: dict[str, str], expected: tuple[str, str, str]
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    host, path, region = expected
    made = client(botocore.session.Session(), location, 1, 1.0)
    assert address(made, location.bucket) == Address("https", host, path, region)


def test_what_no_header_can_carry_is_not_sent() -> None:
    with Answering(GOOD) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        for about in (About(cache_control="a\r\nx: y"), About(metadata={"a": "é"}), About(metadata={"a": " b"})):
            with pytest.raises(ValueError, match="cannot be sent"):
                store.put("key", Body(b""), about, Condition())
        assert server.asked == []


def test_boto_is_loaded_by_nothing_but_the_store_itself() -> None:
    script = (
        "import sys, mediactl.upload.store, mediactl.upload.keys, mediactl.upload.multipart.parts\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('boto3', 'botocore', 'urllib3')])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_secret_is_in_no_request_and_no_message() -> None:
    with Answering(Reply(403)) as server, closing(S3Store(Location("bucket", endpoint_url=server.url), 1)) as store:
        with pytest.raises(Refused) as caught:
            put(store)
        assert KEY in server.asked[0].headers["authorization"]
        assert "mediactl-secret" not in f"{server.asked} {caught.value}"
