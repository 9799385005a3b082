"""seccomp: system calls that this process and those that it starts get refused (EPERM), on x86-64 and ARM64.

A list of what decoding never needs and what leads out of a process: sockets, other processes, mounts, namespaces,
kernel interfaces, and changing the metadata of files, which Landlock leaves alone. Numbers are those of asm/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

from mediactl.core import system

_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_SPEC_ALLOW = 1 << 2
"""Without it, kernels before 5.16 slow the process down against speculative reads of its own memory."""
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000

_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|JSET|JGE|K, RET
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in struct seccomp_data, of arguments their lower half (both machines are little-endian)."""
_X32 = 0x40000000
_NAMESPACES = 0x7E020000
"""CLONE_NEW*, but for that of time, which clone cannot make."""
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""


class _Machine(NamedTuple):
    """An architecture: AUDIT_ARCH_*, and numbers of system calls."""

    architecture: int
    seccomp: int
    clone: int
    ioctl: int
    prlimit: int
    refused: tuple[int, ...]


_CLONE3 = 435
_REFUSED_EVERYWHERE = (
    425, 426, 427, 428, 429, 430, 431, 432, 433,  # io_uring_*, open_tree, move_mount, fsopen ... fspick
    438, 440, 442, 443, 447, 452, 463, 466, 467,  # pidfd_getfd, process_madvise, mount_setattr, quotactl_fd,
    # memfd_secret, fchmodat2, setxattrat, removexattrat, open_tree_attr
)  # fmt: skip
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 317, 56, 16, 302,
        (
            41, 42, 43, 49, 50, 53, 288,  # socket, connect, accept, bind, listen, socketpair, accept4
            101, 310, 311, 312,  # ptrace, process_vm_readv, process_vm_writev, kcmp
            155, 161, 165, 166, 272, 308,  # pivot_root, chroot, mount, umount2, unshare, setns
            109, 112,  # setpgid, setsid: it stays in the group that is killed
            248, 249, 250, 298, 321, 323, 300, 135,  # keys, perf_event_open, bpf, userfaultfd, fanotify, personality
            29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 240,  # System V IPC, mq_open
            86, 88, 133, 259, 265, 266,  # link, symlink, mknod, and their *at
            303, 304,  # name_to_handle_at, open_by_handle_at
            90, 91, 92, 93, 94, 260, 268,  # chmod, fchmod, chown, fchown, lchown, fchownat, fchmodat
            132, 235, 261, 280, 188, 189, 190, 197, 198, 199,  # utime, utimes and the like; setxattr, removexattr
            103, 153, 163, 164, 159, 227, 305, 167, 168, 169,  # syslog, vhangup, acct, clocks, swapon, swapoff, reboot
            170, 171, 172, 173, 154, 175, 176, 313, 246, 320, 179,  # host names, ports, modules, kexec, quotactl
        ),
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, 220, 29, 261,
        (
            198, 199, 200, 201, 202, 203, 242,
            117, 270, 271, 272,
            39, 40, 41, 51, 97, 268,
            154, 157,
            217, 218, 219, 241, 280, 282, 262, 92,
            186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196, 180,
            33, 36, 37, 264, 265,
            52, 53, 54, 55,
            5, 6, 7, 14, 15, 16, 88,
            58, 89, 112, 116, 142, 170, 171, 224, 225, 266,
            60, 104, 105, 106, 161, 162, 273, 294,
        ),
    ),
}  # fmt: skip


def available() -> bool:
    """Return whether the kernel has it, and this architecture is one of the two."""
    machine = _machine()
    if machine is None:
        return False
    action = ctypes.c_uint32(_RET_ERRNO)
    return _syscall(machine.seccomp, _GET_ACTION_AVAIL, 0, ctypes.addressof(action)) == 0


def restrict() -> None:
    """Have these system calls refused from now on, in this thread and its children. It requires no_new_privs.

    Raises OSError.
    """
    machine = _machine()
    if machine is None:
        raise OSError(errno.ENOSYS, f"seccomp: no list of system calls for {platform.machine()}")
    program = _program(machine)
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    held = ctypes.create_string_buffer(filter_, len(filter_))
    if _syscall(machine.seccomp, _SET_MODE_FILTER, _SPEC_ALLOW, ctypes.addressof(held)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _program(machine: _Machine) -> bytes:
    """Return the filter. Each comparison is followed by what is returned where it holds."""
    refuse, absent = _RET_ERRNO | errno.EPERM, _RET_ERRNO | errno.ENOSYS
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, machine.architecture), (_RETURN, 0, 0, refuse)]
    lines += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, absent)]
    for number in (*machine.refused, *_REFUSED_EVERYWHERE):
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refuse)]
    # Its flags are in memory, which a filter cannot read: C libraries then use clone.
    lines += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, absent)]
    lines += [(_EQUAL, 0, 4, machine.clone), (_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 1, _NAMESPACES)]
    lines += [(_RETURN, 0, 0, refuse), (_RETURN, 0, 0, _RET_ALLOW)]
    # Limits of other processes.
    lines += [(_EQUAL, 0, 4, machine.prlimit), (_LOAD, 0, 0, _FIRST), (_EQUAL, 1, 0, 0)]
    lines += [(_RETURN, 0, 0, refuse), (_RETURN, 0, 0, _RET_ALLOW)]
    lines += [(_EQUAL, 0, 4, machine.ioctl), (_LOAD, 0, 0, _SECOND), (_EQUAL, 1, 0, _TERMINAL_INPUT[0])]
    lines += [(_EQUAL, 0, 1, _TERMINAL_INPUT[1]), (_RETURN, 0, 0, refuse), (_RETURN, 0, 0, _RET_ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _machine() -> _Machine | None:
    return _MACHINES.get(platform.machine()) if system.LINUX and sys.maxsize > 1 << 32 else None


def _syscall(number: int, *arguments: int) -> int:
    return int(system.syscall()(ctypes.c_long(number), *(ctypes.c_ulong(each) for each in arguments)))
