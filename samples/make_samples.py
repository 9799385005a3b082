"""Draws, films and plays the files in this folder: one of every kind that mediactl has to cope with.

Run ``python samples/make_samples.py [FOLDER]``. Everything is computed, so nobody's rights are touched: the
pictures are noise, gradients and polygons, the tunes are old and the instruments a few lines of arithmetic.
Seeds are fixed and encoders run on one thread, so that the same library versions write the same bytes.
"""

from __future__ import annotations

import io
import math
import random
import subprocess
import sys
import tempfile
import wave
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyvips
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageDraw, ImageFilter

Field = Any  # a pyvips image, which carries no types; colours are 0 to 255, masks 0 to 1
RATE = 44_100


# Painting: fields of floats in, fields of floats out.


def rgb(code: str) -> list[float]:
    """The three channels of a colour written as rrggbb."""
    return [float(int(code[i : i + 2], 16)) for i in (0, 2, 4)]


def axes(width: int, height: int) -> tuple[Field, Field]:
    """Two fields that hold each pixel's column and row."""
    both = pyvips.Image.xyz(width, height).cast("float")
    return both[0], both[1]


def clip(field: Field) -> Field:
    """Values below 0 become 0, values above 1 become 1."""
    return field.clamp(min=0.0, max=1.0)


def ramp(position: Field, *stops: tuple[float, str]) -> Field:
    """Colours read off a gradient given as (position, colour) pairs in rising order."""
    colour = position * 0 + rgb(stops[0][1])
    for (start, first), (end, second) in zip(stops, stops[1:], strict=False):
        step = [b - a for a, b in zip(rgb(first), rgb(second), strict=True)]
        colour = colour + clip((position - start) / (end - start)) * step
    return colour


def over(base: Field, colour: Field, mask: Field) -> Field:
    """The colour laid over the base where the mask is 1."""
    return base + (base * -1 + colour) * mask


def clouds(width: int, height: int, cell: int, seed: int, stretch: float = 1.0, octaves: int = 5) -> Field:
    """Fractal noise, about -1 to 1, drawn out sideways by `stretch`."""
    total: Field = 0
    for octave in range(octaves):
        size = max(2, cell >> octave)
        layer = pyvips.Image.perlin(math.ceil(width / stretch) + 1, height, cell_size=size, seed=seed + octave)
        total = layer * 0.55**octave + total
    return total.resize(stretch, vscale=1.0).crop(0, 0, width, height)


def ridge(width: int, seed: int, base: float, swing: float, cell: float, octaves: int = 7) -> list[float]:
    """The skyline of a range of hills: for every column the row where it begins."""
    dice = random.Random(seed)
    rows = [base] * width
    for octave in range(octaves):
        step = max(2.0, cell / 2**octave)
        knots = [dice.uniform(-1, 1) for _ in range(int(width / step) + 3)]
        for x in range(width):
            index, part = divmod(x / step, 1.0)
            part = part * part * (3 - 2 * part)
            height = knots[int(index)] * (1 - part) + knots[int(index) + 1] * part
            rows[x] -= height * swing * 0.5**octave
    return rows


def below(rows: Sequence[float], height: int) -> Field:
    """A mask of everything under a skyline, its edge softened over one pixel."""
    skyline = pyvips.Image.new_from_array([list(rows)]).replicate(1, height)
    return clip(axes(len(rows), height)[1] - skyline + 0.5)


def drawn(width: int, height: int, draw: Callable[[ImageDraw.ImageDraw, float], None], blur: float = 0) -> Field:
    """What `draw(canvas, scale)` paints, four bands, drawn three times as large and shrunk smoothly."""
    sheet = Image.new("RGBA", (width * 3, height * 3))
    draw(ImageDraw.Draw(sheet), 3.0)
    sheet = sheet.resize((width, height), Image.Resampling.BOX)
    if blur:
        sheet = sheet.filter(ImageFilter.GaussianBlur(blur))
    return pyvips.Image.new_from_memory(sheet.tobytes(), width, height, 4, "uchar").cast("float")


def paste(base: Field, sheet: Field, strength: float = 1.0) -> Field:
    """A drawn sheet laid over the base."""
    return over(base, sheet.extract_band(0, n=3), sheet[3] / 255 * strength)


def finished(field: Field, grain: float, seed: int) -> Image.Image:
    """The field as an 8-bit picture with a little of a sensor's noise, which also hides banding."""
    noise = pyvips.Image.gaussnoise(field.width, field.height, sigma=grain, mean=0.0, seed=seed)
    flat = (field + noise + 0.5).clamp(min=0.0, max=255.0).cast("uchar")
    return Image.frombytes("RGB", (flat.width, flat.height), flat.write_to_memory())


