"""What a file holds beside the image that variants are made from, and what is left out of them: reported, each by name.

HDR gain maps (which brighten the image on HDR screens), depth maps, further images (stereo pairs), moving parts.
Previews and mattes of the same image are no loss, and not reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

from mediactl.media.image.container import moving
from mediactl.media.image.container.structure import Read, jpeg_segments

GAIN_MAP = "HDR gain map left out: variants are standard range"
DEPTH_MAP = "depth map left out"

_GAIN_MAP_IN_JPEG = (b"urn:iso:std:iso:ts:21496:-1", b"hdrgm:Version", b"HDRGainMap:")
"""ISO 21496-1, Ultra HDR (Android) and Apple."""
_GAIN_MAP_IN_BOXES = (b"urn:com:apple:photo:2020:aux:hdrgainmap", b"tmap")
"""In the boxes of HEIC and AVIF: Apple's auxiliary image; ISO 21496-1's derived one."""
_DEPTH_IN_XMP = (b"GDepth:", b'Semantic="Depth"', b"Semantic>Depth<", b"http://ns.apple.com/depthData/")
"""Google's Depthmap Metadata and Dynamic Depth; Apple's portraits."""
_MATTE_IN_XMP = (b"http://ns.apple.com/portraitEffectsMatte/", b"http://ns.apple.com/semanticSegmentationMatte/")
"""Made of the image itself, to edit it."""
_DEPTH_IN_BOXES = (b"urn:mpeg:hevc:2015:auxid:2", b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth")
"""ISO/IEC 23008-12 (HEVC, annex B) and 23000-22 (MIAF)."""
_FIRST_BYTES = 256 << 10
"""In which the markers of a JPEG and the description of a HEIC are."""
_FIRST_OF_AN_IMAGE = 16 << 10
"""Bytes of a further image in which its XMP is."""
_MOST_IMAGES = 100
"""Entries of a Multi-Picture index that are read; panoramas have about 20."""
_MOST_FIELDS = 20
"""Fields of the index that are read; it has at most five."""
_ENTRIES, _ENTRY = 0xB002, 16
"""Field of the entries, bytes of one (CIPA DC-007, 5.2.3)."""


_SCAN = 0xDA
"""Marker of a scan (SOS)."""

Segment = tuple[int, int, int]
"""Marker, offset and size of a JPEG's segment."""


class _Further(NamedTuple):
    """An image behind the first one of a JPEG, by the Multi-Picture index."""

    type: int
    """CIPA DC-007, table 4: 0x01.... previews, 0x02.... panorama, stereo and multi-angle, 0 not said."""
    offset: int


def left_out(fd: int, format: str, xmp: bytes, images: int) -> list[str]:
    """Return a warning for each part of an open file that variants do without.

    ``xmp`` and the number of ``images`` beside one another (of a HEIC or AVIF) are what its header gave.
    """
    found: dict[str, None] = {}
    further = 0
    if format == "jpeg":
        read = partial(_read, fd)
        segments = list(jpeg_segments(read))
        if _marked(_GAIN_MAP_IN_JPEG, xmp, read(0, _pixels(segments))):
            found[GAIN_MAP] = None
        if _marked(_DEPTH_IN_XMP, xmp):
            found[DEPTH_MAP] = None
        further = _further_images(read, segments, found)
    elif format in ("heic", "avif"):
        head = os.pread(fd, _FIRST_BYTES, 0)
        described = head[: max(0, head.find(b"mdat"))] or head
        if _marked(_GAIN_MAP_IN_BOXES, described):
            found[GAIN_MAP] = None
        if _marked(_DEPTH_IN_BOXES, described):
            found[DEPTH_MAP] = None
        further = images - 1 - (b"tmap" in described)  # which libheif counts as an image of its own
    if further > 0:
        found[f"{further} image{'s' * (further > 1)} left out"] = None
    if clip := moving.part(fd, format, xmp):
        found[clip] = None
    return list(found)


def _marked(marks: tuple[bytes, ...], *parts: bytes) -> bool:
    return any(mark in part for mark in marks for part in parts)


def _read(fd: int, offset: int, size: int) -> bytes:
    return os.pread(fd, size, offset)


def _pixels(segments: Sequence[Segment]) -> int:
    """Return where the pixels of a JPEG begin; where they are not found, how far is looked for marks."""
    marker, at, _ = segments[-1] if segments else (0, 0, 0)
    return min(at, _FIRST_BYTES) if marker == _SCAN else _FIRST_BYTES


def _further_images(read: Read, segments: Sequence[Segment], found: dict[str, None]) -> int:
    """Return how many images the Multi-Picture index of a JPEG names that are no part of the first one.

    Gain and depth maps among them are added to ``found``.
    """
    types: list[int] = []
    for each in _index(read, segments):
        content = read(each.offset, _FIRST_OF_AN_IMAGE)
        if not content or each.type >> 16 == 1:  # removed by a program that left the index; or a preview
            continue
        if _marked(_GAIN_MAP_IN_JPEG, content):
            found[GAIN_MAP] = None
        elif _marked(_DEPTH_IN_XMP, content):
            found[DEPTH_MAP] = None
        elif not _marked(_MATTE_IN_XMP, content):
            types.append(each.type)
    # Some gain maps are described in the first image alone.
    return 0 if types == [0] and GAIN_MAP in found else len(types)


def _index(read: Read, segments: Sequence[Segment]) -> Iterator[_Further]:
    """Yield the images behind the first one, by the index of a Multi-Picture file (CIPA DC-007)."""
    start = next((at + 4 for marker, at, _ in segments if marker == 0xE2 and read(at, 4) == b"MPF\0"), 0)
    if not start:
        return
    order: Literal["little", "big"] = "little" if read(start, 2) == b"II" else "big"

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(read(start + at, size), order)

    directory = number(4)
    for field in range(directory + 2, directory + 2 + 12 * min(number(directory, 2), _MOST_FIELDS), 12):
        if number(field, 2) == _ENTRIES:
            size, entries = number(field + 4), number(field + 8)
            for entry in range(entries, entries + min(size, _ENTRY * _MOST_IMAGES), _ENTRY):
                if offset := number(entry + 8):  # that of the first one is zero
                    yield _Further(number(entry) & 0xFFFFFF, start + offset)
