"""What is known of objects that are sources: where they are, what they were when they were listed. Frozen values."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from mediactl.model.media import Fingerprint
from mediactl.model.uploads import Location

WHOLE = 64 << 10
"""Bytes of an object that is fetched whole where only its first bytes were asked for."""
_MARK = (1 << 63) - 1


def fingerprint(size: int, etag: str) -> Fingerprint:
    """Return the fingerprint of an object of so many bytes: a digest of its ETag is in the place of the time."""
    mark = int.from_bytes(hashlib.sha256(etag.strip('"').encode()).digest()[:8]) & _MARK
    return Fingerprint(size, mark or 1, 0, 0)


class Fetching(msgspec.Struct, frozen=True):
    """How objects that are sources are reached and fetched."""

    location: Location = Location("")
    """How to reach a bucket; the bucket itself is that of each source."""
    request_payer: bool = False
    """Whether to pay for requests to buckets of others."""
    scratch: int = 20 << 30
    """Bytes of fetched objects that may be on disk at once."""
    concurrency: int = 16
    """Requests at once."""
    bandwidth: float | None = None
    """Bytes a second."""
    memory: int = 64 << 20
    """Bytes of bodies at once."""


class FetchTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fetch one object into a file. Self-contained: all that a worker needs."""

    location: Location
    """Its bucket; the prefix is not used."""
    key: str
    file: bytes
    """Absolute path of the file to be made. One that is there already is complete; the directory exists."""
    fingerprint: Fingerprint | None = None
    """Of the object as it was listed; None: whatever is there."""
    most: int | None = None
    """Return so many of its first bytes instead of making a file, unless it has no more than ``WHOLE``."""
    request_payer: bool = False

    @property
    def url(self) -> str:
        """Return the s3://BUCKET/KEY."""
        return f"s3://{self.location.bucket}/{self.key}"


class FetchStatus(StrEnum):
    """What became of a fetch."""

    FETCHED = "fetched"
    """The file is complete."""
    PRESENT = "present"
    """It was already."""
    HEAD = "head"
    """Its first bytes were asked for, and no file was made."""
    CHANGED = "changed"
    """Another object is there than was listed; no file was made."""
    GONE = "gone"
    """No object is there any more."""
    DENIED = "denied"
    """This object may not be read, or not now: its key, or the class that it is stored in, forbids it."""


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a fetch ended."""

    status: FetchStatus
    fingerprint: Fingerprint = Fingerprint(0, 0, 0, 0)
    """Of the object that is there."""
    etag: str = ""
    """With its quotes."""
    version: str = ""
    """Its VersionId; empty: the bucket keeps no versions."""
    sha256: str = ""
    """Of the file's content, hex."""
    head: bytes = b""
    """The first bytes, where these were asked for."""
    received: int = 0
    """Bytes of bodies that were received."""
    reason: str = ""
    """Why it may not be read."""
