"""Elements of Matroska and WebM (RFC 8794, RFC 9559), read by offset: no more than their headers on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT, SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x18538067, 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
TRACKS, TRACK, CLUSTER = 0x1654AE6B, 0xAE, 0x1F43B675
ATTACHMENTS, ATTACHMENT = 0x1941A469, 0x61A7
TAGS, TAG, SIMPLE_TAG = 0x1254C367, 0x7373, 0x67C8
_MOST = 200_000
"""Elements beside one another that are followed; six hours have about 10,000 clusters."""

Element = tuple[int, int, int]
"""ID, and where the content begins and ends."""


def top_level(fd: int, size: int) -> Iterator[Element]:
    """Yield the elements of the segments of a file of so many bytes, and those that an index of them names."""
    for name, start, end in elements(fd, 0, size):
        if name != SEGMENT:
            continue
        seen = set()
        for element in elements(fd, start, end):
            seen.add(element[1])
            yield element
            if element[0] == SEEK_HEAD:
                for place in _named(fd, element):
                    for other in elements(fd, start + place, end, 1):
                        if other[1] > element[2] and other[1] not in seen and other[0] != CLUSTER:
                            seen.add(other[1])
                            yield other


def elements(fd: int, start: int, end: int, most: int = _MOST) -> Iterator[Element]:
    """Yield the elements between two offsets, as far as they can be followed; one of unknown size is the last."""
    at = start
    for _ in range(most):
        head = os.pread(fd, 12, at) if at < end else b""
        name_size = _length(head, 4)
        size_size = _length(head[name_size:], 8) if name_size else 0
        if not size_size:
            return
        name = int.from_bytes(head[:name_size])
        size = int.from_bytes(head[name_size : name_size + size_size]) & (1 << 7 * size_size) - 1
        content = at + name_size + size_size
        at = end if size == (1 << 7 * size_size) - 1 else content + size
        yield name, content, max(content, min(at, end))


def found(fd: int, start: int, end: int, *path: int) -> Iterator[tuple[int, int]]:
    """Yield where the content of each element at this path begins and ends."""
    for name, content, close in elements(fd, start, end):
        if name == path[0]:
            yield from found(fd, content, close, *path[1:]) if path[1:] else ((content, close),)


def _named(fd: int, index: Element) -> Iterator[int]:
    """Yield the offsets, from the segment's content, that a SeekHead names."""
    for content, close in found(fd, index[1], index[2], SEEK, SEEK_POSITION):
        yield int.from_bytes(os.pread(fd, min(8, close - content), content))


def _length(head: bytes, most: int) -> int:
    """Return the bytes of a number of variable length, 0 where there is none."""
    length = 9 - head[0].bit_length() if head else 9
    return length if length <= min(most, len(head)) else 0
