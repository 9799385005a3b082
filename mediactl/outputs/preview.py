"""``[[preview]]``: a short animation of moments from the whole video."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from mediactl.model.assets import Prior, Target
from mediactl.model.media import Kind, MediaInfo, Treatment
from mediactl.outputs.base import VIDEO_MAKER, AssetPlan, Output, Params, Quality
from mediactl.outputs.geometry import fit
from mediactl.outputs.image import MAX_SIDE
from mediactl.outputs.poster import SECONDS_A_STILL


class PreviewParams(Params, frozen=True, tag="preview"):
    """An animated WebP."""

    encoders = ("ffmpeg", "image")
    maker = VIDEO_MAKER

    width: int
    height: int
    seconds: float
    """Duration."""
    fps: int
    quality: int
    treatment: tuple[Treatment, ...] = ()
    still: bool = False
    """Whether frames are shown for so long that the nearest one may not be the one on screen."""

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds: about a still for each second."""
        return SECONDS_A_STILL * self.seconds

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by pixels and frames."""
        return 0.03 * self.width * self.height * self.seconds * self.fps


class PreviewOutput(Output, frozen=True):
    """A short animation (WebP) of moments from the whole video."""

    table = "preview"
    kinds = (Kind.VIDEO,)
    operations = (PreviewParams,)
    roles = ("preview",)
    order = 70
    in_every_plan = True

    format: Literal["webp"] = "webp"
    """Format of the file."""
    width: Annotated[int, msgspec.Meta(ge=16, le=1280)] = 320
    """Maximum width in pixels."""
    seconds: Annotated[float, msgspec.Meta(ge=0.5, le=15)] = 3.0
    """Duration in seconds."""
    fps: Annotated[int, msgspec.Meta(ge=1, le=30)] = 8
    """Frames per second."""
    quality: Quality = 50
    """Quality, 1 to 100."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.webp"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the animation."""
        info = asset.info
        width, height = fit(info.width or 2, info.height or 2, self.width, None, MAX_SIDE["webp"])
        seconds = min(self.seconds, info.duration or self.seconds)
        still = bool(info.video and info.video.still)
        params = PreviewParams(width, height, seconds, self.fps, self.quality, info.treatment, still)
        yield asset.target(self.file_name, "preview", params)

    def ffmpeg_encoders(self) -> frozenset[str]:
        """Return PNG: frames come from ffmpeg as such."""
        return frozenset({"png"})


OUTPUT = PreviewOutput
