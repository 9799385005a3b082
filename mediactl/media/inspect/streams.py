"""What is in a video or audio file: streams, dimensions as shown, how long it really lasts, tags without a location.

Headers lie and files are truncated, so a duration is taken from the index or from the last packets, and one frame
of every stream is decoded. Nothing but the given descriptor is ever opened.
"""

from __future__ import annotations

from typing import Any

import msgspec
from av.container import InputContainer
from av.stream import Discard

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect import covers, demux, describe, metadata
from mediactl.media.inspect.containers import announced, flv
from mediactl.media.inspect.frames import appearance, frame_sizes
from mediactl.media.inspect.frames.appearance import Appearance
from mediactl.media.inspect.playable import Playable, find_playable, media_streams
from mediactl.media.inspect.timing import durations, timeline
from mediactl.media.inspect.timing.cadence import Cadence
from mediactl.media.inspect.timing.durations import Timing
from mediactl.media.inspect.timing.gaps import Gaps
from mediactl.media.limits import require
from mediactl.model.media import AudioStream, Limits, MediaInfo, SubtitleStream, Treatment, VideoStream

LOCATION_KEYS = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
"""Apple's item, and libav's names for the atoms "©xyz" (Android) and "loci" (3GPP)."""


class InputVideo(msgspec.Struct, frozen=True):
    """The chosen video stream, as far as rendering needs it beyond ``VideoStream``. Numbers are H.273's."""

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
    treatment: tuple[Treatment, ...] = ()
    decoder: str = ""
    """ffmpeg's name of the decoder that it needs; "" for the usual one."""


class InputAudio(msgspec.Struct, frozen=True):
    """An audio stream that can be played."""

    index: int
    end: float
    """Seconds from the file's start to the end of its last sample."""
    stream: AudioStream
    ordinal: int = 0
    """Its index in ``MediaInfo.audio``."""
    sample_format: str = ""
    """libav's name of what is decoded, "fltp"."""
    input_options: dict[str, int] = {}
    """As in ``Streams``."""


class InputSubtitle(msgspec.Struct, frozen=True):
    """A subtitle stream."""

    index: int
    ordinal: int
    """Its index in ``MediaInfo.texts``."""
    stream: SubtitleStream


class Streams(msgspec.Struct, frozen=True):
    """A source's streams: those chosen to be played, and how many there are of the others."""

    info: MediaInfo
    video: InputVideo | None
    audio: InputAudio | None
    """The one that is played unless another is asked for."""
    covers: tuple[int, ...]
    """Indexes of the streams that are cover art."""
    data_count: int
    """Number of data streams (timecode, telemetry ...); without the one that libav read the chapters from, which it
    has the reader discard."""
    video_count: int
    """Number of video streams with frames, the chosen one included."""
    audios: tuple[InputAudio, ...] = ()
    """All that can be played, in the file's order."""
    subtitles: tuple[InputSubtitle, ...] = ()
    """All subtitle streams, in the file's order."""
    input_options: dict[str, int] = {}
    """Options of ffmpeg's input with which it follows the time stamps as probing does."""


def probe(fd: int, format: str, limits: Limits, *, location: bool = False) -> MediaInfo:
    """Return streams, dimensions, duration and tags of a file. Raises RejectedInput with a one-line reason.

    The GPS position is read for ``location`` alone.
    """
    announced.check(fd, limits)
    info = inspect(fd, format, limits).info
    if video := info.video:
        pixels = video.width * video.height * (video.frames or round((info.duration or 0.0) * (video.fps or 0.0)))
        require(pixels, limits, "video_pixels", "pixels in all frames")
    if not location:
        return info
    with demux.opened(fd, limits) as container:
        position = _gps_position(container)
    return msgspec.structs.replace(info, tags={**info.tags, "place": position}) if position else info


