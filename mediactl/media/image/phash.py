"""The perceptual hash of an image: 64 bits of which few change when it is resized, recompressed or brightened.

As pHash's DCT hash (phash.org, "Implementation and Benchmarking of Perceptual Image Hash Functions", Zauner 2010): the
lowest waves of a cosine transform of 32 x 32 grey pixels, each as a bit: whether it is above their median.
"""

from __future__ import annotations

import math
import statistics
from operator import mul

SIDE = 32
"""Pixels of each side of the image that is hashed."""
_WAVES = 8
_PLAIN = 1.0
"""Grey levels: where no wave is that strong, images cannot be distinguished."""
_COSINES = [[math.cos(math.pi / SIDE * wave * (x + 0.5)) * 2 / SIDE for x in range(SIDE)] for wave in range(_WAVES)]
"""One row a wave, the constant one first."""


def phash(grey: bytes) -> str:
    """Return the hash of SIDE x SIDE grey pixels, 8 bit, by rows, as 16 hex digits; "" for a near-uniform image."""
    if len(grey) != SIDE * SIDE:
        raise ValueError(f"{len(grey)} bytes")
    rows = [grey[at : at + SIDE] for at in range(0, SIDE * SIDE, SIDE)]
    columns = [[sum(map(mul, row, cosine)) for row in rows] for cosine in _COSINES]
    # Rounded, since rounding errors differ between machines.
    waves = [round(sum(map(mul, column, cosine)), 3) for cosine in _COSINES for column in columns]
    if max(map(abs, waves[1:])) < _PLAIN:  # the first is the brightness
        return ""
    middle = statistics.median(waves)
    bits = 0
    for wave in waves:
        bits = bits << 1 | (wave > middle)
    return f"{bits:016x}"
