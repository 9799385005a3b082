"""Top-level boxes of ISO base media files (MP4, MOV; ISO/IEC 14496-12)."""

from __future__ import annotations

import os

_MAX_BOXES = 100_000


def top_level_boxes(fd: int) -> list[tuple[bytes, int, int]]:
    """Return (type, offset, size in bytes) of each top-level box, as far as they can be followed."""
    found: list[tuple[bytes, int, int]] = []
    end, offset = os.fstat(fd).st_size, 0
    while offset + 8 <= end and len(found) < _MAX_BOXES:
        head = os.pread(fd, 16, offset)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - offset
        if size < 8:
            break
        found.append((kind, offset, size))
        offset += size
    return found


def is_faststart(fd: int) -> bool:
    """Return whether an MP4's index precedes its media data, so that it plays while it is downloaded."""
    kinds = [kind for kind, _, _ in top_level_boxes(fd)]
    return b"moov" in kinds and b"mdat" in kinds and kinds.index(b"moov") < kinds.index(b"mdat")
