"""The dominant colour of an image: the one that most of its pixels are close to, not the mean of all."""

from __future__ import annotations

from collections import Counter

_SHIFT = 3
"""Bins are 8 levels wide: a clear sky or a face falls into a few of them."""
_CANDIDATES = 32
"""Fullest bins that are compared together with their neighbours."""
_OPAQUE = 128
"""Alpha from which on a pixel counts."""


def dominant(rgba: bytes) -> str:
    """Return ``"#rrggbb"`` of pixels given as RGBA, 8 bit: the mean of those in the fullest cell of the colour
    cube, 24 levels wide. White when all are transparent.
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
    # Halves are rounded up, in integers: the same on every machine.
    return "#" + "".join(f"{(2 * each + number) // (2 * number):02x}" for each in (red, green, blue))


def _around(
    bins: dict[tuple[int, int, int], tuple[int, int, int, int]], cell: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    """Return the pixels and sums of a bin with its neighbours."""
    red, green, blue = cell
    near = range(-1, 2)
    found = [bins.get((red + x, green + y, blue + z)) for x in near for y in near for z in near]
    n, r, g, b = map(sum, zip(*(each for each in found if each), strict=True))
    return n, r, g, b
