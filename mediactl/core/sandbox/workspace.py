"""The directory of a sandboxed process: one part that it reads, one part that it writes, on the file system of OUT.

It is locked as long as a process has it open, so whoever gets the lock may remove it: nothing is left of those that
were killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress

from mediactl.core import files
from mediactl.core.errors import JobFailed

FOLDER = b".mediactl-sandbox"
"""Directory in OUT, there as long as sandboxed processes have theirs in it."""

_LOCK = b"lock"
_PARTS = (b"in", b"out")


class Workspace:
    """One of these directories, locked."""

    def __init__(self, out: bytes) -> None:
        """Create it in OUT. Raises OSError."""
        self._all = os.path.join(out, FOLDER)
        while True:
            try:
                with suppress(FileExistsError):  # not exist_ok: a sweep may remove it before makedirs looks again
                    os.makedirs(self._all, mode=0o700)
                self.folder = tempfile.mkdtemp(dir=self._all)
                self._lock = _locked(self.folder, os.O_CREAT)
            except (FileNotFoundError, BlockingIOError):
                continue  # a sweep was faster
            with suppress(FileNotFoundError):  # it was so just before the lock was taken
                for name in _PARTS:
                    os.mkdir(os.path.join(self.folder, name))
                break
            os.close(self._lock)
        self.inputs, self.outputs = (os.path.join(self.folder, name) for name in _PARTS)
        """What it may read, and what it may write."""

    def temporary(self, name: str) -> bytes:
        """Return where to write a file of this name."""
        return os.path.join(self.outputs, os.fsencode(name))

    def provide(self, name: str, file: bytes) -> bytes:
        """Have a file there to be read under this name: a link, or a copy where links cannot be."""
        path = os.path.join(self.inputs, os.fsencode(name))
        files.remove_if_there(path)
        try:
            os.link(file, path, follow_symlinks=False)
        except OSError:
            shutil.copyfile(file, path, follow_symlinks=False)
        return path

    def take(self, name: str, destination: bytes) -> None:
        """Move a file that was written in it to a path of which it knows nothing, then check that it is one.

        Raises JobFailed where it is a link or the like, OSError where it is not there.
        """
        path = self.temporary(os.path.basename(name))
        try:
            os.rename(path, destination)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(path, destination, follow_symlinks=False)
            os.unlink(path)
        if not stat.S_ISREG(os.lstat(destination).st_mode):
            os.unlink(destination)
            raise JobFailed(f"{files.shown(name)}: not a regular file")

    def clear(self) -> None:
        """Remove everything in it, whatever a job left."""
        for folder in (self.inputs, self.outputs):
            with os.scandir(folder) as entries:
                for entry in list(entries):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        files.remove_if_there(entry.path)

    def close(self) -> None:
        """Remove it; what something still writes to is left to a sweep."""
        _remove(self.folder)
        os.close(self._lock)
        with suppress(OSError):
            os.rmdir(self._all)


def sweep(out: bytes) -> None:
    """Remove the directories in OUT of processes that are gone; where files cannot be locked, none."""
    folder = os.path.join(out, FOLDER)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        with suppress(OSError):
            try:
                lock = _locked(path)
            except FileNotFoundError:
                os.rmdir(path)  # without a lock as yet, or any more; whoever begins there tries again
                continue
            _remove(path)
            os.close(lock)
    with suppress(OSError):
        os.rmdir(folder)


def _remove(folder: bytes) -> None:
    """Remove a directory whose lock is held. The lock goes last: whatever is killed, and whatever is still written to,
    can be locked, and so removed, by the next sweep."""
    for name in _PARTS:
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    if not any(os.path.lexists(os.path.join(folder, name)) for name in _PARTS):
        with suppress(OSError):
            os.unlink(os.path.join(folder, _LOCK))
            os.rmdir(folder)


def _locked(folder: bytes, flags: int = 0) -> int:
    """Return the descriptor of a directory's lock: a file, for NFS locks no directories.

    Raises OSError where another process has it; with O_CREAT, where files cannot be locked, it is taken as locked.
    """
    lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:
        if not flags:
            os.close(lock)
            raise
    return lock
