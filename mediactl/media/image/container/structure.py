"""The outer structure of image files, where the libraries do not check it: whether a file is complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

Read = Callable[[int, int], bytes]
"""Offset and size -> bytes of the file, fewer at its end."""

_FARTHEST = 1 << 62
"""Offset beyond which the kernel would report an error, and no file goes on."""
_JPEG_SEGMENTS = 1000
"""Segments of a JPEG that are read at most; a photo with extended XMP and a large profile has about 200."""
_PNG_CHUNKS = 256
"""PNG chunks before the pixels that are read at most."""
_BOXES = 1000
"""Top-level boxes that are read at most; files have about five."""
_IMAGE_BOXES = frozenset({
    b"ftyp", b"meta", b"mdat", b"idat", b"moov", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid",
    b"mpvd", b"sefd", b"jp2c", b"jumb",
})  # fmt: skip
"""Top-level boxes of HEIC, AVIF and their sequences (ISO/IEC 14496-12, 23008-12), with those of phones."""
_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}


def reader(content: bytes | int) -> Read:
    """Return what reads parts of a file, from its bytes or its descriptor."""

    def read(offset: int, size: int) -> bytes:
        if offset > _FARTHEST:
            return b""
        return os.pread(content, size, offset) if isinstance(content, int) else content[offset : offset + size]

    return read


def jpeg_segments(read: Read, at: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield marker, offset and size (of the content, in bytes) of a JPEG's segments up to its first scan, included.

    Ends where there is no marker. ``at`` is where the JPEG begins.
    """
    at += 2
    for _ in range(_JPEG_SEGMENTS):
        head = read(at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        if head[1] in (0x01, 0xFF) or 0xD0 <= head[1] <= 0xD8:  # no segment: a marker alone, or a byte before one
            at += 1 if head[1] == 0xFF else 2
            continue
        size = int.from_bytes(head[2:4])
        yield head[1], at + 4, size - 2
        if size < 2 or head[1] in (0xDA, 0xD9):
            return
        at += 2 + size


def png_chunk(read: Read, kind: bytes, size: int = 4) -> bytes:
    """Return the first bytes of the first PNG chunk of this kind before the pixels, b"" if there is none."""
    at = 8
    for _ in range(_PNG_CHUNKS):
        head = read(at, 8 + size)
        if len(head) < 8 + size or head[4:8] == b"IDAT":
            return b""
        if head[4:8] == kind:
            return head[8:]
        at += 12 + int.from_bytes(head[:4])
    return b""


def apng_frames(fd: int) -> int:
    """Return the frames that a PNG's animation control announces; 1 when it has none. Reads chunk headers only."""
    control = png_chunk(lambda offset, size: os.pread(fd, size, offset), b"acTL")
    return int.from_bytes(control) if control else 1


def gif_is_cut(content: bytes) -> bool:
    """Return whether a GIF ends inside a block; libvips would return the frames before it as if they were all."""
    if len(content) < 13:
        return True
    at = 13 + (6 << (content[10] & 7) if content[10] & 0x80 else 0)
    while at < len(content):
        kind = content[at]
        if kind == 0x21:  # extension
            at += 2
        elif kind == 0x2C:  # image
            packed = content[at + 9] if at + 9 < len(content) else 0
            at += 11 + (6 << (packed & 7) if packed & 0x80 else 0)
        else:
            return False  # its end, or other data after the last block
        while at < len(content) and content[at]:
            at += 1 + content[at]
        at += 1
    # Many complete files lack the trailer.
    return at > len(content)


def image_boxes(fd: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, offset and size (in bytes, with the header) of the top-level boxes of a HEIC or AVIF.

    What comes behind them (trailers of cameras, line breaks) is none, whatever length its first bytes would say.
    """
    at, read = 0, reader(fd)
    for _ in range(_BOXES):
        head = read(at, 16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        elif length == 0:  # up to the end of the file
            length = os.fstat(fd).st_size - at
        if head[4:8] not in _IMAGE_BOXES or length < 8:
            return
        yield head[4:8], at, length
        at += length


def boxes_are_cut(fd: int) -> bool:
    """Return whether a HEIC or AVIF ends inside one of its boxes; HEIC decoders fill missing parts with grey."""
    size = os.fstat(fd).st_size
    return any(offset + length > size for _, offset, length in image_boxes(fd))


def jxl_size(fd: int) -> tuple[int, int] | None:
    """Return width and height (before rotation) of a JPEG XL (ISO/IEC 18181-1 annex D); None if it is none.

    In a container the image is in the first box "jxlc" or "jxlp".
    """
    at, read = 0, reader(fd)
    for _ in range(_BOXES):
        head = read(at, 32)
        if head[:2] == b"\xff\x0a":
            return _jxl_dimensions(int.from_bytes(head[2:], "little"))
        size, kind = int.from_bytes(head[:4]), head[4:8]
        skip = 16 if size == 1 else 8
        if kind in (b"jxlc", b"jxlp"):
            at += skip + (4 if kind == b"jxlp" else 0)
            continue
        size = int.from_bytes(head[8:16]) if size == 1 else size
        if size < 8:
            return None
        at += size
    return None


def _jxl_dimensions(bits: int) -> tuple[int, int]:
    """Parse the size header, lowest bits first: height, then width, mostly as one of seven ratios to the height."""

    def take(number: int) -> int:
        nonlocal bits
        value, bits = bits & (1 << number) - 1, bits >> number
        return value

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side()
    ratio = take(3)
    across, down = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    return (height * across // down if ratio else side()), height


def is_complete(fd: int, format: str, size: int) -> bool:
    """Return whether a file of ours ends as its format requires."""
    if format == "webp":
        head = os.pread(fd, 12, 0)
        return head[:4] == b"RIFF" and int.from_bytes(head[4:8], "little") + 8 == size
    if format == "avif":
        return not boxes_are_cut(fd)
    return os.pread(fd, 16, max(0, size - 16)).endswith(_ENDS[format])