# The pictures.


def harbour() -> Image.Image:
    """A harbour at sunset, 2000 x 1334: sun and village left, lighthouse right, sailing boats on the water."""
    width, height, horizon, sun_x, sun_y = 2000, 1334, 820, 560, 690
    x, y = axes(width, horizon)
    far = ((x - sun_x) ** 2 + (y - sun_y) ** 2) ** 0.5
    land = ramp(y / horizon, (0, "1d2b5e"), (0.35, "5d4a8a"), (0.62, "c7647e"), (0.82, "f59a5f"), (1, "fcd38a"))
    land = land + (far * (-1 / 420)).exp() * [70.0, 48.0, 8.0]
    veil = clip(clouds(width, horizon, 128, 11, stretch=5.0) * 1.7 - 0.18) * clip((y * -1 + 690) / 300)
    land = over(land, ramp(y / horizon, (0.1, "46407c"), (0.5, "e07f86"), (0.8, "ffd09a")), veil * 0.8)
    land = over(land, rgb("fff6d8"), clip((far - 62) * -0.4 + 0.5))
    for seed, base, swing, cell, colour in (
        (3, 690, 80, 520, "b3698a"),
        (8, 745, 60, 380, "7f4f7d"),
        (21, 790, 34, 300, "4a3766"),
    ):
        haze = ramp(y / horizon, (base / horizon - 0.1, colour), (1.02, "e79a86"))
        land = over(land, haze, below(ridge(width, seed, base, swing, cell), horizon))
    land = paste(land, drawn(width, horizon, village))
    glow = (((x - 1640) ** 2 + (y - 437) ** 2) ** 0.5 * (-1 / 46)).exp()
    land = land + glow * [170.0, 140.0, 70.0]

    x, y = axes(width, height - horizon)
    ripple = clouds(1400, 1400, 32, 31, stretch=3.0, octaves=4)
    depth = y + 16
    tilt = x * 0
    for spread, rate, shift in ((6.0, 260.0, 0), (17.0, 420.0, 200), (40.0, 640.0, 500)):
        column = (x - 1000) / depth * spread + 30 * shift
        row = depth.log() * rate + shift
        tilt = tilt + ripple.mapim((column % 1390).bandjoin(row % 1390)) * 0.5
    mirror_x = (x + tilt * (depth * 0.04 + 2)).clamp(min=0, max=width - 2)
    mirror_y = (y * -1.2 + tilt * (depth * 0.30 + 3) + horizon - 8).clamp(min=0, max=horizon - 2)
    water = land.mapim(mirror_x.bandjoin(mirror_y))
    deep = ramp(y / (height - horizon), (0, "c57a78"), (0.3, "5d4a80"), (1, "15244f"))
    water = over(water, deep, clip(y / 900 + 0.2 + tilt * 0.25))
    path = ((x - sun_x).abs() / (depth * 0.22 + 60) * -1).exp() * clip(tilt * 2.6 - 0.25)
    water = water + path * [220.0, 160.0, 80.0]
    scene = land.join(water, "vertical")
    for left, waterline, size, hull in ((1010, 890, 0.55, "7a2f3f"), (1190, 1010, 1.0, "1c2c50"), (760, 868, 0.4, "2b2540")):
        scene = boat(scene, left, waterline, size, hull)
    scene = paste(scene, drawn(width, height, jetty))
    return finished(scene, 2.2, 5)