def inspect(fd: int, format: str, limits: Limits, probed: MediaInfo | None = None) -> Streams:
    """Return what ``probe`` does, with what rendering needs. The descriptor's position is left anywhere.

    ``probed`` is what probing the same file has found: its frames are not counted again.
    """
    with demux.opened(fd, limits) as container:
        _check_streams(container, limits)
        playable = find_playable(fd, container, limits)
        gaps = Gaps(container, playable.audios)
        timing = _timing(fd, container, playable, limits, probed, gaps)
        ends = timing.ends
        duration = max(ends[stream.index] for stream in (playable.video, playable.audio) if stream)
        if duration <= 0:
            raise RejectedInput("has a duration of zero: there is nothing to play")
        look = _appearance(fd, container, playable, ends, limits)
        video = _video_stream(fd, playable, look, timing, limits, probed.video if probed else None)
        audio = _with_gaps(_audio_streams(container, playable, ends), container, playable, probed, gaps)
        options = timeline.input_options(container, timing.discontinuities) | flv.open_options(fd)
        audios = _input_audios(container, playable, audio, ends, options)
        subtitles = _input_subtitles(container)
        info = MediaInfo(
            format=format,
            width=video.width if video else None,
            height=video.height if video else None,
            duration=round(duration, 6),
            video=video,
            audio=audio,
            default_audio=next((each.ordinal for each in audios if each.index == playable.audio.index), 0),
            subtitles=tuple(subtitle.stream.codec for subtitle in subtitles),
            texts=tuple(subtitle.stream for subtitle in subtitles),
            chapters=describe.chapters(container, duration),
            discontinuities=timing.discontinuities,
            tags=describe.tags(container, playable.audio),
            warnings=timing.warnings,
        )
        return Streams(
            info=info,
            video=_input_video(playable, look, video, ends),
            audio=next((each for each in audios if each.index == playable.audio.index), None),
            covers=(*(each.index for each in media_streams(container) if covers.is_marked(each)), *playable.covers),
            data_count=sum(
                stream.type == "data" and not (info.chapters and stream.discard == Discard.all)
                for stream in container.streams
            ),
            video_count=len(playable.videos),
            audios=audios,
            subtitles=subtitles,
            input_options=options,
        )


def _check_streams(container: InputContainer, limits: Limits) -> None:
    """Raise RejectedInput when a file has more streams or attachments than a limit allows."""
    attachments = sum(each.type == "attachment" or covers.is_marked(each) for each in container.streams)
    require(attachments, limits, "attachments", "attachments")
    require(len(container.streams) - attachments, limits, "streams", "streams")


def _timing(
    fd: int, container: InputContainer, playable: Playable, limits: Limits, probed: MediaInfo | None, gaps: Gaps
) -> Timing:
    """Return when the chosen video and the playable audio streams begin and end, in seconds from the file's start.

    ``gaps`` is given the packets of audio streams that are read for it.
    Raises RejectedInput when the file's end is missing, or it is longer than the limit.
    """
    return durations.measure(
        fd,
        container,
        lambda: demux.opened(fd, limits),
        [playable.video, *playable.audios] if playable.video else playable.audios,
        video=playable.video,
        rate=playable.rate,
        longest=limits.duration,
        audios=gaps.unread,
        known=_known_timing(container, playable, probed) if probed else None,
    )


def _known_timing(container: InputContainer, playable: Playable, probed: MediaInfo) -> Timing | None:
    """Return the timing that probing has found; None where it is of other streams."""
    audios = [stream for stream in media_streams(container) if stream.type == "audio"]
    ends = {
        stream.index: audio.duration
        for stream, audio in zip(audios, probed.audio, strict=False)
        if audio.duration is not None
    }
    starts = {}
    if playable.video and probed.video and probed.video.duration is not None:
        index = playable.video.index
        starts[index] = probed.video.start
        ends[index] = probed.video.start + probed.video.duration
    timed = [playable.video, *playable.audios] if playable.video else playable.audios
    if any(stream.index not in ends for stream in timed):
        return None
    return Timing(ends, starts=starts, discontinuities=probed.discontinuities, warnings=probed.warnings)


def _appearance(
    fd: int, container: InputContainer, playable: Playable, ends: dict[int, float], limits: Limits
) -> Appearance | None:
    stream = playable.video
    if not stream:
        return None
    return appearance.of(fd, container, stream, playable.frames[stream.index], ends[stream.index], limits)


def _input_video(
    playable: Playable, look: Appearance | None, shown: VideoStream | None, ends: dict[int, float]
) -> InputVideo | None:
    stream = playable.video
    if not stream or not look or not shown:
        return None
    frame = playable.frames[stream.index]
    return InputVideo(
        index=stream.index,
        end=ends[stream.index],
        rate=playable.rate,
        primaries=look.tags.primaries,
        transfer=look.tags.transfer,
        matrix=look.tags.matrix,
        rgb=appearance.is_rgb(frame),
        interlaced=bool(frame.interlaced_frame),
        treatment=shown.treatment,
        decoder=look.decoder,
    )


