"""One journal at a time for an output directory: runs with different ones would remove each other's temporary files.

Runs of one journal share the lock of a file in OUT, which names that journal; another one is refused while they go on.
The kernel lets go when they die. Hosts that share OUT over NFS share its locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from mediactl.core.errors import MachineBlocked
from mediactl.core.files import make_writable, shown
from mediactl.core.system import boot_id

FOLDER, FILE = b".mediactl", b"out.lock"
_MISSING = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
)
"""A directory of another user, or a file system without locks: then nothing is known of others."""


@contextmanager
def held(out: bytes, state: str) -> Iterator[None]:
    """Hold the lock of OUT for the journal in ``state``. Raises MachineBlocked while runs of another one hold it."""
    make_writable(state, "journal directory", "--state", mode=0o700)
    fd = _opened(os.path.join(out, FOLDER))
    try:
        if fd is not None:
            _take(fd, out, state)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _opened(folder: bytes) -> int | None:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return os.open(os.path.join(folder, FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno in _MISSING:
            return None
        raise


def _take(fd: int, out: bytes, state: str) -> None:
    mine = _identity(state)
    try:
        if _locked(fd, fcntl.LOCK_EX):
            content = f"{mine}\n{socket.gethostname()}\n{os.path.realpath(state)}".encode(errors="surrogateescape")
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
        fcntl.flock(fd, fcntl.LOCK_SH)  # waits for a run that writes its name at this moment
    except OSError as error:
        if error.errno in _MISSING:
            return
        raise
    theirs, host, path = [*os.pread(fd, 1 << 16, 0).decode(errors="surrogateescape").split("\n", 2), "", "", ""][:3]
    if theirs != mine:
        where = "" if host == socket.gethostname() else f" on host {shown(host)}"
        raise MachineBlocked(
            f"output directory {shown(out)}: in use by a run with the journal in {shown(path)}{where};"
            " wait for it, or share its --state"
        )


def _identity(state: str) -> str:
    """Return what distinguishes a journal from others, on this host and elsewhere: containers name it differently."""
    status = os.stat(state)
    return f"{boot_id()}:{status.st_dev}:{status.st_ino}"


def _locked(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
