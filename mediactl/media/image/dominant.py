"""The dominant colour of a picture: the one that most of its pixels nearly have, not the mean of all."""

from __future__ import annotations

from collections import Counter

_SHIFT = 3
"""Bins are 8 levels wide: a plain sky falls into a few of them, a face does, too."""
_CANDIDATES = 32
"""Fullest bins that are looked at with their neighbours."""
_OPAQUE = 128
"""Alpha from which on a pixel counts."""


def dominant(rgba: bytes) -> str:
    """``"#rrggbb"`` of pixels given as RGBA, 8 bit: the mean of those in the fullest place of the colour cube, 24
    levels wide. White when nothing can be seen.
    """
    counts = Counter(zip(rgba[0::4], rgba[1::4], rgba[2::4], rgba[3::4], strict=True))
    bins: dict[tuple[int, int, int], tuple[int, int, int, int]] = {}
    for (red, green, blue, alpha), number in counts.items():
        if alpha >= _OPAQUE:
            cell = (red >> _SHIFT, green >> _SHIFT, blue >> _SHIFT)
            n, r, g, b = bins.get(cell, (0, 0, 0, 0))
            bins[cell] = (n + number, r + red * number, g + green * number, b + blue * number)
    if not bins:
        return "#ffffff"
    fullest = sorted(bins, key=lambda cell: (-bins[cell][0], cell))[:_CANDIDATES]
    number, red, green, blue = max((_around(bins, cell) for cell in fullest), key=lambda total: total[0])
    # Halves go up, in whole numbers: the same on every machine.
    return "#" + "".join(f"{(2 * each + number) // (2 * number):02x}" for each in (red, green, blue))


def _around(
    bins: dict[tuple[int, int, int], tuple[int, int, int, int]], cell: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    """Pixels and sums of a bin with its neighbours."""
    red, green, blue = cell
    near = range(-1, 2)
    found = [bins.get((red + x, green + y, blue + z)) for x in near for y in near for z in near]
    n, r, g, b = map(sum, zip(*(each for each in found if each), strict=True))
    return n, r, g, b
