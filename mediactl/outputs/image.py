"""``[[image]]``: variants of an image; and what posters, the stills of videos, share with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self, TypeVar

import msgspec

from mediactl.model.assets import Prior, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.model.speed import Speed
from mediactl.outputs.base import EXTENSIONS, IMAGE_MAKER, AssetPlan, Output, Params, Pixels, Quality
from mediactl.outputs.geometry import fit

ImageFormat = Literal["webp", "jpeg", "png", "avif"]
Fit = Literal["inside", "cover", "exact"]

MAX_SIDE = {"webp": 16_383, "jpeg": 65_500, "png": 1_000_000, "avif": 16_384}
"""Longest side in pixels that the encoder of each format writes (libwebp, libjpeg, libvips)."""
DEFAULT_QUALITY = {"webp": 80, "jpeg": 80, "png": 100, "avif": 60}
DEFAULT_EFFORT = {"webp": 4, "jpeg": 0, "png": 6, "avif": 3}
"""Measured (docs/images.md): WebP effort 4 takes 133 ms at 1600 px, effort 2 58 ms for 3 % more bytes and less
likeness, 0.003 SSIM at equal bytes. AVIF effort 3 takes 3 times the time of 1 for 0.003 to 0.004 more SSIM at equal
bytes, effort 4 another 4.5 times for 0.002 more. JPEG effort 0 (fixed tables) takes 6 ms for 210 kB, effort 1 16 ms
for 207 kB."""
SPEED_EFFORT: dict[Speed, dict[str, int]] = {
    "fast": {"webp": 2, "jpeg": 0, "png": 3, "avif": 1},
    "small": {"webp": 6, "jpeg": 1, "png": 9, "avif": 4},
}
"""Instead, at a speed (measured in docs/recipes.md)."""

_BYTES_A_PIXEL = {"webp": 0.085, "jpeg": 0.13, "avif": 0.07, "png": 1.5}
"""Of an image of two megapixels at default quality: mean of ten photos."""
_GROWTH = 0.67
"""Bytes grow by this power of the pixels: 0.60 to 0.78 between 320, 800 and 1600 pixels across, over those photos."""
_TWO_MEGAPIXELS = 2_000_000
_SECONDS_A_PIXEL = {"webp": 30e-9, "avif": 360e-9, "jpeg": 2e-9, "png": 60e-9}
"""Of encoding an image, at the first of its ``_EFFORTS``."""
_EFFORTS = {"webp": (2, 1.56), "avif": (3, 2.1), "jpeg": (0, 1.4), "png": (6, 1.3)}
"""An effort of each format, and by how much each further step multiplies the time."""


class StillParams(Params, frozen=True, kw_only=True):
    """How one image is encoded."""

    role: ClassVar[str]
    """Of its artefacts."""

    format: str
    width: int
    height: int
    """Pixels of the finished image, exactly."""
    quality: int | Literal["auto"]
    effort: int
    animated: bool
    similarity: float | None = None
    """Of quality "auto"."""
    fit: Fit = "inside"
    position: str = ""
    """Of fit "cover"."""
    anamorphic: bool = False
    """Made square from pixels that are not: the size alone does not say so where a box decides it."""

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, from the nearest image of the same role if there is one."""
        pixels = self.width * self.height
        here = _BYTES_A_PIXEL[self.format]
        if near := prior.nearest(self.role, pixels):
            there = _BYTES_A_PIXEL.get(_format(near.name), here)
            return near.bytes * here / there * math.pow(pixels / near.pixels, _GROWTH)
        size = here * _TWO_MEGAPIXELS * math.pow(pixels / _TWO_MEGAPIXELS, _GROWTH)
        return size * (info.frames * 0.3 if self.animated and info.frames > 1 else 1)


