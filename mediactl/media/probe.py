"""Reading a source for the first time: digest of its content, dimensions, tracks, tags."""

from __future__ import annotations

import errno
import os
import time

from mediactl.core.errors import JobFailed, RejectedInput, SourceChanged, SourceUnreadable
from mediactl.core.files import digest_fd, fingerprint, shown
from mediactl.media.cache import ProbeCache, Remembered
from mediactl.model.jobs import Made, ProbeTask
from mediactl.model.media import UNREADABLE, Kind, MediaInfo, Source

FINE_TICK = 0.02
COARSE_TICK = 2.0
"""Seconds. The kernel stamps files by its tick (4 to 10 ms); some file systems (FAT) by 2 s."""

BLOCK = 1 << 20
BEGINNING, END = 1 << 30, 64 << 20
"""Bytes at either end that are read again of a source that was never read whole: a forged one may claim to have
exabytes."""

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO})
"""What makes a file unreadable until somebody changes it; other errors (a disk's, a network file system's, too many
open files) are the machine's, and may pass."""

_caches: dict[bytes, ProbeCache] = {}


def probe(task: ProbeTask) -> Made:
    """Digest and MediaInfo of a source. Raises RejectedInput, SourceChanged and SourceUnreadable."""
    try:
        return _probe(task)
    except OSError as error:  # nothing but the source is read here
        if error.errno is None:
            raise
        raise unreadable(error) from error


def _probe(task: ProbeTask) -> Made:
    source = task.source
    fd = open_source(source)
    try:
        if source.format == UNREADABLE:
            os.pread(fd, BLOCK, 0)
            raise SourceChanged("could not be read when it was found, and can be now")
        status = os.fstat(fd)
        if status.st_size == 0:
            raise RejectedInput("is empty (0 bytes)")
        _let_the_clock_pass(status)
        mark = source.fingerprint
        cache = _cache(task.cache)
        known = cache.get(status.st_dev, mark, source.format, task.limits, place=task.place) if cache else None
        if known is None:
            # Header first: a file that is refused need not be read whole.
            info = _certain_info(fd, task)
            known = Remembered(digest_fd(fd), info)
            check_unchanged(fd, source)
            if cache:
                cache.put(status.st_dev, mark, source.format, task.limits, known, place=task.place)
        return Made(digest=known.digest, info=known.info, cache_trouble=cache.trouble if cache else "")
    finally:
        os.close(fd)


def open_source(source: Source) -> int:
    """A descriptor of a source, checked to be the file that was planned.

    Raises RejectedInput, SourceChanged, SourceUnreadable.
    """
    try:
        # O_NONBLOCK: a pipe put in a file's place must not hold us up.
        fd = os.open(source.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceChanged("was removed after it was found") from None
    except OSError as error:
        raise unreadable(error) from None
    try:
        check_unchanged(fd, source)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_unchanged(fd: int, source: Source) -> None:
    """Raise SourceChanged when the open file is no longer the one that was planned."""
    if fingerprint(os.fstat(fd)) != source.fingerprint:
        raise SourceChanged(f"{shown(source.path)} changed while it was worked on")


def require_readable(source: Source, *, whole: bool) -> None:
    """Read a source, all of it or both ends, to tell a failure of the machine from a broken file: libraries report both
    alike. Raises SourceUnreadable, and as ``open_source``."""
    fd = open_source(source)
    try:
        size = os.fstat(fd).st_size
        ends = [(0, size)] if whole or size <= BEGINNING + END else [(0, BEGINNING), (size - END, size)]
        for start, end in ends:
            for offset in range(start, end, BLOCK):
                os.pread(fd, BLOCK, offset)
    except OSError as error:
        raise unreadable(error) from error
    finally:
        os.close(fd)


def unreadable(error: OSError) -> RejectedInput | SourceUnreadable:
    """What a failed open or read of a source means: whose fault it is."""
    reason = f"cannot be read: {error.strerror or error}"
    return RejectedInput(reason) if error.errno in _REFUSED else SourceUnreadable(reason)


def _certain_info(fd: int, task: ProbeTask) -> MediaInfo:
    """What the file tells. A refusal must be given twice: the first may be due to a read that failed once."""
    try:
        return _info(fd, task)
    except (RejectedInput, JobFailed):
        require_readable(task.source, whole=False)
        return _info(fd, task)


def _info(fd: int, task: ProbeTask) -> MediaInfo:
    source = task.source
    if source.format == "unknown":
        raise RejectedInput(f"is no {source.kind.value}, whatever its name says: {_looks_like(fd)}")
    if source.kind is Kind.IMAGE:
        from mediactl.media.image import render

        return render.probe(fd, source.format, task.limits, place=task.place)
    from mediactl.media.inspect import streams

    return streams.probe(fd, source.format, task.limits, place=task.place)


def _looks_like(fd: int) -> str:
    head = os.pread(fd, 512, 0)
    if not head.strip(b"\0"):
        return "it is all zeros"
    text = not any(byte < 9 or 13 < byte < 32 for byte in head)
    return "it holds text" if text else "its content is of no known type"


def _let_the_clock_pass(status: os.stat_result) -> None:
    """Wait until a write from now on would get another time stamp, so that equal stamps mean equal content."""
    coarse = status.st_mtime_ns % 10**9 == 0 and status.st_ctime_ns % 10**9 == 0
    tick = COARSE_TICK if coarse else FINE_TICK
    age = time.time() - max(status.st_mtime_ns, status.st_ctime_ns) / 1e9
    if 0 <= age < tick:
        time.sleep(tick - age)


def _cache(folder: bytes | None) -> ProbeCache | None:
    if folder is None:
        return None
    if folder not in _caches:
        _caches[folder] = ProbeCache(folder)
    return _caches[folder]
