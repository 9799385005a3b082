"""The object store protocol, and its errors. ``s3`` is the one implementation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from mediactl.core.errors import ExitCode, LaneClosed, MediactlError
from mediactl.model.uploads import About
from mediactl.model.verdict import Verdict
from mediactl.upload.body import Body
from mediactl.upload.multipart.parts import MIN_PART


class Condition(msgspec.Struct, frozen=True):
    """The condition of a write: none, no object at the key, or an object with this ETag."""

    if_absent: bool = False
    if_etag: str | None = None


class Stored(msgspec.Struct, frozen=True):
    """An object as HEAD reports it."""

    key: str
    size: int
    etag: str
    """With its quotes, as the store sent it."""
    metadata: Mapping[str, str]
    checksum: str = ""
    """CRC32 as S3 writes it, of an object of parts a digest of theirs (``composite``); empty: the store has none."""


class Listed(msgspec.Struct, frozen=True):
    """An object as LIST reports it."""

    key: str
    size: int
    etag: str
    modified: float = 0.0
    """Seconds since 1970, by the store's clock; of what came in parts, when its upload began."""


class Revision(msgspec.Struct, frozen=True):
    """Which one of the objects that a key has had is asked for; without either, the one that is there."""

    etag: str = ""
    """With its quotes."""
    version: str = ""
    """VersionId; empty: the bucket keeps none."""


class Piece(msgspec.Struct, frozen=True):
    """A part of an object's content."""

    body: bytes
    total: int
    """Bytes of the whole object."""
    revision: Revision
    crc32: str = ""
    """Of the whole object, as S3 writes it; empty: not in this answer."""


class Found(msgspec.Struct, frozen=True):
    """An object that may be a source, as LIST reports it."""

    key: str
    size: int
    etag: str
    """With its quotes; "" where the store has none."""


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    objects: tuple[Found, ...]
    folders: tuple[str, ...]
    """Prefixes with their slash at the end."""
    next: str
    """Where the next page begins; "": this is the last."""


class StoredPart(msgspec.Struct, frozen=True):
    """A part that the store holds of an unfinished upload."""

    number: int
    size: int
    etag: str
    crc32: int | None = None


class OpenUpload(msgspec.Struct, frozen=True):
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    initiated_at: float
    """Seconds since 1970."""


class Limits(msgspec.Struct, frozen=True):
    """Sizes in bytes."""

    part: int = MIN_PART
    multipart_from: int = MIN_PART * 3
    """Objects of at least this size are sent in parts."""


class Store(Protocol):
    """One bucket. Every method is one request (``listed`` and the like: one a page), makes no retry of its own, may be
    called from many threads at once, and raises a StoreError."""

    def head(self, key: str) -> Stored | None:
        """Return what is there; None: nothing."""

    def whole(self, key: str, most: int) -> tuple[bytes, str] | None:
        """Return the first ``most`` bytes, at most, and the ETag of an object; None: nothing is there."""

    def put(self, key: str, body: Body, about: About, condition: Condition) -> str:
        """Store a small object whole; its ETag. Marks the body as confirmed where the store repeats its checksum."""

    def create(self, key: str, about: About) -> str:
        """Begin a multipart upload; its upload id."""

    def put_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        """Store one part; its ETag. Marks the body as ``put`` does. Raises NoSuchUpload."""

    def stored_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return all parts that the store has, by number, all pages. Raises NoSuchUpload."""

    def complete(self, key: str, upload_id: str, parts: list[StoredPart], condition: Condition) -> str:
        """Make the parts one object; its ETag. Raises NoSuchUpload, InvalidPart, Exists, Busy."""

    def abort(self, key: str, upload_id: str) -> None:
        """Abort an upload; nothing happens where there is none."""

    def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Yield every object whose key starts with ``prefix``, in the order of the keys; those after ``after``."""

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Yield every multipart upload under ``prefix`` that is open."""


class SourceStore(Store, Protocol):
    """A bucket that holds sources: it can be read, too."""

    def get(self, key: str, start: int, size: int, of: Revision, *, request_payer: bool = False) -> Piece:
        """Return up to ``size`` bytes of an object from its byte ``start``. Raises Gone, Altered, Denied."""

    def page(self, prefix: str, after: str, *, folders: bool, request_payer: bool = False) -> Page:
        """Return the objects whose key starts with ``prefix`` from where the page ``after`` ended ("": the first).

        ``folders``: of those that have a slash behind the prefix, only what they have in common up to it.
        """


class StoreError(MediactlError):
    """A request failed. ``str(error)`` is one line for a person, naming bucket and key."""

    exit_code = ExitCode.STOPPED_EARLY
    code: str = ""
    """S3's error code, or the name of what happened to the connection."""


class Unavailable(StoreError):
    """5xx, a reset, a timeout, a torn or wrong answer: worth the same request again after a while."""


class Throttled(Unavailable):
    """SlowDown, 429, 503: fewer requests at once."""


class Unreachable(Unavailable, LaneClosed):
    """No connection at all: name not found, refused, no route. Waited for without burning attempts."""


class Corrupted(Unavailable):
    """The store got other bytes than were sent (BadDigest and its kin)."""


class NoSuchUpload(StoreError):
    """The multipart upload is not there: completed, aborted or expired."""


class InvalidPart(StoreError):
    """Complete named a part that the store does not have."""


class Exists(StoreError):
    """412: the condition of a write does not hold."""


class Busy(StoreError):
    """409: another write of this key was going on; begin again."""


class Gone(StoreError):
    """404 for an object that is asked for."""


class Altered(StoreError):
    """412: another object is there than the one that is asked for."""


class Denied(StoreError):
    """This object may not be read, or has to be restored from an archive first; others may be."""


class Refused(StoreError, LaneClosed):
    """The configuration is invalid (no credentials, no such bucket, other region, access denied, unsupported option):
    no other object will fare better. The line says what to change."""

    verdict = Verdict.REFUSED
    exit_code = ExitCode.USAGE


class Expired(StoreError, LaneClosed):
    """The credentials ran out and could not be refreshed: run again with new ones."""
