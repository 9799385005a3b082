"""The files that objects of buckets are fetched into: never more bytes of them than asked for, none that nobody needs.

They lie in STATE/scratch/<boot id>: what a killed run has fetched is there for the next one, but not after a power
loss, which may leave a file without its content. The name of a file says which object it is, and of which ETag.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator

import msgspec

from mediactl.core import files
from mediactl.core.system import boot_id
from mediactl.jobs.journal import Journal
from mediactl.model.events import JobRejected
from mediactl.model.media import Copy, Fingerprint, Source
from mediactl.pipeline.fetching.jobs import KIND

FOLDER = b"scratch"
"""Folder beside the journal."""
NEVER = Fingerprint(0, 1, 0, 0)
"""Fingerprint of no object: the next run looks at it again."""
_ABSENT = Fingerprint(0, 0, 0, 0)


def folder_of(state: str) -> bytes:
    """Return the directory of what was fetched since the machine was started."""
    return os.path.join(os.fsencode(state), FOLDER, boot_id().encode() or b"unknown")


def name_of(source: Source) -> bytes:
    """Return the name of the file that an object is fetched into."""
    mark = source.fingerprint
    whole = hashlib.sha256(b"%d %s %d %s" % (len(source.root), source.root, len(source.path), source.path))
    return b"%s-%x-%x" % (whole.hexdigest()[:32].encode(), mark.size, mark.mtime_ns)


def too_large(size: int) -> str:
    """Return the reason for which an object of so many bytes is not fetched."""
    return f"its {size:,} bytes are more than --scratch allows; skipped"


def with_copy(source: Source, state: str) -> Source:
    """Return a source as its worker is to read it: an object with the file that it was fetched into.

    Where that is gone the worker notices, and it is fetched again.
    """
    if not source.is_remote:
        return source
    folder, name = folder_of(state), name_of(source)
    try:
        mark = files.fingerprint(os.stat(os.path.join(folder, name)))
    except FileNotFoundError:
        mark = _ABSENT
    return msgspec.structs.replace(source, copy=Copy(folder, name, mark))


class Scratch:
    """What a run has on disk, by source; jobs that fetch are claimed as far as there is room."""

    def __init__(self, journal: Journal, bound: int) -> None:
        """``bound``: bytes. Removes what no source is waiting for."""
        self._journal = journal
        self._bound = bound
        self._folder = folder_of(journal.state)
        self._held: dict[int, int] = {}
        """Source -> bytes, from when its fetch is claimed until all of its jobs have ended."""
        self._left: dict[int, int] = {}
        """The same of what earlier runs have fetched, and none of this run's jobs has asked for yet."""
        self._ended: set[int] = set()
        self._stems: dict[int, bytes] = {}
        """Source -> what the names of its files begin with, whatever its ETag was."""
        self._sweep()

    def _sweep(self) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        above, own = os.path.split(self._folder)
        for other in os.listdir(above):
            if other != own:
                shutil.rmtree(os.path.join(above, other), ignore_errors=True)
        there = set(os.listdir(self._folder))
        for number, source in self._journal.sources.pending_remote() if there else ():
            if (name := name_of(source)) in there:
                there.discard(name)
                self._stems[number] = _stem(name)
                self._left[number] = source.fingerprint.size
        for name in there:
            files.remove_if_there(os.path.join(self._folder, name))

    def reject_too_large(self, most: int) -> Iterator[JobRejected]:
        """Reject the objects that would never fit, of the next ``most`` to be fetched: a run with a larger bound has
        left them, or they were replaced after they were listed. Yield what is reported."""
        while large := [each for each in self._journal.next_fetches(most) if each[2] > self._bound]:
            for job, number, size in large:
                row, reason = self._journal.sources.get(number), too_large(size)
                key = self._journal.reject_ready(job, reason)
                assert key is not None  # in the transaction that has read it
                changed = msgspec.structs.replace(row.source, fingerprint=NEVER)
                self._journal.sources.put(changed, row.recipe, row.plan, "rejected", reason)
                yield JobRejected(
                    job=key, kind=KIND, path=files.shown(row.source.path), source_kind=row.source.kind, bytes=size,
                    reason=reason,
                )  # fmt: skip

    def room(self, most: int, *, all_planned: bool) -> int:
        """Return how many of the next jobs that fetch may be claimed, up to ``most``.

        What earlier runs have fetched of sources that this one is not asked for makes room: ``all_planned``, then.
        """
        if not most:
            return 0
        used = sum(self._held.values()) + sum(self._left.values())
        number = 0
        for _, source, size in self._journal.next_fetches(most):
            more = 0 if source in self._held else size - self._left.get(source, 0)
            while used + more > self._bound and all_planned and (freed := self._evict()) is not None:
                used -= freed
            if used + more > self._bound:
                break
            used += more
            number += 1
        return number

    def _evict(self) -> int | None:
        """Remove one file that an earlier run has left for a source that is not this run's; its bytes."""
        for source in self._left:
            if not self._journal.sources.is_mine(source):
                self._remove(source)
                return self._left.pop(source)
        return None

    def claimed(self, source: int | None, kind: str, size: int) -> None:
        """Take note that a job of a source was claimed."""
        if source is None:
            return
        left = self._left.pop(source, None)
        if source not in self._stems and kind == KIND:
            self._stems[source] = _stem(name_of(self._journal.sources.get(source).source))
        if kind == KIND:
            self._held[source] = max(size, self._held.get(source, 0))
        elif left is not None:
            self._held[source] = left

    def ended(self, source: int | None) -> None:
        """Take note that a job of a source has ended."""
        if source in self._held:
            self._ended.add(source)

    def release(self) -> bool:
        """Remove the files of sources whose last job has ended, now that this is on disk; return whether any has."""
        before = len(self._held)
        for source in self._ended:
            if not self._journal.sources.has_live_job(source):
                self._remove(source)
                self._held.pop(source, None)
        self._ended.clear()
        return len(self._held) < before

    def _remove(self, source: int) -> None:
        stem = self._stems.pop(source)
        for name in os.listdir(self._folder):
            if _stem(name) == stem:
                files.remove_if_there(os.path.join(self._folder, name))


def _stem(name: bytes) -> bytes:
    return name.partition(b"-")[0]
