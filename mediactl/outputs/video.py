"""``[[video]]``: a video as one MP4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mediactl.model import channels
from mediactl.model.assets import Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import AssetPlan, Params
from mediactl.outputs.encoding import EncodedParams, Encoding, Lines, gap_threshold


class VideoParams(EncodedParams, frozen=True, tag="video", kw_only=True):
    """A rendition with its audio, in one MP4."""

    version = 2

    sound: bool
    """Whether there is any."""
    audio_bitrate: int
    """kbit/s."""
    uneven: bool = False
    """Whether some frames last much longer than others, so that decoding times differ from those of display."""
    gap_threshold: float = 0.0
    """As ``AudioStream`` has it."""
    audio_layout: str = ""
    """Of its channels; "": as libav mixes them."""

    def audio_bytes(self, info: MediaInfo) -> float:
        """Return the expected bytes of its audio."""
        return 125.0 * self.audio_bitrate * (info.duration or 0.0) if self.sound else 0.0


class VideoOutput(Encoding, frozen=True):
    """One MP4 for download or progressive playback."""

    table = "video"
    kinds = (Kind.VIDEO,)
    operations = (VideoParams,)
    roles = ("rendition",)
    order = 30
    in_every_plan = True

    format: Literal["mp4"] = "mp4"
    """Format of the file."""
    height: Lines = 720
    """Height of the 16:9 frame to fit into, landscape or portrait: 720 is 1280 x 720 or 720 x 1280. Never enlarged."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.mp4"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the rendition."""
        audio, uneven = asset.info.played, bool(asset.info.video and asset.info.video.uneven)
        more = {"sound": audio is not None, "audio_bitrate": self.audio_bitrate, "uneven": uneven}
        layout, threshold = channels.named("m4a", audio, 2) if audio else "", gap_threshold(asset.info)
        params = self.params(VideoParams, asset, self.height, **more, gap_threshold=threshold, audio_layout=layout)
        yield asset.target(self.file_name, "rendition", params)


OUTPUT = VideoOutput
