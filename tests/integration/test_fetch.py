"""Fetching one object into a file: from real stores, and from one that tears, changes and refuses."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers import Answering, Reply, Server, s3_error

from mediactl.core.errors import SourceChanged, UsageError
from mediactl.model.fetches import WHOLE, Fetched, Fetching, FetchStatus, FetchTask, fingerprint
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import Location
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Tuning
from mediactl.upload.execute import s3_store
from mediactl.upload.fetch.by_url import fetch_object
from mediactl.upload.fetch.ranges import RANGE, fetch
from mediactl.upload.store import Corrupted, Refused, StoreError

pytestmark = pytest.mark.usefixtures("credentials")

SERVERS = ["ministack_server", "moto_server", "rclone_server"]
KEYS = ["a.jpg", "a//b", "../up", "tail/", "with space & +?#%41", "bell\x07", "é" * 60, "/first"]
"""As buckets have them, and file systems may not."""
FILED = ["a.jpg", "with space & +?#%41", "é" * 60]
"""Those that rclone, which keeps objects as files, can hold."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers."""
    found: Server = request.getfixturevalue(request.param)
    return found


def ask(location: Location, key: str, file: Path, **fields: object) -> Fetched:
    """Fetch by an engine that does not wait between attempts."""
    task = FetchTask(location, key, os.fsencode(file), **fields)  # type: ignore[arg-type]
    engine = Engine(Tuning(attempts=3, base=0.001, patience=0.2), sleep=lambda _: None)
    return fetch(task, s3_store(location, 4), Capabilities(plain=True), engine, lambda _: None)


def left(folder: Path) -> set[str]:
    """Names of what is in a folder."""
    return {each.name for each in folder.iterdir()}


@pytest.mark.parametrize("size", [1, RANGE, 2 * RANGE + 12345])
def test_an_object_arrives_byte_for_byte_with_its_digest(server: Server, tmp_path: Path, size: int) -> None:
    bucket, body = server.new_bucket(), os.urandom(size)
    etag = server.client().put_object(Bucket=bucket, Key="a", Body=body)["ETag"]
    location = server.location(bucket)
    found = ask(location, "a", tmp_path / "file", fingerprint=fingerprint(size, etag))
    assert found == Fetched(
        FetchStatus.FETCHED, fingerprint(size, etag), etag, "", hashlib.sha256(body).hexdigest(), received=size
    )
    assert (tmp_path / "file").read_bytes() == body
    again = ask(location, "a", tmp_path / "file", fingerprint=fingerprint(size, etag))
    assert (again.status, again.received, again.sha256) == (FetchStatus.PRESENT, 0, found.sha256)
    assert left(tmp_path) == {"file"}


def test_any_key_is_fetched_and_listed_alike(server: Server, tmp_path: Path) -> None:
    bucket = server.new_bucket()
    names = FILED if server.name.startswith("rclone") else KEYS
    for number, key in enumerate(names):
        server.client().put_object(Bucket=bucket, Key=key, Body=b"%d" % number)
    store = s3_store(server.location(bucket), 4)
    listed = {each.key: each for each in store.page("", "", folders=False).objects}
    assert set(listed) == set(names)
    for number, key in enumerate(names):
        there = listed[key]
        found = ask(
            server.location(bucket), key, tmp_path / f"{number}", fingerprint=fingerprint(there.size, there.etag)
        )
        assert found.status is FetchStatus.FETCHED
        assert (tmp_path / f"{number}").read_bytes() == b"%d" % number


def test_pages_go_on_where_the_last_one_ended_and_folders_are_named_once(server: Server) -> None:
    bucket = server.new_bucket()
    keys = sorted([f"p/{number:04}" for number in range(3)] + [f"p/sub{number}/x" for number in range(2)])
    for key in keys:
        server.client().put_object(Bucket=bucket, Key=key, Body=b"x")
    store = s3_store(server.location(bucket), 4)
    flat = store.page("p/", "", folders=False)
    assert ([each.key for each in flat.objects], flat.folders, flat.next) == (keys, (), "")
    nested = store.page("p/", "", folders=True)
    assert [each.key for each in nested.objects] == keys[:3]
    assert nested.folders == ("p/sub0/", "p/sub1/")


