"""The sources of watch mode: files that are there at the start, then those that appear or change, once they settle.

Each step takes, in this order: changes reported by an ``InotifyWatcher``, files whose settle time is over
(``Debouncer``), and walks of folders that appeared or of everything (at the start, at intervals, and when changes may
have been missed).
New files that a walk finds are debounced, too, except on the first walk, if they have not changed lately.
"""

from __future__ import annotations

import math
import os
import socket
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from mediactl.core.faults import internal_error
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.model.events import Event, WatchResumed, WatchTrouble
from mediactl.model.jobs import Priority
from mediactl.sources import filters, scan
from mediactl.sources.debounce import Debouncer, settle_mark
from mediactl.sources.filters import Filter, UnusableRules
from mediactl.sources.inotify import OUT_OF_WATCHES, InotifyWatcher, mark_of, watches_left

PIECE = 256
"""Files per step: about a millisecond."""
FULL = 20_000
"""Held files beyond which no walk goes on: a folder of a million files moved in must not stand in memory."""
FALLBACK = 30.0
"""Seconds between two walks of everything where changes are not reported, unless --poll says otherwise."""
AGAIN = 1.0
"""Seconds from a request for a walk to the walk: bursts make several requests."""
COUNT_INTERVAL = 0.5
"""Seconds between two checks whether new folders can still be watched; a check takes 10 ms."""
SHARE = 9
"""A walk of everything is followed by a pause of so many times its duration."""

Appearance = Iterator[scan.Found]
File = tuple[bytes, bytes, bytes]
"""(root, folder relative to it, name)."""
Folders = dict[bytes, tuple[bytes, Filter] | None]
"""By which name a walk enters a folder, and the rules in it; None: it does not."""


class Root:
    """A SOURCE folder, and how far it was walked."""

    def __init__(self, path: bytes, prefix: bytes, watcher: InotifyWatcher) -> None:
        self.path = path
        self.prefix = prefix
        self.watcher = watcher
        self.changed: set[str] = set()
        self.near: Appearance | None = None
        self.full: Appearance | None = None
        """The current walks, of a folder that appeared and of everything."""
        self.surveyed = False
        """Whether the first one is over."""
        self.gone = False
        self.misses = ""
        self.began = 0.0
        self.rested_at = -math.inf
        """When the pause after the last one is over."""
        self.next_walk = math.inf
        self.appeared: dict[bytes, None] = {}
        self.again: dict[bytes, float] = {}
        """Folders to be walked: at once, and at this time once more."""