class ImageParams(StillParams, frozen=True, tag="image"):
    """A variant of an image."""

    version = 2
    encoders = ("image",)
    maker = IMAGE_MAKER
    role = "variant"

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds, by format, effort and pixels."""
        usual, step = _EFFORTS[self.format]
        times = math.pow(step, self.effort - usual) * (4 if self.quality == "auto" else 1)
        return _SECONDS_A_PIXEL[self.format] * self.width * self.height * times * (info.frames if self.animated else 1)


Still = TypeVar("Still", bound=StillParams)


class StillOutput(Output, frozen=True):
    """One image file, whatever it is made from."""

    format: ImageFormat = "webp"
    """Format of the file."""
    width: Pixels | None = None
    """Maximum width in pixels; default: unbounded."""
    height: Pixels | None = None
    """Maximum height in pixels; default: unbounded."""
    quality: Quality | Literal["auto"] | None = None
    """1 to 100, or "auto": the smallest file that reaches ``similarity``. Default by format."""
    effort: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    """0 (fast) to 10 (slow); default by format."""
    fit: Fit = "inside"
    """inside: scaled to fit within width x height. cover: fills width x height, the rest is cropped. exact: stretched
    to width x height. The last two require both; instead of enlarging, they keep these proportions at a smaller
    size."""
    position: Literal["attention", "entropy", "centre", "top", "bottom", "left", "right"] = "attention"
    """For cover: which region to keep."""
    similarity: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.97
    """For quality "auto": SSIM to the image before encoding. The default is the average of photos at quality 80; see
    docs/images.md."""
    animate: bool = True
    """Whether animated images stay animated, if the format supports it (webp)."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"

    def at_speed(self, speed: Speed) -> Self:
        """Return the output with the effort of a speed, unless the recipe sets one."""
        if self.effort is not None or speed not in SPEED_EFFORT:
            return self
        return msgspec.structs.replace(self, effort=SPEED_EFFORT[speed][self.format])

    def problem(self) -> tuple[str, str] | None:
        """Return what does not go together of fit, position, quality and similarity."""
        if self.fit != "inside" and not (self.width and self.height):
            return "fit", f"{self.fit!r} needs width and height"
        if self.fit == "inside" and self.position != "attention":
            return "position", 'goes with fit = "cover" alone; add that, or leave this out'
        if self.quality != "auto" and self.similarity != StillOutput(self.name).similarity:
            return "similarity", 'goes with quality = "auto" alone; add that, or leave this out'
        return None

    def params(self, operation: type[Still], info: MediaInfo) -> Still:
        """Return the parameters of a still of a source of this size."""
        width, height = self._size(info.width or 1, info.height or 1)
        return operation(
            format=self.format,
            width=width,
            height=height,
            quality=DEFAULT_QUALITY[self.format] if self.quality is None else self.quality,
            effort=DEFAULT_EFFORT[self.format] if self.effort is None else self.effort,
            animated=self.animate and self.format == "webp" and info.frames > 1 and info.video is None,
            similarity=self.similarity if self.quality == "auto" else None,
            fit=self.fit,
            position=self.position if self.fit == "cover" else "",
            anamorphic=info.anamorphic,
        )

    def _size(self, own_width: int, own_height: int) -> tuple[int, int]:
        longest = MAX_SIDE[self.format]
        if self.fit == "inside" or not (self.width and self.height):
            return fit(own_width, own_height, self.width, self.height, longest)
        scale = min(1.0, own_width / self.width, own_height / self.height, longest / max(self.width, self.height))
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))


class ImageOutput(StillOutput, frozen=True):
    """One still or animated variant; never enlarged."""

    table = "image"
    kinds = (Kind.IMAGE,)
    operations = (ImageParams,)
    roles = (ImageParams.role,)
    order = 10
    comparable = True
    in_every_plan = True

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the variant."""
        yield asset.target(self.file_name, ImageParams.role, self.params(ImageParams, asset.info))


OUTPUT = ImageOutput


def _format(name: str) -> str:
    extension = name.rpartition(".")[2]
    return "jpeg" if extension == "jpg" else extension
