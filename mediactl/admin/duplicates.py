"""Near-duplicates among the assets of an output directory, by the perceptual hashes in asset.json."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

import msgspec

from mediactl.assets import document
from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.ui.lines import count, size

DISTANCE = 6
"""Default Hamming distance up to which two 64-bit hashes match. Photos of the test corpus that were shrunk to 100
pixels, saved as JPEG 30, brightened by 15 % or cropped by 3 % stayed within it; other photos are at least 22 apart."""
_BLOCKS = 4
"""Of 16 bits each: of two hashes that are n bits apart, one block is at most n // 4 bits apart (Norouzi, Punjani and
Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", 2012)."""
_BLOCK_BITS = 16
_SPREAD = [[sum((byte >> 4 * n + block & 1) << n for n in range(2)) for byte in range(256)] for block in range(_BLOCKS)]
"""Of each block, a byte's two bits."""


class _Source(msgspec.Struct):
    path: str
    bytes: int
    digest: str
    kind: str


class _Metadata(msgspec.Struct):
    width: int | None = None
    height: int | None = None
    duration: float | None = None


class _Asset(msgspec.Struct):
    """The part of an asset.json that is needed here."""

    schema: int
    source: _Source
    metadata: _Metadata
    phash: str = ""


class Found(msgspec.Struct, frozen=True):
    """An asset, as far as duplicates are concerned."""

    path: str
    """Path of the source, as in asset.json."""
    directory: str = msgspec.field(name="place")
    """Directory of the asset relative to OUT, escaped for display."""
    kind: str
    digest: str
    bytes: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    phash: str = ""


class Member(msgspec.Struct, frozen=True):
    """An asset in a group."""

    asset: Found
    distance: int | None
    """Hamming distance of its hash from the first one's; None: one of the two has no hash."""
    same: bool
    """Whether it has the bytes of an earlier member."""


class Group(msgspec.Struct, frozen=True):
    """Near-duplicate assets, the best original first: most pixels, then most bytes."""

    members: tuple[Member, ...]

    @property
    def exact(self) -> bool:
        """Return whether all have the same bytes."""
        return all(member.same for member in self.members[1:])


def read(out: bytes) -> Iterator[Found]:
    """Yield every asset of an output directory, in a fixed order; an invalid asset.json is skipped.

    Raises UsageError when the directory does not exist or is not an output directory.
    """
    if not os.path.isdir(out):
        raise UsageError(f"{shown(out)}: no such directory; name the output directory of a run")
    decode = msgspec.json.Decoder(_Asset).decode
    ours = os.path.isdir(os.path.join(out, b".mediactl"))
    for folder, folders, names in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith(b"."))
        if document.NAME not in names or folder == out:
            continue
        try:
            with open(os.path.join(folder, document.NAME), "rb") as file:
                each = decode(file.read())
        except (OSError, ValueError):
            continue
        if each.schema == document.SCHEMA:
            ours = True
            source, metadata = each.source, each.metadata
            yield Found(
                source.path, shown(os.path.relpath(folder, out)), source.kind, source.digest, source.bytes,
                metadata.width, metadata.height, metadata.duration, each.phash,
            )  # fmt: skip
    if not ours:
        raise UsageError(f"{shown(out)}: no asset.json in it; name the output directory of a run")


def groups(assets: Iterable[Found], distance: int = DISTANCE) -> list[Group]:
    """Return groups of assets with equal bytes, or with hashes at most ``distance`` bits apart; the largest first.

    Matching is transitive. Images are compared with images, videos (by their posters) with videos.
    """
    every = list(assets)
    sets = _Sets(len(every))
    by_digest: dict[str, int] = {}
    by_hash: dict[str, dict[int, int]] = defaultdict(dict)
    for number, each in enumerate(every):
        sets.join(by_digest.setdefault(each.digest, number), number)
        if len(each.phash) == 16:
            sets.join(by_hash[each.kind].setdefault(int(each.phash, 16), number), number)
    for numbers in by_hash.values():
        for one, other in near(list(numbers), distance):
            sets.join(numbers[one], numbers[other])
    found = [_group([every[number] for number in members]) for members in sets.several()]
    return sorted(found, key=lambda group: (-len(group.members), group.members[0].asset.directory))


def near(hashes: list[int], distance: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of distinct 64-bit hashes at most so many bits apart, each at least once."""
    least, more = divmod(distance, _BLOCKS)
    for block in range(_BLOCKS):
        # If the first blocks differed by more than ``least`` bits and the others by at least that, all would exceed it.
        flips = _flips(least if block <= more else least - 1)
        met: dict[int, list[int]] = defaultdict(list)
        for one in hashes:
            part = _part(one, block)
            for flip in flips:
                for other in met.get(part ^ flip, ()):
                    if (one ^ other).bit_count() <= distance:
                        yield other, one
            met[part].append(one)


def _flips(most: int) -> list[int]:
    """Return every flip of at most so many bits of a block."""
    changed = (bits for number in range(most + 1) for bits in combinations(range(_BLOCK_BITS), number))
    return [sum(1 << bit for bit in bits) for bits in changed]


def _part(hash_: int, block: int) -> int:
    """Return every fourth bit of a hash: neighbouring bits correlate, so blocks of them would collide more often."""
    part, table = 0, _SPREAD[block]
    for byte in hash_.to_bytes(8, "big"):
        part = part << 2 | table[byte]
    return part


def _group(assets: list[Found]) -> Group:
    ranked = sorted(assets, key=lambda each: (-(each.width or 0) * (each.height or 0), -each.bytes, each.directory))
    best = ranked[0]
    members = []
    met: set[str] = set()
    for each in ranked:
        apart = None
        if best.phash and each.phash:
            apart = (int(best.phash, 16) ^ int(each.phash, 16)).bit_count()
        members.append(Member(each, apart, each.digest in met))
        met.add(each.digest)
    return Group(tuple(members))


class _Sets:
    """Disjoint sets of numbers (union-find)."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def root(self, number: int) -> int:
        """Return the representative of a set."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Merge two sets; the smaller representative stays."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parents[second] = first

    def several(self) -> list[list[int]]:
        """Return the sets with at least two members."""
        sets: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self._parents)):
            sets[self.root(number)].append(number)
        return [members for members in sets.values() if len(members) > 1]


def lines(found: list[Group], assets: int) -> Iterator[str]:
    """Yield the groups as text, then the totals."""
    for group in found:
        yield f"{count(len(group.members), 'identical file' if group.exact else 'near-duplicate')}:"
        for number, member in enumerate(group.members):
            yield "  " + _line(member, first=number == 0)
    if not found:
        yield f"no duplicates among {count(assets, 'asset')}"
        return
    others = [member.asset.bytes for group in found for member in group.members[1:]]
    yield (
        f"{count(len(found), 'group')} among {count(assets, 'asset')}:"
        f" {len(others):,} besides the best, {size(sum(others))}"
    )


def _line(member: Member, *, first: bool) -> str:
    each = member.asset
    sides = f"{each.width} x {each.height}" if each.width else "audio"
    length = f", {each.duration:.1f} s" if each.duration else ""
    if first:
        why = "best"
    elif member.same:
        why = "same bytes"
    else:
        why = "same hash" if not member.distance else f"{member.distance} of 64 bits differ"
    return f"{each.directory}: {sides}{length}, {size(each.bytes)}, {why}"


def as_json(group: Group) -> dict[str, object]:
    """Return one group as JSON."""
    return {
        "exact": group.exact,
        "assets": [
            {**msgspec.to_builtins(member.asset), "distance": member.distance, "same_bytes": member.same}
            for member in group.members
        ],
    }
