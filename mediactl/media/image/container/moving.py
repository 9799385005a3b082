"""The moving part of a motion photo: a short MP4 behind, or in a box of, a JPEG or HEIC."""

from __future__ import annotations

import os
from typing import NamedTuple

from mediactl.media.image.container.structure import image_boxes, jpeg_segments
from mediactl.media.inspect.window import Window

_MARKS = (b"MicroVideo", b"MotionPhoto")
"""Of XMP: Google's GCamera:MicroVideo and its successor, which other makers write too."""
_LARGEST = 256 << 20
"""Bytes behind an image that are searched at most."""
_MOST_PACKETS = 20_000
"""Packets that are counted; clips of three seconds have about 200."""
_END_OF_IMAGE = b"\xff\xd9"


class _Span(NamedTuple):
    """Part of a file, from a byte up to another one."""

    start: int
    stop: int


def part(fd: int, format: str, xmp: bytes) -> str:
    """Return the warning that the moving part of an open image is left out, "" when there is none."""
    span = _in_jpeg(fd, xmp) if format == "jpeg" else _in_boxes(fd) if format in ("heic", "avif") else None
    if span is None:
        return ""
    seconds = _duration(fd, span)
    return f"its moving part ({seconds:.1f} s) is left out" if seconds else "its moving part is left out"


def _in_jpeg(fd: int, xmp: bytes) -> _Span | None:
    size = os.fstat(fd).st_size
    marked = any(mark in xmp for mark in _MARKS)
    if not marked and os.pread(fd, 2, max(0, size - 2)) == _END_OF_IMAGE:
        return None  # the last bytes are those of an image
    scan = 0
    for marker, offset, _ in jpeg_segments(lambda offset, size: os.pread(fd, size, offset)):
        scan = offset if marker == 0xDA else scan
    if not scan:
        return None
    # Within a scan these two bytes cannot be: 0xFF is followed by a zero there.
    content = os.pread(fd, _LARGEST, scan)
    end = content.find(_END_OF_IMAGE)
    return _first_video(content, end + 2, scan) if end >= 0 else None


def _in_boxes(fd: int) -> _Span | None:
    size, end = os.fstat(fd).st_size, 0
    for kind, offset, length in image_boxes(fd):
        if kind == b"mpvd":  # Samsung's: a box around the whole MP4
            content = os.pread(fd, min(length, _LARGEST), offset)
            return _first_video(content, 8, offset)
        if kind == b"ftyp" and offset:
            return _Span(offset, size)
        end = offset + length
    return _first_video(os.pread(fd, _LARGEST, end), 0, end) if 0 < end < size else None


def _first_video(content: bytes, at: int, offset: int) -> _Span | None:
    """Return the first MP4 in ``content``, which lies at ``offset`` of the file, by the box that it begins with."""
    while (at := content.find(b"ftyp", at)) >= 0:
        head = content[at - 4 : at + 8]
        if at >= 4 and 16 <= int.from_bytes(head[:4]) <= 1024 and head[8:].rstrip(b" ").isalnum():
            return _Span(offset + at - 4, offset + _end_of_boxes(content, at - 4))
        at += 4
    return None


def _end_of_boxes(content: bytes, at: int) -> int:
    """Return where the boxes that begin at a byte end; trailers of cameras are none. The end, if one is cut off."""
    while len(content) - at >= 8:
        length = int.from_bytes(content[at : at + 4])
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16])
        if length < 8 or not content[at + 4 : at + 8].isalnum():
            return at
        at += length
    return min(at, len(content))


def _duration(fd: int, span: _Span) -> float:
    """Return the seconds of a clip by its packets; 0.0 when it cannot be read."""
    import av  # Here: for the few images that have a moving part.

    ends: list[float] = []
    begins: list[float] = []
    try:
        with av.open(
            Window(fd, span.start, span.stop), "r", format="mov", options={"protocol_whitelist": "none"}
        ) as container:
            for number, packet in enumerate(container.demux(container.streams.video)):
                if packet.pts is None or packet.time_base is None:
                    continue
                if number > _MOST_PACKETS:
                    return 0.0
                begins.append(float(packet.pts * packet.time_base))
                ends.append(begins[-1] + float((packet.duration or 0) * packet.time_base))
    except (av.FFmpegError, ValueError, IndexError):
        pass
    return max(ends, default=0.0) - min(begins, default=0.0)
