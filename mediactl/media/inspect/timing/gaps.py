"""Small gaps and overlaps of an audio stream, by the time stamps of its packets, and how much of them is mere jitter.

A gap is a step: what follows stays late. Jitter returns: a stamp is early or late, the next ones are not. A gap is
filled with silence: one that is taken for jitter costs sync, and jitter that is taken for gaps makes clicks.
"""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

from av.container import InputContainer

SMALLEST = 0.005
"""Seconds from which a gap is filled at the least; time stamps in milliseconds are half of one off."""
LARGEST = 0.1
"""Seconds from which a gap is filled however much the stamps jitter: libswresample's own default."""
_NEIGHBOURS = 15
"""Packets before and after one that its time stamp is compared with: a third of a second."""
_EXCEPTIONS = 200
"""One stamp in so many may jitter more."""
_MARGIN = 0.002
"""Seconds added to twice the jitter: the first stamp, which the others are counted from, jitters as well."""
_FIRST = 0.5
"""Seconds up to which a gap behind the first packet is one that a muxer made of negative time stamps."""
_STEADY = 4
"""Packets at the beginning whose stamps continue but for that gap."""
_EDITED = 4
"""Index entries by which a header may count more or fewer packets: those that an edit list leaves out."""
_ALIKE = 0.2
"""How much the usual time between two packets may differ from what the codec says, relatively."""
_ROUNDED = 1.5
"""Ticks by which equal durations may differ."""
_STAMPED = frozenset({"matroska", "mpegts", "mpeg", "flv", "asf"})
"""Containers whose packets have time stamps of their own; all others but MP4 count samples or bytes."""
_UNEVEN = frozenset({"vorbis"})
"""Codecs whose packets are of two lengths, and whose time stamps libav guesses at each change (10 ms off and back)."""


class Packets:
    """Time stamps and durations of the packets of one audio stream, as they come."""

    def __init__(self, stream: Any) -> None:
        self.index: int = stream.index
        context = stream.codec_context
        self._unit = float(stream.time_base or 0)
        self._frame = context.frame_size / context.sample_rate if context and context.sample_rate else 0.0
        self._measurable = context is not None and context.name not in _UNEVEN
        self._stamps, self._durations = array("d"), array("d")

    def add(self, packet: Any) -> None:
        """Count a packet of this stream, unless it has no time."""
        stamp = packet.pts
        if stamp is not None and self._measurable:
            self._stamps.append(stamp * self._unit)
            self._durations.append((packet.duration or 0) * self._unit)

    def add_all(self, stamps: Iterable[int]) -> None:
        """Count packets by their time stamps, in ticks; their durations are not known."""
        if self._measurable:
            unit = self._unit
            self._stamps.extend(array("d", [stamp * unit for stamp in stamps]))
            self._durations.extend(array("d", bytes(8 * (len(self._stamps) - len(self._durations)))))

    def first_gap(self) -> float:
        """Return the seconds of a gap behind the first packet; 0: there is none.

        MP4s without an edit list begin at 0 however negative their first time stamp was: ffmpeg's ``empty_moov``.
        """
        if not self._frame or len(self._stamps) < _STEADY:
            return 0.0
        first, *steps = (after - before - self._frame for before, after in pairwise(self._stamps[:_STEADY]))
        steady = all(abs(step) <= SMALLEST for step in steps)
        return round(first, 6) if steady and SMALLEST < first < _FIRST else 0.0

    def threshold(self) -> float:
        """Return the function of this name for these packets."""
        steps = [after - before for before, after in pairwise(self._stamps)]
        if not steps:
            return 0.0
        usual = statistics.median(steps)
        if abs(usual - self._frame) < usual * _ALIKE:
            durations = array("d", [self._frame]) * len(steps)
        elif max(self._durations) - min(self._durations) < _ROUNDED * self._unit:
            # All the same, but in whole ticks: the mean is exact where each of them is off.
            alike = [step for step in steps if abs(step - usual) < _ROUNDED * self._unit]
            durations = array("d", [statistics.fmean(alike or steps)]) * len(steps)
        else:
            durations = self._durations
        return threshold(self._stamps, durations)


class Gaps:
    """What is known of the gaps of a file's audio streams: by its index at once, else once their packets are read."""

    def __init__(self, container: InputContainer, streams: Iterable[Any]) -> None:
        formats = set(container.format.name.split(","))
        self._found: dict[int, Packets] = {}
        self.unread: list[Packets] = []
        """Of the streams whose packets have to be read."""
        for stream in streams:
            packets = Packets(stream)
            if formats & _STAMPED or ("mov" in formats and not _add_indexed(stream, packets)):
                self.unread.append(packets)
            self._found[stream.index] = packets

    def measured(self, index: int) -> tuple[float, float]:
        """Return the threshold of a stream, and the gap behind its first packet."""
        return self._found[index].threshold(), self._found[index].first_gap()


def threshold(stamps: Sequence[float], durations: Sequence[float]) -> float:
    """Return the seconds from which a deviation of the time stamps is a gap or an overlap; 0: there is none.

    Both sequences are in seconds, by packet; the last duration does not matter.
    """
    lasted = accumulate(durations, initial=0.0)
    deviations = [stamp - total for stamp, total in zip(stamps, lasted, strict=False)]
    if not deviations or max(deviations) - min(deviations) <= SMALLEST:
        return 0.0
    returning = sorted(_returning(deviations))
    jitter = returning[-1 - len(returning) // _EXCEPTIONS] if returning else 0.0
    return round(min(LARGEST, max(SMALLEST, 2 * jitter + _MARGIN if jitter > _MARGIN else 0.0)), 3)


def _returning(deviations: Sequence[float]) -> Iterator[float]:
    """Yield by how much each deviation is outside what those before and those after it are on average."""
    for number in range(1, len(deviations) - 1):
        before = statistics.median(deviations[max(0, number - _NEIGHBOURS) : number])
        after = statistics.median(deviations[number + 1 : number + 1 + _NEIGHBOURS])
        low, high = min(before, after), max(before, after)
        yield max(0.0, low - deviations[number], deviations[number] - high)


def _add_indexed(stream: Any, packets: Packets) -> bool:
    """Add the packets that the index of an MP4 lists; return whether those are all."""
    entries = stream.index_entries
    if not stream.frames or abs(len(entries) - stream.frames) > _EDITED:
        return False
    if stream.codec_context.frame_size:  # Else it is uncompressed, or its packets alone know how long they last.
        stamps = [entry.timestamp for entry in entries]
        if len({after - before for before, after in pairwise(stamps)}) > 1:  # Else there is neither gap nor jitter.
            packets.add_all(stamps)
    return True
