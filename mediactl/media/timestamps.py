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
from mediactl.media.audio import chained
from mediactl.media.drafts import Request
from mediactl.media.inspect import demux, streams
from mediactl.media.inspect.streams import Streams
from mediactl.media.inspect.timing import clocks
from mediactl.media.inspect.timing.clocks import Position, SharedClock
from mediactl.media.limits import require
from mediactl.model.jobs import MakeTask, PieceTask
from mediactl.model.media import Discontinuity, Limits

Task = TypeVar("Task", MakeTask, PieceTask)

_SAME = 0.05
"""Seconds by which a jump may differ from one that probing found."""
_OWN = frozenset({"mov", "flv"})
"""Containers that are copied into one of the same kind; FLV can have new headers of its codecs in the middle."""
_LONGEST = 60.0
"""Seconds that no packet of audio lasts."""


@contextmanager
def continuous(fd: int, task: Task, path: bytes) -> Iterator[tuple[int, Task]]:
    """Yield the descriptor of a file whose time stamps continue, and the task for it: the open source itself, or a
    temporary copy at ``path``, which has the same video and audio streams in the same order, tags and chapters.

    Raises RejectedInput, JobFailed, OSError.
    """
    if not task.info.discontinuities:
        yield fd, task
        return
    require(os.fstat(fd).st_size, task.limits, "scratch_bytes", "bytes to copy")
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


def inspected(request: Request) -> Streams:
    """Return what is in the file that outputs are made from; what a copy lacks is counted in the source."""
    task = request.task
    found = streams.inspect(request.fd, task.source.format, task.limits, task.info)
    if request.source == request.fd:
        return found
    whole = streams.inspect(request.source, task.source.format, task.limits, task.info)
    return msgspec.structs.replace(
        found, covers=whole.covers, data_count=whole.data_count, video_count=whole.video_count
    )


class OwnClocks:
    """A clock for each stream, with the jumps that probing found."""

    def __init__(self, discontinuities: Sequence[Discontinuity]) -> None:
        self._found = discontinuities

    def follow(self, position: Position, stamp: float) -> None:
        """Find the offset of a stream for its next packet, which is decoded at ``stamp``, without an offset."""
        delta = stamp + position.offset - position.expected
        jumps = (each.jump for each in self._found if each.stream == position.index)
        if position.last is not None and any(abs(delta - jump) < _SAME for jump in jumps):
            position.offset -= delta


def _copied(fd: int, discontinuities: Sequence[Discontinuity], path: bytes, limits: Limits) -> bool:
    """Write the copy; return False where the streams cannot be copied."""
    with demux.opened(fd, limits) as source:
        name = source.format.name.split(",")[0]
        if name == "ogg":
            return chained.decoded(fd, path)
        try:
            with av.open(os.fsdecode(path), "w", format=name if name in _OWN else "matroska") as target:
                copies = _streams(source, target)
                if copies:
                    _describe(source, target)
                    _mux(source, target, copies, discontinuities)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
                raise
            return False
        return bool(copies)


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
    source: InputContainer, target: OutputContainer, copies: dict[int, Any], discontinuities: Sequence[Discontinuity]
) -> None:
    positions = {index: Position(index) for index in copies}
    clock = SharedClock(positions.values()) if clocks.are_shared(source) else OwnClocks(discontinuities)
    latest: dict[int, int] = {}
    start = Fraction(source.start_time or 0, 1_000_000)
    for packet in demux.packets(source, *(source.streams[index] for index in copies)):
        index, unit = packet.stream.index, packet.time_base
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not unit:
            continue
        position, second = positions[index], float(stamp * unit)
        clock.follow(position, second)
        move = round((Fraction(position.offset) - start) / unit)
        position.last = second + position.offset
        position.expected = position.last + min(_LONGEST, max(0.0, float((packet.duration or 0) * unit)))
        # What overlaps what came before stays in order; audio is cut off there.
        decoded = max(stamp + move, latest.get(index, stamp + move - 1) + 1)
        latest[index] = decoded
        packet.pts = max(decoded, (packet.pts if packet.pts is not None else stamp) + move)
        packet.dts = decoded
        packet.stream = copies[index]
        target.mux(packet)
