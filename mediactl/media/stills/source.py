"""A video that stills are taken from: where its key frames are, and how it can be sought."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from mediactl.media.filters import interlacing
from mediactl.media.filters.video_filters import Weave
from mediactl.media.inspect import demux
from mediactl.media.inspect.streams import InputVideo, Streams
from mediactl.media.inspect.timing import clocks
from mediactl.model.media import Limits

_SIGN = 5_000
"""Packets between two reports of progress."""
_INDEXED = ("mov", "matroska")
"""Containers whose packets all have a presentation time."""
_GUESSING = ("avi", "mpeg")
"""Containers whose frames get other times after a seek, since AVI has none, and MPEG-PS not for each."""
_LATE = 1.0
"""Seconds after the file's start from which on a video begins late."""


def _ignore() -> None:
    """Report no progress."""


class Video(msgspec.Struct, frozen=True):
    """An open source that frames are taken from."""

    fd: int
    found: Streams
    stream: InputVideo
    limits: Limits
    threads: int
    keys: tuple[float, ...]
    """Seconds from the file's start of key frames, ascending; approximate, since they are decoding times."""
    indexed: bool
    """Whether every packet has a presentation time."""
    seekable: bool
    """Whether frames have the same times wherever reading begins."""
    weave: Weave | None
    """How it is interlaced."""
    ordered: bool
    """Whether key frames have the same times when the others are not read."""
    alive: Callable[[], None] = _ignore
    """Called while it is read, as a sign of progress."""
    anchored: bool = False
    """Whether ffmpeg, where it reads nothing else of the file, has it begin at 0 though it begins late."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown."""
        video = self.found.info.video
        return (video.width, video.height) if video else (1, 1)

    @property
    def duration(self) -> float:
        """Seconds until the end of the last frame."""
        return self.stream.end

    @property
    def begin(self) -> float:
        """Seconds before which nothing is shown, of a video that begins late; else 0."""
        video = self.found.info.video
        return video.start if video and video.start > _LATE else 0.0

    @property
    def count(self) -> int | None:
        """Number of frames."""
        video = self.found.info.video
        return video.frames if video else None

    @property
    def work(self) -> float:
        """Pixels of a second, which is what decoding costs."""
        width, height = self.size
        return width * height * (self.stream.rate or 30.0)

    def gap(self) -> float:
        """Return the longest time between two key frames, in seconds."""
        times = (0.0, *self.keys, self.duration)
        return max(after - before for before, after in itertools.pairwise(times))


def open_video(
    fd: int,
    found: Streams,
    stream: InputVideo,
    limits: Limits,
    threads: int,
    folder: bytes,
    alive: Callable[[], None] = _ignore,
    *,
    weave: Callable[[], Weave | None] | None = None,
) -> Video:
    """Return the video with its key frames, from the index where it is complete, else from all packets.

    ``folder`` is for temporary files; ``weave`` as for ``encode``. Raises RejectedInput, MachineBlocked.
    """
    with demux.opened(fd, limits) as container:
        start = (container.start_time or 0) / 1e6
        listed: Any = container.streams[stream.index]
        name = container.format.name.split(",")[0]
        shares_clock = clocks.are_shared(container)
        times = [float(each.timestamp * listed.time_base) for each in listed.index_entries if each.is_keyframe]
        if name != "mov" and len(times) * 2 < stream.end:
            read = []
            for number, packet in enumerate(demux.packets(container, listed)):
                if packet.is_keyframe:
                    read.append(packet.pts if packet.pts is not None else packet.dts)
                if number % _SIGN == 0:
                    alive()
            times = [float(each * listed.time_base) for each in read if each is not None]
    keys = tuple(sorted({max(0.0, each - start) for each in times if each - start <= stream.end}))
    examined = partial(interlacing.detected, fd, found, threads=threads, limits=limits, folder=folder)
    anchored = shares_clock and bool(found.info.video and found.info.video.start > _LATE)
    return Video(
        fd,
        found,
        stream,
        limits,
        threads,
        keys,
        name in _INDEXED,
        name not in _GUESSING,
        (weave or examined)(),
        name == "matroska" or (name == "mov" and not listed.codec_context.has_b_frames),
        alive,
        anchored,
    )
