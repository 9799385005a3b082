"""Part arithmetic of multipart uploads: pure, so that a resume counts as the first run did."""

from __future__ import annotations

import msgspec

MIB = 1 << 20
MIN_PART = 8 * MIB
"""Smaller parts cost more in requests than a lost one saves."""
MAX_PARTS = 10_000
"""S3's limit of parts in one upload."""
MAX_PART = 5 * 1024 * MIB
"""S3's limit for one part."""
MAX_OBJECT = MAX_PARTS * MAX_PART


class Part(msgspec.Struct, frozen=True):
    """One part: its number from 1, its first byte, its size in bytes."""

    number: int
    offset: int
    size: int


def part_size(size: int, least: int = MIN_PART) -> int:
    """Return the part size for an object of ``size`` bytes: ``least``, or the whole number of MiB above it that is
    needed to stay within the number of parts.

    Raises ValueError for an object larger than S3 holds.
    """
    if not 0 <= size <= MAX_OBJECT:
        raise ValueError(f"an object of {size} bytes cannot be uploaded")
    needed = -(-size // MAX_PARTS)
    return least if needed <= least else -(-needed // MIB) * MIB


def parts(size: int, each: int) -> tuple[Part, ...]:
    """Return the parts of an object, in order, without gap or overlap; an empty object is one empty part."""
    if not size:
        return (Part(1, 0, 0),)
    return tuple(
        Part(number, offset, min(each, size - offset)) for number, offset in enumerate(range(0, size, each), 1)
    )