def _video_stream(
    fd: int,
    playable: Playable,
    look: Appearance | None,
    timing: Timing,
    limits: Limits,
    known: VideoStream | None,
) -> VideoStream | None:
    stream = playable.video
    if not stream or not look:
        return None
    frame, start, end = playable.frames[stream.index], _start(stream, timing), timing.ends[stream.index]
    video = describe.video(stream, frame, look, playable.rate, start, end)
    if known and known.rate:
        treatment = (*video.treatment, *(each for each in known.treatment if each is Treatment.LETTERBOXED))
        return msgspec.structs.replace(
            video, fps=known.fps, rate=known.rate, frames=known.frames, even=known.even, longest=known.longest,
            shapes=known.shapes, treatment=treatment,
        )  # fmt: skip
    return _with_cadence(video, timing.cadence or durations.count(stream, lambda: demux.opened(fd, limits)))


def _start(stream: Any, timing: Timing) -> float:
    """Return when a stream begins: libav does not know it of one that begins late."""
    start = max(0.0, float((stream.start_time or 0) * stream.time_base) - timing.start)
    packets = timing.starts.get(stream.index, start)
    return packets if timing.discontinuities or packets > start + durations.TOLERANCE else start


def _with_cadence(video: VideoStream, found: Cadence) -> VideoStream:
    """Add the exact rate and number of frames, and whether they come evenly and at one size."""
    rate = str(found.rate) if found.rate else ""
    # Headers of Matroska may state twice the rate, that of fields.
    fps = round(float(found.rate), 3) if found.rate else video.fps
    treatment = (*video.treatment, *([Treatment.LETTERBOXED] if frame_sizes.need_bars(found.shapes) else []))
    return msgspec.structs.replace(
        video, fps=fps, rate=rate, frames=found.frames or None, even=found.even, longest=round(found.longest, 6),
        shapes=found.shapes, treatment=treatment,
    )  # fmt: skip


def _audio_streams(container: InputContainer, playable: Playable, ends: dict[int, float]) -> tuple[AudioStream, ...]:
    """Return all audio streams, those that cannot be played included."""
    return tuple(
        describe.audio(stream, playable.frames.get(stream.index), ends.get(stream.index), stream in playable.audios)
        for stream in media_streams(container)
        if stream.type == "audio"
    )


def _with_gaps(
    described: tuple[AudioStream, ...],
    container: InputContainer,
    playable: Playable,
    probed: MediaInfo | None,
    gaps: Gaps,
) -> tuple[AudioStream, ...]:
    """Add from which deviation of its time stamps on each stream has a gap: measured, or as already known."""
    if probed and len(probed.audio) == len(described):
        found = [(each.gap_threshold, each.first_gap) for each in probed.audio]
    else:
        audios = [stream for stream in media_streams(container) if stream.type == "audio"]
        found = [gaps.measured(stream.index) if stream in playable.audios else (0.0, 0.0) for stream in audios]
    return tuple(
        msgspec.structs.replace(stream, gap_threshold=threshold, first_gap=first)
        for stream, (threshold, first) in zip(described, found, strict=True)
    )


def _input_audios(
    container: InputContainer,
    playable: Playable,
    described: tuple[AudioStream, ...],
    ends: dict[int, float],
    options: dict[str, int],
) -> tuple[InputAudio, ...]:
    audios = [stream for stream in media_streams(container) if stream.type == "audio"]
    return tuple(
        InputAudio(
            stream.index,
            ends[stream.index],
            described[ordinal],
            ordinal,
            playable.frames[stream.index].format.name,
            options,
        )
        for ordinal, stream in enumerate(audios)
        if stream in playable.audios
    )


def _input_subtitles(container: InputContainer) -> tuple[InputSubtitle, ...]:
    streams = [stream for stream in container.streams if stream.type == "subtitle"]
    return tuple(
        InputSubtitle(stream.index, ordinal, describe.subtitle(stream)) for ordinal, stream in enumerate(streams)
    )


def _gps_position(container: InputContainer) -> str:
    found = {key.lower(): value for key, value in container.metadata.items()}
    return next((position for key in LOCATION_KEYS if (position := metadata.gps_position(found.get(key, "")))), "")
