"""Open files beneath a directory that somebody named, without following links that were put there since.

A scan leaves symbolic links out, but whoever may write to a source tree can put one in the place of a file, or of a
directory above it, before the file is read. openat2 (Linux 5.6) refuses links in the whole path below the root; where
it is missing, or forbidden by an old container runtime, each component is opened apart.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from mediactl.core import system

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""O_NONBLOCK: opening a FIFO that has replaced the file must not block."""
_ABOVE = system.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_OPENAT2 = 437
"""Its number on every architecture (asm-generic/unistd.h)."""
_RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x04, 0x08  # linux/openat2.h
_ATTEMPTS = 8
"""openat2 fails with EAGAIN when something is renamed above the file at the same moment."""
_MISSING = frozenset({errno.ENOSYS, errno.EPERM, errno.E2BIG, errno.EINVAL})
"""What it fails with where it is unknown, or forbidden (seccomp)."""


class _How(ctypes.Structure):
    """``struct open_how``."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_syscall = system.syscall()
_how = _How(_FLAGS, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)


def open_beneath(root: bytes, path: bytes, *, links: bool) -> int:
    """Return a descriptor of the file ``path`` below ``root``, to read; it may be of any kind.

    The root may be a link, or reached through some. Below it none is followed, unless ``links``: ELOOP. Raises OSError.
    """
    if links:
        return os.open(os.path.join(root, path), _FLAGS)
    above = os.open(root, _ABOVE)
    try:
        for _ in range(_ATTEMPTS):
            fd: int = _syscall(_OPENAT2, above, path, ctypes.byref(_how), ctypes.sizeof(_how))
            if fd >= 0:
                return fd
            number = ctypes.get_errno()
            if number != errno.EAGAIN:
                break
        if number in _MISSING:
            return _component_by_component(above, path)
        raise OSError(number, os.strerror(number), os.path.join(root, path))
    finally:
        os.close(above)


def _component_by_component(above: int, path: bytes) -> int:
    """Do the same without openat2."""
    *folders, name = path.split(b"/")
    if b".." in (*folders, name):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)  # as openat2 has it
    here = os.dup(above)
    try:
        for folder in filter(None, folders):
            _refuse_link(folder, here)
            below = os.open(folder, _ABOVE | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def _refuse_link(name: bytes, above: int) -> None:
    """Raise what openat2 raises for a link; O_DIRECTORY with O_NOFOLLOW would be ENOTDIR."""
    if stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
