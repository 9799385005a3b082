"""Top-level boxes of ISO base media files (MP4, MOV; ISO/IEC 14496-12)."""

from __future__ import annotations

import os
from collections.abc import Iterator

_MAX_BOXES = 100_000


def top_level_boxes(fd: int) -> list[tuple[bytes, int, int]]:
    """Return (type, offset, size in bytes) of each top-level box, as far as they can be followed."""
    return [(kind, offset, end - offset) for kind, offset, _, end in boxes(fd, 0, os.fstat(fd).st_size)]


def boxes(fd: int, start: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield type, offset, offset of the content, and end of each box between two offsets, as far as they can be
    followed; the end may be beyond that of the file."""
    offset = start
    for _ in range(_MAX_BOXES):
        if offset + 8 > end:
            return
        head = os.pread(fd, 16, offset)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        content = offset + (16 if size == 1 else 8)
        size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - offset
        if size < 8:
            return
        yield kind, offset, content, offset + size
        offset += size


def is_faststart(fd: int) -> bool:
    """Return whether an MP4's index precedes its media data, so that it plays while it is downloaded."""
    kinds = [kind for kind, _, _ in top_level_boxes(fd)]
    return b"moov" in kinds and b"mdat" in kinds and kinds.index(b"moov") < kinds.index(b"mdat")
