"""Mux encoded streams by copy: one MP4 to download, or one CMAF track for streaming.

Video comes as MP4s of one stream, in order: a whole video with its own times, or pieces, each of which begins where
the frames of the previous one end. Audio comes whole. No frame is changed, and equal input gives equal bytes.
"""

from __future__ import annotations

import errno
import heapq
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import msgspec
from av.stream import Disposition

from mediactl.core.errors import JobFailed, MachineBlocked
from mediactl.core.files import shown
from mediactl.media.mp4 import cmaf, index, languages
from mediactl.media.mp4.cmaf import Sample
from mediactl.media.mp4.joined import Extent, Joined, Timed, file_url, packets
from mediactl.model.media import Chapter

GOP = 2.0
"""Seconds between the key frames of a video by default."""

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_MILLI = Fraction(1, 1000)


class AudioFile(msgspec.Struct, frozen=True):
    """An encoded audio stream: an .m4a from time 0."""

    file: bytes
    language: str = ""
    """ISO 639-2 or BCP 47."""
    title: str = ""


def mp4(
    videos: Sequence[bytes],
    audios: Sequence[AudioFile],
    path: bytes,
    *,
    start: float = 0.0,
    rate: Fraction | None = None,
    source: Extent | None = None,
    chapters: Sequence[Chapter] = (),
) -> None:
    """Write an MP4 that plays while it is downloaded. The first audio stream is the default.

    ``start`` (seconds) is added to the times of the video; ``rate`` is the frames a second of an even video, None of
    others, which last as long as their ``source``.
    Raises JobFailed when the pieces do not belong together, MachineBlocked when the disk refuses writes.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with _libav_errors(path):
        with (
            Joined(videos, rate, source) as joined,
            av.open(file_url(path), "w", format="mp4", options=options) as made,
        ):
            video = made.add_stream_from_template(joined.stream, opaque=True)
            video.time_base = joined.stream.time_base
            offset = round(Fraction(start) / joined.tick)
            feeds = [_video_packets(joined.frames(), video, offset, joined.tick)]
            opened = [av.open(file_url(audio.file), "r") for audio in audios]
            try:
                for audio, container in zip(audios, opened, strict=True):
                    stream = made.add_stream_from_template(container.streams.audio[0], opaque=True)
                    stream.time_base = container.streams.audio[0].time_base
                    stream.metadata.clear()
                    if audio.language:
                        stream.metadata["language"] = languages.three_letters(audio.language)
                    if audio.title:
                        stream.metadata["title"] = stream.metadata["handler_name"] = audio.title
                    stream.disposition = Disposition.default if audio is audios[0] else Disposition(0)
                    feeds.append(_audio_packets(container, stream))
                made.set_chapters([_chapter(number, chapter) for number, chapter in enumerate(chapters)])
                made.start_encoding()
                for _, _, packet in heapq.merge(*feeds, key=lambda item: item[:2]):
                    made.mux_one(packet)
            finally:
                for container in opened:
                    container.close()
        index.correct(path)


def video_track(
    videos: Sequence[bytes],
    path: bytes,
    *,
    segment: float,
    start: float = 0.0,
    rate: Fraction | None = None,
    source: Extent | None = None,
    gop: float = GOP,
) -> None:
    """Write a video as a CMAF track: a fragment for each key frame, in segments of about ``segment`` seconds.

    ``rate`` and ``source``: as for ``mp4``. A video that starts late (``start``, or its own times) is shown
    from 0 on, since players expect all tracks to begin together. Raises as ``mp4``.
    """
    with _libav_errors(path), Joined(videos, rate, source) as joined, open(path, "wb") as file:
        writer = cmaf.Writer(file, cmaf.origin(videos[0]), lead=joined.lead())
        interval, count = cutting(segment, rate, gop)
        length, current = interval * count, -1
        # Half a frame of tolerance where key frames have exact times, else a millisecond.
        slack = 1 / (2 * rate) if rate else _MILLI
        offset = round(Fraction(start) / joined.tick)
        for group in _groups(joined.frames(), joined.tick, offset):
            number = int((group[0].start * joined.tick + slack) / length)
            writer.fragment(group, opens=number > current)
            current = max(current, number)


def audio_track(
    audio: bytes,
    path: bytes,
    *,
    segment: float,
    language: str = "",
    rate: Fraction | None = None,
    gop: float = GOP,
) -> None:
    """Write audio (an .m4a from time 0) as a CMAF track, cut where ``video_track`` cuts a video of this ``rate``.

    The encoder's priming before time 0 is skipped by an edit list. Raises as ``mp4``.
    """
    with _libav_errors(path), av.open(file_url(audio), "r") as source, open(path, "wb") as file:
        stream = source.streams.audio[0]
        tick = stream.time_base
        assert tick
        interval, count = cutting(segment, rate, gop)
        writer: cmaf.Writer | None = None
        group: list[Sample] = []
        number = 0
        for packet in source.demux(stream):
            if packet.pts is None:
                continue
            if writer is None:
                described, language = cmaf.origin(audio), languages.three_letters(language)
                writer = cmaf.Writer(file, described, lead=max(0, -packet.pts), language=language)
            # The boundary is at the nearest packet.
            if group and (packet.pts + Fraction(packet.duration or 0, 2)) * tick >= (number + 1) * interval:
                writer.fragment(group, opens=number % count == 0)
                group, number = [], number + 1
            group.append(Sample(bytes(packet), packet.pts, packet.duration or 0, True))
        if writer is None or not group:
            raise JobFailed(f"{shown(os.path.basename(audio))}: invalid output: no audio")
        writer.fragment(group, opens=number % count == 0)


def cutting(segment: float, rate: Fraction | None, gop: float = GOP) -> tuple[Fraction, int]:
    """Return the seconds from one key frame to the next, exactly, and how many of these make a segment."""
    interval = max(1, round(rate * Fraction(gop))) / rate if rate else Fraction(gop)
    return interval, max(1, round(Fraction(segment) / interval))


def _video_packets(
    frames: Iterator[Timed], stream: Any, offset: int, tick: Fraction
) -> Iterator[tuple[Fraction, int, Any]]:
    for frame in frames:
        packet = frame.packet
        packet.stream, packet.time_base = stream, tick
        packet.pts, packet.dts, packet.duration = frame.pts + offset, frame.dts + offset, frame.duration
        yield packet.dts * tick, stream.index, packet


def _audio_packets(source: Any, stream: Any) -> Iterator[tuple[Fraction, int, Any]]:
    for packet in packets(source, source.streams.audio[0]):
        packet.stream = stream
        yield packet.dts * packet.time_base, stream.index, packet


def _groups(frames: Iterator[Timed], tick: Fraction, offset: int) -> Iterator[list[Sample]]:
    """Yield groups from key frame to key frame, each frame lasting until the next one; the first shown from 0 on."""
    group: list[Timed] = []
    first = True
    for frame in frames:
        if frame.packet.is_keyframe and group:
            yield _lasting(group, offset, frame.pts, first)
            group, first = [], False
        group.append(frame)
    if group:
        last = max(group, key=lambda each: each.pts)
        yield _lasting(group, offset, last.pts + last.duration, first)


def _lasting(frames: list[Timed], offset: int, end: int, first: bool) -> list[Sample]:
    times = sorted(frame.pts for frame in frames)
    if times[-1] >= end or times[0] != frames[0].pts:
        raise JobFailed("a group of frames of the video cannot be decoded without the previous one")
    ends = dict(zip(times, [*times[1:], end], strict=True))
    starts = {time: time + offset for time in times}
    if first:
        starts[times[0]] = 0
    return [
        Sample(
            bytes(frame.packet),
            starts[frame.pts],
            ends[frame.pts] + offset - starts[frame.pts],
            frame.packet.is_keyframe,
        )
        for frame in frames
    ]


def _chapter(number: int, chapter: Chapter) -> Any:
    times = {"start": round(chapter.start * 1000), "end": round(chapter.end * 1000), "time_base": _MILLI}
    return {"id": number, **times, "metadata": {"title": chapter.title} if chapter.title else {}}


@contextmanager
def _libav_errors(path: bytes) -> Iterator[None]:
    """Raise errors of libav as errors of ours."""
    try:
        yield
    except ValueError as error:
        raise JobFailed(f"{shown(os.path.basename(path))}: cannot be muxed: {error}") from error
    except av.FFmpegError as error:
        if error.errno in _DISK_ERRORS:
            folder = shown(os.path.dirname(path))
            raise MachineBlocked(f"cannot write to {folder}: {error.strerror}; free some space") from error
        raise JobFailed(f"{shown(os.path.basename(path))}: cannot be muxed: {error.strerror}") from error
