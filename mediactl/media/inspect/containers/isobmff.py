"""Boxes of ISO base media files (MP4, MOV; ISO/IEC 14496-12), read by offset: no more than their headers on the way."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

_MAX_BOXES = 100_000
_MOST_EDITS = 1_000
_TRACK_ID = {0: 12, 1: 20}
"""Offset of the track's id in tkhd, by version; its duration follows 8 bytes later."""


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


def found(fd: int, start: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the content of each box at this path begins and ends."""
    for kind, _, content, close in boxes(fd, start, end):
        if kind == path[0]:
            close = min(close, end)
            yield from found(fd, content, close, *path[1:]) if path[1:] else ((content, close),)


def track(fd: int, number: int) -> tuple[int, int, int] | None:
    """Return where the content of the moov begins, and where that of the track with this id begins and ends.

    Raises struct.error where boxes are too short.
    """
    for moov, close in found(fd, 0, os.fstat(fd).st_size, b"moov"):
        for start, end in found(fd, moov, close, b"trak"):
            if _track_header(fd, start, end)[0] == number:
                return moov, start, end
    return None


def presented(fd: int, number: int) -> float | None:
    """Return how long the track with this id is presented by its edit list, in seconds, empty edits included; None
    where there is none, or the track header says something else."""
    try:
        where = track(fd, number)
        if where is None:
            return None
        moov, start, end = where
        scale = next((_timescale(fd, content) for content, _ in found(fd, moov, start, b"mvhd")), 0)
        edited = sum(length for content, _ in found(fd, start, end, b"edts", b"elst") for length in _edits(fd, content))
        _, duration = _track_header(fd, start, end)
    except struct.error:
        return None
    return edited / scale if scale and edited and abs(edited - duration) <= 1 else None


def _track_header(fd: int, start: int, end: int) -> tuple[int, int]:
    """Return id and duration in the tkhd of a trak; zeros where there is none."""
    for content, _ in found(fd, start, end, b"tkhd"):
        head = os.pread(fd, 36, content)
        version = min(head[0], 1) if head else 0
        form = ">I4xQ" if version else ">I4xI"
        number, duration = struct.unpack_from(form, head, _TRACK_ID[version])
        return int(number), int(duration)
    return 0, 0


def _timescale(fd: int, header: int) -> int:
    head = os.pread(fd, 24, header)
    return int(struct.unpack_from(">I", head, 20 if head[:1] == b"\1" else 12)[0])


def _edits(fd: int, content: int) -> Iterator[int]:
    """Yield the durations of the edits of an elst."""
    version, count = struct.unpack(">B3xI", os.pread(fd, 8, content))
    form = ">Q12x" if version else ">I8x"
    size = struct.calcsize(form)
    rows = os.pread(fd, min(count, _MOST_EDITS) * size, content + 8)
    return (length for (length,) in struct.iter_unpack(form, rows[: len(rows) // size * size]))


def is_faststart(fd: int) -> bool:
    """Return whether an MP4's index precedes its media data, so that it plays while it is downloaded."""
    kinds = [kind for kind, _, _ in top_level_boxes(fd)]
    return b"moov" in kinds and b"mdat" in kinds and kinds.index(b"moov") < kinds.index(b"mdat")
