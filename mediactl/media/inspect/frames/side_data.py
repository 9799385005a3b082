"""Container crop and Dolby Vision configuration of a video stream, which libav reads and PyAV does not expose.

Read from the boxes of MP4 and MOV (ISO/IEC 14496-12) and from the elements of Matroska (RFC 9559), by offset: no more
than their headers is read on the way. A malformed structure counts as none; libav decides whether the file opens.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgspec

from mediactl.media.inspect.containers import isobmff

_ENTRY = 8 + 78
"""Bytes of a visual sample entry before its boxes, header included (ISO/IEC 14496-12, 12.1.3)."""
_DOVI = (b"dvcC", b"dvvC", b"dvwC")
"""Boxes, and types of block additions, of Dolby's configuration record."""
_SEGMENT, _TRACKS, _TRACK, _VIDEO, _ADDITION = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x41E4
_ADDITION_TYPE, _ADDITION_DATA = 0x41E7, 0x41ED
_CROP = (0x54CC, 0x54DD, 0x54BB, 0x54AA)
"""PixelCropLeft, Right, Top and Bottom."""
_MOST = 10_000
"""Elements of a level that are looked at."""


class Crop(msgspec.Struct, frozen=True):
    """Pixels of the coded frame that are not shown, at each side, before rotation."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of what is left of a coded frame; as libav, ignore a crop that leaves nothing."""
        if self.left + self.right >= width or self.top + self.bottom >= height:
            return width, height
        return width - self.left - self.right, height - self.top - self.bottom


class SideData(msgspec.Struct, frozen=True):
    """What the container says of a video stream besides its codec parameters."""

    crop: Crop = Crop()
    dolby_vision: tuple[int, int] | None = None
    """Profile, and compatibility id of the base layer (0: it cannot be shown without Dolby's metadata)."""


def read(fd: int, container: Any, stream: Any) -> SideData:
    """Return the side data of a PyAV stream of an open file."""
    name = container.format.name.split(",")[0]
    try:
        if name == "mov":
            return _of_mp4(fd, stream)
        if name == "matroska":
            videos = [each for each in container.streams if each.type == "video"]
            return _of_matroska(fd, videos.index(stream))
    except (struct.error, IndexError):
        pass
    return SideData()


def clean_aperture(body: bytes, width: int, height: int) -> Crop:
    """Return the crop that a clap box means for a coded frame of this size, rounded as by libav (``mov_read_clap``)."""
    numbers: tuple[int, ...] = struct.unpack(">8i", body[:32])
    if min(numbers[1::2]) <= 0:
        return Crop()
    shown_width, shown_height, right, down = (Fraction(*numbers[at : at + 2]) for at in (0, 2, 4, 6))
    left, after = _edges(width, shown_width, right)
    top, below = _edges(height, shown_height, down)
    crop = Crop(left, after, top, below)
    inside = min(left, after, top, below) >= 0 and min(shown_width, shown_height) >= 0
    return crop if inside and crop.size(width, height) != (width, height) else Crop()


def _edges(side: int, shown: Fraction, offset: Fraction) -> tuple[int, int]:
    """Return the pixels before and after the clean aperture; negative: it lies outside the frame."""
    middle, reach = Fraction(side - 1, 2) + offset, (shown - 1) / 2
    return -1 if middle < reach else int(middle - reach), side - 1 - int(middle + reach)


def _of_mp4(fd: int, stream: Any) -> SideData:
    """Return what the sample entry of a track says; libav's stream id is the track's."""
    where = isobmff.track(fd, stream.id)
    return _of_entry(fd, *where[1:]) if where else SideData()


def _of_entry(fd: int, start: int, end: int) -> SideData:
    """Return what the first sample entry of a trak says; its width and height are 32 bytes behind its beginning."""
    crop, dolby_vision = Crop(), None
    for stsd, close in isobmff.found(fd, start, end, b"mdia", b"minf", b"stbl", b"stsd"):
        size, width, height = struct.unpack_from(">I28xHH", os.pread(fd, 36, stsd + 8))
        for kind, _, content, _ in isobmff.boxes(fd, stsd + 8 + _ENTRY, min(close, stsd + 8 + size)):
            if kind == b"clap":
                crop = clean_aperture(os.pread(fd, 32, content), width, height)
            elif kind in _DOVI:
                dolby_vision = _configuration(os.pread(fd, 5, content))
    return SideData(crop, dolby_vision)


def _of_matroska(fd: int, number: int) -> SideData:
    """Return what the track entry of the n-th video track says."""
    end = os.fstat(fd).st_size
    segments = (where for kind, *where in _elements(fd, 0, end) if kind == _SEGMENT)
    tracks = (where for segment in segments for kind, *where in _elements(fd, *segment) if kind == _TRACKS)
    for where in tracks:
        entries = [each for kind, *each in _elements(fd, *where) if kind == _TRACK]
        videos = [each for each in entries if any(kind == _VIDEO for kind, *_ in _elements(fd, *each))]
        return _of_track(fd, *videos[number])
    return SideData()


def _of_track(fd: int, start: int, end: int) -> SideData:
    crops, dolby_vision = dict.fromkeys(_CROP, 0), None
    for kind, *where in _elements(fd, start, end):
        if kind == _VIDEO:
            crops |= {key: _number(fd, *at) for key, *at in _elements(fd, *where) if key in crops}
        elif kind == _ADDITION:
            fields = {key: at for key, *at in _elements(fd, *where)}
            if {_ADDITION_TYPE, _ADDITION_DATA} <= fields.keys():
                named = _number(fd, *fields[_ADDITION_TYPE]).to_bytes(8, "big")[4:]
                if named in _DOVI:
                    dolby_vision = _configuration(os.pread(fd, 5, fields[_ADDITION_DATA][0]))
    return SideData(Crop(*(crops[key] for key in _CROP)), dolby_vision)


def _configuration(record: bytes) -> tuple[int, int]:
    """Return profile and compatibility id (Dolby Vision streams within ISO base media files, 3.2: 7 bits of byte 2, 4
    of byte 4)."""
    return record[2] >> 1, record[4] >> 4


def _elements(fd: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield id of each element (RFC 8794), and where its content begins and ends; of unknown size: at the parent's."""
    for _ in range(_MOST):
        head = os.pread(fd, 12, start)
        kind_length = 9 - head[0].bit_length() if start < end and head else 9
        if kind_length > 4:
            return
        first = head[kind_length]
        length = 9 - first.bit_length()
        size = int.from_bytes(head[kind_length : kind_length + length], "big") & ((1 << 7 * length) - 1)
        begin = start + kind_length + length
        start = end if size == (1 << 7 * length) - 1 else begin + size
        yield int.from_bytes(head[:kind_length], "big"), begin, min(start, end)


def _number(fd: int, start: int, end: int) -> int:
    return int.from_bytes(os.pread(fd, min(end - start, 8), start), "big")
