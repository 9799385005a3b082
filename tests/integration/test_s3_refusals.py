"""What a store says no with becomes one line that tells whose fault it is and what to change."""

from __future__ import annotations

import functools
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, Protocol

import boto3
import pytest
from support.servers import CREDENTIALS, KEY, REGION, SECRET, Answering, Reply, Server, free_port, s3_error

from mediactl.model.uploads import About, Location
from mediactl.upload.body import Body
from mediactl.upload.s3.store import S3Store
from mediactl.upload.store import (
    Busy,
    Condition,
    Corrupted,
    Exists,
    Expired,
    InvalidPart,
    NoSuchUpload,
    Refused,
    StoredPart,
    StoreError,
    Throttled,
    Unavailable,
    Unreachable,
)

pytestmark = pytest.mark.usefixtures("credentials")

ETAG = '"841a2d689ad86bd1611447453c22c6fc"'
GOOD = Reply(200, b"", {"ETag": ETAG})
HTML = Reply(200, b"<html><body>Welcome to nginx!</body></html>", {"Content-Type": "text/html"})
BODY = memoryview(b"body")
CALLS: dict[str, Callable[[S3Store], object]] = {
    "put": lambda store: store.put("key", Body(BODY), About(), Condition(if_absent=True)),
    "create": lambda store: store.create("key", About()),
    "put_part": lambda store: store.put_part("key", "upload", 1, Body(BODY)),
    "stored_parts": lambda store: store.stored_parts("key", "upload"),
    "complete": lambda store: store.complete("key", "upload", [StoredPart(1, 4, ETAG, 1)], Condition(if_absent=True)),
    "listed": lambda store: list(store.listed("")),
    "open_uploads": lambda store: list(store.open_uploads("")),
    "head": lambda store: store.head("key"),
}
WRITES = ("put", "complete")


@contextmanager
def answered(*replies: Reply, **location: Any) -> Iterator[tuple[S3Store, Answering]]:
    """A store before a server that gives those answers."""
    with Answering(*replies) as server:
        with closing(S3Store(Location("bucket", endpoint_url=server.url, **location), 2, read_timeout=5.0)) as store:
            yield store, server