def test_an_object_that_is_gone_or_another_makes_no_file(server: Server, tmp_path: Path) -> None:
    location = server.location(server.new_bucket())
    assert ask(location, "no", tmp_path / "file").status is FetchStatus.GONE
    etag = server.client().put_object(Bucket=location.bucket, Key="a", Body=b"new")["ETag"]
    found = ask(location, "a", tmp_path / "file", fingerprint=Fingerprint(3, 1, 0, 0))
    assert (found.status, found.fingerprint) == (FetchStatus.CHANGED, fingerprint(3, etag))
    assert left(tmp_path) == set()


def test_the_first_bytes_are_enough_where_the_rest_is_not_wanted(server: Server, tmp_path: Path) -> None:
    location = server.location(server.new_bucket())
    body = os.urandom(WHOLE + 1)
    server.client().put_object(Bucket=location.bucket, Key="large", Body=body)
    server.client().put_object(Bucket=location.bucket, Key="small", Body=body[:-1])
    large = ask(location, "large", tmp_path / "large", most=100)
    assert (large.status, large.head, large.received) == (FetchStatus.HEAD, body[:100], WHOLE)
    assert ask(location, "small", tmp_path / "small", most=100).status is FetchStatus.FETCHED
    assert left(tmp_path) == {"small"}


def test_all_ranges_are_of_one_version(moto_server: Server, tmp_path: Path) -> None:
    """A versioned bucket: what replaces the object while it is fetched is not mixed in."""
    client, location = moto_server.client(), moto_server.location(moto_server.new_bucket())
    client.put_bucket_versioning(Bucket=location.bucket, VersioningConfiguration={"Status": "Enabled"})
    old = os.urandom(RANGE + 1000)
    put = client.put_object(Bucket=location.bucket, Key="a", Body=old)
    store, engine = s3_store(location, 4), Engine(Tuning())
    get, replaced = store.get, threading.Event()

    def replaced_after_the_first(key: str, start: int, *others: object, **more: object) -> object:
        if start and not replaced.is_set():
            replaced.set()
            client.put_object(Bucket=location.bucket, Key="a", Body=b"\0" * len(old))
        return get(key, start, *others, **more)  # type: ignore[arg-type]

    store.get = replaced_after_the_first  # type: ignore[method-assign, assignment]
    task = FetchTask(location, "a", os.fsencode(tmp_path / "file"))
    found = fetch(task, store, Capabilities(plain=True), engine, lambda _: None)
    assert replaced.is_set()
    assert found.version == put["VersionId"]
    assert (tmp_path / "file").read_bytes() == old


# -- what a store may answer ---------------------------------------------------------------------------------------


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[..., tuple[Answering, Location]]]:
    """Start a store that gives these replies."""
    started: list[Answering] = []

    def start(*replies: Reply) -> tuple[Answering, Location]:
        server = Answering(*replies)
        started.append(server)
        return server, Location("bucket", endpoint_url=server.url, region="us-east-1")

    yield start
    for server in started:
        server.__exit__()


def whole(body: bytes, etag: str = "", **headers: str) -> Reply:
    """An answer to a GET with all that there is."""
    named = {"ETag": etag or f'"{hashlib.md5(body).hexdigest()}"', **headers}
    return Reply(206, body, {**named, "Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"})


BODY = {"fingerprint": fingerprint(4, hashlib.md5(b"body").hexdigest())}
"""That of an object with the content "body"."""
Start = Callable[..., tuple[Answering, Location]]


