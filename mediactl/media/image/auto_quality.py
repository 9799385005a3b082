"""``quality = "auto"``: the smallest file that still looks like its source."""

from __future__ import annotations

from collections.abc import Callable

from mediactl.media.image.similarity import luma, ssim
from mediactl.media.image.vips import VipsImage, open_image

LOWEST, HIGHEST = 34, 96
"""Qualities that are searched: 63 of them, so six encodings find one. Below, every format shows its blocks."""
BEST = 100


def search(image: VipsImage, format: str, similarity: float, encode: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Return the lowest quality whose file has this SSIM with ``image`` (8 bit, in memory), and that file.

    The best quality if none has. PNG is lossless, and not searched. The same image gives the same bytes.
    Raises one of ``vips.FAILURES``.
    """
    if format == "png":
        return BEST, encode(BEST)
    wanted = luma(image).copy_memory()
    low, high = LOWEST, HIGHEST
    found: tuple[int, bytes] | None = None
    while low <= high:
        middle = (low + high) // 2
        data = encode(middle)
        if ssim(wanted, luma(open_image(data, format)).copy_memory()) >= similarity:
            found, high = (middle, data), middle - 1
        else:
            low = middle + 1
    return found or (BEST, encode(BEST))