class Watch:
    """An iterator that never ends: a batch, a trouble, or None when there is nothing for now. Close it.

    ``wakeup`` is readable when there may be something again; without that, ask several times a second, for files settle
    by time alone. ``clock`` is monotonic, ``wall`` in seconds since 1970, as the files' own times are.
    """

    def __init__(
        self,
        settings: Settings,
        roots: dict[bytes, bytes],
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        assert settings.watching is not None
        self._timing = settings.watching
        self._out = settings.out
        self._follow = settings.follow_symlinks
        self._never = (settings.out, os.fsencode(settings.state))
        self._rules = filters.of(settings)
        self._emit = emit
        self._clock = clock
        self._wall = wall
        self.wakeup, self._theirs = socket.socketpair()
        for end in (self.wakeup, self._theirs):
            end.setblocking(False)
        self._next_count = 0.0
        self._reported: set[bytes] = set()
        """Names that a trouble was reported of."""
        self._ready: deque[scan.Found] = deque()
        self._debouncer: Debouncer[File] = Debouncer(
            self._timing.settle, self._stat, lambda file, error: self._give_up(os.path.join(*file), error)
        )
        deaf = self._timing.poll is not None
        self._roots = {
            path: Root(path, prefix, InotifyWatcher(path, settings.out, self._wake, deaf=deaf))
            for path, prefix in roots.items()
        }

    ended = False
    """Something may always come."""

    def start(self) -> None:
        """Begin to watch; nothing comes before."""
        for root in self._roots.values():
            root.watcher.start()

    def follow(self, journal: object) -> None:
        """Nothing of the journal is needed."""

    def close(self) -> None:
        """End the threads."""
        for root in self._roots.values():
            root.watcher.close()
        self.wakeup.close()
        self._theirs.close()

    @property
    def surveyed(self) -> bool:
        """Whether all that was there at the start was found."""
        return all(root.surveyed for root in self._roots.values())

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> scan.Found | None:
        now = self._clock()
        self._listen(now)
        for root in self._roots.values():
            if root.changed:
                self._take_changes(root, now)
                self._wake()  # there may be more of them
        if not self._ready and self._debouncer.due(now):
            self._ready.extend(self._batches(self._debouncer.take(now, PIECE)))
            self._wake()  # there may be more of them
        if self._ready:
            return self._ready.popleft()
        if len(self._debouncer) < FULL:
            for root in self._roots.values():
                found = self._walk(root, now)
                if found is not None:
                    return found
        return None

    def reports(self, name: bytes) -> bool:
        """Return whether a trouble with this file is to be reported: each is, once."""
        new = name not in self._reported
        if len(self._reported) >= FULL:
            self._reported.clear()
        self._reported.add(name)
        return new

    def hold(self, batch: scan.Batch, entries: Iterable[scan.Entry]) -> None:
        """Debounce new files that a walk found."""
        for entry in entries:
            try:
                mark = (entry.size, entry.mtime_ns)
                self._debouncer.hold((batch.root, batch.folder, entry.name), mark, self._clock())
            except Exception as error:  # noqa: BLE001 - the others are none of its business
                self._give_up(batch.path_of(entry), error)

    def _give_up(self, file: bytes, error: Exception) -> None:
        """Have it reported that a file could not be handled for a fault of mediactl's; its next change is taken."""
        self._ready.append(scan.Trouble(file, internal_error(error)))

    # -- changes -----------------------------------------------------------------------------------------------------

    def _listen(self, now: float) -> None:
        try:
            while len(self.wakeup.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            return  # nothing was reported
        for root in self._roots.values():
            news = root.watcher.news()
            root.changed |= news.changed
            if self._follow and root.changed:  # by which name a walk comes to a file, only a walk shows
                root.changed.clear()
                news.again = True
            self._state(root, now)
            if news.again and not root.gone:
                root.next_walk = min(root.next_walk, max(now + (AGAIN if root.surveyed else 0.0), root.rested_at))

    def _state(self, root: Root, now: float) -> None:
        gone = root.watcher.gone
        if gone and not root.gone:
            root.near, root.full, root.next_walk = None, None, math.inf
            root.appeared.clear()
            root.again.clear()
            self._emit(WatchTrouble(path=shown(root.path), reason="removed or unmounted; waiting for it to return"))
        elif root.gone and not gone:
            self._emit(WatchResumed(path=shown(root.path)))
        root.gone = gone
        self._misses(root, root.watcher.misses)

    def _misses(self, root: Root, why: str) -> None:
        if why and not root.misses:
            root.misses = why
            text = f"{why}; walking all of it every {self._interval(root):g} s instead"
            self._emit(WatchTrouble(path=shown(root.path), reason=text))

    def _take_changes(self, root: Root, now: float) -> None:
        """Take some of the reported changes: files are debounced, folders that appeared are to be walked."""
        never = self._marks()
        folders: Folders = {}
        for _ in range(min(PIECE, len(root.changed))):
            path = os.fsencode(root.changed.pop())
            try:
                self._take_change(root, path, now, never, folders)
            except OSError:
                continue  # it is gone again
            except Exception as error:  # noqa: BLE001 - the other changes are none of its business
                self._give_up(path, error)

    def _take_change(
        self, root: Root, path: bytes, now: float, never: frozenset[tuple[int, int]], folders: Folders
    ) -> None:
        """Take one; ``folders`` keeps what is found out about those above. Raises OSError when it is gone again."""
        above, name = os.path.split(path[len(root.path) :].strip(b"/"))
        if not name:
            return  # the root itself
        if name == filters.IGNORE_FILE:
            self._appeared(root, above)  # what it excluded before may be wanted now
            return
        if above not in folders:
            folders[above] = self._entered(root, above, never)
        entered = folders[above]
        if entered is None:
            return
        folder, rules = entered
        relative = os.path.join(folder, name)
        status = os.lstat(os.path.join(root.path, relative))
        directory = stat.S_ISDIR(status.st_mode)
        if (rule := rules.excluding(name, directory=directory)) is not None:
            self._leave_out(scan.LeftOut(root.path, folder, [(name + b"/" if directory else name, rule)]))
        elif stat.S_ISREG(status.st_mode):
            self._debouncer.hold((root.path, folder, name), settle_mark(status), now)
        elif directory and (status.st_dev, status.st_ino) not in never:
            self._appeared(root, relative)

    def _entered(self, root: Root, above: bytes, never: frozenset[tuple[int, int]]) -> tuple[bytes, Filter] | None:
        """Return by which name a walk enters a folder, and the rules in it; None: it does not."""
        try:
            folder = scan.entered(root.path, above, never=never, rules=self._rules)
            if folder is None:
                return None
            return folder, scan.rules_above(root.path, folder, self._rules).below(root.path, folder)
        except UnusableRules:
            return None  # walks report it

    def _leave_out(self, found: scan.LeftOut) -> None:
        """Report what is left out, once."""
        names = [each for each in found.names if self.reports(os.path.join(found.root, found.folder, each[0]))]
        if names:
            self._ready.append(msgspec.structs.replace(found, names=names))

    def _appeared(self, root: Root, folder: bytes) -> None:
        above = os.path.dirname(folder)
        while above:
            if above in root.appeared:
                return  # about to be walked with all that lies in it
            above = os.path.dirname(above)
        root.appeared[folder] = None

    # -- walks -------------------------------------------------------------------------------------------------------

    def _walk(self, root: Root, now: float) -> scan.Found | None:
        """Return the next thing that a walk of this root finds, if there is anything to be walked now."""
        if root.near is None:
            self._begin_near(root, now)
        if root.full is None and root.next_walk <= now:
            root.full, root.began, root.next_walk = self._walk_of(root, b""), now, math.inf
        for walk in (root.near, root.full):
            if walk is None:
                continue
            self._wake()  # it goes on in the next step
            found = next(walk, None)
            if found is None and walk is root.near:
                root.near = None
            elif found is None:
                self._end(root, now)
            elif isinstance(found, scan.Batch):
                return self._met(found, first=walk is root.full and not root.surveyed)
            elif isinstance(found, scan.LeftOut):
                if walk is root.near or not root.surveyed:
                    self._leave_out(found)
            elif os.path.lexists(found.name) and self.reports(found.name):
                return found
        return None

    def _begin_near(self, root: Root, now: float) -> None:
        """Walk a folder that appeared; and once more, for the kernel does not report what came into it at first."""
        if root.appeared:
            folder = next(iter(root.appeared))
            del root.appeared[folder]
            root.again.pop(folder, None)
            root.again[folder] = now + AGAIN
        elif root.again and next(iter(root.again.values())) <= now:
            folder = next(iter(root.again))
            del root.again[folder]
            self._count_watches(root, now)
        else:
            return
        try:
            if scan.entered(root.path, folder, never=self._marks(), rules=self._rules) == folder:
                root.near = self._walk_of(root, folder)
        except (OSError, UnusableRules):
            return  # it is gone again, or is not entered

    def _count_watches(self, root: Root, now: float) -> None:
        """Folders have appeared: was there a watch for each?"""
        if now >= self._next_count and self._timing.poll is None and not root.misses:
            self._next_count = now + COUNT_INTERVAL
            if not watches_left():
                self._misses(root, OUT_OF_WATCHES)
                root.next_walk = min(root.next_walk, now + self._interval(root))

    def _end(self, root: Root, now: float) -> None:
        """A walk of everything is over: when the next one is due."""
        wanted = root.next_walk < math.inf
        root.full, root.surveyed = None, True
        root.rested_at = now + min(SHARE * (now - root.began), self._timing.rescan)
        root.next_walk = root.rested_at if wanted else max(root.rested_at, now + self._interval(root))

    def _met(self, batch: scan.Batch, *, first: bool) -> scan.Batch | None:
        if not first:
            return msgspec.structs.replace(batch, priority=Priority.URGENT, fresh=True)
        since = (self._wall() - self._timing.settle) * 1e9
        young = [entry for entry in batch.files if max(entry.mtime_ns, entry.ctime_ns) > since]
        self.hold(batch, young)
        old = [entry for entry in batch.files if max(entry.mtime_ns, entry.ctime_ns) <= since]
        return msgspec.structs.replace(batch, files=old) if old else None

    def _walk_of(self, root: Root, below: bytes) -> Appearance:
        return scan.folder(
            root.path, prefix=root.prefix, never=self._marks(), follow=self._follow, below=below, rules=self._rules
        )

    def _interval(self, root: Root) -> float:
        if self._timing.poll is not None:
            return self._timing.poll
        return min(FALLBACK, self._timing.rescan) if root.misses else self._timing.rescan

    # -- files -------------------------------------------------------------------------------------------------------

    def _batches(self, settled: list[tuple[File, os.stat_result]]) -> Iterator[scan.Batch]:
        """Yield settled files, by folder."""
        folders: dict[tuple[bytes, bytes], list[scan.Entry]] = {}
        for (root, folder, name), status in settled:
            try:
                folders.setdefault((root, folder), []).append(scan.Entry.of(name, status))
            except Exception as error:  # noqa: BLE001 - the others are none of its business
                self._give_up(os.path.join(root, folder, name), error)
        for (root, folder), entries in sorted(folders.items()):
            directory = os.path.join(self._roots[root].prefix, folder) if folder else self._roots[root].prefix
            if entries:
                yield scan.Batch(root, folder, directory, sorted(entries), priority=Priority.URGENT)

    def _stat(self, file: File) -> os.stat_result | None:
        try:
            return os.stat(os.path.join(*file), follow_symlinks=self._follow)
        except OSError:
            return None

    def _marks(self) -> frozenset[tuple[int, int]]:
        """Return what is never entered; looked up each time, for OUT may be made after the start."""
        return frozenset(mark for mark in map(mark_of, self._never) if mark is not None)

    def _wake(self) -> None:
        try:
            self._theirs.send(b"\0")
        except OSError:
            return  # it is awake already, or closed
