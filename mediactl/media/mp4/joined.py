"""The pieces of an encoded video, concatenated: its frames in decoding order, and when each is decoded and shown."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from typing import Any

import av
import msgspec

from mediactl.core.errors import JobFailed
from mediactl.core.files import shown
from mediactl.media.inspect import demux
from mediactl.media.mp4 import index

_ROUNDED = Fraction(1, 1000)
"""Seconds that durations may be off: headers of MP4 count milliseconds."""
_CLOSE = Fraction(1, 20)
"""Seconds by which the end of the source and that of what was encoded may differ, and both be right."""


class Extent(msgspec.Struct, frozen=True):
    """How much there is of a video in its source."""

    frames: int | None
    end: float
    """When the last frame ends, in seconds on the scale of the encoded frames."""


class Timed(msgspec.Struct, frozen=True):
    """An encoded frame of a video, with its times in ticks."""

    packet: Any
    pts: int
    dts: int
    duration: int
    """How long it is shown. Of the last one to be decoded, how long the last one is shown: so they add up."""


class Joined:
    """The pieces of a video, concatenated."""

    def __init__(self, files: Sequence[bytes], rate: Fraction | None, source: Extent | None = None) -> None:
        """``rate`` (frames a second) is needed for several pieces; ``source`` says when the last frame ends."""
        self._files = files
        self._rate = rate
        self._source = source
        self._first = _Piece(files[0])
        self.stream = self._first.stream
        self.tick = self._first.tick
        self._alike = _parameters(self.stream)

    def __enter__(self) -> Joined:
        return self

    def __exit__(self, *_: object) -> None:
        self._first.close()

    def lead(self) -> int:
        """Ticks that a frame may be decoded before it is shown, when one is decoded whenever one is shown."""
        if self._rate:
            return round(self._delay_frames() / (self._rate * self.tick))
        return _lead([pts for pts, _, _ in _times(self._files[0])])

    def _delay_frames(self) -> int:
        """Return the reorder delay in frames: the most of any piece, so that decode times increase across pieces."""
        delays = [0]
        for file in self._files:
            with closing(_Piece(file)) as piece:
                self._check(piece, file)
                first = next(piece.packets(), None)
                if first is None:
                    raise JobFailed(f"{shown(os.path.basename(file))}: invalid output: no frame")
                delays.append(round((first.pts - first.dts) * self.tick * (self._rate or 0)))
        return max(delays)

    def frames(self) -> Iterator[Timed]:
        """Yield all frames in decoding order."""
        return self._whole_frames() if len(self._files) == 1 else self._joined_frames()

    def _as_encoded(self) -> Iterator[Timed]:
        """Yield the frames of the only file, at its own times."""
        with closing(_Piece(self._files[0])) as piece:
            for packet in piece.packets():
                yield Timed(packet, packet.pts, packet.dts, packet.duration or 0)

    def _whole_frames(self) -> Iterator[Timed]:
        """Yield the frames of the only file, decoded one after another as they are shown one after another.

        An encoder decodes the first frames at times that it makes up, so the durations of an MP4, which are those
        between decoding times, do not add up to what is shown where frames last differently. They stay where they do.
        """
        times = _times(self._files[0])
        order = array("q", sorted(pts for pts, _, _ in times))
        if not order:
            return
        end = self._end(order, times)
        if _add_up(times, order[0], end, (_CLOSE if self._rate else _ROUNDED) / self.tick):
            yield from self._as_encoded()
            return
        ends = dict(zip(order, [*order[1:], end], strict=True))
        lead = _lead([pts for pts, _, _ in times])
        for number, packet in enumerate(self._first.packets()):
            turn = order[number]
            time = packet.pts if number < len(order) - 1 else turn
            yield Timed(packet, packet.pts, turn - lead, ends[time] - time)

    def _end(self, order: Sequence[int], times: Sequence[tuple[int, int, int]]) -> int:
        """Return when the last frame ends, in ticks: as it was encoded, unless the source differs.

        Durations of a source's frames may be those between its decoding times, and so of another frame. Where frames
        are missing, the last one is not extended.
        """
        length = index.edit(self._files[0]).length
        end = order[0] + round(length / self.tick) if length else max(pts + duration for pts, _, duration in times)
        source = self._source
        if source and abs(end * self.tick - Fraction(source.end)) > _CLOSE:
            last = round(Fraction(source.end) / self.tick)
            if last > order[-1]:
                end = last if source.frames == len(order) else min(end, last)
        return max(end, order[-1] + 1)

    def _joined_frames(self) -> Iterator[Timed]:
        """Yield the frames of all files, each 1 / rate after the previous one."""
        if not self._rate:
            raise JobFailed("pieces of a video of unknown frame rate cannot be concatenated")
        frame, done, delay = 1 / (self._rate * self.tick), 0, self._delay_frames()
        last_frame, lasting = self._last_frame(frame)
        for file in self._files:
            with closing(_Piece(file)) as piece:
                count, last = 0, -1
                for packet in piece.packets():
                    number = round(packet.pts / frame)
                    at = round((done + number) * frame)
                    decoded = round((done + count - delay) * frame)
                    length = round((done + number + 1) * frame) - at
                    yield Timed(packet, at, decoded, lasting if last_frame in (done + number, done + count) else length)
                    count, last = count + 1, max(last, number)
                if last != count - 1:
                    raise JobFailed(f"{shown(os.path.basename(file))}: its {count} frames are numbered up to {last}")
                done += count

    def _last_frame(self, frame: Fraction) -> tuple[int, int]:
        """Return the number of the last frame, and how many ticks it lasts; (-1, 0) where it is none that lasts longer
        than the others, of ``frame`` ticks."""
        source = self._source
        if not source or not source.frames:
            return -1, 0
        lasting = round(Fraction(source.end) / self.tick) - round((source.frames - 1) * frame)
        return (source.frames - 1, lasting) if (lasting - frame) * self.tick > _CLOSE else (-1, 0)

    def _check(self, piece: _Piece, file: bytes) -> None:
        if _parameters(piece.stream) != self._alike:
            raise JobFailed(f"{shown(os.path.basename(file))}: encoded with other parameters than the previous piece")


class _Piece:
    """An encoded video, read without libav's edit lists: those drop frames where some are decoded long before others.

    It takes a key frame that lasts, by decoding times, until the end of an edit for the last one (mov_fix_index,
    libavformat 62), and so leaves out most of a video that begins with two long frames.
    """

    def __init__(self, file: bytes) -> None:
        self._container = av.open(file_url(file), "r", format="mp4", options={"ignore_editlist": "1"})
        self.stream = self._container.streams.video[0]
        assert self.stream.time_base
        self.tick = Fraction(self.stream.time_base)
        self._shift = round(index.edit(file).shift / self.tick)

    def packets(self) -> Iterator[Any]:
        """Yield its packets in decoding order; the first one is shown at 0, or when its edit list says."""
        for packet in packets(self._container, self.stream):
            packet.pts += self._shift
            packet.dts += self._shift
            yield packet

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def stamps(file: bytes) -> tuple[list[int], Fraction]:
    """Return when each frame of an encoded video is shown, ascending, in ticks of so many seconds.

    Raises av.FFmpegError, OSError, ValueError when it is malformed, IndexError when it is no video.
    """
    with closing(_Piece(file)) as piece:
        return sorted(packet.pts for packet in piece.packets()), piece.tick


def _times(file: bytes) -> list[tuple[int, int, int]]:
    """Return pts, dts and duration of each frame, in ticks, in decoding order."""
    with closing(_Piece(file)) as piece:
        return [(packet.pts, packet.dts, packet.duration or 0) for packet in piece.packets()]


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the packets of a stream, without the flushing one."""
    return (packet for packet in demux.packets(container, stream) if packet.pts is not None)


def file_url(file: bytes) -> str:
    """Return a path for libav, marked as a file's: a name with a colon would be taken for a protocol's."""
    return "file:" + os.fsdecode(file)


def _lead(times: Sequence[int]) -> int:
    """Return by how much the times of frames in decoding order are behind the same times in order, at most."""
    return max((turn - time for turn, time in zip(sorted(times), times, strict=True)), default=0)


def _add_up(times: Sequence[tuple[int, int, int]], start: int, end: int, slack: Fraction) -> bool:
    """Return whether durations between decoding times amount to what is shown, as a whole and up to each frame's end.

    ``times``: pts, dts and duration of each frame.
    """
    decoded = times[-1][1] + times[-1][2] - times[0][1]
    latest = max(pts + duration for pts, _, duration in times)
    return abs(decoded - (end - start)) <= slack and abs(latest - end) <= slack


def _parameters(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    return (
        context.codec.canonical_name, context.width, context.height, context.pix_fmt, context.extradata,
        context.profile, stream.time_base, context.color_primaries, context.color_trc, context.colorspace,
        context.color_range,
    )  # fmt: skip
