"""Part arithmetic of multipart uploads: pure, so that a resume counts as the first run did."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import msgspec
from isal import isal_zlib

MIB = 1 << 20
MIN_PART = 5 * MIB
"""S3's least, for all parts but the last: the smaller they are, the less a kill costs."""
LEAST_ROOM = 4 * MIN_PART
"""Bytes in flight of one object: fewer are slower over long lines."""
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


def room(size: int) -> int:
    """Return how many bytes of parts of an object of ``size`` bytes may be in flight: what a kill may cost. A fiftieth
    of it, from 1 GiB on."""
    return max(LEAST_ROOM, size // 50)


def parts(size: int, each: int) -> tuple[Part, ...]:
    """Return the parts of an object, in order, without gap or overlap; an empty object is one empty part."""
    if not size:
        return (Part(1, 0, 0),)
    return tuple(
        Part(number, offset, min(each, size - offset)) for number, offset in enumerate(range(0, size, each), 1)
    )


def composite_etag(etags: Iterable[str]) -> str:
    """Return the ETag of an object of parts with those ETags, where they are MD5s: the MD5 of them all, and how many
    they are. Where one is none, no ETag: ""."""
    try:
        each = [bytes.fromhex(etag.strip('"')) for etag in etags]
    except ValueError:
        return ""
    return f'"{hashlib.md5(b"".join(each), usedforsecurity=False).hexdigest()}-{len(each)}"'


def composite(crc32s: Iterable[int]) -> str:
    """Return S3's checksum of an object of parts with those CRC32s: the CRC32 of them all, and how many they are."""
    each = [crc32.to_bytes(4, "big") for crc32 in crc32s]
    return f"{base64.b64encode(isal_zlib.crc32(b''.join(each)).to_bytes(4, 'big')).decode()}-{len(each)}"
