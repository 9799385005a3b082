"""What an upload needs of a store, said to real ones. Where one does otherwise, DEVIATIONS says so, and is tested."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from botocore.model import OperationModel
from support.servers import Server

from mediactl.model.uploads import About
from mediactl.upload.body import Body
from mediactl.upload.multipart.parts import MIB, composite
from mediactl.upload.s3.store import S3Store
from mediactl.upload.store import (
    Condition,
    Corrupted,
    Exists,
    InvalidPart,
    NoSuchUpload,
    Refused,
    StoredPart,
    StoreError,
    Unavailable,
)

pytestmark = pytest.mark.usefixtures("credentials")

SERVERS = ["ministack_server", "ministack_https_server", "rclone_server", "moto_server"]
MIN_PART = 5 * MIB
"""S3's least size of a part that is not the last."""
ALWAYS, NEW = Condition(), Condition(if_absent=True)
ABOUT = About("image/webp", "max-age=60", {"mediactl-token": "abc", "Mediactl-SHA256": "0" * 64})

DEVIATIONS: dict[str, dict[str, str]] = {
    "ignores conditions": {"rclone": "gofakes3 does not look at If-Match and If-None-Match"},
    "ignores If-Match at Complete": {"rclone": "as all conditions", "moto": "it looks at If-None-Match only"},
    "looks at no checksum": {"rclone": "of a whole object it keeps the CRC32 unchecked", "moto": "not implemented"},
    "repeats no checksum of an object": {
        "ministack": "of parts only",
        "rclone": "it tells it at HEAD",
        "moto": "not implemented",
    },
    "repeats no checksum of a part": {"rclone": "it keeps none", "moto": "not implemented"},
    "has no checksum of parts": {"rclone": "it keeps none", "moto": "one of another kind"},
    "fails over an unknown upload": {"moto": "an answer of 500 to UploadPart and Complete"},
    "completes once": {"rclone": "S3 itself, as the others, answers a second Complete like the first, for a while"},
    "takes parts in any order": {"ministack": "not implemented", "moto": "not implemented"},
    "takes parts of any size": {"ministack": "not implemented", "rclone": "a disk does not mind"},
    "gives an upload up when Complete was wrong": {"rclone": "the parts are gone, too"},
    "takes a part once": {"rclone": "501: a part's bytes are already in the file"},
    "does not know when an upload began": {"moto": "in 2010"},
    "tells another ETag after Complete": {"rclone": "Complete's is made of the parts', HEAD's is the file's MD5"},
    "keeps no tags": {"rclone": "not implemented"},
    "keeps no tags of what came in parts": {"rclone": "not implemented", "ministack": "not implemented"},
}
"""What a server does otherwise -> the servers that do, with the reason."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(server: Server) -> str:
    """A new bucket there."""
    return server.new_bucket()


@pytest.fixture
def store(server: Server, bucket: str) -> Iterator[S3Store]:
    """Our store for it."""
    with closing(S3Store(server.location(bucket), 8)) as opened:
        yield opened


def deviates(server: Server, what: str) -> bool:
    """Whether a server is known to do otherwise."""
    return server.name.split()[0] in DEVIATIONS[what]


def put(store: S3Store, key: str, body: bytes, condition: Condition = ALWAYS, about: About = ABOUT) -> str:
    """Store some bytes whole."""
    return store.put(key, Body(body), about, condition)


def put_part(store: S3Store, key: str, upload: str, number: int, body: bytes) -> StoredPart:
    """Store a part; what to tell Complete of it."""
    crc32 = zlib.crc32(body)
    return StoredPart(number, len(body), store.put_part(key, upload, number, Body(body)), crc32)


def flipped() -> Body:
    """A body that is not what its checksum says."""
    body = Body(b"body")
    assert body.crc32 == zlib.crc32(b"body")
    body.data = memoryview(b"bodi")
    return body


def pages_of(store: S3Store) -> list[int]:
    """The statuses of the answers to lists from now on."""
    found: list[int] = []
    store._client.meta.events.register(
        "after-call.s3", lambda http_response, **_: found.append(http_response.status_code)
    )
    return found


def content(server: Server, bucket: str, key: str) -> bytes:
    """What another client reads."""
    return server.client().get_object(Bucket=bucket, Key=key)["Body"].read()


def test_where_nothing_is_nothing_is_found(store: S3Store) -> None:
    assert store.head("nothing/here") is None
    assert list(store.listed("")) == []
    assert list(store.open_uploads("")) == []


@pytest.mark.parametrize("body", [b"", b"small", os.urandom(3 * MIB)], ids=len)
def test_what_was_put_is_there(server: Server, bucket: str, store: S3Store, body: bytes) -> None:
    etag = put(store, "a/b.webp", body)
    found = store.head("a/b.webp")
    assert found is not None
    assert (found.key, found.size, found.etag) == ("a/b.webp", len(body), etag)
    assert found.metadata["mediactl-token"] == "abc"
    assert found.metadata["mediactl-sha256"] == "0" * 64
    assert content(server, bucket, "a/b.webp") == body


@pytest.mark.parametrize(
    "key",
    [
        "with space",
        "a+b&c=d",
        "50% off?#1",
        "été/日本/😀.jpg",
        "a'b\"c*(d)!~",
        "x" * 200,
        ".hidden/...",
        "a%2Fb%00",
        "q\\r",
    ],
)
def test_a_key_of_any_characters_is_kept(server: Server, bucket: str, store: S3Store, key: str) -> None:
    put(store, key, b"body")
    assert store.head(key) is not None
    assert [entry.key for entry in store.listed(key)] == [key]
    assert content(server, bucket, key) == b"body"


def test_an_object_carries_its_type_and_cache_control(server: Server, bucket: str, store: S3Store) -> None:
    put(store, "a", b"body")
    upload = store.create("b", ABOUT)
    store.complete("b", upload, [put_part(store, "b", upload, 1, b"body")], ALWAYS)
    for key in "ab":
        head = server.client().head_object(Bucket=bucket, Key=key)
        assert head["ContentType"] == "image/webp"
        assert head["CacheControl"] == "max-age=60"


def test_an_object_is_not_written_where_one_is(server: Server, bucket: str, store: S3Store) -> None:
    put(store, "key", b"first", NEW)
    if deviates(server, "ignores conditions"):
        put(store, "key", b"second", NEW)
        return
    with pytest.raises(Exists) as caught:
        put(store, "key", b"second", NEW)
    assert str(caught.value).startswith(f"s3://{bucket}/key: ")
    assert content(server, bucket, "key") == b"first"


def test_an_object_is_replaced_only_if_it_is_the_one_that_was_seen(server: Server, bucket: str, store: S3Store) -> None:
    first = put(store, "key", b"first")
    second = put(store, "key", b"second", Condition(if_etag=first))
    if deviates(server, "ignores conditions"):
        put(store, "key", b"third", Condition(if_etag=first))
        return
    with pytest.raises(Exists):
        put(store, "key", b"third", Condition(if_etag=first))
    assert content(server, bucket, "key") == b"second"
    assert second != first


def test_an_object_that_is_gone_is_not_replaced(server: Server, store: S3Store) -> None:
    gone = Condition(if_etag='"0123456789abcdef0123456789abcdef"')
    if deviates(server, "ignores conditions"):
        put(store, "key", b"body", gone)
        return
    with pytest.raises(Exists):
        put(store, "key", b"body", gone)
    assert store.head("key") is None


def test_parts_sent_in_any_order_become_one_object(server: Server, bucket: str, store: S3Store) -> None:
    bodies = [os.urandom(MIN_PART), os.urandom(MIN_PART), os.urandom(1000)]
    upload = store.create("film.mp4", ABOUT)
    assert store.stored_parts("film.mp4", upload) == []
    sent = {number: put_part(store, "film.mp4", upload, number, bodies[number - 1]) for number in (3, 1, 2)}
    listed = store.stored_parts("film.mp4", upload)
    assert [(part.number, part.size, part.etag) for part in listed] == [
        (part.number, part.size, part.etag) for _, part in sorted(sent.items())
    ]
    assert store.head("film.mp4") is None
    etag = store.complete("film.mp4", upload, [part for _, part in sorted(sent.items())], NEW)
    found = store.head("film.mp4")
    assert found is not None
    assert found.size == sum(map(len, bodies))
    assert (found.etag != etag) is deviates(server, "tells another ETag after Complete")
    whole = composite(zlib.crc32(body) for body in bodies)
    assert (found.checksum == whole) is not deviates(server, "has no checksum of parts")
    assert found.checksum == whole or "-" not in found.checksum, "what is not of parts is not compared"
    assert found.metadata["mediactl-token"] == "abc"
    assert content(server, bucket, "film.mp4") == b"".join(bodies)
    assert list(store.open_uploads("")) == []


def test_a_part_is_listed_with_its_checksum(server: Server, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    part = put_part(store, "key", upload, 1, b"body")
    told = part.crc32 if not deviates(server, "repeats no checksum of a part") else None
    assert [entry.crc32 for entry in store.stored_parts("key", upload)] == [told]


def test_what_was_listed_can_be_completed(server: Server, bucket: str, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    put_part(store, "key", upload, 1, b"body")
    store.complete("key", upload, store.stored_parts("key", upload), ALWAYS)
    assert content(server, bucket, "key") == b"body"


def test_a_part_sent_again_replaces_the_first(server: Server, bucket: str, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    put_part(store, "key", upload, 1, b"first")
    if deviates(server, "takes a part once"):
        put_part(store, "key", upload, 1, b"first")
        with pytest.raises(Refused):
            put_part(store, "key", upload, 1, b"second")
        return
    part = put_part(store, "key", upload, 1, b"second")
    assert [entry.etag for entry in store.stored_parts("key", upload)] == [part.etag]
    store.complete("key", upload, [part], ALWAYS)
    assert content(server, bucket, "key") == b"second"


def test_an_upload_is_not_completed_where_an_object_is(server: Server, bucket: str, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    part = put_part(store, "key", upload, 1, b"mine")
    put(store, "key", b"theirs")
    if deviates(server, "ignores conditions"):
        store.complete("key", upload, [part], NEW)
        return
    with pytest.raises(Exists):
        store.complete("key", upload, [part], NEW)
    assert content(server, bucket, "key") == b"theirs"


def test_an_upload_replaces_only_the_object_that_was_seen(server: Server, bucket: str, store: S3Store) -> None:
    old = put(store, "key", b"old")
    upload = store.create("key", ABOUT)
    part = put_part(store, "key", upload, 1, b"mine")
    put(store, "key", b"theirs")
    if deviates(server, "ignores If-Match at Complete"):
        store.complete("key", upload, [part], Condition(if_etag=old))
        return
    with pytest.raises(Exists):
        store.complete("key", upload, [part], Condition(if_etag=old))
    assert content(server, bucket, "key") == b"theirs"


def test_an_upload_that_is_not_there_is_told(server: Server, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    part = put_part(store, "key", upload, 1, b"body")
    store.abort("key", upload)
    store.abort("key", upload)
    told = Unavailable if deviates(server, "fails over an unknown upload") else NoSuchUpload
    with pytest.raises(told):
        put_part(store, "key", upload, 1, b"body")
    with pytest.raises(told):
        store.complete("key", upload, [part], ALWAYS)
    with pytest.raises(NoSuchUpload):
        store.stored_parts("key", upload)
    assert list(store.open_uploads("")) == []
    assert store.head("key") is None


def test_an_upload_completed_again_is_the_same_object(server: Server, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    part = put_part(store, "key", upload, 1, b"body")
    etag = store.complete("key", upload, [part], ALWAYS)
    if deviates(server, "completes once"):
        with pytest.raises(NoSuchUpload):
            store.complete("key", upload, [part], ALWAYS)
        return
    assert store.complete("key", upload, [part], ALWAYS) == etag


@pytest.mark.parametrize("number", [1, 2])
def test_a_part_that_the_store_does_not_have_is_told(server: Server, store: S3Store, number: int) -> None:
    upload = store.create("key", ABOUT)
    part = put_part(store, "key", upload, 1, b"body")
    wrong = StoredPart(number, 4, '"00000000000000000000000000000000"', part.crc32)
    with pytest.raises(InvalidPart):
        store.complete("key", upload, [part, wrong][-number:], ALWAYS)
    assert store.head("key") is None
    if deviates(server, "gives an upload up when Complete was wrong"):
        with pytest.raises(NoSuchUpload):
            store.stored_parts("key", upload)
        return
    assert len(store.stored_parts("key", upload)) == 1


def test_parts_in_a_wrong_order_are_told(server: Server, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    sent = [put_part(store, "key", upload, number, bytes(MIN_PART)) for number in (1, 2)]
    if deviates(server, "takes parts in any order"):
        store.complete("key", upload, sent[::-1], ALWAYS)
        return
    with pytest.raises(InvalidPart):
        store.complete("key", upload, sent[::-1], ALWAYS)


def test_parts_that_are_too_small_are_told(server: Server, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    sent = [put_part(store, "key", upload, number, b"small") for number in (1, 2)]
    if deviates(server, "takes parts of any size"):
        store.complete("key", upload, sent, ALWAYS)
        return
    with pytest.raises(InvalidPart):
        store.complete("key", upload, sent, ALWAYS)


def test_open_uploads_are_listed_under_their_prefix(server: Server, store: S3Store) -> None:
    before = time.time()
    uploads = {key: store.create(key, ABOUT) for key in ("a/1", "a/2", "b/1")}
    found = list(store.open_uploads("a/"))
    assert {entry.key: entry.upload_id for entry in found} == {key: uploads[key] for key in ("a/1", "a/2")}
    recent = all(before - 2 <= entry.initiated_at <= time.time() + 2 for entry in found)
    assert recent is not deviates(server, "does not know when an upload began")
    assert len(list(store.open_uploads(""))) == 3


PAGE = 10
"""Entries of a page where a test asks for so few: S3's thousand need no more code, and far more requests."""


