"""A thread that receives the changes of one SOURCE folder from the kernel, and notices when some may be missing.

It asks for a walk of everything where watchfiles reports nothing: when the kernel's queue overflowed, for names that
are not UTF-8, and for folders beyond the limit of inotify watches.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable

import msgspec
import watchfiles

from mediactl.core import system
from mediactl.sources import filters

DEBOUNCE = 200
STEP = 50
"""Milliseconds: changes are reported at the latest after the one, and when there were no more for the other."""
HEARTBEAT = 100
"""Milliseconds between two signs of life while nothing changes."""
STALL = 1.0
"""Seconds without one: the process was stopped or starved, and the kernel's queue may have overflowed."""
CHECK = 1.0
"""Seconds between two checks whether it is still the same folder."""
SHARE = 9
"""Setting up again, which walks the whole tree, is put off for so many times as long as it took."""
OUT_OF_WATCHES = "the limit of inotify watches is reached (sysctl fs.inotify.max_user_watches)"
IGNORE_FILE = "/" + filters.IGNORE_FILE.decode()
IN_DELETE_SELF = 0x400
"""Of inotify(7): a watch that costs nothing."""


class News(msgspec.Struct):
    """What has happened since the last ``InotifyWatcher.news``."""

    changed: set[str] = msgspec.field(default_factory=set)
    """Absolute paths."""
    again: bool = False
    """Changes may have been missed: walk everything."""


class InotifyWatcher(threading.Thread):
    """Watches ``root`` and calls ``wake`` when there is news. ``deaf``: only notices whether the folder is there.

    ``quiet`` is a folder that may change as it likes, should it lie below.
    """

    def __init__(self, root: bytes, quiet: bytes, wake: Callable[[], None], *, deaf: bool) -> None:
        super().__init__(name="inotify", daemon=True)
        self._root = root
        self._name = os.fsdecode(root)
        self._quiet = os.fsdecode(quiet) + "/"
        self._wake = wake
        self._burst = _queue_length() // 16
        self._lock = threading.Lock()
        self._news = News()
        self._over = threading.Event()
        self._asked_to_be_deaf = self._deaf = deaf
        self.gone = False
        """Whether the folder is not there."""
        self.misses = ""
        """Why not all changes are reported; "" when they are."""

    def news(self) -> News:
        """What has happened since it was asked last."""
        with self._lock:
            news, self._news = self._news, News()
        return news

    def close(self) -> None:
        """End the thread; returns when it has ended."""
        self._over.set()
        self.join(5.0)

    def run(self) -> None:
        """Watch until ``close``, whatever becomes of the folder."""
        while not self._over.is_set():
            mark = mark_of(self._root)
            if mark is None:
                self.gone, self._deaf = True, self._asked_to_be_deaf
                self._report(again=True)
                self._wait_while(None)
                continue
            self.gone = False
            if self._deaf:
                self._report(again=True)
                self._wait_while(mark)
            else:
                self._watch(mark)

    def _watch(self, mark: tuple[int, int]) -> None:
        """Until it is another folder, or watching it has failed."""
        started = reported = time.monotonic()
        next_check = started + CHECK
        took: float | None = None
        try:
            for changes in watchfiles.watch(
                self._name, watch_filter=None, debounce=DEBOUNCE, step=STEP, rust_timeout=HEARTBEAT,
                yield_on_timeout=True, stop_event=self._over, raise_interrupt=False, force_polling=False,
                ignore_permission_denied=True,
            ):  # fmt: skip
                now = time.monotonic()
                paths = {path for _, path in changes if not self._is_none_of_ours(path)}
                missed = took is None or now - reported > STALL or len(paths) > self._burst
                reported = now
                if took is None:
                    took = now - started
                    self.misses = "" if watches_left() else OUT_OF_WATCHES
                if paths or missed:
                    self._report(paths, again=missed)
                if now >= next_check:
                    next_check = now + CHECK
                    if mark_of(self._root) != mark:
                        return
        except UnicodeEncodeError:
            self._deaf, self.misses = True, "its name is not UTF-8"
        except (OSError, RuntimeError) as error:
            if took is None:
                self._deaf, self.misses = True, " ".join(str(error).split())
            else:  # a name below that is not UTF-8: watchfiles does not go on, and what it had gathered is lost
                self._over.wait(SHARE * took)

    def _wait_while(self, mark: tuple[int, int] | None) -> None:
        while mark_of(self._root) == mark and not self._over.wait(CHECK):
            pass

    def _is_none_of_ours(self, path: str) -> bool:
        return "/." in path[len(self._name) :].removesuffix(IGNORE_FILE) or path.startswith(self._quiet)

    def _report(self, changed: Iterable[str] = (), *, again: bool = False) -> None:
        with self._lock:
            self._news.changed.update(changed)
            self._news.again = self._news.again or again
        self._wake()


def mark_of(folder: bytes | str) -> tuple[int, int] | None:
    """(device, inode) of a folder; None when there is none."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def watches_left() -> bool:
    """Return whether this user may have another inotify watch. Tried, for watchfiles does not report it."""
    if not system.LINUX:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if fd < 0:
        return True  # that is another limit
    try:
        return libc.inotify_add_watch(fd, b"/", IN_DELETE_SELF) >= 0 or ctypes.get_errno() != errno.ENOSPC
    finally:
        os.close(fd)


def _queue_length() -> int:
    try:
        with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 16384
