"""What the header of an image announces, checked against the limits before a library reads it.

libvips reads all scans of a JPEG at its full size, and searches the list of frames or pages from its start for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from mediactl.media.image.container.structure import Read, jpeg_segments
from mediactl.media.limits import exceeded, require
from mediactl.model.media import Limits

_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Not a restart marker, nor a byte of the pixels."""
_BLOCK = 1 << 20
_CHUNKS = 10_000
"""Chunks of a WebP besides its frames that are followed."""


def check(read: Read, format: str, limits: Limits) -> None:
    """Raise RejectedInput when a file announces more scans, frames or pages than a limit allows."""
    if format == "jpeg":
        segments = list(jpeg_segments(read))
        if segments and segments[-1][0] == _SCAN and any(marker in _PROGRESSIVE for marker, _, _ in segments):
            _scans(read, segments[-1][1] + segments[-1][2], limits)
    elif format == "webp":
        _frames(read, limits)
    elif format == "tiff":
        _pages(read, limits)


def metadata(limits: Limits, *blocks: bytes | None) -> None:
    """Raise RejectedInput when one of these blocks of metadata is larger than the limit."""
    for block in blocks:
        require(len(block or b""), limits, "metadata_bytes", "bytes of metadata")


def _scans(read: Read, at: int, limits: Limits) -> None:
    """Count the scans of a JPEG, the first of which has its data at this offset."""
    scans = 1
    for marker in _markers(read, at):
        scans += marker == _SCAN
        if scans > limits.scans:
            raise exceeded(f"more than {limits.scans:,} scans", limits, "scans")


def _markers(read: Read, at: int) -> Iterator[int]:
    """Yield the markers of the segments behind a scan up to the end of the image."""
    while block := read(at, _BLOCK):
        position = 0
        while found := _MARKER.search(block, position):
            marker, position = block[found.end() - 1], found.end()
            if marker == _END:
                return
            yield marker
            position += int.from_bytes(read(at + position, 2))
        # A marker may lie across two blocks.
        at += max(position, len(block) - (len(block) == _BLOCK))


def _frames(read: Read, limits: Limits) -> None:
    """Count the frames of a WebP."""
    if read(12, 4) != b"VP8X":
        return
    at, frames, others = 12, 0, 0
    while len(head := read(at, 8)) == 8 and others < _CHUNKS:
        frames += head[:4] == b"ANMF"
        others += head[:4] != b"ANMF"
        if frames > limits.frames:
            raise exceeded(f"more than {limits.frames:,} frames", limits, "frames")
        length = int.from_bytes(head[4:], "little")
        at += 8 + length + length % 2


def _pages(read: Read, limits: Limits) -> None:
    """Count the pages of a TIFF (TIFF 6.0; BigTIFF), whose directories are a list."""
    number = partial(int.from_bytes, byteorder="little" if read(0, 2) == b"II" else "big")
    big = number(read(2, 2)) == 43
    wide, entry, count = (8, 20, 8) if big else (4, 12, 2)
    at, seen = number(read(8 if big else 4, wide)), set[int]()
    while at and at not in seen and len(head := read(at, count)) == count:
        seen.add(at)
        if len(seen) > limits.pages:
            raise exceeded(f"more than {limits.pages:,} pages", limits, "pages")
        at = number(read(at + count + entry * number(head), wide))
