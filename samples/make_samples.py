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
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyvips
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import ExifTags, Image, ImageDraw, ImageFilter, ImageFont

Field = Any  # a pyvips image, which carries no types; colours are 0 to 255, masks 0 to 1
Draw = Callable[[ImageDraw.ImageDraw, float], None]
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
    for (start, first), (end, second) in pairwise(stops):
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


def sheet_of(width: int, height: int, draw: Draw, blur: float = 0) -> Image.Image:
    """What `draw(canvas, scale)` paints on a clear sheet, drawn three times as large and shrunk smoothly."""
    sheet = Image.new("RGBA", (width * 3, height * 3), "#ffffff00")
    draw(ImageDraw.Draw(sheet), 3.0)
    return sheet.filter(ImageFilter.GaussianBlur(blur * 3)).resize((width, height), Image.Resampling.BOX)


def drawn(width: int, height: int, draw: Draw) -> Field:
    """The sheet as a field of four bands."""
    sheet = sheet_of(width, height, draw)
    return pyvips.Image.new_from_memory(sheet.tobytes(), width, height, 4, "uchar").cast("float")


def painter(canvas: ImageDraw.ImageDraw, scale: float) -> Callable[[Sequence[tuple[float, float]], str], None]:
    """A function that fills polygons, given in pixels of the picture to be, with a colour written as rrggbb."""

    def area(points: Sequence[tuple[float, float]], colour: str) -> None:
        canvas.polygon([(x * scale, y * scale) for x, y in points], fill="#" + colour)

    return area


def paste(base: Field, sheet: Field, strength: float = 1.0) -> Field:
    """A drawn sheet laid over the base."""
    return over(base, sheet.extract_band(0, n=3), sheet[3] / 255 * strength)


def finished(field: Field, grain: float, seed: int) -> Image.Image:
    """The field as an 8-bit picture with a little of a sensor's noise, which also hides banding."""
    noise = pyvips.Image.gaussnoise(field.width, field.height, sigma=grain, mean=0.0, seed=seed)
    flat = (field + noise + 0.5).clamp(min=0.0, max=255.0).cast("uchar")
    return Image.frombytes("RGB", (flat.width, flat.height), flat.write_to_memory())


# The pictures.


def harbour(grain: float = 2.2) -> Image.Image:
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
    water = over(water, deep, clip(y / 900 + 0.16 + tilt * 0.25))
    path = ((x - sun_x).abs() / (depth * 0.22 + 60) * -1).exp() * clip(tilt * 2.6 - 0.25)
    water = water + path * [220.0, 160.0, 80.0]
    scene = land.join(water, "vertical")
    for left, waterline, size, hull in (
        (1010, 890, 0.55, "7a2f3f"),
        (1190, 1010, 1, "1c2c50"),
        (760, 868, 0.4, "2b2540"),
    ):
        scene = boat(scene, left, waterline, size, hull)
    scene = paste(scene, drawn(width, height, jetty))
    return finished(scene, grain, 5)


def village(canvas: ImageDraw.ImageDraw, scale: float) -> None:
    """Headland with a lighthouse to the right, quay with houses to the left."""
    dice = random.Random(4)
    area = painter(canvas, scale)
    rough = ridge(700, 16, 822, 16, 90)
    cliff = [(1300 + i, row - 150 * math.sin(min(1, i / 420) * 1.45) ** 1.6) for i, row in enumerate(rough)]
    area([*cliff, (2000, 822), (1300, 822)], "2a2144")
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
        eaves = floor - tall
        roof = dice.choice(("6b2d3c", "3b2747", "55303f"))
        area([(left - 4, eaves), (left + wide / 2, eaves - 26), (left + wide + 4, eaves)], roof)
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
        area = painter(canvas, scale * size)
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
    area = painter(canvas, scale)

    def edge(part: float) -> list[tuple[float, float]]:
        return [(-90 + 700 * part, 1360 - 320 * part), (440 + 265 * part, 1360 - 320 * part)]

    for part in (0.05, 0.3, 0.52, 0.7, 0.85, 0.96):
        (_, py), (px, _) = edge(part)
        wide = 30 * (1.25 - part)
        area([(px - wide, py - 3 * wide), (px, py - 3 * wide), (px, py + 120), (px - wide, py + 120)], "1a1530")
    area(edge(0) + edge(1)[::-1], "1a1530")
    for index in range(26):
        near, far = (index / 26) ** 0.72, ((index + 0.86) / 26) ** 0.72
        area(edge(near) + edge(far)[::-1], ("3b2b45", "44324a", "352740")[index % 3])


