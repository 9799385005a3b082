"""``[[animation]]``: animated images (GIF, WebP, APNG) as MP4 without audio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from mediactl.model.assets import Prior, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import IMAGE_MAKER, AssetPlan, Output, Params, Pixels
from mediactl.outputs.encoding import HD, SECONDS_A_SECOND
from mediactl.outputs.geometry import even, fit

_LONGEST = 4096
"""Pixels: what H.264 decoders in hardware take."""


class AnimationParams(Params, frozen=True, tag="animation"):
    """An animated image as a video."""

    encoders = ("image", "ffmpeg")
    maker = IMAGE_MAKER

    codec: str
    width: int
    height: int
    """Both even."""
    crf: int

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds, by pixels and frames."""
        return 0.2 + self.width * self.height * info.frames / HD / 30 * SECONDS_A_SECOND["h264"]

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by pixels and frames."""
        return 0.01 * self.width * self.height * info.frames


class AnimationOutput(Output, frozen=True):
    """An animated image (GIF, WebP, APNG) as an MP4 without audio; still images get none."""

    table = "animation"
    kinds = (Kind.IMAGE,)
    operations = (AnimationParams,)
    roles = ("animation",)
    order = 20

    format: Literal["mp4"] = "mp4"
    """Format of the file: H.264 in MP4."""
    width: Pixels | None = None
    """Maximum width in pixels; default: unbounded."""
    height: Pixels | None = None
    """Maximum height in pixels; default: unbounded."""
    crf: Annotated[int, msgspec.Meta(ge=0, le=51)] = 23
    """Constant rate factor: lower is better and larger."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.mp4"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the video of an animated image, none of a still."""
        info = asset.info
        if info.frames > 1:
            width, height = fit(info.width or 2, info.height or 2, self.width, self.height, _LONGEST)
            size = even(width, self.width), even(height, self.height)
            yield asset.target(self.file_name, "animation", AnimationParams("h264", *size, self.crf))


OUTPUT = AnimationOutput
