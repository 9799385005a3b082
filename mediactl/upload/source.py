"""The local file of an upload: read in parts, and checked to be still the same file."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

import msgspec
from isal import isal_zlib

from mediactl.core.errors import RejectedInput, SourceChanged
from mediactl.core.files import digest_fd, fingerprint, shown
from mediactl.core.filesystem.beneath import open_beneath
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import SentPart
from mediactl.upload.body import Body
from mediactl.upload.multipart.parts import MIB

_BLOCK = MIB
_KEPT_BUFFER = 16 * MIB
"""A part's buffer is kept for another one, up to this size: fresh pages cost as much as reading does."""
_spare: deque[bytearray] = deque()
_LOOKS = 3
"""How often a file may be touched again while it is hashed because it was touched."""


class Source:
    """An open file, for ``with``. May be read by many threads at once.

    It counts as unchanged while size, times and inode stay; when only those other than the size differ (touched,
    linked, copied back), its content decides, which costs reading it once: by the SHA-256 where that is known, else by
    the CRC32 of each part that was read to be sent, for whatever the rest is now is what will be sent.
    """

    def __init__(self, path: bytes, expected: Fingerprint, sha256: str = "", root: bytes = b"") -> None:
        """Open it. An expected ctime or inode of 0 is not compared. Below ``root`` no link is followed.

        Raises SourceChanged when it is not what was expected or not there, RejectedInput when it cannot be read.
        """
        self._path, self._root = path, root or os.path.dirname(path)
        self._lock = threading.Lock()
        try:
            self._fd = self._opened()
        except FileNotFoundError:
            raise SourceChanged(f"{shown(path)} does not exist any more") from None
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise RejectedInput(f"{shown(path)} cannot be read: {error.strerror}") from None
            raise
        self.sha256 = sha256
        """Of the content; empty until hashed."""
        self._parts: dict[int, tuple[int, int]] = {}
        """Offset -> size and CRC32 of what was read to be sent."""
        now = fingerprint(os.fstat(self._fd))
        self.fingerprint = msgspec.structs.replace(
            expected, ctime_ns=expected.ctime_ns or now.ctime_ns, inode=expected.inode or now.inode
        )
        """What it was when last found to be the right content."""
        try:
            self.check()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._fd)

    def digest(self) -> str:
        """SHA-256 of the content, computed once. Raises SourceChanged when the file changes meanwhile."""
        if not self.sha256:
            found = digest_fd(self._fd)
            self.check()
            self.sha256 = found
        return self.sha256

    def identify(self, found: str) -> None:
        """Take the SHA-256 of a file that was read whole. Raises SourceChanged when it has changed."""
        if self.sha256 not in ("", found):
            raise SourceChanged(f"{shown(self._path)} does not have the content that it had")
        self.sha256 = found

    def check(self) -> None:
        """Raise SourceChanged unless the open file has the content that it had."""
        self._compare(self._fd)

    def check_name(self) -> None:
        """Raise SourceChanged unless the file *of that name* still has that content."""
        try:
            fd = self._opened()
        except OSError as error:
            raise SourceChanged(f"{shown(self._path)} is gone ({error.strerror})") from None
        try:
            self._compare(fd)
        finally:
            os.close(fd)

    def _opened(self) -> int:
        return open_beneath(self._root, os.path.relpath(self._path, self._root), links=False)

    def read(self, offset: int, size: int, buffer: memoryview | None = None) -> memoryview:
        """Return the bytes of the file, in a new buffer or in this one of that size.

        Raises SourceChanged when the file changed before they were read.
        """
        body = memoryview(bytearray(size)) if buffer is None else buffer
        at = 0
        while at < size:
            count = os.preadv(self._fd, [body[at:]], offset + at)
            if not count:
                raise SourceChanged(f"{shown(self._path)} became shorter while it was uploaded")
            at += count
        self.check()
        return body

    def part(self, offset: int, buffer: memoryview) -> Body:
        """Return a part, read into its buffer: from now on the file is unchanged only while it has this there.

        Raises SourceChanged.
        """
        while True:
            before = self.fingerprint
            body = Body(self.read(offset, len(buffer), buffer))
            found = len(buffer), body.crc32
            with self._lock:
                if self.fingerprint == before:  # else it was touched meanwhile, and compared without this part
                    self._parts[offset] = found
                    return body

    def remember(self, each: int, parts: Iterable[SentPart]) -> None:
        """Take parts of ``each`` bytes that an earlier run has sent as ``part`` takes them."""
        with self._lock:
            self._parts |= {(part.number - 1) * each: (part.size, part.crc32) for part in parts}

    def contains(self, each: int, parts: Sequence[SentPart]) -> bool:
        """Return whether there are parts, and the file has all of them. Raises SourceChanged."""
        return bool(parts) and all(self.crc32((part.number - 1) * each, part.size) == part.crc32 for part in parts)

    def has_etag(self, etag: str, each: int) -> bool:
        """Return whether an object of this content, sent in parts of ``each`` bytes, has that ETag: an MD5 of the
        parts' MD5s, or of the whole (rclone's). Reads the file. Raises SourceChanged."""
        size = self.fingerprint.size
        digest, _, number = etag.strip('"').partition("-")
        if not number:
            return self.md5(0, size).hex() == digest
        if each <= 0 or number != str(-(-size // each)):
            return False
        md5s = b"".join(self.md5(offset, min(each, size - offset)) for offset in range(0, size, each))
        return hashlib.md5(md5s, usedforsecurity=False).hexdigest() == digest

    def crc32(self, offset: int, size: int) -> int:
        """CRC32 of a range. Raises SourceChanged."""
        found = _crc32(self._fd, offset, size)
        self.check()
        return found

    def md5(self, offset: int, size: int) -> bytes:
        """MD5 of a range, which is the ETag of a part in most stores. Raises SourceChanged."""
        digest = hashlib.md5(usedforsecurity=False)
        for block_at in range(offset, offset + size, _BLOCK):
            digest.update(self.read(block_at, min(_BLOCK, offset + size - block_at)))
        return digest.digest()

    def _unchanged(self, fd: int) -> bool:
        """Return whether a file of the same size has the same content, as far as it is known."""
        if self.sha256:
            return digest_fd(fd) == self.sha256
        return bool(self._parts) and all(
            _crc32(fd, offset, size) == crc32 for offset, (size, crc32) in self._parts.items()
        )

    def _compare(self, fd: int) -> None:
        if fingerprint(os.fstat(fd)) == self.fingerprint:
            return
        with self._lock:  # digest_fd moves the file's position; and one hash of a touched file is enough
            for _ in range(_LOOKS):
                now = fingerprint(os.fstat(fd))
                if now == self.fingerprint:
                    return
                if now.size != self.fingerprint.size or not self._unchanged(fd):
                    break
                if fingerprint(os.fstat(fd)) == now:
                    self.fingerprint = now
                    return
            raise SourceChanged(f"{shown(self._path)} changed since it was planned or while it was uploaded")


def _crc32(fd: int, offset: int, size: int) -> int:
    """Return the CRC32 of a range, or of as much of it as there is, read in small blocks."""
    crc, block, end = 0, memoryview(bytearray(min(_BLOCK, size))), offset + size
    while offset < end and (count := os.preadv(fd, [block[: end - offset]], offset)):
        crc = isal_zlib.crc32(block[:count], crc)
        offset += count
    return crc


@contextmanager
def buffer_of(size: int) -> Iterator[memoryview]:
    """Lend a buffer of so many bytes: the one given back last, which the processor's caches may still hold."""
    try:
        buffer = _spare.pop()
    except IndexError:
        buffer = bytearray()
    if len(buffer) < size:
        buffer = bytearray(size)
    try:
        yield memoryview(buffer)[:size]
    finally:
        if len(buffer) <= _KEPT_BUFFER:
            _spare.append(buffer)
