"""When the samples of each stream are presented, by all packets, without jumps of their time stamps.

Time stamps are used where they continue. Where a clock starts again, wraps or jumps, what follows is taken to continue
what was before, by the rules that ffmpeg has for its own inputs, so that what is rendered lasts as long as what is
measured here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import Any

import av
import msgspec
from av.container import InputContainer

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect import demux
from mediactl.media.inspect.timing import clocks
from mediactl.media.inspect.timing.cadence import Counter
from mediactl.media.inspect.timing.clocks import Position, SharedClock
from mediactl.media.inspect.timing.gaps import Packets
from mediactl.model.media import Discontinuity

CHANGES = (
    "its streams change their parameters in the middle, as in files that were joined end to end, which is not"
    " supported; split it there"
)
"""Why a file is rejected."""

_BACK = 1.0
"""Seconds that stamps may go back in formats where each stream has a clock of its own: ffmpeg follows them."""
_GAP = 3600.0
"""Seconds from which on a gap is never one that was recorded."""
_LONGEST_PACKET = 60.0
"""Seconds of audio that no packet exceeds; negative durations come as nearly 2**32 ticks."""
_UNSIGNED = 1 << 31
"""Ticks from which on a duration was negative."""
_NEVER = 1_000_000
"""Seconds that no time stamp is ahead by."""
_MOST = 50
"""Discontinuities that are reported."""


class Timeline(msgspec.Struct, frozen=True):
    """What following the packets gave, in the container's seconds; streams without any packet are absent."""

    starts: dict[int, float]
    """When the first packet of each stream is presented, by stream index."""
    ends: dict[int, float]
    """When the last one ends, without jumps."""
    discontinuities: tuple[Discontinuity, ...] = ()
    """With ``at`` in the container's seconds."""
    leaps: int = 0
    """How many of all discontinuities are ahead."""
    gaps: tuple[Discontinuity, ...] = ()
    """Gaps that were kept, though nothing else fills them."""
    last: float = 0.0
    """When the last packet of any stream ends, subtitles included."""
    position: int = 0
    """Byte at which the last packet of the file begins."""
    trouble: str = ""
    """Why the file could not be read to its end."""


class Track(Position):
    """What is known of one stream while its packets are followed. All in seconds."""

    __slots__ = (
        "end",
        "first",
        "jumps",
        "latest",
        "length",
        "persists",
        "reordered",
        "runs",
        "skipped",
        "unit",
        "video",
    )

    def __init__(self, stream: Any, format_: str) -> None:
        super().__init__(stream.index)
        self.video: bool = stream.type == "video"
        self.persists = self.video and "mov" not in format_
        """Whether a frame is presented until the next one comes, so that nothing is a gap."""
        self.reordered = self.video and not self.persists
        """Whether durations are those between decoding times, as in MP4: the last packet, whichever it is, has that of
        the frame that is shown last."""
        self.unit = float(stream.time_base or 0)
        self.length = 0.0
        """Duration of the latest packet."""
        self.first: float | None = None
        """Beginning and end of what came since the latest jump."""
        self.end = 0.0
        self.latest = 0.0
        """When the packet that is presented last begins."""
        self.jumps: list[tuple[float, float]] = []
        """(where the stamps were expected to continue, by how much they did not)"""
        self.skipped = 0.0
        """Sum of all that."""
        self.runs: list[tuple[float, float]] = []
        """Beginning and end of what came before each jump; at last, of the rest."""


def follow(
    container: InputContainer,
    streams: Iterable[Any],
    *,
    start: float,
    rate: float | None,
    longest: float,
    counters: Iterable[Counter | Packets] = (),
    ahead: float = clocks.AHEAD,
) -> Timeline:
    """Read an open file from where it is to its end, and return when each of ``streams`` (PyAV's) begins and ends.

    ``start``: when the file starts. ``rate``: frames a second of the video, for containers without durations.
    ``counters`` are given the packets of their streams. ``ahead``: as for ``SharedClock``.
    Raises RejectedInput when the content lasts more than ``longest`` seconds, or a stream goes over to other
    parameters, which libav cannot follow.
    """
    tracks = {stream.index: Track(stream, container.format.name) for stream in streams}
    clock = SharedClock(tracks.values(), ahead) if clocks.are_shared(container) else OwnClocks()
    reader = Reader(clock, start, 1 / rate if rate else 0.0, longest)
    count = {each.index: each.add for each in counters}
    trouble = ""
    try:
        for packet in demux.packets(container):
            track = tracks.get(packet.stream_index)
            if track is None:
                reader.pass_over(packet)
                continue
            if track.index in count:
                count[track.index](packet)
            reader.add(track, packet)
    except av.FFmpegError as error:
        if error.errno == errno.EIO:
            raise
        if isinstance(error, av.error.PatchWelcomeError):
            raise RejectedInput(CHANGES) from error
        trouble = error.strerror or type(error).__name__
    return _resolved([track for track in tracks.values() if track.first is not None], reader, trouble)


def start(container: InputContainer, streams: Iterable[Any]) -> float:
    """Return when a file starts, in the container's seconds: where ffmpeg begins to count.

    Where all streams have one clock, it leaves out those that it does not read, such as cue messages (SCTE-35).
    """
    first = (container.start_time or 0) / 1e6
    if not clocks.are_shared(container):
        return first
    return min(
        (float(each.start_time * each.time_base) for each in streams if each.start_time is not None), default=first
    )


