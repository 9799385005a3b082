"""Kinds of a supported format that no decoder here reads: found by their headers, rejected by name.

Only asked about files that could not be decoded: so nothing is rejected that a decoder of another version reads.
"""

from __future__ import annotations

import re
from typing import Literal

from mediactl.media.image.container.structure import Read, jpeg_segments
from mediactl.model import formats

_DESCRIPTION = 64 << 10
"""Bytes of a HEIC or AVIF in which its items are described."""
_ITEM = re.compile(rb"infe[\x02\x03]...(?:..|....)\x00\x00(....)", re.DOTALL)
"""An item: version, flags, number, protection, type (ISO/IEC 14496-12, 8.11.6)."""
_CODED = (b"avc1", b"vvc1", b"evc1", b"jpeg", b"j2k1", b"unci")
"""Types of items of images that no decoder here reads."""
_READ = (b"hvc1", b"av01")
_DNL = b"\xff\xdc\0\4"
"""The segment that defines the number of lines, behind the first scan (ITU-T T.81, B.2.5)."""
_SCANNED = 64 << 20
_MOST_TAGS = 200
_SIZES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Type -> bytes of the TIFF fields that are read: byte, short, long, long8."""


def refusal(read: Read, format: str) -> str:
    """Return why a file that cannot be decoded is of a kind that is not supported, "" when it is of none."""
    found = {"jpeg": _jpeg, "tiff": _tiff, "bmp": _bmp, "heic": _heif, "avif": _heif}.get(format)
    kind = found(read) if found else None
    return formats.unread(format, kind) if kind else ""


def _jpeg(read: Read) -> str | None:
    """Return the process of a JPEG (ITU-T T.81, table B.1)."""
    for marker, offset, _ in jpeg_segments(read):
        if marker == 0xF7:
            return "JPEG-LS"
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            depth, height = int.from_bytes(read(offset, 1)), int.from_bytes(read(offset + 1, 2))
            if marker in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF):
                return "hierarchical"
            if marker in (0xC3, 0xCB):
                return "lossless, deep" if depth > 8 else "lossless"
            if depth > 8:
                return "12 bits"
            return "DNL" if not height and _DNL in read(offset, _SCANNED) else None
        if marker == 0xDE:
            return "hierarchical"
    return None


def _tiff(read: Read) -> str | None:
    fields = _tiff_fields(read)
    compression, bits = fields.get(259, 1), fields.get(258, 1)
    if name := formats.TIFF_COMPRESSIONS.get(compression):
        return name
    if bits not in (1, 2, 4, 8, 16, 32):
        return "bits"
    return "complex" if fields.get(339) in (5, 6) else None


def _tiff_fields(read: Read) -> dict[int, int]:
    """Return the (first) values of the first directory's whole numbers, by tag (TIFF 6.0; BigTIFF)."""
    order: Literal["little", "big"] = "little" if read(0, 2) == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(read(at, size), order)

    big = number(2, 2) == 43
    wide, entry = (8, 20) if big else (4, 12)
    directory = number(8 if big else 4, wide)
    count = number(directory, 8 if big else 2)
    first = directory + (8 if big else 2)
    found = {}
    for at in range(first, first + entry * min(count, _MOST_TAGS), entry):
        size, values = _SIZES.get(number(at + 2, 2), 0), number(at + 4, wide)
        inside = at + 4 + wide
        if size:
            found[number(at, 2)] = number(inside if size * values <= wide else number(inside, wide), size)
    return found


def _bmp(read: Read) -> str | None:
    size = int.from_bytes(read(14, 4), "little")
    if size < 40:
        return None
    bits, compression = int.from_bytes(read(28, 2), "little"), int.from_bytes(read(30, 4), "little")
    if compression in (4, 5) and bits == 0:
        return "embedded"
    if compression in (3, 6) and bits in (16, 32):
        return "bit fields"
    return "bits" if compression > 3 or bits not in (1, 4, 8, 16, 24, 32) else None


def _heif(read: Read) -> str | None:
    types = set(_ITEM.findall(read(0, _DESCRIPTION)))
    return next((each.decode("ascii") for each in _CODED if each in types and not types & set(_READ)), None)