@pytest.fixture
def paged(store: S3Store) -> S3Store:
    """Our store, whose lists come in small pages."""

    def fewer(params: dict[str, object], model: OperationModel, **_: object) -> None:
        params["MaxParts" if model.name == "ListParts" else "MaxKeys"] = PAGE

    for call in ("ListParts", "ListObjectsV2"):
        store._client.meta.events.register(f"before-parameter-build.s3.{call}", fewer)
    return store


def test_a_list_of_many_pages_has_every_object_in_order(paged: S3Store) -> None:
    first, *others = keys = [f"many/{number:04d}" for number in range(5 * PAGE + 5)]
    # One before all: rclone may answer 500 to those that make the same new folder at once.
    etags = {first: put(paged, first, first.encode())}
    with ThreadPoolExecutor(8) as threads:
        etags |= dict(zip(others, threads.map(lambda key: put(paged, key, key.encode()), others), strict=True))
    put(paged, "more", b"")
    pages = pages_of(paged)
    assert [(entry.key, entry.size, entry.etag) for entry in paged.listed("many/")] == [
        (key, 9, etags[key]) for key in keys
    ]
    assert len(pages) == 6


def test_a_list_of_many_pages_has_every_part(paged: S3Store) -> None:
    upload = paged.create("key", ABOUT)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: put_part(paged, "key", upload, number, b"body"), range(1, 5 * PAGE + 6)))
    pages = pages_of(paged)
    assert [part.number for part in paged.stored_parts("key", upload)] == list(range(1, 5 * PAGE + 6))
    assert len(pages) == 6


