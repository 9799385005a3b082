"""Look sources up in their bucket: by lists of what is there, the index, and the asset.json objects.

An entry of the index saves the request for an asset.json, never the list: only what the store lists is there, and is as
it was when asset.json was written. So neither a stale index nor objects that were removed or replaced mislead anybody.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Protocol, TypeVar

import msgspec

from mediactl.assets import document
from mediactl.core.files import shown
from mediactl.model.assets import Artefact, AssetWarning
from mediactl.model.buckets.memory import Entry, Recalled, RecallTask
from mediactl.model.uploads import SHA256, Location
from mediactl.upload.memory import shards
from mediactl.upload.store import Listed, Refused, Store, StoreError, Unavailable

T = TypeVar("T")

MOST_LISTED = 50_000
"""Objects of a range that are listed; folders after the last of them are listed one by one."""
MOST_OF_FOLDER = 5_000
"""Objects of one folder that are listed."""
RANGES = 16
"""Ranges that are kept: some 30 MB. Sources come in about the order of their keys."""
FRESH = 60.0
"""Seconds that a list is valid: others write to the bucket, too."""
PATIENCE = 30.0
"""Seconds for which a store is not asked again that is unavailable."""
DOCUMENT = document.NAME.decode()


class Ask(Protocol):
    """Sends requests in their turn, with a few retries."""

    def __call__(self, request: Callable[[], T]) -> T:
        """Return the answer. Raises StoreError, Stopped."""


class _Range:
    """What is known of the keys of one shard."""

    def __init__(
        self, asked: float, entries: shards.Entries, listed: dict[str, dict[str, Listed]], until: str | None
    ) -> None:
        self.asked = asked
        """When it was asked for, by the monotonic clock."""
        self.entries = entries
        self.listed = listed
        """Folder -> name -> object, of folders with an asset.json and everything beside it."""
        self.until = until
        """The folder from which on nothing is known; None: all of the range was listed."""
        self.written: set[str] = set()
        """Folders into which was uploaded since they were listed."""

    def knows(self, folder: str) -> bool:
        """Return whether the objects of a folder are as they were listed."""
        return folder not in self.written and (self.until is None or folder < self.until)


class Memory:
    """What the store lists below one prefix, for many threads."""

    def __init__(self, location: Location, store: Store, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds; it only goes forward."""
        self._clock = clock
        self._store = store
        self._ask = ask
        self._prefix = f"{location.prefix}/" if location.prefix else ""
        self._name = f"s3://{location.bucket}/{self._prefix}"
        self._lock = threading.Lock()
        self._starts: list[str] | None = None
        self._ranges: OrderedDict[str, _Range] = OrderedDict()
        self._lists = True
        self._lost_until = 0.0
        """Until when nothing more is asked, since the store cannot be read; by the monotonic clock."""
        self._trouble: list[str] = []

    def recall(self, task: RecallTask) -> Recalled:
        """Return what is there of a source. Raises Stopped; trouble with the store is reported in the answer."""
        entry, indexed = None, False
        try:
            with self._lock:
                near = None if self._clock() < self._lost_until else self._near_or_lost(task.folder)
            if near is not None:
                entry, indexed = self._find(task, near)
        except StoreError as error:
            self._trouble.append(f"cannot be read: {error}; outputs that are there may be made again")
        return Recalled(entry, indexed, self._trouble.pop() if self._trouble else "")

    def wrote(self, key: str) -> None:
        """Take note that an object was sent, or may have been: its folder is listed again."""
        folder, slash, _ = key.removeprefix(self._prefix).rpartition("/")
        with self._lock:  # not while a range is listed, which may show the folder as it was before
            for each in self._ranges.values():
                each.written.add(folder + slash)

    def _near_or_lost(self, folder: str) -> _Range:
        try:
            return self._near(folder)
        except StoreError as error:
            self._lost_until = self._clock() + (PATIENCE if isinstance(error, Unavailable) else math.inf)
            raise

    def _find(self, task: RecallTask, near: _Range) -> tuple[Entry | None, bool]:
        listed = self._listed(near, task.folder)
        if listed is not None and DOCUMENT not in listed:
            return None, False
        raw = near.entries.get(task.folder)
        entry = None if raw is None else shards.entry(raw)
        indexed = entry is not None and listed is not None and entry.etag == listed[DOCUMENT].etag
        if not indexed:
            entry = self._read(task.folder)
        if entry is None or entry.digest != task.digest:
            return entry, indexed
        if listed is not None:
            there = tuple(each for each in entry.artefacts if self._is_there(task.folder, each, listed))
            original = self._original(task, entry, listed)
            kept = msgspec.structs.replace(entry, artefacts=there, original=original)
            indexed = indexed and kept == entry
            entry = kept
        return entry, indexed

    # -- what the store has ------------------------------------------------------------------------------------------

    def _near(self, folder: str) -> _Range:
        """Return what is known around a folder, asked for once; the lock is held."""
        if self._starts is None:
            self._starts = self._root()
        start = shards.start_of(self._starts, folder)
        found = self._ranges.get(start)
        if found is None or self._clock() - found.asked > FRESH:
            asked = self._clock()
            found = self._ranges[start] = _Range(asked, self._shard(start), *self._list(start))
            while len(self._ranges) > RANGES:
                self._ranges.popitem(last=False)
        self._ranges.move_to_end(start)
        return found

    def _root(self) -> list[str]:
        content = self._get(shards.ROOT)
        try:
            return [shards.FIRST] if content is None else shards.unpack_root(content[0])
        except shards.Damaged as error:
            self._is_damaged(shards.ROOT, error)
            return [shards.FIRST]

    def _shard(self, start: str) -> shards.Entries:
        key = shards.shard_key(start)
        content = self._get(key)
        try:
            return {} if content is None else shards.unpack(content[0])
        except shards.Damaged as error:
            self._is_damaged(key, error)
            return {}

    def _is_damaged(self, key: str, error: shards.Damaged) -> None:
        why = f"index object {key} is damaged: {shown(str(error))}"
        self._trouble.append(f"{why}; rebuilding it from asset.json objects")

    def _list(self, start: str) -> tuple[dict[str, dict[str, Listed]], str | None]:
        """Return the objects of the range that begins at ``start``, by folder, and from which folder on they are not
        known."""
        assert self._starts is not None
        end = shards.end_of(self._starts, start)
        if self._lists:
            try:
                return self._ask(lambda: self._in_folders(start, end))
            except Refused as error:
                self._lists = False
                self._trouble.append(f"cannot be listed: {error}; its asset.json objects are read one by one")
        return {}, start

    def _in_folders(self, start: str, end: str | None) -> tuple[dict[str, dict[str, Listed]], str | None]:
        found: dict[str, dict[str, Listed]] = {}
        for number, (folder, name, each) in enumerate(self._objects(start)):
            if end is not None and folder >= end:
                break
            if number >= MOST_LISTED and folder not in found:
                return found, folder
            found.setdefault(folder, {})[name] = each
        return found, None

    def _objects(self, start: str) -> Iterator[tuple[str, str, Listed]]:
        """Yield folder, name and object of all below the prefix from ``start`` on, the index left out."""
        skipped = len(self._prefix)
        for each in self._store.listed(self._prefix, after=self._prefix + start if start else ""):
            folder, slash, name = each.key[skipped:].rpartition("/")
            if slash and not folder.startswith(".mediactl/"):
                yield folder + slash, name, each

    def _listed(self, near: _Range, folder: str) -> dict[str, Listed] | None:
        """Return the objects in a folder by name; None: the store does not say."""
        if near.knows(folder):
            return near.listed.get(folder, {})
        if not self._lists:
            return None
        prefix = self._prefix + folder

        def ask() -> dict[str, Listed]:
            of_folder = takewhile(lambda each: each[0] < MOST_OF_FOLDER, enumerate(self._store.listed(prefix)))
            names = ((each.key.removeprefix(prefix), each) for _, each in of_folder)
            return {name: each for name, each in names if "/" not in name}

        return self._ask(ask)

    def _get(self, key: str) -> tuple[bytes, str] | None:
        return self._ask(lambda: self._store.whole(self._prefix + key, shards.MAX_BODY))

    # -- what its objects say ----------------------------------------------------------------------------------------

    def _read(self, folder: str) -> Entry | None:
        """Return the entry of an asset.json object; None: there is none that can be read."""
        content = self._get(folder + DOCUMENT)
        return None if content is None else entry_of(folder, *content)

    def _is_there(self, folder: str, artefact: Artefact, listed: dict[str, Listed]) -> bool:
        """Return whether an artefact is the one that asset.json names: what is newer may have replaced it, and is
        looked at."""
        there = listed.get(artefact.name)
        if there is None or there.size != artefact.bytes:
            return False
        return there.modified <= listed[DOCUMENT].modified or self._sha256(folder + artefact.name) == artefact.sha256

    def _original(self, task: RecallTask, entry: Entry, listed: dict[str, Listed]) -> str:
        """Return the name of the source's own object, if it is there and asked for."""
        there = listed.get(task.original) if task.original else None
        if there is None or there.size != task.size:
            return ""
        known = entry.original == task.original and there.modified <= listed[DOCUMENT].modified
        return task.original if known or self._sha256(task.folder + task.original) == task.digest else ""

    def _sha256(self, key: str) -> str:
        """Return the SHA-256 that our uploads keep with an object."""
        there = self._ask(lambda: self._store.head(self._prefix + key))
        return "" if there is None else there.metadata.get(SHA256, "")


def entry_of(folder: str, content: bytes, etag: str) -> Entry | None:
    """Return the entry of an asset.json; None where it is none."""
    try:
        asset = document.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    warnings = tuple(AssetWarning(each, None) for each in asset.warnings)
    look, sha256 = document.look_of(asset).text(), hashlib.sha256(content).hexdigest()
    return Entry(folder, asset.source.digest, etag, sha256, asset.artefacts, look, warnings)
