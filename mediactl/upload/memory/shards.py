"""The objects of an index: entries by folder, in shards that each cover a range of keys. Pure.

Below ``FOLDER`` lies one object for each shard, named after the first folder of its range, and ``ROOT``, which lists
where the shards begin; without a root there is one shard. A shard is zlib of msgpack of a map, folder -> entry.
Anybody who can write to the bucket may have written these: sizes are bounded before anything is decoded.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

import msgspec

from mediactl.model.buckets.memory import Entry

FOLDER = ".mediactl/index/1/"
"""Below the prefix; the number is that of the format."""
ROOT = FOLDER + "root"
FIRST = ""
"""Start of the first shard."""
MAX_BODY = 1 << 20
"""Bytes of an object that are read."""
MAX_TEXT = 16 << 20
"""Bytes of a shard once decompressed: several times what a full one has."""
FULL = 256 << 10
"""Bytes of a shard, compressed, beyond which it is split: some 400 sources with ten artefacts each."""
MAX_SHARDS = 100_000

T = TypeVar("T")

_entry = msgspec.msgpack.Decoder(Entry)
_shard = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_root = msgspec.msgpack.Decoder(list[str])

Entries = Mapping[str, msgspec.Raw]
"""Folder -> msgpack of its entry, decoded when it is looked up."""


class Damaged(Exception):
    """An object of the index cannot be read."""


def shard_key(start: str) -> str:
    """Return the key below the prefix of the shard that begins at a folder."""
    return FOLDER + hashlib.sha256(start.encode()).hexdigest()[:16]


def pack(value: object) -> bytes:
    """Return the bytes of a shard or root."""
    return zlib.compress(msgspec.msgpack.encode(value), 6)


def unpack(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the entries of a shard, not decoded. Raises Damaged."""
    return _decoded(body, _shard)


def unpack_root(body: bytes) -> list[str]:
    """Return where shards begin, in order. Raises Damaged."""
    starts = _decoded(body, _root)
    if not starts or starts[0] != FIRST or len(starts) > MAX_SHARDS or any(a >= b for a, b in pairwise(starts)):
        raise Damaged("its shards are not in order")
    return starts


def entry(raw: msgspec.Raw) -> Entry | None:
    """Return an entry; None where it is none."""
    try:
        return _entry.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def start_of(starts: list[str], folder: str) -> str:
    """Return where the shard of a folder begins."""
    return starts[bisect_right(starts, folder) - 1]


def end_of(starts: list[str], start: str) -> str | None:
    """Return where the next shard begins; None: it is the last."""
    at = bisect_right(starts, start)
    return starts[at] if at < len(starts) else None


def pieces(start: str, entries: Entries) -> Iterator[tuple[str, dict[str, msgspec.Raw]]]:
    """Yield the shards that entries are divided into, the first of which keeps its ``start``."""
    folders = sorted(entries)
    number = -(-len(pack(entries)) // FULL) if entries else 1
    if number > 1:
        number *= 2  # half full, so that the next entries fit
    size = max(1, -(-len(folders) // number))
    for at in range(0, max(1, len(folders)), size):
        part = folders[at : at + size]
        yield (part[0] if at else start), {folder: entries[folder] for folder in part}


def _decoded(body: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(body, MAX_TEXT)
        if not unpacking.eof or unpacking.unused_data:
            raise Damaged("it is cut off, or too large")
        return decoder.decode(text)
    except (zlib.error, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Damaged(str(error)) from error
