"""``[[waveform]]``: the peaks of an audio file, as JSON or PNG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from mediactl.model.assets import Prior, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import AUDIO_MAKER, EXTENSIONS, AssetPlan, Output, Params
from mediactl.outputs.encoding import SECONDS_A_SECOND_OF_AUDIO, gap_threshold


class WaveformParams(Params, frozen=True, tag="waveform"):
    """Peaks of an audio file."""

    encoders = ("ffmpeg",)
    maker = AUDIO_MAKER

    format: str
    points: int
    """JSON: number of minimum/maximum pairs. PNG: width in pixels."""
    height: int | None = None
    """PNG: height in pixels."""
    gap_threshold: float = 0.0
    """As ``AudioStream`` has it."""

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds, by duration."""
        return SECONDS_A_SECOND_OF_AUDIO * (info.duration or 0.0)

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by points."""
        return 8.0 * self.points


class WaveformOutput(Output, frozen=True):
    """Peaks of an audio file: JSON (in the format of audiowaveform) or PNG."""

    table = "waveform"
    kinds = (Kind.AUDIO,)
    operations = (WaveformParams,)
    roles = ("waveform",)
    order = 100
    in_every_plan = True

    format: Literal["json", "png"] = "json"
    """json: peaks as numbers. png: an image."""
    points: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 1_000
    """JSON: number of minimum/maximum pairs. PNG: width in pixels."""
    height: Annotated[int, msgspec.Meta(ge=8, le=2_000)] = 120
    """PNG: height in pixels."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"

    def problem(self) -> tuple[str, str] | None:
        """Return a height that goes with nothing."""
        if self.format != "png" and self.height != WaveformOutput(self.name).height:
            return "height", 'goes with format = "png" alone; add that, or leave this out'
        return None

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the peaks."""
        height = self.height if self.format == "png" else None
        params = WaveformParams(self.format, self.points, height, gap_threshold(asset.info))
        yield asset.target(self.file_name, "waveform", params)


OUTPUT = WaveformOutput
