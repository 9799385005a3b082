"""Landlock: what this process and those that it starts may open, execute, connect to and signal. Linux 5.13 or newer.

Through ctypes: the packages on PyPI stop at older versions of the interface (no scopes), or load more than this.
Constants are those of linux/landlock.h; the system calls have the same numbers on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from mediactl.core import system

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_BUT_NEWER = (1 << 13) - 1
"""Every right of the first version."""
_TCP = 0b11
"""Bind and connect."""
_SCOPES = 0b11
"""Abstract Unix sockets and signals, of and to processes outside."""
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | _MAKE_DIR | _MAKE_REG | TRUNCATE
"""What a directory for temporary files needs: regular files and directories; no links, devices, FIFOs or sockets."""
DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV

NETWORK, SCOPES = 4, 6
"""Versions that restrict TCP, and abstract Unix sockets and signals."""


def version() -> int:
    """Return the version of the interface that the kernel has; 0: none, or it is switched off."""
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION))


def restrict(rules: Iterable[tuple[bytes, int]]) -> None:
    """Deny this thread and its children everything that no rule allows: (path, rights) each, for what is there.

    Rights that are too new for the kernel are left out. It requires no_new_privs. Raises OSError.
    """
    kernel = version()
    rights = _ALL_BUT_NEWER
    rights |= (_REFER if kernel >= 2 else 0) | (TRUNCATE if kernel >= 3 else 0) | (IOCTL_DEV if kernel >= 5 else 0)
    attributes = struct.pack("=QQQ", rights, _TCP, _SCOPES)
    size = 8 if kernel < NETWORK else 16 if kernel < SCOPES else 24
    ruleset = _checked(_call(_CREATE_RULESET, attributes, size, 0), "landlock_create_ruleset")
    try:
        for path, allowed in rules:
            _allow(ruleset, path, allowed & rights)
        _checked(_call(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: bytes, rights: int) -> None:
    try:
        fd = os.open(path, system.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not for this user, needs no right
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        _checked(_call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0), "landlock_add_rule")
    finally:
        os.close(fd)


def _call(number: int, *arguments: int | bytes | None) -> int:
    syscall = system.syscall()
    converted = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    return int(syscall(ctypes.c_long(number), *converted))


def _checked(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result
