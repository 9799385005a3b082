"""Write what was uploaded into the index of its bucket. Several machines may do so at once, and be killed in it.

Each shard is read, merged and written under the condition that it is still the one that was read. A shard that is full
is divided: first the new ones are written, then the root names them, then the old one loses what they have. Whatever is
lost on the way costs requests for asset.json objects, no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mediactl.model.buckets.memory import Entry, Remembered
from mediactl.model.uploads import About, Location
from mediactl.upload.body import Body
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.memory import shards
from mediactl.upload.memory.recall import Ask
from mediactl.upload.store import Busy, Condition, Exists, Refused, Store, StoreError

ROUNDS = 8
"""How often an object is read, merged and written, while others write it."""
ABOUT = About("application/octet-stream", "no-store")


class Index:
    """The index of one bucket and prefix, to be written."""

    def __init__(self, location: Location, store: Store, capabilities: Capabilities, ask: Ask) -> None:
        self._store = store
        self._capabilities = capabilities
        self._ask = ask
        self._prefix = f"{location.prefix}/" if location.prefix else ""

    def remember(self, entries: Iterable[Entry]) -> Remembered:
        """Write entries, in place of those of their folders. Raises Stopped; trouble is reported in the answer."""
        left = {entry.folder: msgspec.Raw(msgspec.msgpack.encode(entry)) for entry in entries}
        try:
            starts = self._root()
            for _ in range(ROUNDS):
                written: dict[str, str] = {}
                for start, group in _by_shard(starts, left).items():
                    self._merge(starts, start, group, written)
                # Another machine may have divided a shard meanwhile, before what was written there.
                starts = self._root()
                left = {each: raw for each, raw in left.items() if written.get(each) != shards.start_of(starts, each)}
                if not left:
                    return Remembered()
        except StoreError as error:
            return Remembered(f"index cannot be written: {error}")
        return Remembered("index cannot be written: others divide its shards all the time")

    def _root(self) -> list[str]:
        return self._merged(shards.ROOT, shards.unpack_root, lambda found: None) or [shards.FIRST]

    def _merge(
        self, starts: list[str], start: str, group: shards.Entries, written: dict[str, str], *, over: bool = True
    ) -> None:
        """Add entries to a shard, which is divided when it is full, ``over`` those that it has of their folders or not.

        What it has of later shards goes there, once: whoever can write to the bucket may have put anything anywhere.
        Which shard has each folder is noted in ``written``, and more shards in ``starts``.
        """

        def merged(found: dict[str, msgspec.Raw] | None) -> dict[str, msgspec.Raw]:
            there = _by_shard(starts, found or {})
            mine, new = there.pop(start, {}), _by_shard(starts, group).get(start, {})
            for at, strays in there.items():  # written while it was divided, or left there by who was killed in it
                if over and at > start:
                    self._merge(starts, at, strays, {}, over=False)
            first, *others = shards.pieces(start, {**mine, **new} if over else {**new, **mine})
            if others:
                more = sorted({*starts, *(at for at, _ in others)})
                for at, piece in others:
                    self._merge(more, at, piece, written)
                starts[:] = self._divide(starts, more)
                for at, _ in others:
                    if (before := starts[starts.index(at) - 1]) not in more:  # of a machine that divided it, too
                        self._merge(starts, before, {}, {})
            written.update(dict.fromkeys(first[1], start))
            return first[1]

        self._merged(shards.shard_key(start), shards.unpack, merged)

    def _divide(self, starts: list[str], more: list[str]) -> list[str]:
        """Have the root name more shards; return all."""
        every: set[str] = {*starts, *more}

        def merged(found: list[str] | None) -> list[str]:
            every.update(found or ())
            return sorted(every)

        self._merged(shards.ROOT, shards.unpack_root, merged)
        return sorted(every)

    def _merged(self, key: str, unpack: Callable[[bytes], Any], merge: Callable[[Any], Any]) -> Any:
        """Return an object as it was; write what is made of it, if anything. A damaged one is replaced."""
        for number in range(1, ROUNDS + 1):
            content = self._ask(lambda: self._store.whole(self._prefix + key, shards.MAX_BODY))
            try:
                found = None if content is None else unpack(content[0])
            except shards.Damaged:
                found = None
            after = merge(found)
            if after is None:
                return found
            try:
                self._write(key, shards.pack(after), None if content is None else content[1])
                return found
            except (Exists, Busy):
                if number == ROUNDS:
                    raise
        raise AssertionError("every round ends or goes on")

    def _write(self, key: str, body: bytes, etag: str | None) -> None:
        condition = Condition(if_absent=True) if etag is None else Condition(if_etag=etag)
        if self._capabilities.conditions:
            try:
                self._put(key, body, condition)
                return
            except Refused:
                pass  # by a store that knows no conditions, or one that lets nobody write here
        self._put(key, body, Condition())
        self._capabilities.conditions = False

    def _put(self, key: str, body: bytes, condition: Condition) -> None:
        self._ask(lambda: self._store.put(self._prefix + key, Body(body), ABOUT, condition))


def _by_shard(starts: list[str], entries: shards.Entries) -> dict[str, dict[str, msgspec.Raw]]:
    """Return entries by the start of the shard that they belong to."""
    found: defaultdict[str, dict[str, msgspec.Raw]] = defaultdict(dict)
    for folder, raw in entries.items():
        found[shards.start_of(starts, folder)][folder] = raw
    return found
