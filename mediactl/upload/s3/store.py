"""S3 and what speaks it: credentials, endpoint and lists by botocore; what comes in thousands by ``Wire``."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from xml.etree import ElementTree

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError

from mediactl import __version__
from mediactl.core.files import shown
from mediactl.model.uploads import About, Location
from mediactl.upload.body import Body
from mediactl.upload.s3.answers import MAX_ANSWER, Answer
from mediactl.upload.s3.client import address, client
from mediactl.upload.s3.headers import CRC32, META, crc32_number, crc32_text, described, fixed, quoted_etag
from mediactl.upload.s3.http import READ_TIMEOUT, Wire
from mediactl.upload.s3.refusals import NO_S3, Reply, broken, coded, read, refused, unread
from mediactl.upload.s3.sign import UNSIGNED, Signer, quoted
from mediactl.upload.store import (
    Condition,
    Corrupted,
    Exists,
    Expired,
    Found,
    Listed,
    NoSuchUpload,
    OpenUpload,
    Page,
    Piece,
    Refused,
    Revision,
    Stored,
    StoredPart,
    StoreError,
    Unavailable,
)

_BOTO = (BotoCoreError, ClientError, ResponseParserError, OSError)
"""What a call of botocore raises."""
_AGENT = f"mediactl/{__version__}"
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


class S3Store:
    """A bucket, as ``Store`` promises. Credentials come from wherever botocore finds them, refreshed as it does.

    Over https the body is not hashed for the signature: TLS protects it and, unless the checksum is "none", its
    CRC32. A CRC32 in the answer to ``put`` or ``put_part`` is compared; with "required", an answer without one is
    Refused.
    """

    def __init__(
        self,
        location: Location,
        connections: int,
        *,
        read_timeout: float = READ_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``connections``: how many threads will ask at once. ``read_timeout``: seconds without any progress.

        Asks the store nothing, and the network only where the credentials come from there. Raises Refused and Expired.
        """
        self._location = location
        self._clock = clock
        self._name = f"s3://{location.bucket}"
        try:
            self._session = botocore.session.Session(profile=location.profile)
            self._keys("")
            self._client = client(self._session, location, connections, read_timeout)
            found = address(self._client, location.bucket)
            self._fixed = fixed(location)
        except ValueError as error:
            raise coded(Refused, self._name, shown(str(error)), error) from error
        except _BOTO as error:
            raise self._error("", error, {}) from error
        try:
            trusted = _trusted(location, self._session)
            self._wire = Wire(f"{found.scheme}://{found.host}", ca_bundle=trusted, read_timeout=read_timeout)
        except OSError as error:
            raise coded(Refused, self._name, f"the certificates to trust cannot be read: {error}", error) from error
        self._secure = found.scheme == "https"
        self._confirms = False
        """Whether the last answer that could have a checksum had one."""
        self._path = found.path
        self._signer = Signer(found.region)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._wire.close()
        self._client.close()

    def head(self, key: str) -> Stored | None:
        """Return what is there; None: nothing. A missing bucket looks like a missing object here."""
        answer = self._ask("HEAD", key, "", {"x-amz-checksum-mode": "ENABLED"}, None)
        if answer.status == 404:
            return None
        if answer.status >= 300:
            # An answer to HEAD has no body, and so no code to distinguish an expired token from an invalid one.
            self._done(key, self._ask("GET", key, "", {"range": "bytes=0-0"}, None), {})
            raise coded(Unavailable, self._where(key), "HEAD and GET were answered differently", str(answer.status))
        etag = self._etag(key, answer, {})
        metadata = {name.removeprefix(META): value for name, value in answer.headers.items() if name.startswith(META)}
        return Stored(key, int(answer.headers.get("content-length", 0)), etag, metadata, answer.headers.get(CRC32, ""))

    def whole(self, key: str, most: int) -> tuple[bytes, str] | None:
        """Return the first ``most`` bytes, at most, and the ETag of an object; None: nothing is there."""
        answer = self._ask("GET", key, "", {"range": f"bytes=0-{most - 1}"}, None)
        if answer.status == 416:  # no byte of it is in the range: it has none
            return b"", answer.headers.get("etag", "")
        try:
            self._done(key, answer, {})
        except Exists:  # NoSuchKey
            return None
        return answer.body, self._etag(key, answer, {})

    def put(self, key: str, body: Body, about: About, condition: Condition) -> str:
        """Store a small object whole; its ETag. Raises Exists, Busy."""
        headers = self._fixed | described(about)
        if condition.if_absent:
            headers["if-none-match"] = "*"
        if condition.if_etag is not None:
            headers["if-match"] = condition.if_etag
        return self._put(key, "", headers, body)

    def create(self, key: str, about: About) -> str:
        """Begin a multipart upload; its upload id."""
        headers = self._fixed | described(about)
        if self._location.checksum != "none":
            headers["x-amz-checksum-algorithm"] = "CRC32"
        answer = self._done(key, self._ask("POST", key, "uploads=", headers, None), headers)
        self._confirms = "x-amz-checksum-algorithm" in answer.headers
        try:
            found = ElementTree.fromstring(answer.body).findtext("{*}UploadId")
        except ElementTree.ParseError:
            found = None
        if not found:
            raise refused(self._where(key), read(answer), headers, self._clock())
        return found

    def put_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        """Store one part; its ETag. Raises NoSuchUpload."""
        return self._put(key, f"partNumber={number}&uploadId={quoted(upload_id)}", {}, body)

    def stored_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return all parts that the store has, by number, all pages. Raises NoSuchUpload."""
        found = [
            StoredPart(
                part["PartNumber"], part["Size"], quoted_etag(part["ETag"]), crc32_number(part.get("ChecksumCRC32"))
            )
            for part in self._pages("list_parts", "Parts", key, Key=key, UploadId=upload_id)
        ]
        return sorted(found, key=lambda part: part.number)

    def complete(self, key: str, upload_id: str, parts: list[StoredPart], condition: Condition) -> str:
        """Make the parts one object; its ETag. Raises NoSuchUpload, InvalidPart, Exists, Busy.

        A part's ``crc32`` is passed on unless ``location.checksum`` is "none".
        """
        reply: list[dict[str, Any]] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        sent = {}
        if self._location.checksum != "none":
            for entry, part in zip(reply, parts, strict=True):
                if part.crc32 is not None:
                    sent[CRC32] = entry["ChecksumCRC32"] = crc32_text(part.crc32)
        conditions: dict[str, Any] = {}
        if condition.if_absent:
            sent["if-none-match"] = conditions["IfNoneMatch"] = "*"
        if condition.if_etag is not None:
            sent["if-match"] = conditions["IfMatch"] = condition.if_etag
        with self._asked(key, sent):
            answer = self._client.complete_multipart_upload(
                Bucket=self._location.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": reply},  # type: ignore[typeddict-item]
                **conditions,
            )
        if not answer.get("ETag"):
            raise coded(Unavailable, self._where(key), "what was answered to Complete cannot be read", "no ETag")
        return quoted_etag(answer["ETag"])

    def abort(self, key: str, upload_id: str) -> None:
        """Give an upload up; nothing happens where there is none."""
        try:
            with self._asked(key, {}):
                self._client.abort_multipart_upload(Bucket=self._location.bucket, Key=key, UploadId=upload_id)
        except NoSuchUpload:
            pass

    def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Yield every object whose key starts with ``prefix``, in the order of the keys; those after ``after``."""
        start = {"StartAfter": after} if after else {}
        for entry in self._pages("list_objects_v2", "Contents", prefix, Prefix=prefix, **start):
            modified = entry["LastModified"].timestamp() if "LastModified" in entry else 0.0
            yield Listed(entry["Key"], entry["Size"], quoted_etag(entry["ETag"]), modified)

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Yield every multipart upload under ``prefix`` that is open."""
        try:
            for entry in self._pages("list_multipart_uploads", "Uploads", prefix, Prefix=prefix):
                yield OpenUpload(entry["Key"], entry["UploadId"], entry["Initiated"].timestamp())
        except NoSuchUpload:
            # What rclone says where there is none.
            return

    def get(self, key: str, start: int, size: int, of: Revision, *, request_payer: bool = False) -> Piece:
        """Return up to ``size`` bytes of an object from its byte ``start``. Raises Gone, Altered, Denied.

        An empty object has no ranges: it is asked for whole.
        """
        headers = {"x-amz-checksum-mode": "ENABLED"}
        if request_payer:
            headers["x-amz-request-payer"] = "requester"
        if of.etag:
            headers["if-match"] = of.etag
        query = f"versionId={quoted(of.version)}" if of.version else ""
        ranged = headers | {"range": f"bytes={start}-{start + size - 1}"}
        answer = self._ask("GET", key, query, ranged, None, size)
        if answer.status == 416 and not start:
            answer = self._ask("GET", key, query, headers, None, size)
        if answer.status >= 300:
            raise unread(self._where(key), read(answer), self._clock())
        return self._piece(key, start, answer)

    def _piece(self, key: str, start: int, answer: Answer) -> Piece:
        """Return what an answer has of an object. Raises Unavailable for another range than was asked for."""
        total, named = len(answer.body), answer.headers.get("content-range", "")
        if named:  # which rclone sends with status 200
            first, _, of = named.removeprefix("bytes ").partition("/")
            if not of.isdecimal() or first != f"{start}-{start + len(answer.body) - 1}":
                raise coded(Unavailable, self._where(key), "malformed response: another range than asked for", "range")
            total = int(of)
        elif start:
            raise coded(Unavailable, self._where(key), "the store does not support ranges", "no range")
        whole = len(answer.body) == total
        revision = Revision(self._etag(key, answer, {}), answer.headers.get("x-amz-version-id", "").replace("null", ""))
        crc32 = answer.headers.get(CRC32, "") if whole else ""
        return Piece(answer.body, total, revision, "" if "-" in crc32 else crc32)

    def page(self, prefix: str, after: str, *, folders: bool, request_payer: bool = False) -> Page:
        """Return the objects whose key starts with ``prefix`` from where the page ``after`` ended, or folders there."""
        asked: dict[str, Any] = {"Bucket": self._location.bucket, "Prefix": prefix}
        if folders:
            asked["Delimiter"] = "/"
        if after:
            asked["ContinuationToken"] = after
        if request_payer:
            asked["RequestPayer"] = "requester"
        with self._asked(prefix, {}):
            page = self._client.list_objects_v2(**asked)
        if "IsTruncated" not in page:
            raise coded(Refused, self._where(prefix), NO_S3, "no list")
        objects = tuple(_found(entry) for entry in page.get("Contents", ()))
        below = tuple(entry["Prefix"] for entry in page.get("CommonPrefixes", ()))
        return Page(objects, below, page.get("NextContinuationToken", "") if page["IsTruncated"] else "")

    def _put(self, key: str, query: str, headers: dict[str, str], body: Body) -> str:
        if self._location.checksum != "none":
            headers[CRC32] = crc32_text(body.crc32)
        answer = self._done(key, self._ask("PUT", key, query, headers, body), headers)
        etag = self._etag(key, answer, headers)
        where = self._where(key)
        stored = answer.headers.get(CRC32)
        if stored is not None and headers.get(CRC32, stored) != stored:
            raise coded(Corrupted, where, "the store's checksum is not that of what was sent", "checksum")
        self._confirms = body.confirmed = stored is not None and CRC32 in headers
        if self._location.checksum == "required" and not body.confirmed:
            raise coded(Refused, where, "the store does not keep checksums: try --s3-checksum auto", "no checksum")
        return etag

    def _ask(
        self, method: str, key: str, query: str, headers: Mapping[str, str], body: Body | None, most: int = MAX_ANSWER
    ) -> Answer:
        """Send one signed request, and return its answer, whose body may have ``most`` bytes.

        Raises what the connection or the credentials raise.
        """
        path = f"{self._path}/{quoted(key, safe='/')}"
        named = {**headers, "host": self._wire.host}
        payload = self._payload(body)
        signed = self._signer.sign(self._keys(key), method, path, query, named, payload, self._clock())
        signed["user-agent"] = _AGENT
        if method in ("PUT", "POST"):
            signed["content-length"] = str(len(body) if body is not None else 0)
        try:
            target = f"{path}?{query}" if query else path
            return self._wire.send(method, target, signed, None if body is None else body.data, max(most, MAX_ANSWER))
        except (OSError, HTTPException) as error:
            raise broken(self._where(key) + self._at(), error) from error

    def _payload(self, body: Body | None) -> str:
        """Return what the signature has in the place of the body's digest.

        Over plain http that is the SHA-256, as botocore has it, where that is known, or where nothing else need be
        computed: a store that repeats CRC32s. Of others the ETag is compared, which takes an MD5; rclone's server
        would not look at a SHA-256. No Content-MD5: rclone gives the whole upload up over a wrong one.
        """
        if body is None:
            return _OF_NOTHING
        return body.sha256 if not self._secure and (self._confirms or body.hashed) else UNSIGNED

    def _keys(self, key: str) -> tuple[str, str, str | None]:
        """Access key, secret key and session token, refreshed if need be. Raises Refused, Expired, Unavailable."""
        where = self._where(key)
        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            keys = credentials.get_frozen_credentials()
        except ClientError as error:  # Of the service that gives them.
            found = self._error(key, error, {})
            if isinstance(found, Refused):
                what = f"no credentials: {shown(error.operation_name)} was refused"
                found = coded(Refused, where, f"{what} ({shown(found.code)})", found.code)
            raise found from error
        except BotoCoreError as error:
            raise broken(where + self._at(), error) from error
        except RuntimeError as error:  # botocore's word for new ones that have expired, too.
            raise coded(Expired, where, "the credentials have expired: get new ones and run again", error) from error
        except OSError as error:
            raise coded(Refused, where, f"no credentials: {shown(str(error))}", error) from error
        return keys.access_key or "", keys.secret_key or "", keys.token

    def _done(self, key: str, answer: Answer, sent: Mapping[str, str]) -> Answer:
        """Return the answer if it is a success."""
        if answer.status >= 300:
            raise refused(self._where(key), read(answer), sent, self._clock())
        return answer

    def _etag(self, key: str, answer: Answer, sent: Mapping[str, str]) -> str:
        """Return the ETag of a successful answer: an answer without it is an error dressed as 200, or no store's."""
        etag = answer.headers.get("etag")
        if not etag:
            raise refused(self._where(key), read(answer), sent, self._clock())
        return quoted_etag(etag)

    def _pages(self, call: str, entries: str, key: str, **arguments: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of all pages of one of botocore's lists."""
        pages = iter(self._client.get_paginator(call).paginate(Bucket=self._location.bucket, **arguments))  # type: ignore[call-overload]
        while True:
            with self._asked(key, {}):
                page = next(pages, None)
            if page is None:
                return
            if page.keys() <= {"ResponseMetadata", "RequestCharged"}:
                # XML it was, or botocore had raised, but nothing of a list: a web page.
                raise coded(Refused, self._where(key), NO_S3, "no list")
            yield from page.get(entries, ())

    def _at(self) -> str:
        return f" at {self._location.endpoint_url}" if self._location.endpoint_url else ""

    def _where(self, key: str) -> str:
        return f"{self._name}/{shown(key)}" if key else self._name

    @contextmanager
    def _asked(self, key: str, sent: Mapping[str, str]) -> Iterator[None]:
        """Around a call of botocore: its errors become ours."""
        self._keys(key)  # Their errors have words of their own.
        try:
            yield
        except _BOTO as error:
            raise self._error(key, error, sent) from error

    def _error(self, key: str, error: Exception, sent: Mapping[str, str]) -> StoreError:
        if not isinstance(error, ClientError):
            return broken(self._where(key) + self._at(), error)
        fields: Mapping[str, Any] = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        status, headers = meta.get("HTTPStatusCode", 0), meta.get("HTTPHeaders", {})
        code = fields.get("Code", "")
        html = "html" in headers.get("content-type", "")
        reply = Reply(status, "" if code == str(status) else code, fields, headers, html)
        return refused(self._where(key), reply, sent, self._clock())


def _found(entry: Mapping[str, Any]) -> Found:
    """Return an object of botocore's list."""
    etag = entry.get("ETag", "")
    return Found(entry["Key"], entry["Size"], quoted_etag(etag) if etag else "")


def _trusted(location: Location, session: botocore.session.Session) -> str:
    """Return the file of certificates that botocore trusts, too."""
    named = location.ca_bundle or session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return str(named or get_cert_path(True))
