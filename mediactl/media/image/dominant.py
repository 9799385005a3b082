"""The dominant colour of an image: the one that most of its pixels are close to, not the mean of all."""

from __future__ import annotations

from collections import Counter
from itertools import compress, product

_SHIFT = 3
"""Bins are 8 levels wide: a clear sky or a face falls into a few of them."""
_CANDIDATES = 32
"""Fullest bins that are compared together with their neighbours."""
_OPAQUE = 128
"""Alpha from which on a pixel counts."""
_BIN = bytes(level >> _SHIFT for level in range(256))
_IS_OPAQUE = bytes(level >= _OPAQUE for level in range(256))
_NEIGHBOURS = tuple(product((-1, 0, 1), repeat=3))

Cell = tuple[int, int, int]
"""A bin, by its number in each channel."""


def dominant(rgba: bytes) -> str:
    """Return ``"#rrggbb"`` of pixels given as RGBA, 8 bit: the mean of those in the fullest cell of the colour
    cube, 24 levels wide. White when all are transparent.
    """
    channels: tuple[bytes, ...] = (rgba[0::4], rgba[1::4], rgba[2::4])
    opaque = rgba[3::4].translate(_IS_OPAQUE)
    cells = list(zip(*(channel.translate(_BIN) for channel in channels), strict=True))
    if 0 in opaque:
        cells = list(compress(cells, opaque))
        channels = tuple(bytes(compress(channel, opaque)) for channel in channels)
    bins = Counter(cells)
    if not bins:
        return "#ffffff"
    fullest = sorted(bins, key=lambda cell: (-bins[cell], cell))[:_CANDIDATES]
    centre = max(fullest, key=lambda cell: sum(bins.get(each, 0) for each in _around(cell)))
    near = set(_around(centre))
    chosen = [cell in near for cell in cells]
    number = sum(chosen)
    # Halves are rounded up, in integers: the same on every machine.
    means = ((2 * sum(compress(channel, chosen)) + number) // (2 * number) for channel in channels)
    return "#" + "".join(f"{mean:02x}" for mean in means)


def _around(cell: Cell) -> list[Cell]:
    """Return a bin with its neighbours."""
    red, green, blue = cell
    return [(red + x, green + y, blue + z) for x, y, z in _NEIGHBOURS]
