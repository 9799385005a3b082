"""One object of a bucket into a file: by ranges of one revision, its content hashed on the way."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import msgspec
from isal import isal_zlib

from mediactl.core.errors import SourceChanged
from mediactl.core.files import digest_file, remove_if_there
from mediactl.model.fetches import WHOLE, Fetched, FetchStatus, FetchTask, fingerprint
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Turn
from mediactl.upload.multipart.parts import MIB
from mediactl.upload.s3.headers import crc32_number
from mediactl.upload.store import Altered, Corrupted, Denied, Gone, Piece, Revision, SourceStore

RANGE = 8 * MIB
"""Bytes asked for at once: few enough that many objects share the memory, and one request fills a line of 100 ms."""
ROOM = 8 * RANGE
"""Bytes of one object in flight."""
ROUNDS = 3
"""How often an object is fetched that changes meanwhile, or whose bytes differ from the store's checksum."""
PARTIAL = b".part"
"""End of the name of a file that is being fetched."""

Report = Callable[[float], None]
"""Takes the fraction that is there."""


def fetch(task: FetchTask, store: SourceStore, capabilities: Capabilities, engine: Engine, report: Report) -> Fetched:
    """Fetch one object, or its first bytes. Raises StoreError, Stopped, SourceChanged, and OSError of the file."""
    if task.fingerprint is not None and _is_complete(task.file, task.fingerprint.size):
        return Fetched(FetchStatus.PRESENT, task.fingerprint, sha256=digest_file(task.file))
    transfer = _Transfer(task, store, capabilities, engine, report)
    try:
        return transfer.run()
    except Gone:
        return Fetched(FetchStatus.GONE, received=transfer.received)
    except Denied as error:
        return Fetched(FetchStatus.DENIED, received=transfer.received, reason=str(error))


