"""Sources whose clock starts again, wraps or jumps: a copy, packet by packet, whose time stamps continue.

All outputs are made from the copy: ffmpeg follows such clocks by itself only where it reads from the start, in formats
that are known for it, and each stream on its own. Here streams that went over to another clock stay in sync.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, TypeVar

import av
import msgspec
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from mediactl.core.files import remove_if_there
from mediactl.media.inspect import demux, timeline
from mediactl.model.jobs import MakeTask, PieceTask
from mediactl.model.media import Discontinuity, Limits

Task = TypeVar("Task", MakeTask, PieceTask)

_AGREEING = 1.0
"""Seconds that two streams may be apart where they go over to the same clock."""
_SAME = 0.05
"""Seconds by which a jump may differ from one that probing found."""
_LONGEST = 60.0
"""Seconds that no packet of audio lasts."""
_JOINED = frozenset({"ogg"})
"""Containers whose decoders need the headers between their parts, and that ffmpeg follows by itself: not copied."""


@contextmanager
def continuous(fd: int, task: Task, path: bytes) -> Iterator[tuple[int, Task]]:
    """Yield the descriptor of a file whose time stamps continue, and the task for it: the open source itself, or a
    temporary copy at ``path``, which has the same video and audio streams in the same order, tags and chapters.

    Raises RejectedInput, JobFailed, OSError.
    """
    if not task.info.discontinuities:
        yield fd, task
        return
    try:
        if not _copied(fd, task.info.discontinuities, path, task.limits):
            yield fd, task
            return
        copy = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield copy, msgspec.structs.replace(task, info=msgspec.structs.replace(task.info, discontinuities=()))
        finally:
            os.close(copy)
    finally:
        remove_if_there(path)


class Clocks:
    """The clocks that the streams of a file go by, while its packets are followed. All in seconds."""

    def __init__(self) -> None:
        self.offsets = [0.0]
        """What is to be added to time stamps of each clock, in the order in which they appear."""
        self.latest: dict[int, float] = {}
        """When the latest packet of each stream is decoded, by stream index."""


class Track:
    """The time stamps of one stream while its packets are followed, in seconds."""

    def __init__(self, index: int, clocks: Clocks, jumps: Sequence[float] | None) -> None:
        """``jumps``: those that are to be left out; None: all that no time can have passed in."""
        self._index, self._clocks, self._jumps = index, clocks, jumps
        self._part = 0
        """Number of the clock that it goes by."""
        self._expected = 0.0
        """Where the next packet is expected."""
        self._length = 0.0
        """How long the latest packet lasts."""

    def offset(self, stamp: float, length: float) -> float:
        """Return what is to be added to the time stamps of a packet.

        ``stamp`` is its decoding time, ``length`` how long it lasts, as the file has them.
        """
        offsets, latest = self._clocks.offsets, self._clocks.latest
        if self._index not in latest:
            self._part = len(offsets) - 1 if self._jumps is None else 0
        elif self._jumped(stamp + offsets[self._part]):
            self._part = self._next(stamp)
        second = stamp + offsets[self._part]
        self._length = length if 0 < length <= _LONGEST else self._length
        latest[self._index], self._expected = second, second + self._length
        return offsets[self._part]

    def _jumped(self, second: float) -> bool:
        delta, latest = second - self._expected, self._clocks.latest
        if self._jumps is not None:
            return any(abs(delta - jump) < _SAME for jump in self._jumps)
        if delta > timeline.AHEAD:
            # Where the other streams are, too, it is a gap in this one.
            return not any(abs(second - other) < timeline.AHEAD / 2 for other in latest.values())
        return second + timeline.BACK < latest[self._index]

    def _next(self, stamp: float) -> int:
        """Return the number of the clock that goes on here: one that another stream is on already, or a new one."""
        offsets = self._clocks.offsets
        for number in range(self._part + 1, len(offsets)):
            if abs(stamp + offsets[number] - self._expected) < _AGREEING:
                return number
        offsets.append(self._expected - stamp)
        return len(offsets) - 1


def _copied(fd: int, discontinuities: Sequence[Discontinuity], path: bytes, limits: Limits) -> bool:
    """Write the copy; return False where the streams cannot be copied."""
    with demux.opened(fd, limits) as source:
        name = source.format.name.split(",")[0]
        if name in _JOINED:
            return False
        try:
            with av.open(os.fsdecode(path), "w", format="mov" if name == "mov" else "matroska") as target:
                streams = _streams(source, target)
                if streams:
                    _describe(source, target)
                    _mux(source, target, streams, discontinuities)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
                raise
            return False
        return bool(streams)


def _streams(source: InputContainer, target: OutputContainer) -> dict[int, Any]:
    """Add the streams of the source to its copy; return them by the source's index. None: not all can be copied."""
    copied: dict[int, Any] = {}
    for stream in source.streams:
        context: Any = stream.codec_context
        if stream.type == "video" and not (context and context.width):
            return {}
        if stream.type == "audio" and not (context and context.sample_rate):
            return {}
        if stream.type in ("video", "audio", "subtitle") and not stream.disposition & Disposition.attached_pic:
            copied[stream.index] = target.add_stream_from_template(stream)
            copied[stream.index].metadata.update(stream.metadata)
            copied[stream.index].disposition = stream.disposition
    return copied


def _describe(source: InputContainer, target: OutputContainer) -> None:
    target.metadata.update(source.metadata)
    target.set_chapters(source.chapters())


def _mux(
    source: InputContainer, target: OutputContainer, streams: dict[int, Any], discontinuities: Sequence[Discontinuity]
) -> None:
    shared, clocks = timeline.shares_clock(source), Clocks()
    tracks = {
        index: Track(index, clocks, None if shared else [each.jump for each in discontinuities if each.stream == index])
        for index in streams
    }
    latest: dict[int, int] = {}
    start = Fraction(source.start_time or 0, 1_000_000)
    for packet in demux.packets(source, *(source.streams[index] for index in streams)):
        index, unit = packet.stream.index, packet.time_base
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not unit:
            continue
        offset = tracks[index].offset(float(stamp * unit), float((packet.duration or 0) * unit))
        move = round((Fraction(offset) - start) / unit)
        # What overlaps what came before stays in order; audio is cut off there.
        decoded = max(stamp + move, latest.get(index, stamp + move - 1) + 1)
        latest[index] = decoded
        packet.pts = max(decoded, (packet.pts if packet.pts is not None else stamp) + move)
        packet.dts = decoded
        packet.stream = streams[index]
        target.mux(packet)
