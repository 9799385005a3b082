"""HDR gain maps: a second image in the file that brightens the first one on HDR screens.

Variants are made from the first one, which is complete without it; a warning says that the second is left out.
"""

from __future__ import annotations

import os

LEFT_OUT = "HDR gain map left out: variants are standard range"

_JPEG_MARKS = (b"urn:iso:std:iso:ts:21496:-1", b"hdrgm:Version", b"HDRGainMap:")
"""ISO 21496-1, Ultra HDR (Android) and Apple."""
_BOX_MARKS = (b"urn:com:apple:photo:2020:aux:hdrgainmap", b"tmap")
"""In the boxes of HEIC and AVIF: Apple's auxiliary image; ISO 21496-1's derived one."""
_FIRST_BYTES = 256 << 10
"""In which the markers of a JPEG and the description of a HEIC are."""


def has_gain_map(fd: int, format: str, xmp: bytes) -> bool:
    """Return whether an open JPEG, HEIC or AVIF has one; ``xmp`` is what its header gave."""
    if format not in ("jpeg", "heic", "avif"):
        return False
    head = os.pread(fd, _FIRST_BYTES, 0)
    if format == "jpeg":
        return any(mark in xmp or mark in head for mark in _JPEG_MARKS)
    described = head[: max(0, head.find(b"mdat"))] or head
    return any(mark in described for mark in _BOX_MARKS)
