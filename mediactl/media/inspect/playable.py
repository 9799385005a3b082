"""Which streams of a file can be played: one frame of each is decoded."""

from __future__ import annotations

from typing import Any

import av
import msgspec
from av.container import InputContainer
from av.stream import Disposition

from mediactl.core import machine
from mediactl.core.errors import RejectedInput
from mediactl.media.ffmpeg.allowed import DECODERS
from mediactl.media.inspect import covers, demux, describe
from mediactl.model.media import Limits

_PEEKED = 1_000
"""Packets within which a stream that is met must have yielded a frame."""
_USUAL_CHANNELS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24})
"""Numbers of channels that av_channel_layout_default (libavutil/channel_layout.c) has a layout for."""
_MOST_SAMPLES = 50_000_000
"""A second of audio, for a stream to be processed: twice the rate of DSD512, above which filters keep gigabytes."""
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails


class Playable(msgspec.Struct, frozen=True):
    """PyAV's streams that can be decoded, in the file's order, and the first frame of each by its index."""

    videos: list[Any]
    audios: list[Any]
    frames: dict[int, Any]
    covers: tuple[int, ...] = ()
    """Indexes of streams that are cover art, though they are not marked as such."""

    @property
    def video(self) -> Any:
        """The chosen video stream; None if there is none."""
        return _default(self.videos)

    @property
    def audio(self) -> Any:
        """The audio stream that is played unless another is asked for; None if there is none."""
        return _default(self.audios)

    @property
    def rate(self) -> float | None:
        """Frames a second of the chosen video stream."""
        return _rate(self.video) if self.video else None


def media_streams(container: InputContainer) -> list[Any]:
    """Return the video and audio streams, in the file's order."""
    return [stream for stream in container.streams if stream.type in ("video", "audio")]


def is_allowed(stream: Any) -> bool:
    """Return whether a stream has a decoder, and one that may be used."""
    return bool(stream.codec_context) and stream.codec_context.name in DECODERS


def find_playable(fd: int, container: InputContainer, limits: Limits) -> Playable:
    """Return the streams that can be played, and decode their first frames.

    Raises RejectedInput when nothing can be played, or a frame is too large.
    A file whose video cannot be decoded is no audio file: it is rejected, unless its video has no frames.
    """
    known = [stream for stream in media_streams(container) if is_allowed(stream)]
    videos = [stream for stream in known if stream.type == "video" and not stream.disposition & _NO_VIDEO]
    audios = [stream for stream in known if stream.type == "audio"]
    for stream in videos:
        _check_pixels(stream.codec_context.width, stream.codec_context.height, limits)
    frames = _first_frames(container, [*videos, *audios])
    for stream in videos:
        if frame := frames.get(stream.index):
            _check_pixels(frame.width, frame.height, limits)  # Of a stream that begins late, no size was known before.
    for stream in audios:
        if (frame := frames.get(stream.index)) and frame.sample_rate > _MOST_SAMPLES:
            raise RejectedInput(f"has a sample rate of {frame.sample_rate:,} Hz, more than {_MOST_SAMPLES:,}")
    mixable = [stream for stream in audios if stream.index in frames and _is_mixable(frames[stream.index])]
    single = covers.unmarked(container, lambda: demux.opened(fd, limits), videos, frames) if mixable else []
    videos = [stream for stream in videos if stream not in single]
    playable = Playable(
        [stream for stream in videos if stream.index in frames],
        mixable,
        frames,
        tuple(stream.index for stream in single),
    )
    if not playable.videos and (not playable.audios or any(stream.frames != 0 for stream in videos)):
        raise RejectedInput(_unplayable(media_streams(container)))
    return playable


def _first_frames(container: InputContainer, streams: list[Any]) -> dict[int, Any]:
    """Return the first frame of each stream that has one and can be decoded, by stream index.

    Streams may begin late: they are looked for until all that have packets were met.
    """
    frames: dict[int, Any] = {}
    if not streams:
        return frames
    met = _decoded(container, streams, frames)
    late = [stream for stream in streams if stream.index not in met]
    while late:
        # An index says where they begin, without it all is read; those that are in no index have no packets.
        first = _first_indexed(late)
        if first is not None:
            container.seek(first.index_entries[0].timestamp, stream=first)
        elif "mov" in container.format.name:
            break
        met = _decoded(container, late, frames)
        if not met:
            break
        late = [stream for stream in late if stream.index not in met]
    return frames


def _decoded(container: InputContainer, streams: list[Any], frames: dict[int, Any]) -> set[int]:
    """Decode the next packets of these streams until each has a frame, which is added to ``frames``.

    Return the indexes of the streams that packets came of.
    """
    met: set[int] = set()
    missing = {stream.index for stream in streams}
    for number, packet in enumerate(demux.packets(container, *streams)):
        index = packet.stream.index  # Flushing ones have this alone.
        if packet.size:
            met.add(index)
        if index in missing:
            try:
                decoded = packet.decode()
            except av.FFmpegError as error:
                machine.pass_on(error)
                decoded = []  # A broken packet; the next key frame may be better.
            if decoded:
                frames[index] = decoded[0]
                missing.discard(index)
        if not missing or number >= _PEEKED:
            break
    return met


def _first_indexed(streams: list[Any]) -> Any:
    """Return the stream that begins first by its index; None where none has one."""
    listed = [stream for stream in streams if len(stream.index_entries)]
    return min(listed, key=lambda stream: stream.index_entries[0].timestamp * stream.time_base, default=None)


def _is_mixable(frame: Any) -> bool:
    """Return whether libav can mix this audio down: its layout is named, or its number of channels has a usual one."""
    unnamed = frame.layout.name == f"{frame.layout.nb_channels} channels"
    return not unnamed or frame.layout.nb_channels in _USUAL_CHANNELS


def _default(streams: list[Any]) -> Any:
    """Return the stream marked as the default one by the file's author, else the first; None if there is none."""
    return min(streams, key=lambda stream: (not stream.disposition & Disposition.default, stream.index), default=None)


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise RejectedInput(f"{width}x{height} pixels are more than the limit of {limits.pixels} (limits.pixels)")


def _rate(stream: Any) -> float | None:
    """Return frames a second: the average over the stream, unless a broken header makes nonsense of it."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0.1 <= rate <= 300:
            return float(rate)
    return None


def _unplayable(streams: list[Any]) -> str:
    codecs = sorted({describe.codec(stream) for stream in streams})
    if not codecs:
        return "has no playable stream: it contains neither video nor audio"
    channels = {stream.codec_context.channels for stream in streams if stream.type == "audio" and stream.codec_context}
    if len(streams) == 1 and channels and not channels & _USUAL_CHANNELS:
        return f"has {channels.pop()} audio channels without a layout: they cannot be mixed"
    return f"has no playable stream: cannot decode {', '.join(codecs)}"
