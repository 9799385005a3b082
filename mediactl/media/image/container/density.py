"""Images whose density differs across and down, as that of faxes does, are shown with square pixels.

Only a density in inches, centimetres or metres counts. Of a bare ratio (unit 0 of JFIF and pHYs) nobody knows the
direction: ITU-T T.871 and PNG mean densities, ffmpeg writes and libvips reads the shape of a pixel, the inverse. A TIFF
without a unit has densities all the same (TIFF 6.0, ResolutionUnit).
"""

from __future__ import annotations

from mediactl.media.image.container.structure import Read, jpeg_segments, png_chunk
from mediactl.media.image.vips import VipsImage

_NEARLY = 0.02
"""Part by which densities may differ and still mean square pixels: units are rounded (72 x 73)."""
_MOST = 4.0
"""Largest ratio that is believed. Faxes have 2.08 (204 x 98 dpi), plotters 4; beyond it a header is wrong."""


def ratio(image: VipsImage, read: Read, format: str) -> float:
    """Return the density across by the density down of an image whose header was read; 1.0 for square pixels."""
    # Of a JPEG, libvips returns EXIF's where there is one, else JFIF's.
    across, down = image.xres, image.yres
    if format not in ("jpeg", "png", "tiff") or across == down or not (across > 0 and down > 0):
        return 1.0
    found = float(across / down)
    if not 1 / _MOST <= found <= _MOST or _near(found, 1.0):
        return 1.0
    if format == "png":
        return found if png_chunk(read, b"pHYs", 9)[8:] == b"\1" else 1.0
    # Cameras have square pixels, whatever their EXIF says: it has to agree with JFIF, which is about the pixels.
    return found if format == "tiff" or _near(found, _jfif_ratio(read)) else 1.0


def squared(width: int, height: int, ratio: float) -> tuple[int, int]:
    """Return the sides of an image with square pixels: the denser side keeps its pixels, the other is enlarged."""
    return (width, round(height * ratio)) if ratio >= 1 else (round(width / ratio), height)


def _jfif_ratio(read: Read) -> float:
    """Return the ratio by a JPEG's JFIF segment (ITU-T T.871, 10.1); 0.0 when it has none in inches or centimetres."""
    for marker, offset, _ in jpeg_segments(read):
        head = read(offset, 12)
        if marker == 0xE0 and head[:5] == b"JFIF\0" and len(head) == 12:
            across, down = int.from_bytes(head[8:10]), int.from_bytes(head[10:12])
            return across / down if head[7] in (1, 2) and down else 0.0
    return 0.0


def _near(found: float, wanted: float) -> bool:
    return abs(found - wanted) < _NEARLY * wanted
