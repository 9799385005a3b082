"""Frame timing of a video: its exact rate, the number of frames, and whether they are evenly spaced.

One pass over the packets, without decoding: evenly spaced frames may be cut at frame numbers and concatenated again.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import msgspec
from av.container import InputContainer

from mediactl.media.inspect import demux
from mediactl.media.inspect.frames.frame_sizes import FrameSizes
from mediactl.model.media import FrameShape

SEEKABLE = frozenset({"mov", "matroska"})
"""Containers (libav's names) with an index of key frames by time, so that a seek is exact. MPEG-TS, MPEG-PS, FLV and
ASF guess by bytes; AVI counts frames and has no times."""

_USUAL = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)) + tuple(
    Fraction(rate) for rate in (24, 25, 30, 50, 60, 10, 12, 15, 20, 48, 90, 100, 120, 240)
)
"""Frames a second that cameras and editors write (SMPTE ST 2036-1 and what phones add)."""
_NEAR = 0.002
"""A usual rate is tried when its relative distance to the measured one is less: 24 and 24000/1001 are 0.001 apart."""
_FINE = 4
"""Ticks of the time base that a frame must last at least, for its time to differ from its neighbour's."""


class Cadence(msgspec.Struct, frozen=True):
    """The frame timing of a video stream."""

    rate: Fraction | None
    """Frames a second: exact when even, else the mean. None where it is unknown."""
    frames: int
    """Packets with a frame that is shown."""
    even: bool
    """Frame n comes n / rate after the first one, to the resolution of the timestamps; none is missing or cut off."""
    longest: float = 0.0
    """Seconds from one frame to the next, at most, where they do not come evenly."""
    shapes: tuple[FrameShape, ...] = ()
    """Those of the frames, the first one's first, where they change."""
    last: float = 0.0
    """When the frame that is shown last begins, in the container's seconds."""
    length: float = 0.0
    """Seconds that the last packet lasts."""


def measure(container: InputContainer, stream: Any) -> Cadence:
    """Measure a stream by reading it to its end. On libav errors it counts as not even."""
    counter = Counter(stream)
    add = counter.add
    try:
        for packet in demux.packets(container, stream):
            add(packet)
    except av.FFmpegError:
        counter.complete = False
    return counter.measured(container)


class Counter:
    """Counts the frames of a video, packet by packet in decoding order."""

    def __init__(self, stream: Any) -> None:
        self.index: int = stream.index
        self._stream = stream
        self._stamps = array("q")
        self._sizes = FrameSizes(stream)
        self._last: Any = None
        self.complete = True
        """Whether all frames have a time and can be decoded."""

    @property
    def count(self) -> int:
        """How many frames were counted."""
        return len(self._stamps)

    def add(self, packet: Any) -> None:
        """Count the frame of a packet."""
        stamp = packet.pts
        if stamp is None:
            if packet.size or packet.dts is not None:  # else it is the flushing one at the end
                self.complete = False
            return
        if packet.is_discard or packet.is_corrupt:
            self.complete = False
            if packet.is_discard:
                return
        if packet.is_keyframe:
            self._sizes.look(packet)
        elif not self._stamps:
            self.complete = False
        self._stamps.append(stamp)
        self._last = packet

    def measured(self, container: InputContainer) -> Cadence:
        """Return the cadence of what was counted, in this container."""
        found = self._measured(container)
        unit = self._stream.time_base
        if not self._stamps or not unit:
            return found
        last, length = float(max(self._stamps) * unit), float((self._last.duration or 0) * unit)
        return msgspec.structs.replace(found, shapes=self._sizes.shapes, last=last, length=length)

    def _measured(self, container: InputContainer) -> Cadence:
        stream, count = self._stream, len(self._stamps)
        if count < 2 or not stream.time_base:
            return Cadence(_header_rate(stream), count, even=False)
        stamps = array("q", sorted(self._stamps))
        ticks = stamps[-1] - stamps[0]
        if ticks <= 0:
            return Cadence(_header_rate(stream), count, even=False)
        mean = (count - 1) / (ticks * stream.time_base)
        exact = bool(SEEKABLE & set(container.format.name.split(",")))
        # What is shown before the first key frame cannot be decoded.
        if self.complete and exact and self._stamps[0] == stamps[0]:
            for rate in _candidates(stream, mean):
                if _fits(stamps, 1 / (rate * stream.time_base)):
                    return Cadence(rate, count, even=True)
        longest = float(max(after - before for before, after in itertools.pairwise(stamps)) * stream.time_base)
        return Cadence(_header_rate(stream) or mean.limit_denominator(1001), count, even=False, longest=longest)


def _candidates(stream: Any, mean: Fraction) -> Iterator[Fraction]:
    """Yield the rates that the timestamps may come from, the likeliest first."""
    near = [rate for rate in _USUAL if abs(rate / mean - 1) < _NEAR]
    yield from sorted(near, key=lambda rate: abs(rate - mean))
    for rate in (stream.average_rate, stream.base_rate):
        if rate and rate not in near and abs(rate / mean - 1) < _NEAR:
            yield Fraction(rate)
    if mean not in near:
        yield mean


def _fits(stamps: array[int], step: Fraction) -> bool:
    """Return whether timestamps (ascending) are ``step`` ticks apart, each rounded up or down to a whole tick."""
    if step < _FINE:
        return False
    above, below = step.numerator, step.denominator
    first, slack = stamps[0], below  # one tick: the first stamp is rounded, too
    deviations = [(stamp - first) * below - number * above for number, stamp in enumerate(stamps)]
    return max(deviations) <= slack and min(deviations) >= -slack


def _header_rate(stream: Any) -> Fraction | None:
    """Return the header's rate, unless it is nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and Fraction(1, 10) <= rate <= 300:
            return Fraction(rate)
    return None
