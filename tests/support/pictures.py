"""Pictures for tests, and what becomes of them: probed, planned and rendered as the program does it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image, ImageCms, ImageDraw

from mediactl.core.errors import RejectedInput
from mediactl.core.files import fingerprint
from mediactl.media.drafts import Drafts, Request, Temporary
from mediactl.media.image import render as image
from mediactl.media.image.vips import pyvips
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, Limits, MediaInfo, Source
from mediactl.outputs.image import ImageFormat, ImageOutput
from mediactl.planning.keys import targets
from mediactl.recipe.loader import recipe
from mediactl.sources.sniff import HEAD, sniff

VERSIONS = {"image": "test", "ffmpeg": "test"}
RED, GREEN, BLUE, WHITE = (220, 30, 40), (40, 200, 60), (30, 60, 210), (250, 250, 250)


class Rendered(NamedTuple):
    """What became of a picture."""

    info: MediaInfo
    drafts: Drafts

    def open(self, name: str) -> Image.Image:
        """A variant, read by another library than the one that wrote it."""
        draft = next(draft for draft in self.drafts.files if draft.target.name == name)
        opened = Image.open(io.BytesIO(Path(os.fsdecode(draft.file)).read_bytes()))
        opened.load()
        return opened

    @property
    def only(self) -> Image.Image:
        """The one variant."""
        (draft,) = self.drafts.files
        return self.open(draft.target.name)


def outputs(*widths: int, format: ImageFormat = "webp", **more: Any) -> tuple[ImageOutput, ...]:
    return tuple(ImageOutput(name=f"w{width}", format=format, width=width, **more) for width in widths)


def render(
    path: Path,
    *wanted: ImageOutput,
    limits: Limits = Limits(),  # noqa: B008
    missing: Callable[..., bool] = lambda _: True,
    placeholder: str = "",
    folder: Path | None = None,
) -> Rendered:
    """Probe, plan and render a picture as the program does; without outputs, a lossless one of its own size."""
    folder = folder or path.parent / f"out of {path.name}"
    folder.mkdir(exist_ok=True)
    fd = os.open(path, os.O_RDONLY)
    try:
        kind = sniff(os.pread(fd, HEAD, 0), os.fsencode(path.name))
        assert kind is not None
        info = image.probe(fd, kind[1], limits)
        chosen = recipe("test", image=wanted or (ImageOutput(name="same", format="png"),))
        made = targets(chosen, Kind.IMAGE, info, "digest", VERSIONS)
        place = os.fsencode(path.name)
        source = Source(os.fsencode(path.parent), place, place, fingerprint(os.fstat(fd)), Kind.IMAGE, kind[1])
        task = MakeTask(source, "digest", info, made, (), os.fsencode(folder), "test", limits, placeholder)
        todo = tuple(target for target in made if missing(target))
        temporary: Temporary = lambda name: os.fsencode(folder / f"tmp-{name}")  # noqa: E731
        return Rendered(info, image.render(Request(fd, task, todo, temporary, lambda _: None, lambda _: None)))
    finally:
        os.close(fd)


def quarters(width: int = 120, height: int = 80) -> Image.Image:
    """Red, green, blue and white, so that every turn and every flip shows."""
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for number, colour in enumerate((RED, GREEN, BLUE, WHITE)):
        left, top = number % 2 * width // 2, number // 2 * height // 2
        draw.rectangle((left, top, left + width // 2 - 1, top + height // 2 - 1), colour)
    return picture


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of each quarter, left to right, top to bottom."""
    found = picture.convert("RGB")
    points = [
        (x, y) for y in (found.height // 4, found.height * 3 // 4) for x in (found.width // 4, found.width * 3 // 4)
    ]
    return [pixel(found, *point) for point in points]


def pixel(picture: Image.Image, x: int, y: int) -> tuple[int, ...]:
    found = picture.getpixel((x, y))
    assert isinstance(found, tuple)
    return tuple(int(value) for value in found)


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 3) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


def all_near(found: list[tuple[int, ...]], wanted: tuple[tuple[int, ...], ...], tolerance: int = 3) -> bool:
    return all(near(a, b, tolerance) for a, b in zip(found, wanted, strict=True))


def photo(width: int = 640, height: int = 480, seed: int = 1) -> Image.Image:
    """Something with the detail of a photograph, the same every time."""
    clouds = pyvips.Image.perlin(width, height, cell_size=64, seed=seed).bandjoin(
        [pyvips.Image.perlin(width, height, cell_size=size, seed=seed + size) for size in (32, 16)]
    )
    grain = pyvips.Image.gaussnoise(width, height, sigma=6, mean=0, seed=seed)
    pixels = (clouds * 90 + 128 + grain).cast("uchar")
    return Image.frombytes("RGB", (width, height), bytes(pixels.write_to_memory()))


def display_p3() -> bytes:
    """A Display P3 profile: sRGB's curve, wider primaries. Made of the sRGB one by swapping its columns."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = {
        b"rXYZ": (0.51512, 0.2412, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407),
    }
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132]), 12):
        if (column := columns.get(bytes(profile[at : at + 4]))) is not None:
            offset = int.from_bytes(profile[at + 4 : at + 8]) + 8
            profile[offset : offset + 12] = b"".join(round(value * 65536).to_bytes(4, signed=True) for value in column)
    return bytes(profile)


def reason(path: Path, **options: Any) -> str:
    with pytest.raises(RejectedInput) as caught:
        render(path, *outputs(50), **options)
    text = str(caught.value)
    assert "\n" not in text and 5 < len(text) < 300, text
    assert str(path.parent) not in text
    return text
