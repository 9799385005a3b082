"""What is in a film or a recording: tracks, geometry as shown, how long it really lasts, tags without places.

Headers lie and recordings are cut off, so a duration is taken from the index or from the last packets, and one frame
of every track is decoded. Nothing but the given descriptor is ever opened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import msgspec
from av.container import InputContainer
from av.stream import Disposition

from mediactl.core.errors import JobFailed, MediactlError, RejectedInput
from mediactl.media.ffmpeg import process
from mediactl.media.inspect import cadence, describe, durations, metadata
from mediactl.model.media import AudioStream, Limits, MediaInfo, SubtitleStream, VideoStream

HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273, table 3) of high dynamic range."""
DAMAGED = 2
"""Complaints of ffmpeg's from which on a source is called damaged: one odd packet at either end is usual."""

_PLACES = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
"""Apple's item, and libav's names for the atoms "©xyz" (Android) and "loci" (3GPP)."""
_PEEKED = 1_000
"""Packets within which every playable track must have shown a frame."""
_JUDGED = 3_000
"""Packets that are decoded to tell whether a source is broken."""
_DELAYED, _PATIENCE = 30, 2.0
"""Packets and seconds after which a decoder must have shown a frame: with B-frames and threads it holds some back."""
_ROUNDED = 0.001
_USUAL_CHANNELS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24})
"""Numbers of channels that av_channel_layout_default (libavutil/channel_layout.c) knows a layout for."""
_METADATA: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
"""Bytes of tags that are not UTF-8 become surrogates, as PyAV 19 always has it; ``describe.clean`` replaces them."""
_SKIPPED = Disposition.attached_pic | Disposition.timed_thumbnails


class Picture(msgspec.Struct, frozen=True):
    """The chosen video track, as far as rendering needs it beyond ``VideoStream``. Numbers are H.273's."""

    index: int
    end: float
    """Seconds from the file's start to the end of its last frame."""
    rate: float | None
    """Frames a second."""
    primaries: int
    transfer: int
    matrix: int
    rgb: bool
    interlaced: bool


class Sound(msgspec.Struct, frozen=True):
    """A sound track that can be played."""

    index: int
    end: float
    """Seconds from the file's start to the end of its last sample."""
    track: AudioStream
    ordinal: int = 0
    """Its place in ``MediaInfo.audio``."""


class Text(msgspec.Struct, frozen=True):
    """A subtitle track."""

    index: int
    ordinal: int
    """Its place in ``MediaInfo.texts``."""
    track: SubtitleStream


class Streams(msgspec.Struct, frozen=True):
    """A source's tracks: those chosen to be played, and how many of the others there are."""

    info: MediaInfo
    picture: Picture | None
    sound: Sound | None
    """The one that is heard unless another is asked for."""
    cover: bool
    """Whether there is cover art."""
    data: int
    """Number of data tracks (timecode, telemetry ...)."""
    videos: int
    """Number of video tracks with frames, the chosen one included."""
    sounds: tuple[Sound, ...] = ()
    """All that can be played, in the file's order."""
    texts: tuple[Text, ...] = ()
    """All subtitle tracks, in the file's order."""


def probe(fd: int, format: str, limits: Limits, *, place: bool = False) -> MediaInfo:
    """Tracks, geometry, duration and tags of a film or recording. Raises RejectedInput with a one-line reason.

    Where it was taken is read for ``place`` alone.
    """
    info = inspect(fd, format, limits).info
    if not place:
        return info
    with opened(fd, limits) as container:
        where = _place(container)
    return msgspec.structs.replace(info, tags={**info.tags, "place": where}) if where else info


