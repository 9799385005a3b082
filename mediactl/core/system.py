"""What Linux offers and another system may lack, each with its stand-in. No other module asks which system this is.

The constants are those of Linux, or what stands in for them where ``os`` and ``socket`` have none. Imports are lazy:
start-up counts.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import socket

LINUX = sys.platform.startswith("linux")
SUPPORTED = LINUX or sys.platform == "darwin"
O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY)
"""To open a directory in order to find names in it: elsewhere it must be readable, too."""
_LACKING = MappingProxyType({
    "sandbox": "files are decoded without Landlock and seccomp",
    "prctl": "workers of a killed run end once they notice that it is gone",
    "cgroups": "limits of containers are unknown: name them with --jobs and --memory",
    "/proc": "file systems that are unmounted during a run are not named",
    "pidfd": "each worker imports its libraries itself, which takes 0.25 s",
    "inotify": "watch mode relies on the changes that FSEvents reports and on --rescan",
    "openat2": "the directories above a file are opened one by one",
})  # fmt: skip
"""What only Linux has, and what follows elsewhere."""
_CREDENTIALS = struct.Struct("3i")
"""``struct ucred`` of Linux: process, user, group."""
_XUCRED = struct.Struct("IIh16I")
"""``struct xucred`` of macOS (sys/ucred.h): version, user, number of groups, groups."""
_LOCAL_PEERCRED, _F_GETPATH = 1, 50  # sys/un.h, sys/fcntl.h of macOS


def missing() -> Mapping[str, str]:
    """Return what this system lacks: name -> what follows."""
    return {} if LINUX else _LACKING


def describe() -> str:
    """Return system, architecture and C library: "Linux x86_64, glibc 2.36"."""
    import platform

    if not LINUX:
        return f"{'macOS' if sys.platform == 'darwin' else sys.platform} {platform.machine()}"
    return f"Linux {platform.machine()}, {libc()}"


def libc() -> str:
    """Return the C library of Linux: "glibc 2.36", or "musl"."""
    import platform

    name, version = platform.libc_ver()
    return f"{name} {version}" if name else "musl"


def errnos(*names: str) -> frozenset[int]:
    """Return the numbers of those errors that this system has."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


def socket_flag(name: str) -> int:
    """Return a flag of ``socket``; 0 where this system has none of that name."""
    import socket

    return int(getattr(socket, name, 0))


def prctl() -> Callable[[int, int], bool]:
    """Return a function that sets an option of this process (prctl(2)) and returns whether that worked; elsewhere it
    does nothing.

    All that it needs is loaded by now, so that it may be called between fork and exec.
    """
    if not LINUX:
        return lambda option, value: False
    import ctypes

    call = ctypes.CDLL(None).prctl
    return lambda option, value: bool(call(option, value, 0, 0, 0) == 0)


def syscall() -> Callable[..., int]:
    """Return syscall(2), whose numbers are Linux's; elsewhere a function that fails with ENOSYS."""
    if not LINUX:
        return _no_syscall
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    return call


def memory_file(name: str) -> int:
    """Return the descriptor of a new file without a name, to write and read; in memory where that can be had."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    import tempfile

    fd, path = tempfile.mkstemp(prefix=f"mediactl-{name}-")
    os.unlink(path)
    return fd


def path_of(fd: int) -> str:
    """Return a path of an open directory, or of an open file, short enough for the address of a Unix socket on Linux.

    Raises OSError.
    """
    if LINUX:
        return f"/proc/self/fd/{fd}"
    import fcntl

    return os.fsdecode(fcntl.fcntl(fd, _F_GETPATH, bytes(1024)).rstrip(b"\0"))


def peer_user(peer: socket) -> int:
    """Return the user id of the process at the other end of a Unix socket. Raises OSError."""
    import socket

    if LINUX:
        packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(packed)[1])
    packed = peer.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size)
    return int(_XUCRED.unpack(packed)[1])


def hold_name(held: socket, name: str) -> None:
    """Bind a Unix socket to a name that is in no file system, which the kernel frees when its process dies.

    Raises OSError (EADDRINUSE) where another process holds it. Elsewhere there are no such names: nobody holds one.
    """
    if LINUX:
        held.bind(f"\0{name}")


def is_running(pid: int) -> bool:
    """Return whether there is a process with this id, of whichever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def boot_id() -> str:
    """Return an id of this boot of the machine; "" where it has none."""
    if not LINUX:
        import psutil

        return f"boot-{psutil.boot_time():.0f}"
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _no_syscall(*_arguments: object) -> int:
    import ctypes

    ctypes.set_errno(errno.ENOSYS)
    return -1