def pines() -> Image.Image:
    """Forest ridges in the morning mist, 1200 x 1600, upright."""
    width, height = 1200, 1600
    x, y = axes(width, height)
    scene = ramp(y / height, (0, "3f7f9b"), (0.3, "9cc3c0"), (0.52, "f6e3bf"), (0.7, "f4c9a0"))
    far = ((x - 860) ** 2 + (y - 470) ** 2) ** 0.5
    scene = scene + (far * (-1 / 300)).exp() * [60.0, 45.0, 20.0]
    scene = over(scene, rgb("fffbe6"), clip((far - 74) * -0.4 + 0.5))
    streaks = clip(clouds(width, height, 128, 41, stretch=5.0) * 1.8 - 0.3) * clip((y * -1 + 620) / 400)
    scene = over(scene, rgb("fff0dc"), streaks * 0.6)
    mist = clouds(width, height, 256, 51, stretch=3.0) * 0.5 + 0.5
    dice = random.Random(9)
    layers = ("a9bfb6", "82a6a3", "5c8a8c", "3d6c70", "25505a", "123540")
    for index, colour in enumerate(layers):
        base = 640 + 148 * index + 12 * index**1.5
        hills = ridge(width, 60 + index, base, 120 - 12 * index, 640 - 40 * index)
        tall = 16 + 15 * index**1.65

        def trees(canvas: ImageDraw.ImageDraw, scale: float, hills: list[float] = hills, tall: float = tall) -> None:
            px = -tall
            while px < width + tall:
                size = tall * dice.uniform(0.55, 1.25)
                root = hills[min(width - 1, max(0, int(px)))] + 6 + size * 0.1
                pine(canvas, scale, px, root, size, dice)
                px += tall * dice.uniform(0.12, 0.5) * (1 if dice.random() < 0.9 else 5)

        mask = drawn(width, height, trees)[3] / 255
        mask = clip(mask + below(hills, height))
        fog = clip((y - base + tall) / (300 + 20 * index)) * 0.75 + mist * 0.12
        shade = over(scene * 0 + rgb(colour), rgb("f1dcc0"), clip(fog * (0.75 if index < 5 else 0.1)))
        scene = over(scene, shade, mask)

    def birds(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        for px, py, span in ((300, 330, 26), (362, 300, 20), (250, 385, 17), (420, 352, 14)):
            for side in (-1, 1):
                wing = [(px, py), (px + side * span * 0.5, py - span * 0.45), (px + side * span, py - span * 0.2)]
                painter(canvas, scale)([*wing, (px + side * span * 0.5, py - span * 0.28)], "2f5b68")

    return finished(paste(scene, drawn(width, height, birds)), 2.0, 6)


def pine(canvas: ImageDraw.ImageDraw, scale: float, x: float, root: float, size: float, dice: random.Random) -> None:
    """One conifer, black: only its shape matters."""
    sides: list[list[tuple[float, float]]] = [[], []]
    tiers = 5 + int(size / 22)
    for tier in range(tiers):
        reach = size * 0.21 * ((tier + 1) / tiers) ** 0.9
        top = root - size + size * 0.92 * tier / tiers
        for points, side in zip(sides, (-1, 1), strict=True):
            spread = reach * dice.uniform(0.75, 1.15)
            points += [(x + side * reach * 0.28, top), (x + side * spread, top + size * 1.25 / tiers)]
    painter(canvas, scale)([(x, root - size * 1.06), *sides[1], *reversed(sides[0])], "000000")


def aurora() -> Image.Image:
    """Northern lights over snow and a cabin, 1280 x 800."""
    width, height = 1280, 800
    x, y = axes(width, height)
    scene = ramp(y / height, (0, "050b1f"), (0.6, "0d2440"), (0.85, "1d4a5c"))
    dice = random.Random(12)

    def stars(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        for _ in range(420):
            px, py, size = dice.uniform(0, width), dice.uniform(0, 560), dice.uniform(0.3, 1.1) ** 2
            box = [(px - size) * scale, (py - size) * scale, (px + size) * scale, (py + size) * scale]
            canvas.ellipse(box, fill=dice.choice(("#ffffff", "#cfe0ff", "#fff0d8")))

    scene = paste(scene, drawn(width, height, stars), 0.9)
    for seed, base, length, colour in ((71, 500, 240, "2fe08c"), (75, 390, 300, "35d6a8"), (79, 560, 140, "7be05a")):
        hem = pyvips.Image.new_from_array([ridge(width, seed, base, 90, 520, octaves=3)]).replicate(1, height)
        rays = ridge(width, seed + 1, 0.85, 0.4, 84, octaves=4)
        slow = ridge(width, seed + 2, 0.35, 0.5, 420, octaves=2)
        light = pyvips.Image.new_from_array([[max(0.0, a) * max(0.0, b) for a, b in zip(rays, slow, strict=True)]])
        light = (light.replicate(1, height) * -1.9).exp() * -0.9 + 0.9
        rise = hem - y
        curtain = (rise.clamp(min=0.0, max=2000.0) * (-1 / length)).exp() * clip(rise / 26 + 1) * light
        scene = scene + ramp(rise / length, (0, colour), (0.7, "2a9c9a"), (1.5, "a04cc0")) * curtain
    for seed, base, swing, low, high in ((91, 640, 70, "16324a", "2b5a6c"), (93, 720, 30, "3f6f86", "9ccfcf")):
        hills = ridge(width, seed, base, swing, 420)
        skyline = pyvips.Image.new_from_array([hills]).replicate(1, height)
        scene = over(scene, ramp((y - skyline) / 110, (0, high), (1, low)), below(hills, height))

    def cabin(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        for px in range(20, 1280, 9):
            if not 190 < px < 400 and dice.random() < (0.75 if px < 190 or px > 1080 else 0.12):
                pine(canvas, scale, px, 760 - px / 60 + dice.uniform(-8, 14), dice.uniform(40, 130), dice)
        area = painter(canvas, scale)
        area([(250, 752), (250, 700), (350, 700), (350, 752)], "1b1a26")
        area([(236, 704), (300, 660), (364, 704)], "dff3f1")
        area([(244, 706), (300, 670), (356, 706)], "1b1a26")
        for left in (268, 312):
            area([(left, 738), (left, 716), (left + 22, 716), (left + 22, 738)], "ffcf6b")

    scene = paste(scene, drawn(width, height, cabin))
    far = (((x - 300) ** 2 + ((y - 740) * 1.6) ** 2) ** 0.5 * (-1 / 70)).exp()
    return finished(scene + far * [90.0, 60.0, 15.0], 1.0, 7)


def balloon() -> Image.Image:
    """A hot-air balloon with a pennant among translucent clouds, 600 x 760, most of it see-through."""
    width, height = 600, 760

    def puff(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        low = ((120, 560, 60), (190, 540, 76), (270, 570, 54), (60, 590, 40))
        for px, py, size in (*low, (470, 250, 44), (530, 262, 34)):
            box = [(px - size) * scale, (py - size * 0.6) * scale, (px + size) * scale, (py + size * 0.6) * scale]
            canvas.ellipse(box, fill="#ffffffb8")

    def envelope(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        area = painter(canvas, scale)
        colours = ("d8433f", "f6e7c9", "f0a23a", "f6e7c9", "2f6f8f", "f6e7c9")

        def point(turn: float, part: float) -> tuple[float, float]:
            if part < 0.62:
                radius = 210 * math.sin(math.acos(1 - part / 0.62))
            else:
                radius = 36 + 174 * (1 - ((part - 0.62) / 0.38) ** 1.7)
            return 300 + radius * math.sin(turn), 40 + 510 * part

        parts = [index / 60 for index in range(61)]
        for index in range(-6, 6):
            for slice_ in range(4):
                left, right = (index + slice_ / 4) * math.pi / 12, (index + slice_ / 4 + 0.27) * math.pi / 12
                light = 0.62 + 0.42 * math.cos(left + 0.55)
                shade = "".join(f"{min(255, int(value * light)):02x}" for value in rgb(colours[index % 6]))
                area([point(left, part) for part in parts] + [point(right, part) for part in reversed(parts)], shade)
        for left, right in ((270, 278), (330, 322), (296, 297)):
            area([(left - 1, 548), (left + 1, 548), (right + 1, 640), (right - 1, 640)], "5b4632")
        area([(268, 636), (332, 636), (324, 700), (276, 700)], "9a6a3c")
        area([(264, 632), (336, 632), (336, 646), (264, 646)], "6e4a2a")
        area([(332, 640), (336, 640), (440, 600), (430, 622), (446, 640)], "d8433f")

    return Image.alpha_composite(sheet_of(width, height, puff, blur=8), sheet_of(width, height, envelope))


def poster() -> Field:
    """A travel poster in four inks, 800 x 1120: rays, a mountain, a sail and the word HARBOUR."""
    width, height = 800, 1120

    def draw(canvas: ImageDraw.ImageDraw, scale: float) -> None:
        area = painter(canvas, scale)
        area([(0, 0), (800, 0), (800, 1120), (0, 1120)], "f4e4c1")
        area([(40, 40), (760, 40), (760, 960), (40, 960)], "f2b25c")
        for ray in range(0, 36, 2):
            turns = (math.pi * ray / 18, math.pi * (ray + 1) / 18)
            ends = [(250 + 1400 * math.cos(turn), 470 + 1400 * math.sin(turn)) for turn in turns]
            area([(250, 470), *ends], "f7c983")
        canvas.ellipse([110 * scale, 330 * scale, 390 * scale, 610 * scale], fill="#e4572e")
        area([(300, 720), (560, 300), (900, 720)], "2e5266")
        area([(560, 300), (620, 375), (590, 390), (566, 372), (540, 410), (512, 378)], "f4e4c1")
        area([(560, 300), (900, 720), (640, 720), (600, 520), (620, 400)], "21405a")
        area([(40, 660), (200, 600), (420, 690), (760, 640), (760, 740), (40, 740)], "3f7d6e")
        for row, colour in enumerate(("2a7f9e", "2f8fae", "1f6f8f", "195d7c")):
            crest = [(px, 712 + row * 64 + 9 * math.sin(px / 40 + row * 2)) for px in range(40, 761, 6)]
            area([(40, 960), *crest, (760, 960)], colour)
        area([(470, 560), (476, 560), (476, 820), (470, 820)], "3a2a2a")
        area([(482, 575), (600, 796), (482, 806)], "f4e4c1")
        area([(464, 600), (464, 806), (380, 790)], "e9cfa0")
        area([(360, 816), (610, 816), (570, 862), (400, 862)], "8f2d2a")
        for low, high in (((0, 0), (800, 40)), ((0, 0), (40, 1120)), ((760, 0), (800, 1120)), ((0, 960), (800, 1120))):
            area([low, (high[0], low[1]), high, (low[0], high[1])], "f4e4c1")
        canvas.text((400 * scale, 1040 * scale), "HARBOUR", "#21405a", ImageFont.load_default(104 * scale), anchor="mm")

    sheet = drawn(width, height, draw).extract_band(0, n=3).cast("uchar").copy(interpretation="srgb")
    return sheet.icc_transform("cmyk", input_profile="srgb", intent="relative")


def bobbing() -> list[Image.Image]:
    """Twenty frames of a boat on paper waves, 320 x 240, that run in a circle."""
    frames = []
    for step in range(20):
        turn = step / 20 * math.tau

        def draw(canvas: ImageDraw.ImageDraw, scale: float, turn: float = turn) -> None:
            area = painter(canvas, scale)
            area([(0, 0), (320, 0), (320, 240), (0, 240)], "fbe6c8")
            canvas.ellipse([218 * scale, 34 * scale, 274 * scale, 90 * scale], fill="#f28f4f")
            lean, lift = 0.12 * math.sin(turn), 5 * math.sin(turn + 1)
            ship: list[tuple[str, list[tuple[float, float]]]] = [
                ("5a3d3a", [(146, 50), (149, 50), (149, 150), (146, 150)]),
                ("ffffff", [(152, 56), (204, 138), (152, 142)]),
                ("f7d9b0", [(143, 66), (143, 142), (104, 136)]),
                ("c8443f", [(92, 148), (210, 148), (190, 176), (110, 176)]),
                ("2f6f8f", [(149, 50), (149, 36), (176 + 6 * math.sin(2 * turn), 44)]),
            ]

            def leaning(px: float, py: float) -> tuple[float, float]:
                px, py = px - 150, py - 170
                return 150 + px * math.cos(lean) - py * math.sin(lean), 168 + lift + px * math.sin(
                    lean
                ) + py * math.cos(lean)

            for row, colour in enumerate(("8cc7c4", "5ba6b3", "357f99", "1f5f7f")):
                if row == 2:
                    for paint, shape in ship:
                        area([leaning(*corner) for corner in shape], paint)
                way = turn * (1 if row % 2 else -1)
                level, swing = 140 + row * 24, 5 + row
                crest = [(px, level + swing * math.sin(math.tau * px / 160 + way + row)) for px in range(0, 325, 4)]
                area([(0, 240), *crest, (320, 240)], colour)

        sheet = drawn(320, 240, draw).extract_band(0, n=3).cast("uchar")
        frames.append(Image.frombytes("RGB", (320, 240), sheet.write_to_memory()))
    palette = frames[0].quantize(48, dither=Image.Dither.NONE)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


# Sound and film.


def pluck(pitch: float, seconds: float) -> list[float]:
    """A plucked string (Karplus and Strong): a burst of noise going round in a ring that softens it."""
    dice = random.Random(int(pitch))
    ring = [dice.uniform(-1, 1) for _ in range(round(RATE / pitch))]
    sound = []
    for index in range(int(seconds * RATE)):
        place = index % len(ring)
        sound.append(ring[place])
        ring[place] = 0.498 * (ring[place] + ring[(place + 1) % len(ring)])
    return sound


def bell(pitch: float, seconds: float) -> list[float]:
    """A bell: partials that are not quite harmonic, the higher the sooner gone."""
    partials = ((0.5, 0.5, 1.2), (1.0, 1.0, 1.8), (1.19, 0.6, 2.6), (1.5, 0.4, 3.2), (2.0, 0.5, 3.6), (2.7, 0.25, 6.0))
    steps = [index / RATE for index in range(int(seconds * RATE))]
    return [sum(loud * math.sin(math.tau * pitch * rate * t) * math.exp(-t * fade) for rate, loud, fade in partials)
            * min(1.0, t * 300) for t in steps]  # fmt: skip


def tune(notes: str, beat: float, voice: Callable[[float, float], list[float]], length: float) -> list[float]:
    """Notes such as ``"64 66:2 -"`` (MIDI number, beats after the colon, ``-`` a rest), as samples within -1 to 1."""
    mix = [0.0] * int(length * RATE)
    start = 0.0
    for word in notes.split():
        number, _, beats = word.partition(":")
        if number != "-":
            sound = voice(440.0 * 2 ** ((int(number) - 69) / 12), beat * float(beats or 1) + 2.5)
            for index, value in enumerate(sound[: max(0, len(mix) - int(start * RATE))], int(start * RATE)):
                mix[index] += value
        start += beat * float(beats or 1)
    loudest = max(map(abs, mix))
    tail = int(0.25 * RATE)
    return [value / loudest * 0.8 * min(1.0, (len(mix) - index) / tail) for index, value in enumerate(mix)]


def write_wave(path: Path, left: list[float], right: list[float]) -> None:
    """Two channels, 16 bits a sample."""
    pairs = (round(value * 32767) for pair in zip(left, right, strict=True) for value in pair)
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, RATE, 0, "NONE", ""))
        out.writeframes(array("h", pairs).tobytes())


def ffmpeg(work: Path, options: str, *more: str | Path) -> None:
    """Run ffmpeg in a folder, so that the same input gives the same bytes; the last word names the output."""
    fixed = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", "1"]
    *words, output = map(str, more)
    command = [get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *options.split(), *words, *fixed, output]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, cwd=work)


def write_media(folder: Path, work: Path, wide: Image.Image, tall: Image.Image) -> None:
    """The two sounds and the two films, out of the tunes and the two large pictures."""
    melody = tune("64 64 65 67 67 65 64 62 60 60 62 64 64:1.5 62:.5 62:2", 0.4, pluck, 6.8)
    ground = tune("48:4 43:4 48:4 43:2 48:2", 0.4, pluck, 6.8)
    left, right = ([a * 0.62 + b * share for a, b in zip(melody, ground, strict=True)] for share in (0.3, 0.18))
    write_wave(work / "ode.wav", left, right)
    chimes = tune("68 66 64 59:2", 0.62, bell, 4.0)
    write_wave(work / "chimes.wav", chimes, chimes)
    tags = ("-metadata", "artist=mediactl samples", "-metadata")
    ffmpeg(work, "-i chimes.wav -ac 1 -ar 22050", *tags, "title=Quarter chimes", folder / "chimes.wav")
    ffmpeg(work, "-i ode.wav -c:a libmp3lame -q:a 5", *tags, "title=Ode to Joy, plucked", folder / "ode.mp3")

    wide.save(work / "wide.png")
    tall.save(work / "tall.png")
    h264 = "-c:v libx264 -preset slow -crf 25 -pix_fmt yuv420p"
    sound = "-c:a aac -b:a 96k -movflags +faststart"
    glide = "-vf crop=1280:720:20+6*n:170+2*n,setsar=1"
    ffmpeg(work, f"-loop 1 -framerate 25 -i wide.png -i ode.wav -t 4 {glide} {h264} {sound}", folder / "harbour.mp4")
    climb = "-vf scale=540:720,crop=360:640:10+n*1.8:80-n*.8,transpose=cclock,setsar=1"
    ffmpeg(work, f"-loop 1 -framerate 30 -i tall.png -t 3 {climb} {h264}", "lying.mp4")
    ffmpeg(work, "-display_rotation -90 -i lying.mp4 -c copy -movflags +faststart", folder / "upright.mp4")


# The folder.


def camera_tags() -> Image.Exif:
    """What a camera writes: orientation 6 (turn right to see it upright), exposure, and where it stood."""
    taken = "2024:06:21 21:14:05"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.update({0x010E: "Harbour at sunset", 0x010F: "Lumen", 0x0110: "Lumen One", 0x0131: "make_samples.py"})
    exif.update({0x0132: taken, 0x013B: "mediactl samples", 0x8298: "mediactl contributors"})
    camera, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    camera.update({0x829A: 0.004, 0x829D: 8.0, 0x8827: 200, 0x9003: taken, 0x9011: "+02:00", 0x920A: 35.0})
    camera[ExifTags.Base.LensModel] = "Lumen 35mm F2"
    # Point Nemo, the spot of the ocean that is farthest from anyone's home.
    place.update({0: b"\x02\x03\x00\x00", 1: "S", 2: (48.0, 52.0, 31.75), 3: "W", 4: (123.0, 23.0, 33.07)})
    place.update({5: b"\x00", 6: 3.0, 29: "2024:06:21"})
    return exif


def make(folder: Path) -> None:
    """Write every sample into the folder, over what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    wide, tall = harbour(), pines()
    jpeg: dict[str, Any] = {"quality": 80, "optimize": True, "progressive": True}
    wide.transpose(Image.Transpose.ROTATE_90).save(folder / "harbour.jpg", exif=camera_tags(), dpi=(72, 72), **jpeg)
    tall.save(folder / "pines.jpg", **jpeg)
    balloon().save(folder / "balloon.png", optimize=True)
    aurora().save(folder / "aurora.avif", quality=60, speed=4, max_threads=1)
    poster().jpegsave(str(folder / "poster-cmyk.jpg"), Q=80, keep="none")
    first, *others = bobbing()
    first.save(folder / "sailing.gif", save_all=True, append_images=others, duration=80, loop=0, disposal=1)

    whole = io.BytesIO()
    tall.resize((600, 800), Image.Resampling.LANCZOS).save(whole, "JPEG", quality=80)
    (folder / "truncated.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) * 3 // 5])
    (folder / "notes.jpg").write_text(
        "Rope, lamp oil, two tins of white paint.\nThis is text, whatever its name says.\n"
    )

    with tempfile.TemporaryDirectory() as work:
        write_media(folder.resolve(), Path(work), harbour(grain=0.5), tall)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
