"""Clocks that all streams of a file share, and that change: MPEG-TS, MPEG-PS and Ogg.

A clock starts again or jumps where a stream's stamps do not continue. Each stream goes over to the new clock at its own
place in the file, for packets of the streams alternate; there all get the same offset, so that they stay in sync.
"""

from __future__ import annotations

from collections.abc import Iterable

from av.container import InputContainer

from mediactl.model.media import Discontinuity

AHEAD = 10.0
"""Seconds that stamps may be ahead of what the packets before them last: ffmpeg's -dts_delta_threshold."""
_BACK = 0.1
"""Seconds that they may go back (ts_discontinuity_detect, fftools/ffmpeg_demux.c)."""
_INTERLEAVED = 5.0
"""Seconds that streams are apart at most where their packets follow one another in the file."""
_AGREEING = 1.0
"""Seconds that two streams may be apart where they go over to the same clock."""
_CLOCK_CHANGES = 0x0200
"""AVFMT_TS_DISCONT (libavformat/avformat.h): formats in which all streams may go over to another clock."""


class Position:
    """How far a stream is, while the packets of its file are followed. All in seconds."""

    __slots__ = ("expected", "index", "last", "offset", "part")

    def __init__(self, index: int) -> None:
        self.index = index
        self.part = 0
        """Number of the clock that it goes by."""
        self.offset = 0.0
        """What is to be added to its time stamps."""
        self.last: float | None = None
        """When its latest packet is decoded, with the offset."""
        self.expected = 0.0
        """When its next one is, if it continues."""


class SharedClock:
    """The clocks of all streams of a file, in the order in which they appear."""

    def __init__(self, positions: Iterable[Position], ahead: float = AHEAD) -> None:
        """``ahead``: seconds that stamps may be ahead of what the packets before them last."""
        self._ahead = ahead
        self.moved: list[Discontinuity] = []
        """Where the clock changed."""
        self._positions = tuple(positions)
        self._offsets = [0.0]

    @property
    def offset(self) -> float:
        """What is to be added to time stamps of the latest clock."""
        return self._offsets[-1]

    def follow(self, position: Position, stamp: float) -> None:
        """Find the offset of a stream for its next packet, which is decoded at ``stamp``, without an offset."""
        if position.last is None:
            position.part = len(self._offsets) - 1
        elif self._jumped(position, position.last, stamp + position.offset):
            self._go_over(position, stamp)
        position.offset = self._offsets[position.part]

    def _jumped(self, position: Position, last: float, second: float) -> bool:
        if second - position.expected <= self._ahead:
            return second + _BACK < last
        # Where another stream is there as well, it is a gap in this one.
        others = (other.last for other in self._positions if other is not position)
        return not any(abs(second - other) < _INTERLEAVED for other in others if other is not None)

    def _go_over(self, position: Position, stamp: float) -> None:
        """Put a stream on a clock that another one is on already and that fits, else on a new one."""
        for number in range(position.part + 1, len(self._offsets)):
            if abs(stamp + self._offsets[number] - position.expected) < _AGREEING:
                position.part = number
                return
        jump = stamp + position.offset - position.expected
        self.moved.append(Discontinuity(position.index, position.expected, jump))
        self._offsets.append(position.expected - stamp)
        position.part = len(self._offsets) - 1


def are_shared(container: InputContainer) -> bool:
    """Return whether all streams of such a file have one clock, which may change."""
    return bool(container.format.flags & _CLOCK_CHANGES)