def inspect(fd: int, format: str, limits: Limits, probed: MediaInfo | None = None) -> Streams:
    """Like ``probe``, with what rendering needs. The descriptor's position is left anywhere.

    ``probed`` is what was found when the same file was probed: its frames are not counted again.
    """
    with opened(fd, limits) as container:
        media = [stream for stream in container.streams if stream.type in ("video", "audio")]
        known = [stream for stream in media if stream.codec_context]
        films = [stream for stream in known if stream.type == "video" and not stream.disposition & _SKIPPED]
        sounds = [stream for stream in known if stream.type == "audio"]
        for stream in films:
            _check_pixels(stream, limits)
        frames = _first_frames(container, [*films, *sounds])
        for stream in sounds:
            if stream.index in frames and not _mixable(frames[stream.index]):
                del frames[stream.index]
        film = _best([stream for stream in films if stream.index in frames])
        sound = _best([stream for stream in sounds if stream.index in frames])
        if film is None and (sound is None or any(stream.frames != 0 for stream in films)):
            raise RejectedInput(_unplayable(media))
        rate = _rate(film) if film else None
        _check_duration((container.duration or 0) / 1e6, limits)
        playable = [stream for stream in sounds if stream.index in frames]
        ends, warning = durations.ends(
            fd, container, lambda: opened(fd, limits), [film, *playable] if film else playable, rate
        )
        duration = max(ends[stream.index] for stream in (film, sound) if stream)
        if duration <= 0:
            raise RejectedInput("has a duration of zero: there is nothing to play")
        _check_duration(duration, limits)
        picture = _picture(film, frames[film.index], rate, ends[film.index]) if film else None
        video = _video(film, frames[film.index], rate, ends[film.index]) if film else None
        if film and video:
            video = _counted(video, fd, film.index, limits, probed.video if probed else None)
        audible = [stream for stream in media if stream.type == "audio"]
        audio = tuple(describe.audio(each, ends.get(each.index), each in playable) for each in audible)
        heard = tuple(
            Sound(stream.index, ends[stream.index], audio[ordinal], ordinal)
            for ordinal, stream in enumerate(audible)
            if stream in playable
        )
        written = [stream for stream in container.streams if stream.type == "subtitle"]
        texts = tuple(Text(stream.index, ordinal, describe.text(stream)) for ordinal, stream in enumerate(written))
        info = MediaInfo(
            format=format,
            width=video.width if video else None,
            height=video.height if video else None,
            duration=round(duration, 6),
            video=video,
            audio=audio,
            subtitles=tuple(text.track.codec for text in texts),
            texts=tuple(text.track for text in texts),
            chapters=describe.chapters(container, duration),
            tags=describe.tags(container, sound),
            warnings=(warning,) if warning else (),
        )
        return Streams(
            info=info,
            picture=picture,
            sound=next((each for each in heard if sound and each.index == sound.index), None),
            cover=any(stream.disposition & Disposition.attached_pic for stream in media),
            data=sum(stream.type == "data" for stream in container.streams),
            videos=sum(stream.index in frames for stream in films),
            sounds=heard,
            texts=texts,
        )


def reinspect(fd: int, name: str, limits: Limits) -> Streams:
    """The tracks of an output of ours, after its first, middle and last frames were decoded.

    Raises JobFailed when it is broken.
    """
    try:
        made = inspect(fd, "", limits)
        _check_no_place(fd, name, limits)
        tracks = ([made.picture] if made.picture else []) + list(made.sounds)
        duration = made.info.duration or 0.0
        last = max(0.0, duration - durations.TOLERANCE)
        for place, second in (("first", 0.0), ("middle", duration / 2), ("last", last)):
            reaching = [track.index for track in tracks if place == "last" or track.end > second + durations.TOLERANCE]
            if not _decodes(fd, second, reaching, to_the_end=place == "last"):
                raise JobFailed(f"{name}: came out broken: its {place} frames cannot be decoded")
    except RejectedInput as error:
        raise JobFailed(f"{name}: came out broken: {error}") from error
    return made