def test_bytes_that_changed_on_their_way_are_not_kept(server: Server, store: S3Store) -> None:
    upload = store.create("key", ABOUT)
    if deviates(server, "looks at no checksum"):
        store.put("key", flipped(), ABOUT, ALWAYS)
        store.put_part("key", upload, 1, flipped())
        return
    with pytest.raises(Corrupted):
        store.put("key", flipped(), ABOUT, ALWAYS)
    with pytest.raises(Corrupted):
        store.put_part("key", upload, 1, flipped())
    assert store.head("key") is None
    assert store.stored_parts("key", upload) == []


def test_a_checksum_that_is_required_is_repeated_by_the_store(server: Server, bucket: str) -> None:
    with closing(S3Store(server.location(bucket, checksum="required"), 1)) as store:
        upload = store.create("film", ABOUT)
        if deviates(server, "repeats no checksum of an object"):
            with pytest.raises(Refused, match="--s3-checksum auto"):
                put(store, "key", b"body")
        else:
            put(store, "key", b"body")
        if deviates(server, "repeats no checksum of a part"):
            with pytest.raises(Refused, match="--s3-checksum auto"):
                put_part(store, "film", upload, 1, b"body")
        else:
            store.complete("film", upload, [put_part(store, "film", upload, 1, b"body")], ALWAYS)


