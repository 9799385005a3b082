"""Opening a source, reading it again, and checking whether it still is the file that was planned."""

from __future__ import annotations

import errno
import os

from mediactl.core.errors import RejectedInput, SourceChanged, SourceUnreadable
from mediactl.core.files import fingerprint, shown
from mediactl.core.filesystem.beneath import open_beneath
from mediactl.model.media import Source

FOLLOW = "MEDIACTL_FOLLOW_SYMLINKS"
"""Variable of a worker's environment: not empty where the run follows links below its SOURCE directories."""

BLOCK = 1 << 20
BEGINNING, END = 1 << 30, 64 << 20
"""Bytes at either end that are read again of a source that was never read whole: a forged one may claim to have
exabytes."""

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.EOVERFLOW})
"""What makes a file unreadable until somebody changes it; other errors (a disk's, a network file system's, too many
open files) are the machine's, and may pass."""


def open_source(source: Source) -> int:
    """A descriptor of a source, checked to be the file that was planned.

    Raises RejectedInput, SourceChanged, SourceUnreadable.
    """
    links = bool(os.environ.get(FOLLOW))
    try:
        at = source.copy or source
        fd = open_beneath(at.root, at.path, links=links)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceChanged("was removed after it was found") from None
    except OSError as error:
        if error.errno == errno.ELOOP and not links:
            raise SourceChanged(
                f"{shown(source.path)} was replaced by a symbolic link, which is not followed"
            ) from None
        raise unreadable(error) from None
    try:
        check_unchanged(fd, source)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_unchanged(fd: int, source: Source) -> None:
    """Raise SourceChanged when the open file is no longer the one that was planned."""
    if fingerprint(os.fstat(fd)) != (source.copy or source).fingerprint:
        raise SourceChanged(f"{shown(source.path)} changed during processing")


def require_readable(source: Source, *, whole: bool) -> None:
    """Read a source, all of it or both ends: a failure of the machine is not a broken file, but libraries report both
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