def village(canvas: ImageDraw.ImageDraw, scale: float) -> None:
    """Headland with a lighthouse to the right, quay with houses to the left."""
    dice = random.Random(4)

    def area(points: Sequence[tuple[float, float]], colour: str) -> None:
        canvas.polygon([(px * scale, py * scale) for px, py in points], fill="#" + colour)

    cliff = ridge(700, 16, 0, 16, 90)
    area([(1300 + i, 822 - 150 * math.sin(min(1, i / 420) * 1.45) ** 1.6 + cliff[i]) for i in range(700)] + [(2000, 822), (1300, 822)], "2a2144")
    area([(1612, 690), (1668, 690), (1657, 462), (1623, 462)], "f3e3d6")
    area([(1644, 690), (1668, 690), (1657, 462), (1644, 462)], "c9aeb3")
    for top in (508, 584, 660):
        slant = (top - 462) / 228 * 11
        area([(1623 - slant, top), (1657 + slant, top), (1659 + slant, top + 38), (1621 - slant, top + 38)], "b8343c")
        area([(1644, top), (1657 + slant, top), (1659 + slant, top + 38), (1644, top + 38)], "8a2836")
    area([(1614, 462), (1666, 462), (1666, 452), (1614, 452)], "2a2144")
    area([(1627, 452), (1653, 452), (1653, 424), (1627, 424)], "fff3c4")
    area([(1622, 424), (1658, 424), (1640, 402)], "8c2a35")
    area([(1690, 690), (1690, 640), (1722, 612), (1754, 640), (1754, 690)], "47335c")
    area([(1684, 642), (1722, 606), (1760, 642)], "7a3443")
    area([(1712, 668), (1712, 650), (1728, 650), (1728, 668)], "ffd37a")

    area([(0, 822), (0, 770), (330, 790), (470, 822)], "2a2144")
    left = 6.0
    while left < 330:
        wide, tall = dice.uniform(34, 58), dice.uniform(44, 84) * (1 - left / 900)
        floor = 800 + left / 30
        wall = dice.choice(("5b3a55", "7c4556", "46395f", "8a5560", "3d3357"))
        area([(left, floor), (left, floor - tall), (left + wide, floor - tall), (left + wide, floor)], wall)
        area([(left - 4, floor - tall), (left + wide / 2, floor - tall - 26), (left + wide + 4, floor - tall)], dice.choice(("6b2d3c", "3b2747", "55303f")))
        for row in range(int(tall / 24)):
            for column in range(int(wide / 17)):
                if dice.random() < 0.62:
                    px, py = left + 7 + column * 16, floor - tall + 8 + row * 22
                    area([(px, py), (px + 7, py), (px + 7, py + 11), (px, py + 11)], "ffcf70")
        left += wide + dice.uniform(-3, 5)


def boat(scene: Field, left: int, waterline: int, size: float, hull: str) -> Field:
    """The scene with a sailing boat and its broken reflection."""
    wide, tall = int(260 * size), int(340 * size)

    def draw(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        def area(points: Sequence[tuple[float, float]], colour: str) -> None:
            canvas.polygon([(px * scale * size, py * scale * size) for px, py in points], fill="#" + colour)

        area([(116, 8), (121, 8), (121, 300), (116, 300)], "2b2036")
        area([(126, 22), (150, 120), (160, 200), (158, 276), (126, 284)], "fbe3c6")
        area([(126, 22), (138, 120), (142, 200), (140, 280), (126, 284)], "f2c9ad")
        area([(112, 40), (80, 160), (44, 282), (112, 288)], "e9b3a0")
        area([(24, 296), (232, 292), (204, 338), (58, 338)], hull)
        area([(24, 296), (232, 292), (230, 299), (27, 303)], "f0d9c4")

    sheet = drawn(wide, tall, draw)
    x, y = axes(wide, tall)
    shake = clouds(wide, tall, max(4, int(20 * size)), 77, stretch=3.0) * (y * 0.06 + 2)
    image = sheet.flipver().mapim((x + shake).bandjoin((y + shake).clamp(min=0, max=tall - 2)))
    fade = clip(y / tall * -1 + 1) * 0.62
    image = image.extract_band(0, n=3).bandjoin(image[3] * fade)
    frame = {"background": 0.0, "extend": "background"}
    scene = paste(scene, image.embed(left, waterline, scene.width, scene.height, **frame))
    return paste(scene, sheet.embed(left, waterline - tall, scene.width, scene.height, **frame))


def jetty(canvas: ImageDraw.ImageDraw, scale: float) -> None:
    """Planks and posts running out from the lower left corner."""

    def area(points: Sequence[tuple[float, float]], colour: str) -> None:
        canvas.polygon([(px * scale, py * scale) for px, py in points], fill="#" + colour)

    for part in (0.0, 0.2, 0.4, 0.58, 0.74, 0.88):
        px, py = 430 + 270 * part - 40, 1334 - 306 * part
        area([(px, py - 90 * (1.25 - part)), (px + 26 * (1.2 - part), py - 92 * (1.25 - part)), (px + 26 * (1.2 - part), py + 120), (px, py + 120)], "1a1530")
    for index in range(26):
        near, far = 1 - (index / 26) ** 0.72, 1 - ((index + 0.86) / 26) ** 0.72
        edge = [(-60 + 700 * (1 - near), 1040 + 300 * near), (430 + 250 * (1 - near), 1036 + 300 * near)]
        back = [(430 + 250 * (1 - far), 1036 + 300 * far), (-60 + 700 * (1 - far), 1040 + 300 * far)]
        area(edge + back, ("3b2b45", "44324a", "352740")[index % 3])
