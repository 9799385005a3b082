"""Boxes of MP4 (ISO/IEC 14496-12), parsed from bytes and built. Their content is up to the caller."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

_MOST = 64 << 20
"""Bytes of a box that is read whole. The index of a video of six hours takes 20 MB."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of these parts, one after another."""
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """Return a box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def children(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, content) of the boxes in a box's content. Raises ValueError when they do not fill it."""
    offset = 0
    while offset + 8 <= len(body):
        size, kind = struct.unpack_from(">I4s", body, offset)
        if size < 8 or offset + size > len(body):
            raise ValueError(f"a box {kind!r} of {size} bytes in {len(body)}")
        yield kind, body[offset + 8 : offset + size]
        offset += size


def inside(body: bytes, *path: bytes) -> bytes:
    """Return the content of the first box at this path. Raises ValueError when there is none."""
    for wanted in path:
        body = next((content for kind, content in children(body) if kind == wanted), b"\0")
        if body == b"\0":
            raise ValueError(f"no box {wanted!r}")
    return body


def read(fd: int, offset: int, size: int) -> bytes:
    """Return the content of a box of so many bytes at this offset of a file. Raises ValueError when it is cut off."""
    if not 8 <= size <= _MOST:
        raise ValueError(f"a box of {size} bytes")
    data = os.pread(fd, size, offset)
    if len(data) < size:
        raise ValueError("the file ends within a box")
    return data[16:] if data[:4] == b"\0\0\0\1" else data[8:]
