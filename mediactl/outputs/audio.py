"""``[[audio]]``: an audio file as AAC or Opus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from mediactl.model import channels
from mediactl.model.assets import Prior, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import AUDIO_MAKER, EXTENSIONS, AssetPlan, Bitrate, Output, Params
from mediactl.outputs.encoding import SECONDS_A_SECOND_OF_AUDIO, gap_threshold

_DEFAULT_BITRATE = {"m4a": 128, "opus": 96}
"""kbit/s for two channels; Opus at 96 is judged as good as AAC at 128 in public listening tests."""
_MOST_OPUS = 256
"""kbit/s a channel; libopus rejects more."""
_ENCODERS = {"m4a": "aac", "opus": "libopus"}


class AudioParams(Params, frozen=True, tag="audio"):
    """An audio file."""

    version = 2
    encoders = ("ffmpeg",)
    maker = AUDIO_MAKER

    format: str
    bitrate: int
    """kbit/s."""
    channels: int
    cover: bool
    """Whether to keep cover art."""
    loudness: float | None = None
    """LUFS; None: as it is."""
    gap_threshold: float = 0.0
    """As ``AudioStream`` has it."""
    layout: str = ""
    """ffmpeg's name of it; "": the usual one of so many channels."""

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds, by duration: twice where the loudness is measured first."""
        return SECONDS_A_SECOND_OF_AUDIO * (info.duration or 0.0) * (1 if self.loudness is None else 2)

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by bit rate."""
        return 125.0 * self.bitrate * (info.duration or 0.0)


class AudioOutput(Output, frozen=True):
    """An audio file: AAC in .m4a or Opus in .opus."""

    table = "audio"
    kinds = (Kind.AUDIO,)
    operations = (AudioParams,)
    roles = ("audio",)
    order = 90
    in_every_plan = True

    format: Literal["m4a", "opus"] = "m4a"
    """m4a is AAC and plays everywhere; opus is smaller."""
    bitrate: Bitrate | None = None
    """Bit rate in kbit/s for two channels. Default: 128 (AAC), 96 (Opus)."""
    channels: Literal["stereo", "keep"] = "stereo"
    """stereo: at most two. keep: all, up to 8, each at its position; asset.json has a warning where the format has no
    channel for that."""
    loudness: Annotated[float, msgspec.Meta(ge=-40, le=-5)] | None = None
    """Target loudness in LUFS (EBU R128); default: unchanged."""
    cover: bool = True
    """Whether to keep cover art."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the file; mono stays mono, and takes fewer bits."""
        stream = asset.info.played
        most = 8 if self.channels == "keep" else 2
        layout = channels.named(self.format, stream, most) if stream else ""
        count = len(channels.LAYOUTS[self.format][layout]) if layout else min(most, stream.channels if stream else 2)
        full = _DEFAULT_BITRATE[self.format] if self.bitrate is None else self.bitrate
        bitrate = max(8, full * 5 // 8) if count == 1 else full * max(1, count // 2)
        if self.format == "opus":
            bitrate = min(bitrate, _MOST_OPUS * count)
        threshold = gap_threshold(asset.info)
        params = AudioParams(self.format, bitrate, count, self.cover, self.loudness, threshold, layout)
        yield asset.target(self.file_name, "audio", params)

    def ffmpeg_encoders(self) -> frozenset[str]:
        """Return the encoder of the format."""
        return frozenset({_ENCODERS[self.format]})


OUTPUT = AudioOutput
