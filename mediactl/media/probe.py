"""Reading a source for the first time: digest of its content, dimensions, tracks, tags."""

from __future__ import annotations

import errno
import os
import time

from mediactl.errors import JobFailed, RejectedInput, SourceChanged
from mediactl.files import digest_fd, fingerprint, shown
from mediactl.media.cache import ProbeCache, Remembered
from mediactl.model import Kind, Made, MediaInfo, ProbeTask, Source

FINE_TICK = 0.02
COARSE_TICK = 2.0
"""Seconds. The kernel stamps files by its tick (4 to 10 ms); some file systems (FAT) by 2 s."""

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""What makes a file unreadable for good; other errors (a disk's, too many open files) may pass."""

_caches: dict[bytes, ProbeCache] = {}


def probe(task: ProbeTask) -> Made:
    """Digest and MediaInfo of a source. Raises RejectedInput and SourceChanged."""
    source = task.source
    fd = open_source(source)
    try:
        status = os.fstat(fd)
        if status.st_size == 0:
            raise RejectedInput("is empty (0 bytes)")
        _let_the_clock_pass(status)
        mark = source.fingerprint
        cache = _cache(task.cache)
        known = cache.get(status.st_dev, mark, source.format, task.limits, place=task.place) if cache else None
        if known is None:
            # Header first: a file that is refused need not be read whole.
            info = _info(fd, task)
            known = Remembered(digest_fd(fd), info)
            check_unchanged(fd, source)
            if cache:
                cache.put(status.st_dev, mark, source.format, task.limits, known, place=task.place)
        return Made(digest=known.digest, info=known.info)
    finally:
        os.close(fd)


def open_source(source: Source) -> int:
    """A descriptor of a source, checked to be the file that was planned. Raises RejectedInput, SourceChanged."""
    try:
        # O_NONBLOCK: a pipe put in a file's place must not hold us up.
        fd = os.open(source.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SourceChanged("was removed after it was found") from None
    except OSError as error:
        if error.errno in _REFUSED:
            raise RejectedInput(f"cannot be read: {error.strerror}") from None
        raise JobFailed(f"cannot be opened: {error.strerror}") from None
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


def _info(fd: int, task: ProbeTask) -> MediaInfo:
    source = task.source
    if source.format == "unknown":
        raise RejectedInput(f"is no {source.kind.value}, whatever its name says: {_looks_like(fd)}")
    if source.kind is Kind.IMAGE:
        from mediactl.media import image

        return image.probe(fd, source.format, task.limits, place=task.place)
    from mediactl.media import tracks

    return tracks.probe(fd, source.format, task.limits, place=task.place)


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
        try:
            _caches[folder] = ProbeCache(folder)
        except (OSError, ValueError):
            return None
    return _caches[folder]
