"""What a sandboxed process may open: its own directories, the programs that it starts, libraries, fonts and devices."""

from __future__ import annotations

import os
import re
import shutil
import struct
import sys
from collections.abc import Iterator

import msgspec

from mediactl.core.sandbox import landlock

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store", "/opt/rocm", "/opt/intel",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/fonts", "/etc/localtime", "/etc/OpenCL",
    "/etc/vulkan", "/etc/libva.conf", "/etc/alternatives", "/var/cache/fontconfig", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/stat", "/proc/filesystems", "/proc/sys/vm/overcommit_memory", "/proc/driver/nvidia", "/sys/devices",
    "/sys/dev/char", "/sys/module/nvidia", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip
"""Read by libraries, interpreters and drivers: nothing there belongs to a user."""
DEVICES = (
    "/dev/null", "/dev/dri", "/dev/kfd", "/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2", "/dev/nvidia3",
    "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset",
)  # fmt: skip
"""Written to: /dev/null, and the GPUs of hardware encoders."""
_HEAD = 4096
_PT_INTERP = 3
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
_WORD = re.compile(r"[\w./+@%:,=-]+")


class Access(msgspec.Struct, frozen=True):
    """What one sandboxed process may open beyond what all may."""

    writable: tuple[bytes, ...] = ()
    """Directories of its own."""
    readable: tuple[bytes, ...] = ()
    programs: tuple[str, ...] = ()
    """Absolute paths of what it may start."""


def rules(access: Access) -> Iterator[tuple[bytes, int]]:
    """Yield path and rights (see ``landlock.restrict``)."""
    for path in (*SYSTEM, *_libraries(), *os.environ.get("LD_LIBRARY_PATH", "").split(":")):
        if path:
            yield os.fsencode(path), landlock.READ
    for path in DEVICES:
        yield os.fsencode(path), landlock.DEVICE
    for program in access.programs:
        for path in started_with(program):
            yield os.fsencode(path), landlock.EXECUTE | landlock.READ_FILE
    for folder in access.readable:
        yield folder, landlock.READ
    for folder in access.writable:
        yield folder, landlock.WRITE


def _libraries() -> Iterator[str]:
    """Yield where Python and packages are imported from; not the home directory, should it be one of these."""
    home = os.path.realpath(os.path.expanduser("~"))
    for path in dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path)):
        real = os.path.realpath(path)
        # The directory of a checkout holds more than the package: its users' files, and outputs.
        if path and real != home and real not in (os.path.dirname(_PACKAGE), "/"):
            yield path
    yield _PACKAGE
    if os.path.basename(os.path.dirname(_PACKAGE)) in ("site-packages", "dist-packages"):
        yield os.path.dirname(_PACKAGE)


def started_with(program: str) -> Iterator[str]:
    """Yield what has to be executed to start a program: itself, and its loader; or the interpreter of a script, and for
    one of a shell the programs that it names."""
    seen: set[str] = set()
    queue = [program]
    while queue:
        path = os.path.realpath(queue.pop())
        if path not in seen:
            seen.add(path)
            yield path
            queue += _interpreters(path)


def _interpreters(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return []
    if head.startswith(b"#!"):
        first, _, rest = os.fsdecode(head).partition("\n")
        words = _WORD.findall(first)
        if any(os.path.basename(word) in _SHELLS for word in words):
            words += _WORD.findall(rest)
        return [found for word in dict.fromkeys(words) if (found := shutil.which(word))]
    return _loader(head)


def _loader(head: bytes) -> list[str]:
    """Return what the program header of a 64-bit ELF file names as its loader, if it does (elf(5))."""
    if head[:5] != b"\x7fELF\x02":
        return []
    (table,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    for number in range(count):
        at = table + number * size
        if at + 40 > len(head):
            return []
        kind, _, offset = struct.unpack_from("<IIQ", head, at)
        if kind == _PT_INTERP:
            (length,) = struct.unpack_from("<Q", head, at + 32)
            return [os.fsdecode(head[offset : offset + length].rstrip(b"\0"))]
    return []
