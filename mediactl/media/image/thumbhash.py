"""ThumbHash (evanw.github.io/thumbhash): an image's colours and rough shapes in some 25 bytes."""

from __future__ import annotations

import math
from operator import mul

MAX_SIDE = 32
"""Pixels. The hash holds at most 7 waves a side, so more pixels only add time."""


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """Return the hash of an image given as rows of RGBA, 8 bit, alpha not premultiplied; sides at most MAX_SIDE."""
    if max(width, height) > MAX_SIDE or len(rgba) != width * height * 4:
        raise ValueError(f"{width} x {height} pixels in {len(rgba)} bytes")
    alpha = [value / 255 for value in rgba[3::4]]
    weight = sum(alpha)
    channels = []
    for band in range(3):
        values = [value / 255 for value in rgba[band::4]]
        # Transparent pixels get the average colour, so that their own does not matter.
        average = sum(map(mul, values, alpha)) / weight if weight else 0.0
        channels.append([average * (1 - a) + a * value for value, a in zip(values, alpha, strict=True)])
    red, green, blue = channels
    transparent = weight < width * height
    limit = 5 if transparent else 7
    across = max(1, _round(limit * width / max(width, height)))
    down = max(1, _round(limit * height / max(width, height)))

    lightness = [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)]
    yellow_blue = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    red_green = [r - g for r, g in zip(red, green, strict=True)]
    l_mean, l_waves, l_scale = _waves(lightness, width, height, max(3, across), max(3, down))
    p_mean, p_waves, p_scale = _waves(yellow_blue, width, height, 3, 3)
    q_mean, q_waves, q_scale = _waves(red_green, width, height, 3, 3)

    landscape = width > height
    header = (
        _round(63 * l_mean)
        | _round(31.5 + 31.5 * p_mean) << 6
        | _round(31.5 + 31.5 * q_mean) << 12
        | _round(31 * l_scale) << 18
        | transparent << 23
        | (down if landscape else across) << 24
        | _round(63 * p_scale) << 27
        | _round(63 * q_scale) << 33
        | landscape << 39
    )
    hash_ = bytearray(header.to_bytes(5, "little"))
    nibbles = l_waves + p_waves + q_waves
    if transparent:
        a_mean, a_waves, a_scale = _waves(alpha, width, height, 5, 5)
        hash_.append(_round(15 * a_mean) | _round(15 * a_scale) << 4)
        nibbles += a_waves
    nibbles.append(0)
    hash_.extend(low | high << 4 for low, high in zip(nibbles[0:-1:2], nibbles[1::2], strict=True))
    return bytes(hash_)


def _waves(channel: list[float], width: int, height: int, nx: int, ny: int) -> tuple[float, list[int], float]:
    """Return mean, waves of a cosine transform from 0 to 15 (7.5 is none), and the strength of the strongest."""
    rows = [channel[at : at + width] for at in range(0, width * height, width)]
    cosines = [[math.cos(math.pi / width * cx * (x + 0.5)) for x in range(width)] for cx in range(nx)]
    # One side at a time: each row first, then the columns of the results.
    columns = [[sum(map(mul, row, cosine)) for row in rows] for cosine in cosines]
    mean, waves = 0.0, []
    for cy in range(ny):
        cosine = [math.cos(math.pi / height * cy * (y + 0.5)) for y in range(height)]
        for cx in range(nx):
            if cx * ny >= nx * (ny - cy):
                break
            wave = sum(map(mul, columns[cx], cosine)) / (width * height)
            if cx or cy:
                waves.append(wave)
            else:
                mean = wave
    scale = max(map(abs, waves))
    if scale < 1e-6:  # one plain colour: the rest are rounding errors, which differ between machines
        return mean, [0] * len(waves), 0.0
    # A wave of strength 0 is between two steps, where rounding errors would decide.
    return mean, [_round(15 * (0.5 + 0.5 / scale * wave) + 1e-6) for wave in waves], scale


def _round(value: float) -> int:
    # As JavaScript's Math.round: halves are rounded up, so that hashes equal the reference's.
    return math.floor(value + 0.5)
