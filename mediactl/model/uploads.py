"""What is known of an upload: the job, what the journal remembers of it, each change of that. Frozen values, no I/O.

A worker sends, the supervisor writes: each step of an upload is a ``Change``, on disk before the step after it is
taken. ``apply`` is the one truth of what a change does, for the journal and for the worker.

    PLANNED -> CREATING -> UPLOADING -> COMPLETING -> DONE | CONFLICT | ABORTED
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from mediactl.model.media import Fingerprint

TOKEN = "mediactl-token"
"""Metadata: the random token of the upload that made the object. With the size it proves whose upload it was."""
SHA256 = "mediactl-sha256"
"""Metadata: SHA-256 of the object's content, hex."""
PART_SIZE = "mediactl-part-size"
"""Metadata: bytes of a part, where the content's SHA-256 was not known when the upload began. What the object is, its
ETag says then: a digest of its parts' digests."""
ARTEFACT = "mediactl-key"
"""Metadata: the artefact's key (``model.Artefact.key``), where the object is one."""


class IfExists(StrEnum):
    """What becomes of an object that is already at the key."""

    VERIFY = "verify"
    """Ours with this content: left. Ours with other content: replaced. Of another writer: a conflict, untouched."""
    REPLACE = "replace"
    """Overwritten, whatever it is, unless it changes while we look."""
    FAIL = "fail"
    """A conflict, unless it is ours and has this content."""


class UploadStatus(StrEnum):
    """Where the upload of one object is."""

    PLANNED = "planned"
    CREATING = "creating"
    """The token is given; the multipart upload may exist or not."""
    UPLOADING = "uploading"
    COMPLETING = "completing"
    """Complete may have been sent; only the object's token shows whether it was completed."""
    DONE = "done"
    CONFLICT = "conflict"
    ABORTED = "aborted"


LIVE = frozenset({UploadStatus.CREATING, UploadStatus.UPLOADING, UploadStatus.COMPLETING})
"""There may be an open multipart upload."""


class Location(msgspec.Struct, frozen=True):
    """Location of objects in a bucket, and how to reach it. Plain data: a job carries it to its worker."""

    bucket: str
    prefix: str = ""
    """Without a slash at either end; empty: the bucket itself."""
    endpoint_url: str | None = None
    """None: AWS, or what the user's AWS configuration names."""
    region: str | None = None
    profile: str | None = None
    path_style: bool | None = None
    """None: path style where an endpoint is named, the virtual host style at AWS."""
    checksum: str = "auto"
    """"auto", "required" or "none": CRC32 sent along and kept by the store."""
    storage_class: str | None = None
    sse: str | None = None
    """"AES256", "aws:kms" or "aws:kms:KEY"."""
    acl: str | None = None
    ca_bundle: str | None = None


class About(msgspec.Struct, frozen=True):
    """What is kept with an object."""

    media_type: str = "application/octet-stream"
    cache_control: str | None = None
    metadata: Mapping[str, str] = {}
    """ASCII; the token, the content's sha256 and the artefact's key are in here."""
    tags: Mapping[str, str] = {}


class UploadTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Put one local file into a bucket. Self-contained: all that a worker needs."""

    file: bytes
    """Absolute path of a regular file; a symbolic link is not followed."""
    fingerprint: Fingerprint
    """What the file is expected to be. A ctime or inode of 0 is not known."""
    location: Location = msgspec.field(name="place")
    key: str
    """The object's whole key, prefix included, not percent-encoded."""
    about: About = About()
    """Token, sha256 and artefact key are added to its metadata when it is sent."""
    sha256: str = ""
    """Of the content, hex; empty: not known, hashed before anything is sent."""
    artefact: str = ""
    """``model.Artefact.key``; empty: the file is none."""
    if_exists: IfExists = IfExists.VERIFY
    root: bytes = b""
    """Directory above the file, below which no symbolic link is followed; empty: only the file itself is checked."""
    seen: str | None = None
    """What a LIST *of this run* showed at the key: "" nothing, else the ETag; None: not listed.

    It saves a HEAD for an object that is not there. Filled in when the job is handed to its worker, never kept in the
    journal: a store that ignores conditions would overwrite what came in between.
    """

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.fingerprint.size

    @property
    def url(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.location.bucket}/{self.key}"


class SentPart(msgspec.Struct, frozen=True, array_like=True):
    """A part that the store has acknowledged."""

    number: int
    size: int
    crc32: int
    etag: str


