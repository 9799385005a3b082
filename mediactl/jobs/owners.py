"""Who is alive: each run holds a lock on a file of its own, and the kernel lets go when the process dies.

Should somebody delete that file, a socket says the same: its name is in no file system (unix(7), abstract).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mediactl.core import system
from mediactl.core.errors import UsageError
from mediactl.core.files import remove_if_there, shown


class RunLock:
    """The lock of this process's run, held until closed or dead, however it dies. Made inside ``opening``.

    The file descriptor is not inherited by spawned workers, so it dies with the supervisor alone.
    """

    def __init__(self, state: str) -> None:
        self.id = uuid.uuid4().hex
        # No other user may hold a lock, or a dead run would seem alive.
        os.makedirs(_folder(state), mode=0o700, exist_ok=True)
        self._path = _lock_file(state, self.id)
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            raise _others(state) from None
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._name = _bound(self.id)

    def beat(self, now: float) -> None:
        """Set the time of the file, in seconds since 1970: the run goes on."""
        os.utime(self._fd, (now, now))

    def close(self) -> None:
        """Let go; the file is removed first, so that no dead lock is left to be tested.

        One that cannot be removed (a failing disk) is removed by the next run.
        """
        with suppress(OSError):
            remove_if_there(os.fsencode(self._path))
        os.close(self._fd)
        if self._name is not None:
            self._name.close()


def is_alive(state: str, run: str) -> bool:
    """Whether a run's process still holds its lock. A dead one's file is removed."""
    path = _lock_file(state, run)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _is_named(run)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    finally:
        os.close(fd)
    return False


def seems_alive(state: str, run: str, pid: int, boot: str) -> bool:
    """Return the same without changing anything, also for users who may not test the lock.

    Then the kernel is asked for its process, which may be another one by now.
    """
    try:
        fd = os.open(_lock_file(state, run), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _is_named(run)
    except OSError:
        return boot == system.boot_id() and system.is_running(pid)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def heartbeat(state: str, run: str) -> float | None:
    """Return when an active run last did anything, in seconds since 1970; None: it cannot be seen."""
    try:
        return os.stat(_lock_file(state, run)).st_mtime
    except OSError:
        return None


def dead_locks(state: str) -> list[str]:
    """Runs whose lock file is left though nobody holds it; the files are removed."""
    try:
        with opening(state):  # else a lock could be met that is made but not yet held
            names = os.listdir(_folder(state))
            runs = [name.removesuffix(".lock") for name in names if name.endswith(".lock")]
            return [run for run in runs if not is_alive(state, run)]
    except FileNotFoundError:
        return []


@contextmanager
def opening(state: str) -> Iterator[None]:
    """Held while the journal is opened, made or rebuilt, so that two first runs do not both do it."""
    path = os.path.join(state, "open.lock")
    # The folder, too: its lock cannot be deleted. Older versions hold that of the file alone.
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            raise _others(state) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
    finally:
        os.close(folder)


def _bound(run: str) -> socket.socket | None:
    """Return a socket that holds the name of a run; None where another process holds it, or the kernel has none."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        system.hold_name(name, f"mediactl-run-{run}")
    except OSError as error:
        name.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return name


def _is_named(run: str) -> bool:
    """Return whether a process holds the name of a run, in this network namespace."""
    name = _bound(run)
    if name is not None:
        name.close()
    return name is None


def _others(state: str) -> UsageError:
    return UsageError(f"journal in {shown(state)}: in use by another user; change the owner of its files")


def _folder(state: str) -> str:
    return os.path.join(state, "runs")


def _lock_file(state: str, run: str) -> str:
    return os.path.join(_folder(state), f"{run}.lock")
