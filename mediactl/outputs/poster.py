"""``[[poster]]``: a still that stands for a video."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mediactl.model.assets import Target
from mediactl.model.media import Kind, MediaInfo, Treatment
from mediactl.outputs.base import VIDEO_MAKER, AssetPlan, Params
from mediactl.outputs.image import StillOutput, StillParams

SECONDS_A_STILL = 0.3
"""Of a still of a video: a seek and a few frames."""


class PosterParams(StillParams, frozen=True, tag="poster"):
    """A still of a video."""

    version = 2
    encoders = ("ffmpeg", "image")
    maker = VIDEO_MAKER
    role = "poster"

    treatment: tuple[Treatment, ...] = ()

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds: several key frames are decoded."""
        return 4 * SECONDS_A_STILL


class PosterOutput(StillOutput, frozen=True):
    """A still of a video: the best of several key frames, neither black nor blurred."""

    table = "poster"
    kinds = (Kind.VIDEO,)
    operations = (PosterParams,)
    roles = (PosterParams.role,)
    order = 50
    in_every_plan = True

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the poster."""
        params = msgspec.structs.replace(self.params(PosterParams, asset.info), treatment=asset.info.treatment)
        yield asset.target(self.file_name, PosterParams.role, params)

    def ffmpeg_encoders(self) -> frozenset[str]:
        """Return PNG: frames come from ffmpeg as such."""
        return frozenset({"png"})


OUTPUT = PosterOutput