class OwnClocks:
    """A clock for each stream: what its jumps are is decided once all packets are known."""

    offset = 0.0

    def __init__(self) -> None:
        self.moved: list[Discontinuity] = []

    def follow(self, track: Track, stamp: float) -> None:
        """Note a time stamp (seconds) that does not continue the ones before it."""
        if track.last is None:
            return
        delta = stamp - track.expected
        if delta > clocks.AHEAD or stamp + _BACK < track.last:
            track.jumps.append((track.expected, delta))
            track.skipped += delta
            track.runs.append((track.first or 0.0, track.end))
            track.first = None


class Reader:
    """Follows packets, of whatever stream, in the order of the file."""

    def __init__(self, clock: SharedClock | OwnClocks, start: float, frame: float, longest: float) -> None:
        self.start = start
        self.last = start
        """When the last packet of any other stream ends."""
        self.position = 0
        """Byte at which the last packet of the file begins."""
        self.clock = clock
        self._frame, self._longest = frame, longest

    def pass_over(self, packet: Any) -> None:
        """Note the end of a packet of another stream."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        self.position = max(self.position, packet.pos or 0)
        if stamp is not None and packet.time_base:
            end = float((stamp + (packet.duration or 0)) * packet.time_base) + self.clock.offset
            self.last = max(self.last, end)

    def add(self, track: Track, packet: Any) -> None:
        """Follow one packet. Raises RejectedInput when the stream has become too long."""
        dts, pts = packet.dts, packet.pts
        if pts is None:
            if dts is None:
                return  # a flushing one, or without a time
            pts = dts
        self.position = max(self.position, packet.pos or 0)
        length = self._length(track, packet.duration or 0)
        if dts is not None:
            self.clock.follow(track, dts * track.unit)
            track.last = dts * track.unit + track.offset
            track.expected = track.last + length
        if packet.is_discard and not track.jumps:
            return  # Outside the edit list; behind a jump, of a fragment that is earlier than the previous one.
        begin = pts * track.unit + track.offset
        end = begin + length
        if track.first is None:
            track.first, track.end, track.latest = begin, end, begin
        elif begin < track.first:
            track.first = begin
        if track.video and begin <= track.latest:
            # A frame is shown until the next one, whatever its packet says.
            track.end = track.latest + length if track.reordered else track.end
        elif end > track.end or track.video:
            track.end, track.latest = end, begin
            if end - self.start - track.skipped > self._longest:
                self._too_long(track)
        track.length = length

    def _length(self, track: Track, ticks: int) -> float:
        """Return the seconds that a packet lasts."""
        length = ticks * track.unit
        if ticks < 0 or ticks >= _UNSIGNED or (length > _LONGEST_PACKET and not track.video):
            return track.length
        return length or (self._frame if track.video else 0.0)

    def _too_long(self, track: Track) -> None:
        late = (track.first or 0.0) - self.start > self._longest
        what = "has a stream whose time stamps begin beyond" if late else "lasts more than"
        raise RejectedInput(f"{what} the limit of {self._longest:.0f} s (limits.duration)")


def _resolved(tracks: list[Track], reader: Reader, trouble: str) -> Timeline:
    """Decide which jumps of single streams are none of the time that passed."""
    if not tracks:
        return Timeline({}, {}, trouble=trouble)
    for track in tracks:
        track.runs.append((track.first or 0.0, track.end))
    starts = {track.index: track.runs[0][0] for track in tracks}
    ends: dict[int, float] = {}
    moved, kept = reader.clock.moved, list[Discontinuity]()
    for track in tracks:
        offset, ends[track.index] = 0.0, track.runs[0][1]
        for (expected, delta), (_, end) in zip(track.jumps, track.runs[1:], strict=True):
            found = Discontinuity(track.index, expected - offset, delta)
            if _is_of_stamps(track, expected, delta, tracks):
                offset += delta
                moved.append(found)
            elif not track.persists and delta > clocks.AHEAD and not _filled(track, expected, delta, tracks):
                kept.append(found)
            ends[track.index] = max(ends[track.index], end - offset)
    return Timeline(
        starts, ends, tuple(moved[:_MOST]), sum(each.jump > 0 for each in moved), tuple(kept[:_MOST]),
        max(reader.last, *ends.values()), reader.position, trouble,
    )  # fmt: skip


def _is_of_stamps(track: Track, expected: float, delta: float, tracks: list[Track]) -> bool:
    """Return whether a jump is one of the stamps alone, and not of the time."""
    if delta < 0 or delta > _GAP:
        return True
    return not track.persists and len(tracks) > 1 and not _filled(track, expected, delta, tracks)


def _filled(track: Track, begin: float, delta: float, tracks: list[Track]) -> bool:
    """Return whether another stream is presented during half of a gap."""
    return any(
        sum(max(0.0, min(end, begin + delta) - max(first, begin)) for first, end in other.runs) >= delta / 2
        for other in tracks
        if other is not track
    )


def input_options(container: InputContainer, discontinuities: Sequence[Discontinuity]) -> dict[str, int]:
    """Return the options of ffmpeg's input with which it presents packets when they are presented here."""
    if clocks.are_shared(container):
        # ffmpeg would take every gap for a change of the clock.
        return {} if any(each.jump > 0 for each in discontinuities) else {"dts_delta_threshold": _NEVER}
    if not discontinuities:
        return {}
    # Beyond it ffmpeg drops time stamps, and decoders continue by what packets last.
    return {"dts_error_threshold": max(1, int(0.9 * min(abs(each.jump) for each in discontinuities)))}