def _check_no_place(fd: int, name: str, limits: Limits) -> None:
    with opened(fd, limits) as container:
        for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
            if any(key.lower().startswith(_PLACES) for key in metadata):
                raise JobFailed(f"{name}: came out with the place where it was taken")


def judged(error: process.FfmpegFailed, fd: int, limits: Limits) -> MediactlError:
    """RejectedInput when ffmpeg failed for a source that is broken, else the error itself, which is worth a retry."""
    if error.status > 0 and (error.blames_input or _damaged(fd, limits)):
        return RejectedInput(f"cannot be decoded: {process.telling(error.stderr)}")
    return error


@contextmanager
def opened(fd: int, limits: Limits | None = None) -> Iterator[InputContainer]:
    """A container opened from a descriptor, at its start, which can open nothing else.

    Raises RejectedInput when it is none of the containers that are allowed, or broken at its beginning; libav errors
    inside the block become RejectedInput as well, errors of the disk JobFailed.
    """
    options = {"fd": str(fd), "protocol_whitelist": process.PROTOCOLS, "format_whitelist": process.DEMUXERS}
    if limits:
        options["max_pixels"] = str(limits.pixels)
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        with av.open("fd:", "r", options=options, **_METADATA) as container:
            yield container
    except av.FFmpegError as error:
        if error.errno == errno.EIO:
            raise JobFailed(f"the source cannot be read: {error.strerror}") from error
        raise RejectedInput(_unopenable(fd)) from error


def _first_frames(container: InputContainer, streams: list[Any]) -> dict[int, Any]:
    """The first frame of each stream that has one and can be decoded, by stream index."""
    frames: dict[int, Any] = {}
    if not streams:
        return frames
    for number, packet in enumerate(durations.packets(container, *streams)):
        index = packet.stream.index
        if index not in frames:
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                decoded = []  # A broken packet; the next key frame may be better.
            if decoded:
                frames[index] = decoded[0]
        if len(frames) == len(streams) or number >= _PEEKED:
            break
    return frames


def _decodes(fd: int, second: float, indexes: list[int], *, to_the_end: bool) -> bool:
    """Whether each of these streams soon shows a frame from ``second`` on, or before if there is no packet then.

    ``to_the_end``: all that follows is decoded, and a frame of whatever time is enough.
    """
    missing = set(indexes)
    shown: set[int] = set()
    later = dict.fromkeys(indexes, 0)
    with opened(fd) as container:
        wanted = (container.start_time or 0) / 1e6 + second - _ROUNDED
        container.seek(int(second * 1e6))
        for packet in durations.packets(container, *(container.streams[index] for index in indexes)):
            index = packet.stream.index
            for frame in packet.decode():
                shown.add(index)
                if to_the_end or frame.time is None or frame.time >= wanted:
                    missing.discard(index)
            if not missing and not to_the_end:
                break
            if (
                packet.pts is not None
                and packet.time_base
                and (place := float(packet.pts * packet.time_base)) >= wanted
            ):
                later[index] += 1
                if index in missing and later[index] > _DELAYED and place > wanted + _PATIENCE:
                    return False
    return all(index in shown and not later[index] for index in missing)


def _damaged(fd: int, limits: Limits) -> bool:
    """Whether a decoder stumbles within the first packets."""
    with opened(fd, limits) as container:
        media = [stream for stream in container.streams if stream.type in ("video", "audio") and stream.codec_context]
        for number, packet in enumerate(durations.packets(container, *media)):
            try:
                packet.decode()
            except av.FFmpegError:
                return True
            if number >= _JUDGED:
                break
    return False


def _mixable(frame: Any) -> bool:
    """Whether libav can mix a sound down: what channels it has is said, or there is a usual layout of so many."""
    unsaid = frame.layout.name == f"{frame.layout.nb_channels} channels"
    return not unsaid or frame.layout.nb_channels in _USUAL_CHANNELS