@pytest.fixture(scope="module")
def canned() -> Iterator[tuple[S3Store, Answering]]:
    """A store before a server whose answers are still to be given."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        with answered(GOOD) as (store, server):
            yield store, server


class Answer(Protocol):
    """Sets the answers, and gives the store that will get them."""

    def __call__(self, *replies: Reply) -> tuple[S3Store, Answering]: ...


@pytest.fixture
def answer(canned: tuple[S3Store, Answering]) -> Answer:
    """One store for many tests."""
    store, server = canned

    def give(*replies: Reply) -> tuple[S3Store, Answering]:
        server.replies[:] = replies
        server.asked.clear()
        return store, server

    return give


def raised(call: Callable[[], object]) -> StoreError:
    """The error of a call: one line that begins with the place."""
    with pytest.raises(StoreError) as caught:
        call()
    line = str(caught.value)
    assert line.startswith("s3://bucket"), line
    assert line.isprintable()
    assert caught.value.code
    return caught.value


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "AccessDenied", Refused, "s3:ListBucket"),
        (403, "InvalidAccessKeyId", Refused, "--profile"),
        (403, "SignatureDoesNotMatch", Refused, "secret key"),
        (400, "InvalidToken", Refused, "session token"),
        (400, "ExpiredToken", Expired, "expired"),
        (503, "SlowDown", Throttled, "slow down"),
        (503, "ServiceUnavailable", Throttled, "overloaded"),
        (429, "TooManyRequests", Throttled, "slow down"),
        (400, "KMS.ThrottlingException", Throttled, "slow down"),
        (500, "InternalError", Unavailable, "internal error"),
        (502, "BadGateway", Unavailable, "had an error"),
        (504, "GatewayTimeout", Unavailable, "had an error"),
        (400, "RequestTimeout", Unavailable, "timed out"),
        (501, "NotImplemented", Refused, "does not support the request: words; "),
        (405, "MethodNotAllowed", Refused, "--endpoint-url"),
        (400, "SomethingNew", Refused, "rejects the request: words"),
        (400, "KMS.DisabledException", Refused, "--sse"),
    ],
)
def test_an_error_is_known_by_its_code_whatever_was_asked(
    answer: Answer, call: str, status: int, code: str, kind: type[StoreError], words: str
) -> None:
    store, _ = answer(s3_error(status, code))
    error = raised(lambda: CALLS[call](store))
    assert type(error) is kind
    assert words in str(error)
    assert f"({status} {code})" in str(error)
    assert error.code == code


@pytest.mark.parametrize(
    ("call", "status", "code", "kind", "words"),
    [
        ("put", 404, "NoSuchBucket", Refused, "no such bucket"),
        ("listed", 404, "NoSuchBucket", Refused, "no such bucket"),
        ("put", 400, "IncompleteBody", Unavailable, "incomplete body"),
        ("put", 400, "BadDigest", Corrupted, "other bytes"),
        ("put_part", 400, "XAmzContentSHA256Mismatch", Corrupted, "other bytes"),
        ("put", 412, "PreconditionFailed", Exists, "another object"),
        ("complete", 412, "PreconditionFailed", Exists, "another object"),
        ("put", 404, "NoSuchKey", Exists, "does not exist any more"),
        ("put", 409, "ConditionalRequestConflict", Busy, "concurrent write"),
        ("complete", 409, "OperationAborted", Busy, "concurrent write"),
        ("put_part", 404, "NoSuchUpload", NoSuchUpload, "multipart upload"),
        ("stored_parts", 404, "NoSuchUpload", NoSuchUpload, "multipart upload"),
        ("complete", 400, "InvalidPart", InvalidPart, "a part"),
        ("complete", 400, "InvalidPartOrder", InvalidPart, "order"),
        ("complete", 400, "EntityTooSmall", InvalidPart, "smaller"),
        ("put", 400, "EntityTooLarge", StoreError, "too large"),
        ("put", 400, "KeyTooLongError", StoreError, "too long"),
        ("put", 400, "InvalidStorageClass", Refused, "--storage-class"),
        ("create", 400, "AccessControlListNotSupported", Refused, "--acl"),
        ("put", 400, "InvalidTag", Refused, "tag"),
    ],
)
def test_an_error_of_a_write_is_known_by_its_code(
    answer: Answer, call: str, status: int, code: str, kind: type[StoreError], words: str
) -> None:
    store, _ = answer(s3_error(status, code))
    error = raised(lambda: CALLS[call](store))
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.parametrize("call", ["put", "put_part", "listed", "complete"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, Throttled), (429, Throttled), (502, Unavailable), (500, Unavailable), (404, Refused), (403, Refused)],
)
def test_a_web_page_counts_by_its_status(answer: Answer, call: str, status: int, kind: type[StoreError]) -> None:
    page = Reply(status, b"<html>\n<head><title>Oh</title></head><hr>", {"Content-Type": "text/html; charset=utf-8"})
    store, _ = answer(page)
    error = raised(lambda: CALLS[call](store))
    assert type(error) is kind
    if kind is Refused:
        assert "does not speak S3; check --endpoint-url" in str(error)


@pytest.mark.parametrize("call", sorted(set(CALLS) - {"head", "complete"}))
def test_a_web_page_instead_of_a_yes_is_no_store(answer: Answer, call: str) -> None:
    store, _ = answer(HTML)
    error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    assert "does not speak S3" in str(error)


TORN = Reply(200, b'<?xml version="1.0"?><Result><Name>bucket</Name>', {"Content-Type": "application/xml"})


@pytest.mark.parametrize("call", ["stored_parts", "listed", "open_uploads", "create"])
@pytest.mark.parametrize("reply", [TORN, TORN._replace(torn=20)], ids=["half of the XML", "half of the answer"])
def test_an_answer_that_ends_too_early_is_asked_for_again(answer: Answer, call: str, reply: Reply) -> None:
    store, _ = answer(reply)
    assert type(raised(lambda: CALLS[call](store))) is Unavailable


@pytest.mark.parametrize("call", ["put", "put_part", "complete", "create"])
@pytest.mark.parametrize(("code", "kind"), [("InternalError", Unavailable), ("SlowDown", Throttled)])
def test_a_200_with_an_error_in_it_is_an_error(answer: Answer, call: str, code: str, kind: type[StoreError]) -> None:
    store, _ = answer(s3_error(200, code))
    assert type(raised(lambda: CALLS[call](store))) is kind


def test_a_200_to_a_put_without_an_etag_is_no_yes(answer: Answer) -> None:
    store, _ = answer(Reply(200))
    assert type(raised(lambda: CALLS["put"](store))) is Unavailable


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "reply",
    [
        s3_error(301, "PermanentRedirect", Endpoint="bucket.s3.eu-west-3.amazonaws.com")._replace(
            headers={"x-amz-bucket-region": "eu-west-3"}
        ),
        s3_error(307, "TemporaryRedirect")._replace(headers={"x-amz-bucket-region": "eu-west-3"}),
        s3_error(400, "AuthorizationHeaderMalformed", Region="eu-west-3"),
    ],
    ids=["301", "307", "400"],
)
def test_a_bucket_in_another_region_is_told_with_the_region(answer: Answer, call: str, reply: Reply) -> None:
    store, server = answer(reply)
    error = raised(lambda: CALLS[call](store))
    assert len(server.asked) <= 2
    assert type(error) is Refused
    assert "--region eu-west-3" in str(error)


def test_a_no_to_head_is_explained_by_a_get_of_one_byte(answer: Answer) -> None:
    store, server = answer(Reply(400), s3_error(400, "ExpiredToken"))
    assert type(raised(lambda: store.head("key"))) is Expired
    assert [(asked.method, asked.headers.get("range")) for asked in server.asked] == [
        ("HEAD", None),
        ("GET", "bytes=0-0"),
    ]


R2 = s3_error(501, "NotImplemented")._replace(
    body=b"<?xml version='1.0'?><Error><Code>NotImplemented</Code>"
    b"<Message>Header 'x-amz-checksum-crc32' with value '8FJbTw==' not implemented</Message></Error>"
)
B2 = Reply(
    400,
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>\n    <Code>InvalidArgument</Code>\n'
    b"    <Message>Unsupported header 'x-amz-checksum-crc32' received for this API call.</Message>\n</Error>",
    {"Content-Type": "application/xml"},
)


@pytest.mark.parametrize("reply", [R2, B2], ids=["Cloudflare R2", "Backblaze B2"])
@pytest.mark.parametrize("call", ["put", "put_part", "create", "complete"])
def test_a_store_that_does_not_know_checksums_is_told_with_the_flag(answer: Answer, call: str, reply: Reply) -> None:
    store, _ = answer(reply)
    error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    assert "--s3-checksum none" in str(error)


@pytest.mark.parametrize("call", WRITES)
def test_a_store_that_does_not_know_conditions_is_told_with_the_flag(answer: Answer, call: str) -> None:
    # What AWS said until 2024.
    store, _ = answer(s3_error(501, "NotImplemented", Header="If-None-Match"))
    error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    assert str(error).endswith("try --if-exists replace (501 NotImplemented)")


def test_without_checksums_their_flag_is_not_told() -> None:
    with answered(B2, checksum="none", sse="aws:kms:arn:aws:kms:eu-west-1:1:key/2", storage_class="GLACIER") as (
        store,
        server,
    ):
        error = raised(lambda: CALLS["create"](store))
        sent = server.asked[0].headers
    assert "--s3-checksum" not in str(error)
    assert "another --storage-class or another --sse" in str(error)
    assert sent["x-amz-server-side-encryption"] == "aws:kms"
    assert sent["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:eu-west-1:1:key/2"
    assert not [name for name in sent if "checksum" in name]


def test_a_checksum_that_the_store_tells_otherwise_is_corruption() -> None:
    other = Reply(200, b"", {"ETag": ETAG, "x-amz-checksum-crc32": "AAAAAA=="})
    with answered(other, checksum="required") as (store, _):
        with pytest.raises(Corrupted, match="checksum"):
            CALLS["put"](store)


def test_what_a_stranger_wrote_in_an_error_cannot_reach_the_terminal(answer: Answer) -> None:
    store, _ = answer(s3_error(400, "Odd", Message="\u202ered\u0085&#10;&#27;" + "x" * 5000))
    assert len(str(raised(lambda: CALLS["put"](store)))) < 600


def test_a_store_that_nobody_answers_for_is_unreachable() -> None:
    location = Location("bucket", endpoint_url=f"http://127.0.0.1:{free_port()}")
    with closing(S3Store(location, 1)) as store:
        for call in ("put", "listed"):
            error = raised(functools.partial(CALLS[call], store))
            assert type(error) is Unreachable
            assert "Connection refused" in str(error)


def test_a_certificate_that_nobody_trusts_is_refused(ministack_https_server: Server) -> None:
    with closing(S3Store(Location("bucket", endpoint_url=ministack_https_server.url), 1)) as store:
        for call in ("put", "listed"):
            error = raised(functools.partial(CALLS[call], store))
            assert type(error) is Refused
            assert "--ca-bundle" in str(error)


def test_a_server_without_tls_is_refused_over_https() -> None:
    with Answering(GOOD) as server:
        location = Location("bucket", endpoint_url=server.url.replace("http:", "https:"))
        with closing(S3Store(location, 1)) as store:
            for call in ("put", "listed"):
                error = raised(functools.partial(CALLS[call], store))
                assert type(error) is Refused
                assert "does not speak TLS" in str(error)


def test_a_ca_bundle_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="certificates"):
        S3Store(Location("bucket", endpoint_url="https://127.0.0.1:1", ca_bundle="/no/such/file"), 1)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://127.0.0.1/?a=b", f"http://{'x' * 70}.test"]
)
def test_an_endpoint_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="endpoint"):
        S3Store(Location("bucket", endpoint_url=url), 1)


def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Refused, match="no credentials: set AWS_ACCESS_KEY_ID"):
        S3Store(Location("bucket", endpoint_url="http://127.0.0.1:1"), 1)


def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="nobody"):
        S3Store(Location("bucket", endpoint_url="http://127.0.0.1:1", profile="nobody"), 1)


_numbers = itertools.count()


class Strict(NamedTuple):
    """A server that checks signatures, a bucket there, and keys that may do everything."""

    server: Server
    bucket: str
    key: str
    secret: str


def new_user(server: Server, action: str) -> tuple[str, str]:
    """Keys of a new user of MiniStack that may do ``action`` only."""
    session = boto3.Session("test", "test", region_name=REGION)
    iam = session.client("iam", endpoint_url=server.url)
    name = f"user-{next(_numbers)}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


@pytest.fixture(scope="module")
def ministack_strict(ministack_strict_server: Server) -> Strict:
    """MiniStack with a user."""
    session = boto3.Session("test", "test", region_name=REGION)
    bucket = f"bucket-{next(_numbers)}"
    session.client("s3", endpoint_url=ministack_strict_server.url).create_bucket(Bucket=bucket)
    return Strict(ministack_strict_server, bucket, *new_user(ministack_strict_server, "s3:*"))


@pytest.fixture(scope="module")
def rclone_strict(rclone_server: Server) -> Strict:
    """rclone, which always checks."""
    return Strict(rclone_server, rclone_server.new_bucket(), KEY, SECRET)


@pytest.fixture(params=["ministack_strict", "rclone_strict"])
def strict(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Strict:
    """Each of the servers that check signatures, with its keys in the environment."""
    found: Strict = request.getfixturevalue(request.param)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", found.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", found.secret)
    return found


REAL = ["put", "listed", "head"]


@pytest.mark.parametrize("call", REAL)
def test_right_credentials_are_taken_by_a_real_server(strict: Strict, call: str) -> None:
    with closing(S3Store(strict.server.location(strict.bucket), 1)) as store:
        store.abort("key", store.create("key", About()))
        try:
            CALLS[call](store)
        except Exists:
            assert call == "put"


@pytest.mark.parametrize("call", REAL)
@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", "unknown access key"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "secret key does not match"),
    ],
)
def test_wrong_credentials_are_told_by_a_real_server(
    strict: Strict, monkeypatch: pytest.MonkeyPatch, call: str, name: str, wrong: str, words: str
) -> None:
    monkeypatch.setenv(name, wrong)
    with closing(S3Store(strict.server.location(strict.bucket), 1)) as store:
        error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    assert words in str(error)


@pytest.mark.parametrize(("offset", "words"), [(-7200.0, "slow"), (7200.0, "fast")])
@pytest.mark.parametrize("call", ["put", "head"])
def test_a_clock_that_is_wrong_is_told_by_how_much(strict: Strict, call: str, offset: float, words: str) -> None:
    with closing(S3Store(strict.server.location(strict.bucket), 1, clock=lambda: time.time() + offset)) as store:
        error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    told = re.search(rf"this machine's clock is (\d+) s {words}; set it", str(error))
    assert told and abs(int(told[1]) - 7200) < 5


@pytest.mark.parametrize("call", REAL)
def test_a_user_without_the_right_is_told_by_a_real_server(
    ministack_strict: Strict, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    key, secret = new_user(ministack_strict.server, f"s3:Nothing{call}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with closing(S3Store(ministack_strict.server.location(ministack_strict.bucket), 1)) as store:
        error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    assert "access denied; the credentials require s3:PutObject" in str(error)


@pytest.mark.parametrize("call", [*REAL, "create"])
def test_a_wrong_region_is_told_by_a_real_server(
    ministack_strict: Strict, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ministack_strict.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ministack_strict.secret)
    with closing(S3Store(ministack_strict.server.location(ministack_strict.bucket, region="eu-west-1"), 1)) as store:
        error = raised(lambda: CALLS[call](store))
    assert type(error) is Refused
    assert f"--region {REGION}" in str(error)
