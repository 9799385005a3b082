"""The index (moov) of an MP4 that libavformat has written: how long its video is shown, and corrections in place."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction

import msgspec

from mediactl.media.inspect.containers import isobmff
from mediactl.media.mp4 import boxes

_PARENTS = (b"trak", b"edts", b"mdia", b"minf", b"stbl")
_HEV1 = b"hev1\0\0\0\0\0\0\0\1"
"""A sample entry of HEVC, up to its data reference."""


class Edit(msgspec.Struct, frozen=True):
    """What the edit list of a track amounts to, in seconds."""

    length: Fraction = Fraction(0)
    """How long the track is shown; 0 where no list says it."""
    shift: Fraction = Fraction(0)
    """What is added to composition times to get those of display."""


def edit(file: bytes) -> Edit:
    """Return the edit list of the first track of an MP4: one edit, perhaps after an empty one.

    Raises ValueError when the index is malformed, OSError.
    """
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _, moov = _moov(fd)
    finally:
        os.close(fd)
    movie, edits = 1, list[tuple[int, int]]()
    for kind, at in _walk(moov, 0, len(moov)):
        if kind == b"mvhd":
            movie = _timescale(moov, at)
        elif kind == b"elst":
            [count] = struct.unpack_from(">I", moov, at + 4)
            form, size = (">Qq", 20) if moov[at] else (">Ii", 12)
            edits = [struct.unpack_from(form, moov, at + 8 + size * number) for number in range(count)]
        elif kind == b"mdhd":
            length = sum(length for length, begin in edits if begin >= 0)
            empty = sum(length for length, begin in edits if begin < 0)
            begin = max((begin for _, begin in edits), default=0)
            return Edit(Fraction(length, movie), Fraction(empty, movie) - Fraction(begin, _timescale(moov, at)))
    return Edit()


def correct(file: bytes) -> None:
    """Correct the index of an MP4 in place. Raises ValueError when it is malformed, OSError.

    The duration in an mdhd becomes the sum of those of the samples: libavformat (62) adds a frame where one of the
    first is decoded less early than the very first. HEVC is named hvc1, which Apple's players require; libavformat
    copies it as hev1.
    """
    fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        start, moov = _moov(fd)
        header = 0
        for kind, at in _walk(moov, 0, len(moov)):
            if kind == b"mdhd":
                header = at
            elif kind == b"stts":
                form, field = _duration(moov, header)
                total = sum(many * each for many, each in struct.iter_unpack(">II", _rows(moov, at)))
                if struct.unpack_from(form, moov, field) != (total,):
                    os.pwrite(fd, struct.pack(form, total), start + field)
        at = moov.find(_HEV1)
        if at >= 0:
            os.pwrite(fd, b"hvc1", start + at)
    finally:
        os.close(fd)


def _moov(fd: int) -> tuple[int, bytes]:
    """Return where the content of the moov begins, and the content."""
    for kind, offset, size in isobmff.top_level_boxes(fd):
        if kind == b"moov":
            content = boxes.read(fd, offset, size)
            return offset + size - len(content), content
    raise ValueError("no box b'moov'")


def _walk(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield (type, where its content begins) of all boxes on the way to the sample table, depth first."""
    for kind, body in boxes.children(data[start:end]):
        at, start = start + 8, start + 8 + len(body)
        yield kind, at
        if kind in _PARENTS:
            yield from _walk(data, at, start)


def _timescale(moov: bytes, header: int) -> int:
    """Return the units a second of an mvhd or mdhd (ISO/IEC 14496-12, 8.2.2 and 8.4.2)."""
    [timescale] = struct.unpack_from(">I", moov, header + (20 if moov[header] else 12))
    return int(timescale)


def _duration(moov: bytes, header: int) -> tuple[str, int]:
    """Return form and position of the duration in an mdhd (ISO/IEC 14496-12, 8.4.2)."""
    return (">Q", header + 24) if moov[header] else (">I", header + 16)


def _rows(moov: bytes, table: int) -> bytes:
    """Return the rows of a table of pairs of 32 bits, as an stts is."""
    [count] = struct.unpack_from(">I", moov, table + 4)
    return moov[table + 8 : table + 8 + 8 * count]