def _best(streams: list[Any]) -> Any:
    """The track that the file's author marked as the default one, else the first; None if there is none."""
    return min(streams, key=lambda stream: (not stream.disposition & Disposition.default, stream.index), default=None)


def _check_pixels(stream: Any, limits: Limits) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.pixels:
        raise RejectedInput(f"{width}x{height} pixels are more than the limit of {limits.pixels} (limits.pixels)")


def _check_duration(duration: float, limits: Limits) -> None:
    if duration > limits.duration:
        raise RejectedInput(f"lasts {duration:.0f} s, the limit is {limits.duration:.0f} s (limits.duration)")


def _rate(stream: Any) -> float | None:
    """Frames a second. The average over the track, unless that is nonsense of a broken header."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0.1 <= rate <= 300:
            return float(rate)
    return None


def _picture(stream: Any, frame: Any, rate: float | None, end: float) -> Picture:
    return Picture(
        index=stream.index,
        end=end,
        rate=rate,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        matrix=frame.colorspace,
        rgb=frame.format.is_rgb or frame.format.has_palette,
        interlaced=bool(frame.interlaced_frame),
    )


def _video(stream: Any, frame: Any, rate: float | None, end: float) -> VideoStream:
    # PyAV counts degrees counter-clockwise, -180 to 180, from the frame's display matrix.
    rotation = round(-frame.rotation / 90) * 90 % 360
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = aspect if Fraction(1, 5) <= aspect <= 5 else Fraction(1)
    width, height = max(1, round(frame.width * aspect)), frame.height
    if rotation in (90, 270):
        width, height = height, width
    start = max(0.0, float((stream.start_time or 0) * stream.time_base) - (stream.container.start_time or 0) / 1e6)
    return VideoStream(
        codec=describe.codec(stream),
        width=width,
        height=height,
        rotation=rotation,
        fps=round(rate, 3) if rate else None,
        frames=stream.frames or None,
        duration=round(end - start, 6),
        pixel_format=frame.format.name,
        transfer=describe.TRANSFERS.get(frame.color_trc, ""),
        start=round(start, 6),
        interlaced=bool(frame.interlaced_frame),
    )


def _counted(video: VideoStream, fd: int, index: int, limits: Limits, known: VideoStream | None) -> VideoStream:
    """With the exact rate and number of frames, and whether they come evenly: counted, or as it is known."""
    if known and known.rate:
        return msgspec.structs.replace(video, fps=known.fps, rate=known.rate, frames=known.frames, even=known.even)
    with opened(fd, limits) as again:
        found = cadence.measure(again, again.streams[index])
    rate = str(found.rate) if found.rate else ""
    # Headers of Matroska may tell twice the rate, that of fields.
    fps = round(float(found.rate), 3) if found.rate else video.fps
    return msgspec.structs.replace(video, fps=fps, rate=rate, frames=found.frames or None, even=found.even)


def _place(container: InputContainer) -> str:
    found = {key.lower(): value for key, value in container.metadata.items()}
    return next((place for key in _PLACES if (place := metadata.place_of(found.get(key, "")))), "")


def _unplayable(streams: list[Any]) -> str:
    codecs = sorted({describe.codec(stream) for stream in streams})
    if not codecs:
        return "has no playable track: neither a film nor sound is in it"
    channels = {stream.codec_context.channels for stream in streams if stream.type == "audio" and stream.codec_context}
    if len(streams) == 1 and channels and not channels & _USUAL_CHANNELS:
        return f"has {channels.pop()} sound channels and does not say which is which: they cannot be mixed"
    return f"has no playable track: nothing can be decoded of {', '.join(codecs)}"


def _unopenable(fd: int) -> str:
    kinds = {kind for kind, _, _ in durations.boxes(fd)}
    if b"moov" not in kinds and kinds & {b"mdat", b"ftyp"}:
        return "the index (moov) is missing: the recording was cut off"
    return "is no film or recording of a kind that is opened here, or broken at its beginning"