@pytest.mark.parametrize(
    "trouble",
    [s3_error(503, "SlowDown"), s3_error(500, "InternalError"), whole(b"body")._replace(torn=2)],
    ids=["slow down", "internal error", "torn"],
)
def test_what_passes_is_tried_again(answering: Start, tmp_path: Path, trouble: Reply) -> None:
    server, location = answering(trouble, whole(b"body"))
    assert ask(location, "a", tmp_path / "file", **BODY).status is FetchStatus.FETCHED
    assert (tmp_path / "file").read_bytes() == b"body"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (s3_error(404, "NoSuchKey"), FetchStatus.GONE),
        (s3_error(403, "AccessDenied"), FetchStatus.DENIED),
        (s3_error(403, "InvalidObjectState", StorageClass="DEEP_ARCHIVE"), FetchStatus.DENIED),
    ],
)
def test_what_is_about_one_object_ends_no_other(
    answering: Start, tmp_path: Path, reply: Reply, status: FetchStatus
) -> None:
    _, location = answering(reply)
    found = ask(location, "a", tmp_path / "file", **BODY)
    assert found.status is status
    assert ("DEEP_ARCHIVE" in found.reason) == ("DEEP_ARCHIVE" in reply.body.decode())


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket"])
def test_what_is_about_all_objects_is_refused(answering: Start, tmp_path: Path, code: str) -> None:
    _, location = answering(s3_error(403, code))
    with pytest.raises(Refused):
        ask(location, "a", tmp_path / "file", **BODY)


def test_other_bytes_than_the_checksum_says_are_never_kept(answering: Start, tmp_path: Path) -> None:
    etag = hashlib.md5(b"body").hexdigest()
    _, location = answering(whole(b"bodi", f'"{etag}"', **{"x-amz-checksum-crc32": "AAAAAA=="}))
    with pytest.raises(Corrupted):
        ask(location, "a", tmp_path / "file", **BODY)
    assert left(tmp_path) == set()


def test_one_wrong_body_over_plain_http_is_noticed_by_its_etag(answering: Start, tmp_path: Path) -> None:
    right = whole(b"body")
    server, location = answering(right._replace(body=b"bodi"), right)
    assert ask(location, "a", tmp_path / "file", **BODY).sha256 == hashlib.sha256(b"body").hexdigest()
    assert (tmp_path / "file").read_bytes() == b"body"
    assert len(server.asked) == 2


def test_an_etag_that_is_no_md5_costs_one_more_request(answering: Start, tmp_path: Path) -> None:
    etag = "0" * 32
    _, location = answering(whole(b"body", f'"{etag}"'))
    found = ask(location, "a", tmp_path / "file", fingerprint=fingerprint(4, etag))
    assert (found.status, found.received) == (FetchStatus.FETCHED, 8)


def test_an_object_that_changes_each_time_is_left(answering: Start, tmp_path: Path) -> None:
    size = RANGE + 1
    first = Reply(206, bytes(RANGE), {"ETag": '"a"', "Content-Range": f"bytes 0-{RANGE - 1}/{size}"})
    _, location = answering(first, s3_error(412, "PreconditionFailed"), first, s3_error(412, "PreconditionFailed"),
                            first, s3_error(412, "PreconditionFailed"))  # fmt: skip
    with pytest.raises(SourceChanged):
        ask(location, "a", tmp_path / "file", fingerprint=fingerprint(size, "a"))
    assert left(tmp_path) == set()


def test_the_requester_pays_only_where_that_is_asked_for(answering: Start, tmp_path: Path) -> None:
    server, location = answering(whole(b"body"))
    ask(location, "a", tmp_path / "1", **BODY)
    ask(location, "a", tmp_path / "2", request_payer=True, **BODY)
    assert [asked.headers.get("x-amz-request-payer") for asked in server.asked] == [None, "requester"]


def test_a_url_is_fetched_without_a_run(ministack_server: Server, tmp_path: Path) -> None:
    bucket = ministack_server.new_bucket()
    ministack_server.client().put_object(Bucket=bucket, Key="a//b.jpg", Body=b"body")
    fetching = Fetching(ministack_server.location(""))
    found = fetch_object(f"s3://{bucket}/a//b.jpg", os.fsencode(tmp_path / "file"), fetching)
    assert (found.status, found.sha256) == (FetchStatus.FETCHED, hashlib.sha256(b"body").hexdigest())
    for url in ("http://a/b", "s3://", "s3://x/"):
        with pytest.raises((UsageError, StoreError)):
            fetch_object(url, os.fsencode(tmp_path / "no"), fetching)