class _Transfer:
    """One object on its way, in the thread of its job."""

    def __init__(
        self, task: FetchTask, store: SourceStore, capabilities: Capabilities, engine: Engine, report: Report
    ) -> None:
        self._task = task
        self._store = store
        self._capabilities = capabilities
        self._engine = engine
        self._report = report
        self._job = engine.job(task.location, ROOM)
        self.received = 0
        """Bytes of bodies."""

    def run(self) -> Fetched:
        """Fetch it; again where it changes meanwhile, or where its bytes are not what the store's checksum says."""
        content = ""
        for _ in range(ROUNDS):
            try:
                first = self._first()
                found = self._found(first)
                if self._task.fingerprint not in (None, found.fingerprint):
                    return self._ended(found, status=FetchStatus.CHANGED)
                if self._task.most is not None and first.total > len(first.body):
                    return self._ended(found, status=FetchStatus.HEAD, head=first.body[: self._task.most])
                with _new_file(self._task.file) as (fd, publish):
                    check = self._content(fd, first)
                    if self._is_intact(first, check, content):
                        publish()
                        return self._ended(found, sha256=check.sha256)
                    content = check.sha256
            except Altered:
                continue  # the next round sees what is there now
        if content:
            raise Corrupted(f"{self._task.url}: what was received differs from the store's checksum")
        raise SourceChanged(f"{self._task.url} changed while it was fetched")

    def _first(self) -> Piece:
        """Return its beginning, of whichever revision is there."""
        most = RANGE if self._task.most is None else max(self._task.most, WHOLE)
        if self._task.fingerprint is not None:
            most = max(1, min(most, self._task.fingerprint.size))
        with self._engine.turn(self._job, most) as turn:
            return self._get(turn, 0, most, Revision())

    def _content(self, fd: int, first: Piece) -> _Check:
        """Write all of it, the other ranges many at once, and return what it comes to."""
        check = _Check(fd, first.crc32)
        os.pwrite(fd, first.body, 0)
        check.take(0, len(first.body))
        ranges = [(at, min(RANGE, first.total - at)) for at in range(len(first.body), first.total, RANGE)]
        if not ranges:
            return check
        os.posix_fallocate(fd, 0, first.total)  # a disk that is too full says so now
        units = [(size, partial(self._range, fd, at, size, first.revision)) for at, size in ranges]
        with closing(self._engine.gather(self._job, units)) as answers:
            for written in answers:
                for at, size in written:
                    check.take(at, size)
                self._report(check.done / first.total)
        with self._engine.turn(self._job) as turn:
            there = turn.call(lambda: self._store.head(self._task.key))
        if there is not None and there.etag == first.revision.etag and "-" not in there.checksum:
            check.expected = there.checksum
        return check

    def _range(self, fd: int, at: int, size: int, revision: Revision, turn: Turn) -> tuple[int, int]:
        """Runs in a thread of the engine. What was replaced since is read on from the version that it was."""
        try:
            piece = self._get(turn, at, size, Revision(revision.etag))
        except Altered:
            if not revision.version:
                raise
            piece = self._get(turn, at, size, Revision(version=revision.version))
        if len(piece.body) != size or piece.revision.etag != revision.etag:  # of a store that ignores conditions
            raise Altered(f"{self._task.url}: another object is there")
        os.pwrite(fd, piece.body, at)
        return at, size

    def _get(self, turn: Turn, at: int, size: int, revision: Revision) -> Piece:
        payer = self._task.request_payer
        piece = turn.call(lambda: self._store.get(self._task.key, at, size, revision, request_payer=payer), size)
        self.received += len(piece.body)
        return piece

    def _is_intact(self, first: Piece, check: _Check, before: str) -> bool:
        """Return whether the bytes are the store's, by its CRC32 or, over plain http, by an ETag that is their MD5.

        Where they are no different the second time, it is the ETag that is no MD5.
        """
        if check.expected:
            return crc32_number(check.expected) == check.crc32
        return check.sha256 == before or self._capabilities.intact(first.revision.etag, check.md5)

    def _found(self, first: Piece) -> Fetched:
        there = fingerprint(first.total, first.revision.etag)
        return Fetched(FetchStatus.FETCHED, there, first.revision.etag, first.revision.version)

    def _ended(self, found: Fetched, **fields: object) -> Fetched:
        return msgspec.structs.replace(found, received=self.received, **fields)


class _Check:
    """The digests of a file that is written range by range: what is there without a gap is hashed at once."""

    def __init__(self, fd: int, expected: str) -> None:
        self._fd = fd
        self.expected = expected
        """CRC32 of the whole, as the store writes it; empty: it says none."""
        self.done = 0
        """Bytes that were taken."""
        self.crc32 = 0
        self._hashed = 0
        self._later: dict[int, int] = {}
        self._sha256 = hashlib.sha256()

    def take(self, at: int, size: int) -> None:
        """Take in that a range was written."""
        self.done += size
        self._later[at] = size
        while size := self._later.pop(self._hashed, 0):
            for block in self._blocks(self._hashed, self._hashed + size):
                self._sha256.update(block)
                self.crc32 = isal_zlib.crc32(block, self.crc32)
            self._hashed += size

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._sha256.hexdigest()

    def md5(self) -> bytes:
        """Return the MD5 of all that was written."""
        digest = hashlib.md5(usedforsecurity=False)
        for block in self._blocks(0, self._hashed):
            digest.update(block)
        return digest.digest()

    def _blocks(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, MIB):
            yield os.pread(self._fd, min(MIB, end - at), at)


@contextmanager
def _new_file(path: bytes) -> Iterator[tuple[int, Callable[[], None]]]:
    """Open a file that gets its name when the function is called; it is gone without that."""
    partial_path = b"%s.%s%s" % (path, secrets.token_hex(4).encode(), PARTIAL)
    fd = os.open(partial_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd, lambda: os.rename(partial_path, path)
    finally:
        os.close(fd)
        remove_if_there(partial_path)


def _is_complete(path: bytes, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except FileNotFoundError:
        return False
