"""``[[storyboard]]``: a sheet of thumbnails of a video, and the WebVTT file with the region of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec

from mediactl.model.assets import Prior, PriorArtefact, Target
from mediactl.model.media import Kind, MediaInfo, Treatment
from mediactl.outputs.base import EXTENSIONS, VIDEO_MAKER, AssetPlan, File, Output, Params, Quality
from mediactl.outputs.geometry import fit

_MOST_TILES = 200
_COLUMNS = 10
_LONGEST = 640
"""Pixels of a tile."""


class StoryboardParams(Params, frozen=True, tag="storyboard"):
    """The sheet."""

    encoders = ("ffmpeg", "image")
    maker = VIDEO_MAKER

    format: str
    width: int
    height: int
    """Of one tile."""
    columns: int
    count: int
    """Tiles."""
    interval: float
    """Seconds between them."""
    quality: int
    treatment: tuple[Treatment, ...] = ()
    still: bool = False
    """Whether frames are shown for so long that the nearest one may not be the one on screen."""

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds, by the number of tiles."""
        return 0.05 * self.count

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by pixels."""
        return 0.12 * self.width * self.height * self.count


class StoryboardMapParams(Params, frozen=True, tag="storyboard-map"):
    """The WebVTT file of a sheet."""

    maker = VIDEO_MAKER

    of: str
    """Name of the sheet."""
    width: int
    height: int
    columns: int
    count: int
    interval: float
    """As those of the sheet."""
    duration: float
    """Of the video, in seconds."""


class StoryboardOutput(Output, frozen=True):
    """Thumbnails of a video at even intervals in one sheet, and ``name``.vtt with the region of each."""

    table = "storyboard"
    kinds = (Kind.VIDEO,)
    operations = (StoryboardParams, StoryboardMapParams)
    roles = ("storyboard", "storyboard-map")
    order = 60
    in_every_plan = True

    format: Literal["webp", "jpeg"] = "webp"
    """Format of the sheet."""
    width: Annotated[int, msgspec.Meta(ge=16, le=640)] = 160
    """Width of one thumbnail in pixels."""
    interval: Annotated[float, msgspec.Meta(ge=0.5)] = 5.0
    """Seconds between thumbnails; more for videos that would have over 200."""
    quality: Quality = 60
    """Quality of the sheet, 1 to 100."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the sheet."""
        return f"{self.name}.{EXTENSIONS[self.format]}"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the sheet, then its map."""
        info = asset.info
        duration = info.duration or self.interval
        interval = max(self.interval, math.ceil(duration / _MOST_TILES * 10) / 10)
        count = max(1, math.ceil(duration / interval - 1e-6))
        width, height = fit(info.width or 2, info.height or 2, self.width, None, _LONGEST)
        grid = (width, height, min(count, _COLUMNS), count, interval)
        still = bool(info.video and info.video.still)
        params = StoryboardParams(self.format, *grid, self.quality, info.treatment, still)
        yield asset.target(self.file_name, "storyboard", params)
        named = StoryboardMapParams(self.file_name, *grid, duration)
        yield asset.target(f"{self.name}.vtt", "storyboard-map", named)

    def files(self) -> tuple[File, ...]:
        """Return the sheet and its map."""
        return File(self.file_name), File(f"{self.name}.vtt")

    def ffmpeg_encoders(self) -> frozenset[str]:
        """Return PNG: frames come from ffmpeg as such."""
        return frozenset({"png"})

    @classmethod
    def owns(cls, artefact: PriorArtefact, every: Sequence[PriorArtefact]) -> str | None:
        """Return the name of the sheet."""
        if artefact.role not in cls.roles:
            return None
        stem = artefact.name.rpartition(".")[0] + "."
        return next(
            (each.name for each in every if each.role == "storyboard" and each.name.startswith(stem)), artefact.name
        )


OUTPUT = StoryboardOutput
