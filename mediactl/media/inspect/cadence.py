"""When the frames of a film come: its exact rate, how many there are, and whether each comes at its time.

One pass over the packets, without decoding: what comes evenly may be cut at frame numbers and joined again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import msgspec
from av.container import InputContainer

from mediactl.media.inspect import demux

SEEKABLE = frozenset({"mov", "matroska"})
"""Containers (libav's names) with an index of key frames by time, so that a seek is exact. MPEG-TS, MPEG-PS, FLV and
ASF guess by bytes; AVI counts frames and knows no times."""

_USUAL = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)) + tuple(
    Fraction(rate) for rate in (24, 25, 30, 50, 60, 10, 12, 15, 20, 48, 90, 100, 120, 240)
)
"""Frames a second that cameras and editors write (SMPTE ST 2036-1 and what phones add)."""
_NEAR = 0.002
"""A usual rate is tried when it is so near, as a share, to the one measured: 24 and 24000/1001 are 0.001 apart."""
_FINE = 4
"""Ticks of the time base that a frame must last at the least, for its time to be told from its neighbour's."""


class Cadence(msgspec.Struct, frozen=True):
    """What the packets of a film track tell."""

    rate: Fraction | None
    """Frames a second: exact when even, else the mean. None where that cannot be told."""
    frames: int
    """Packets with a frame that is shown."""
    even: bool
    """Frame n comes n / rate after the first one, to the resolution of the stamps; none is missing or cut off."""


def measure(container: InputContainer, stream: Any) -> Cadence:
    """Read a track to its end. The container's position is left there; libav errors end it, as not even."""
    stamps, sound = _stamps(container, stream)
    count = len(stamps)
    if count < 2 or not stream.time_base:
        return Cadence(_given(stream), count, even=False)
    first = stamps[0]
    stamps = array("q", sorted(stamps))
    ticks = stamps[-1] - stamps[0]
    if ticks <= 0:
        return Cadence(_given(stream), count, even=False)
    mean = (count - 1) / (ticks * stream.time_base)
    exact = bool(SEEKABLE & set(container.format.name.split(",")))
    # What is shown before the first key frame cannot be decoded.
    if sound and exact and first == stamps[0]:
        for rate in _candidates(stream, mean):
            if _fits(stamps, 1 / (rate * stream.time_base)):
                return Cadence(rate, count, even=True)
    return Cadence(_given(stream) or mean.limit_denominator(1001), count, even=False)


def _stamps(container: InputContainer, stream: Any) -> tuple[array[int], bool]:
    """Presentation stamps in the order of decoding, and whether nothing speaks against an even film."""
    stamps, sound = array("q"), True
    try:
        for packet in demux.packets(container, stream):
            if packet.size == 0 and packet.pts is None and packet.dts is None:
                continue  # the flushing one at the end
            if packet.pts is None or packet.is_discard or packet.is_corrupt:
                sound = False
            if packet.is_discard or packet.pts is None:
                continue
            if not stamps and not packet.is_keyframe:
                sound = False
            stamps.append(packet.pts)
    except av.FFmpegError:
        sound = False
    return stamps, sound


def _candidates(stream: Any, mean: Fraction) -> Iterator[Fraction]:
    """Rates that the stamps may have been made from, the likeliest first."""
    near = [rate for rate in _USUAL if abs(rate / mean - 1) < _NEAR]
    yield from sorted(near, key=lambda rate: abs(rate - mean))
    for rate in (stream.average_rate, stream.base_rate):
        if rate and rate not in near and abs(rate / mean - 1) < _NEAR:
            yield Fraction(rate)
    if mean not in near:
        yield mean


def _fits(stamps: array[int], step: Fraction) -> bool:
    """Whether stamps (ascending) lie ``step`` ticks apart, each rounded up or down to a whole tick."""
    if step < _FINE:
        return False
    above, below = step.numerator, step.denominator
    first, slack = stamps[0], below  # one tick: the first stamp is rounded, too
    return all(abs((stamp - first) * below - number * above) <= slack for number, stamp in enumerate(stamps))


def _given(stream: Any) -> Fraction | None:
    """The rate that the header tells, unless it is nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and Fraction(1, 10) <= rate <= 300:
            return Fraction(rate)
    return None
