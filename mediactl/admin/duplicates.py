"""Near-duplicates among the assets of an output folder, by the perceptual hashes in their asset.json files."""

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
"""Bits of 64 in which two hashes may differ by default. No photo of the test corpus that was shrunk to 100 pixels,
saved as JPEG 30, made 15 % brighter or cut by 3 % was further from its original; the nearest strangers are 22 apart."""
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
    """As much of an asset.json as is looked at."""

    schema: int
    source: _Source
    metadata: _Metadata
    phash: str = ""


class Found(msgspec.Struct, frozen=True):
    """An asset, as far as duplicates go."""

    path: str
    """Of the source, as asset.json has it."""
    place: str
    """Of the asset's folder, relative to OUT, safe to show."""
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
    """Bits in which its hash differs from the first one's; None: one of the two has no hash."""
    same: bool
    """Whether its bytes are those of one before it."""


class Group(msgspec.Struct, frozen=True):
    """Assets that show the same, the best original first: most pixels, then most bytes."""

    members: tuple[Member, ...]

    @property
    def exact(self) -> bool:
        """Whether all have the same bytes."""
        return all(member.same for member in self.members[1:])


def read(out: bytes) -> Iterator[Found]:
    """Every asset in a folder, in a fixed order; what is no sound asset.json is left out.

    Raises UsageError when nothing speaks for an output folder.
    """
    if not os.path.isdir(out):
        raise UsageError(f"{shown(out)}: no such folder; name the output folder of a run")
    decode = msgspec.json.Decoder(_Asset).decode
    ours = os.path.isdir(os.path.join(out, b".mediactl"))
    for folder, folders, names in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith(b"."))
        if document.NAME not in names or folder == out:
            continue
        try:
            with open(os.path.join(folder, document.NAME), "rb") as file:
                each = decode(file.read())
        except (OSError, msgspec.DecodeError):
            continue
        if each.schema == document.SCHEMA:
            ours = True
            source, tells = each.source, each.metadata
            yield Found(
                source.path, shown(os.path.relpath(folder, out)), source.kind, source.digest, source.bytes,
                tells.width, tells.height, tells.duration, each.phash,
            )  # fmt: skip
    if not ours:
        raise UsageError(f"{shown(out)}: no output folder, for no asset is in it; name the output folder of a run")


def groups(assets: Iterable[Found], distance: int = DISTANCE) -> list[Group]:
    """Assets of which each has the bytes of another, or a hash at most ``distance`` bits from another's.

    What is near to a third through a second is in its group. Pictures are compared with pictures, films (by their
    posters) with films. The largest groups come first.
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
    return sorted(found, key=lambda group: (-len(group.members), group.members[0].asset.place))


def near(hashes: list[int], distance: int) -> Iterator[tuple[int, int]]:
    """Pairs of distinct 64-bit hashes that differ in at most so many bits; each pair at least once."""
    least, more = divmod(distance, _BLOCKS)
    for block in range(_BLOCKS):
        # Were the first blocks all more than ``least`` bits apart and the others at least that, it would be too far.
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
    """Every change of at most so many bits of a block."""
    changed = (bits for number in range(most + 1) for bits in combinations(range(_BLOCK_BITS), number))
    return [sum(1 << bit for bit in bits) for bits in changed]


def _part(hash_: int, block: int) -> int:
    """Every fourth bit: neighbours depend on one another, and blocks of neighbours would have favourites."""
    part, table = 0, _SPREAD[block]
    for byte in hash_.to_bytes(8, "big"):
        part = part << 2 | table[byte]
    return part


def _group(assets: list[Found]) -> Group:
    ranked = sorted(assets, key=lambda each: (-(each.width or 0) * (each.height or 0), -each.bytes, each.place))
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
        """The number that stands for a set."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Make one set of two; the smaller number stands for it."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parents[second] = first

    def several(self) -> list[list[int]]:
        """The sets of two and more."""
        sets: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self._parents)):
            sets[self.root(number)].append(number)
        return [members for members in sets.values() if len(members) > 1]


def lines(found: list[Group], assets: int) -> Iterator[str]:
    """The groups for people, then what they come to."""
    for group in found:
        yield f"{count(len(group.members), 'file')} with the same {'bytes' if group.exact else 'picture'}:"
        for number, member in enumerate(group.members):
            yield "  " + _line(member, first=number == 0)
    if not found:
        yield f"no duplicates among {count(assets, 'asset')}"
        return
    others = [member.asset.bytes for group in found for member in group.members[1:]]
    yield (
        f"{count(len(found), 'group')} among {count(assets, 'asset')}:"
        f" {len(others):,} beside the best, {size(sum(others))}"
    )


def _line(member: Member, *, first: bool) -> str:
    each = member.asset
    sides = f"{each.width} x {each.height}" if each.width else "sound"
    length = f", {each.duration:.1f} s" if each.duration else ""
    if first:
        why = "the best"
    elif member.same:
        why = "the same bytes"
    else:
        why = "the same picture" if not member.distance else f"differs by {member.distance} of 64"
    return f"{each.place}: {sides}{length}, {size(each.bytes)}, {why}"


def as_json(group: Group) -> dict[str, object]:
    """One group for programs."""
    return {
        "exact": group.exact,
        "assets": [
            {**msgspec.structs.asdict(member.asset), "distance": member.distance, "same_bytes": member.same}
            for member in group.members
        ],
    }