def test_without_checksums_everything_goes_its_way(server: Server, bucket: str) -> None:
    with closing(S3Store(server.location(bucket, checksum="none"), 1)) as store:
        put(store, "key", b"body")
        upload = store.create("film", ABOUT)
        part = put_part(store, "film", upload, 1, b"body")
        assert store.stored_parts("film", upload)[0].crc32 is None
        store.complete("film", upload, [part], NEW)
    assert content(server, bucket, "film") == b"body"


def test_class_encryption_tags_and_acl_are_passed_on(server: Server, bucket: str) -> None:
    location = server.location(bucket, storage_class="STANDARD_IA", sse="AES256", acl="private")
    about = About("text/plain", None, {}, {"project": "a b+c=d", "by": "mediactl"})
    client = server.client()
    with closing(S3Store(location, 1)) as store:
        put(store, "a", b"body", about=about)
        upload = store.create("b", about)
        store.complete("b", upload, [put_part(store, "b", upload, 1, b"body")], ALWAYS)
    for key in "ab":
        head = client.head_object(Bucket=bucket, Key=key)
        assert (head["StorageClass"], head["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
        if deviates(server, "keeps no tags"):
            continue
        tags = {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
        lost = key == "b" and deviates(server, "keeps no tags of what came in parts")
        assert tags == ({} if lost else about.tags)


def test_many_threads_share_a_store(server: Server, bucket: str, store: S3Store) -> None:
    together = threading.Barrier(16)

    def send(thread: int) -> None:
        together.wait()
        for number in range(10):
            body = f"{thread}/{number}".encode() * 1000
            put(store, f"{thread}/{number}", body)
            found = store.head(f"{thread}/{number}")
            assert found is not None and found.size == len(body)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(send, range(16)))
    assert len(list(store.listed(""))) == 160


def test_a_bucket_that_is_not_there_is_refused(server: Server) -> None:
    with closing(S3Store(server.location("no-such-bucket-here"), 1)) as store:
        calls: list[Callable[[], object]] = [
            lambda: put(store, "key", b"body"),
            lambda: store.create("key", ABOUT),
            lambda: list(store.listed("")),
            lambda: list(store.open_uploads("")),
        ]
        for call in calls:
            with pytest.raises(Refused, match="no such bucket") as caught:
                call()
            assert "s3://no-such-bucket-here" in str(caught.value)
            assert caught.value.code == "NoSuchBucket"
        with pytest.raises(StoreError):
            put_part(store, "key", "upload", 1, b"body")
        assert store.head("key") is None
