"""``[[hls]]``: a ladder of renditions for streaming, with its audio, subtitles and playlists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec

from mediactl.model import channels
from mediactl.model.assets import Prior, PriorArtefact, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import VIDEO_MAKER, AssetPlan, File, Params, digest_of, stream_name
from mediactl.outputs.encoding import SECONDS_A_SECOND_OF_AUDIO, EncodedParams, Encoding, Lines
from mediactl.outputs.geometry import lines_of, rungs
from mediactl.outputs.subtitles import MOST_STREAMS, TextParams, texts


class StreamParams(EncodedParams, frozen=True, tag="stream", kw_only=True):
    """A rendition as a CMAF track, without audio."""

    segment: float
    """Seconds of a segment."""


class AudioTrackParams(Params, frozen=True, tag="sound"):
    """An audio stream as a CMAF track."""

    encoders = ("ffmpeg",)
    maker = VIDEO_MAKER

    track: int
    """Which of ``MediaInfo.audio``."""
    bitrate: int
    """kbit/s."""
    channels: int
    segment: float
    """Seconds of a segment."""
    gap_threshold: float = 0.0
    """As ``AudioStream`` has it."""
    layout: str = ""
    """Of its channels; "": as libav mixes them."""

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds, by duration."""
        return SECONDS_A_SECOND_OF_AUDIO * (info.duration or 0.0)

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by bit rate."""
        return 125.0 * self.bitrate * (info.duration or 0.0)


class PlaylistParams(Params, frozen=True, tag="playlist"):
    """The media playlist of one file."""

    maker = VIDEO_MAKER
    reads_others = True

    of: str
    """Name of the file."""
    of_key: str
    """Its key."""
    segment: float | None = None
    """Seconds of a segment, of a CMAF track."""
    duration: float | None = None
    """Seconds, of subtitles."""


class MasterParams(Params, frozen=True, tag="master"):
    """The playlist above those of a ladder."""

    maker = VIDEO_MAKER
    reads_others = True

    of: str
    """Names of the playlists, comma between."""
    of_key: str
    """Digest of their keys."""


class HlsOutput(Encoding, frozen=True):
    """A ladder of renditions for streaming: CMAF files, a media playlist for each, and the master playlist
    ``name``.m3u8."""

    table = "hls"
    kinds = (Kind.VIDEO,)
    operations = (StreamParams, AudioTrackParams, TextParams, PlaylistParams, MasterParams)
    roles = ("stream", "sound", "playlist", "master")
    order = 40
    in_every_plan = True

    heights: Annotated[tuple[Lines, ...], msgspec.Meta(min_length=1)] = (1080, 720, 480, 360)
    """One rendition each, like the height of [[video]]. Those that would enlarge the source are left out, except for
    one in its own dimensions."""
    segment: Annotated[float, msgspec.Meta(ge=1, le=30)] = 6.0
    """Approximate duration of a segment, in seconds: it ends at a key frame (every 2 s)."""
    audio: Literal["all", "first", "none"] = "all"
    """Which audio streams to include."""
    subtitles: bool = True
    """Whether to include text subtitles as WebVTT."""

    @property
    def file_name(self) -> str:
        """Name of the master playlist."""
        return f"{self.name}.m3u8"

    @property
    def summary(self) -> str:
        """The label, with its tracks."""
        return f"{self.label} and its tracks"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield each track and its playlist; the master playlist last."""
        playlists = []
        for track in (*self._renditions(asset), *self._audio(asset), *self._texts(asset)):
            yield track
            playlists.append(self._playlist(asset, track))
            yield playlists[-1]
        names = ",".join(playlist.name for playlist in playlists)
        of_key = digest_of([playlist.key for playlist in playlists])
        yield asset.target(self.file_name, "master", MasterParams(names, of_key))

    def _renditions(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        sizes = set()
        for height in rungs(self.heights, lines_of(asset.info.width or 2, asset.info.height or 2)):
            params = self.params(StreamParams, asset, height, segment=self.segment)
            if (size := (params.width, params.height)) not in sizes:
                sizes.add(size)
                yield asset.target(f"{self.name}-{height}.mp4", "stream", params)

    def _audio(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        playable = [number for number, each in enumerate(asset.info.audio) if each.playable][:MOST_STREAMS]
        for number in playable[: {"all": len(playable), "first": 1, "none": 0}[self.audio]]:
            stream = asset.info.audio[number]
            layout = channels.named("m4a", stream, 2)
            params = AudioTrackParams(
                number, self.audio_bitrate, min(2, stream.channels), self.segment, stream.gap_threshold, layout
            )
            yield asset.target(f"{self.name}-audio-{stream_name(number, stream.language)}.mp4", "sound", params)

    def _texts(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        for name, params in texts(asset, f"{self.name}-text") if self.subtitles else ():
            yield asset.target(f"{name}.vtt", "subtitles", params)

    def _playlist(self, asset: AssetPlan, track: Target[Params]) -> Target[Params]:
        if isinstance(track.params, TextParams):
            params = PlaylistParams(track.name, track.key, duration=asset.info.duration or 0.0)
        else:
            params = PlaylistParams(track.name, track.key, segment=self.segment)
        return asset.target(f"{track.name.rpartition('.')[0]}.m3u8", "playlist", params)

    def files(self) -> tuple[File, ...]:
        """Return the master playlist, and file and playlist of each track."""
        found = [File(self.file_name)]
        for height in sorted(set(self.heights), reverse=True):
            found += [File(f"{self.name}-{height}.mp4"), File(f"{self.name}-{height}.m3u8")]
        streams = [("audio", ".mp4")] if self.audio != "none" else []
        streams += [("text", ".vtt")] if self.subtitles else []
        for what, extension in streams:
            found += [File(f"{self.name}-{what}-", end, streams=True) for end in (extension, ".m3u8")]
        return tuple(found)

    @classmethod
    def owns(cls, artefact: PriorArtefact, every: Sequence[PriorArtefact]) -> str | None:
        """Return the name of the master playlist that an artefact belongs to."""
        if artefact.role not in (*cls.roles, "subtitles"):
            return None
        masters = (each.name for each in every if each.role == "master")
        above = (name for name in masters if artefact.name.startswith(name.removesuffix(".m3u8") + "-"))
        return next(above, artefact.name if artefact.role in cls.roles else None)


OUTPUT = HlsOutput