class UploadState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the journal remembers of one (endpoint, bucket, key)."""

    status: UploadStatus = UploadStatus.PLANNED
    token: str = ""
    upload_id: str = ""
    part_size: int = 0
    """Bytes, the same for as long as the upload lives."""
    source: Fingerprint | None = None
    """The file that the parts are of."""
    sha256: str = ""
    """Of that file."""
    parameters: str = ""
    """``parameters(task)`` of the task that began it."""
    expected: str = ""
    """ETag of the one object that may be overwritten; empty: nothing may be there."""
    others: tuple[str, ...] | None = None
    """Ids of the uploads that were open at this key before ours was created; None: the store did not list them."""
    etag: str = ""
    """Of the object, when done."""
    parts: tuple[SentPart, ...] = ()
    """By number."""


class Begun(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A multipart upload begins, or begins again: whatever was remembered of an earlier one is forgotten, which must
    have been aborted before. -> CREATING"""

    token: str
    part_size: int
    source: Fingerprint
    sha256: str
    parameters: str
    expected: str
    others: tuple[str, ...] | None


class Created(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The store has given an upload id. CREATING -> UPLOADING"""

    upload_id: str


class PartsSent(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The store has these parts (sent, or found there and compared). A part sent again replaces the earlier one."""

    parts: tuple[SentPart, ...]


class PartsLost(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The store does not have these parts as remembered. UPLOADING or COMPLETING -> UPLOADING"""

    numbers: tuple[int, ...]


class Aimed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Another object is there now than when it began, and may be overwritten. The status stays."""

    expected: str


class Completing(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Every part is there; Complete is sent next. UPLOADING -> COMPLETING"""


class Settled(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """It is over, one way or the other. Any status -> DONE, CONFLICT or ABORTED

    Comes in ``Sent.settled`` and is written in the transaction that settles the job, never through the ledger.
    """

    status: UploadStatus
    token: str = ""
    etag: str = ""
    source: Fingerprint | None = None
    sha256: str = ""


Change = Begun | Created | PartsSent | PartsLost | Aimed | Completing | Settled


class SentStatus(StrEnum):
    """How an upload job ended."""

    SENT = "sent"
    PRESENT = "present"
    """Was complete before this job did anything: its own earlier upload, or another's of the same content."""
    ADOPTED = "adopted"
    """The journal knew nothing of it, but our marks and this content are there: nothing was sent."""
    CONFLICT = "conflict"
    """Something else is there and was left alone, for this ``reason``."""


class Sent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an upload job did."""

    status: SentStatus
    settled: Settled
    """For ``apply``, in the transaction that settles the job."""
    bytes: int
    """Size of the object."""
    etag: str = ""
    bytes_sent: int = 0
    """Bytes of body that this job sent, retries included; a body cut off counts whole."""
    parts_sent: int = 0
    parts_kept: int = 0
    """Parts that an earlier run had sent."""
    reason: str = ""


class IllegalChange(Exception):
    """A change that does not follow from the state: a mistake of ours, or of a worker that nobody waits for."""


def parameters(task: UploadTask) -> str:
    """Digest of everything but the content that an object keeps from the moment its upload is created."""
    location = task.location
    kept = (
        task.about.media_type,
        task.about.cache_control,
        sorted(task.about.metadata.items()),
        sorted(task.about.tags.items()),
        task.artefact,
        location.storage_class,
        location.sse,
        location.acl,
        location.checksum,
    )
    return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()


def apply(state: UploadState, change: Change) -> UploadState:
    """The state after a change. Raises IllegalChange."""
    status = state.status
    match change:
        case Begun():
            _require(change.part_size > 0 and bool(change.token), state, change)
            return UploadState(
                UploadStatus.CREATING,
                change.token,
                part_size=change.part_size,
                source=change.source,
                sha256=change.sha256,
                parameters=change.parameters,
                expected=change.expected,
                others=change.others,
            )
        case Created():
            _require(status is UploadStatus.CREATING and bool(change.upload_id), state, change)
            return msgspec.structs.replace(state, status=UploadStatus.UPLOADING, upload_id=change.upload_id)
        case PartsSent():
            _require(status is UploadStatus.UPLOADING, state, change)
            parts = {part.number: part for part in (*state.parts, *change.parts)}
            return msgspec.structs.replace(state, parts=tuple(parts[number] for number in sorted(parts)))
        case PartsLost():
            _require(status in (UploadStatus.UPLOADING, UploadStatus.COMPLETING), state, change)
            kept = tuple(part for part in state.parts if part.number not in change.numbers)
            return msgspec.structs.replace(state, status=UploadStatus.UPLOADING, parts=kept)
        case Aimed():
            _require(status in LIVE, state, change)
            return msgspec.structs.replace(state, expected=change.expected)
        case Completing():
            whole = state.source is not None and sum(part.size for part in state.parts) == state.source.size
            _require(status is UploadStatus.UPLOADING and whole, state, change)
            return msgspec.structs.replace(state, status=UploadStatus.COMPLETING)
        case Settled():
            _require(change.status not in LIVE and change.status is not UploadStatus.PLANNED, state, change)
            return UploadState(
                change.status, change.token, etag=change.etag, source=change.source, sha256=change.sha256
            )


def _require(legal: bool, state: UploadState, change: Change) -> None:
    if not legal:
        raise IllegalChange(f"{type(change).__name__} does not follow {state.status} ({len(state.parts)} parts)")
