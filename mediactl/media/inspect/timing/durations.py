"""When the streams of a video or audio file begin and end.

Durations are those of the samples: by the index that lists them all, else by the packets, followed to the end of the
file (``timeline``). What a header claims is a hint (``truncation``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Any

import av
import msgspec
from av.container import InputContainer

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect.containers import isobmff, ogg
from mediactl.media.inspect.timing import cadence, timeline, truncation
from mediactl.media.inspect.timing.cadence import Cadence, Counter
from mediactl.media.inspect.timing.gaps import Packets
from mediactl.media.inspect.timing.timeline import Timeline
from mediactl.model.media import Discontinuity

TOLERANCE = 0.05
"""Seconds that a duration may be off, or one frame if that is longer."""

_TAIL = 3.0
"""Seconds before the claimed end from which packets are read to find the real one."""
_COUNTING = {"flac", "wv", "tta", "ape", "aiff", "w64", "wav", "au", "caf", "ogg"}
"""Containers that count samples: where the last packets of an audio file agree with it, no others are read."""

_APPEARING = {"mpegts", "mpeg", "flv"}
"""Containers in which streams may begin anywhere."""
_SPARSE = 5
"""A video whose time stamps leap ahead at one frame in so many, or more often, is of frames that last long."""
_SHARE, _LARGE = 0.1, 1 << 16
"""Share of a file, and bytes, behind the last packet from which on other streams are there."""

Reopen = Callable[[], AbstractContextManager[InputContainer]]
"""Opens the same file again, at its start."""


class Timing(msgspec.Struct, frozen=True):
    """When the streams of a file begin and end, in seconds from the file's start, by stream index."""

    ends: dict[int, float]
    start: float = 0.0
    """When the file starts, in the container's seconds."""
    starts: dict[int, float] = {}
    """Of streams that libav has not met when it opened the file."""
    discontinuities: tuple[Discontinuity, ...] = ()
    warnings: tuple[str, ...] = ()
    cadence: Cadence | None = None
    """Of the video; None where it is known."""


def measure(
    fd: int,
    container: InputContainer,
    reopen: Reopen,
    streams: list[Any],
    *,
    video: Any = None,
    rate: float | None = None,
    longest: float,
    audios: Sequence[Packets] = (),
    known: Timing | None = None,
) -> Timing:
    """Return when each of ``streams`` begins and ends.

    ``video`` is the one among them that is chosen, ``rate`` its frames a second. ``audios`` are
    given the packets of their streams, if any are read. ``known`` is what measuring the same
    file has found: nothing is read again but an index. Raises RejectedInput ("broken after
    12.3 s of 30.0 s: ...") when the end of the file is missing, or it lasts more than ``longest`` seconds.
    """
    start = timeline.start(container, streams)
    formats = frozenset(container.format.name.split(","))
    if "mov" in formats and all(_is_indexed(stream) for stream in streams) and not _is_fragmented(fd):
        for stream in streams:
            truncation.check_index(fd, stream)
        ends = {stream.index: _indexed_end(stream) - start for stream in streams}
        if video and known:
            if known.ends[video.index] > ends[video.index] + TOLERANCE:
                ends[video.index] = known.ends[video.index]
            return Timing(ends, start)
        counted = count(video, reopen) if video else None
        if counted:
            ends[video.index] = _shown_end(fd, video, counted) - start
        _check_limit(max(ends.values()), longest)
        return Timing(ends, start, cadence=counted)
    if known:
        return msgspec.structs.replace(known, start=start)
    chained = False
    if "ogg" in formats:
        if joined := _joined(fd, streams, longest):
            return joined
        chained = _is_chained(fd)
    claimed = (container.duration or 0) / 1e6
    found = None
    if claimed > 0 and not video and not chained and formats & _COUNTING:
        found = _by_tail(reopen, streams, start, claimed)
    counter = Counter(video) if video else None
    if found is None:
        with reopen() as again:
            listed = [again.streams[stream.index] for stream in streams]
            counters: list[Counter | Packets] = [*([counter] if counter else []), *audios]
            found = timeline.follow(again, listed, start=start, rate=rate, longest=longest, counters=counters)
        if counter and len(streams) == 1 and found.leaps * _SPARSE >= counter.count:
            with reopen() as again:
                only = again.streams[video.index]
                found = timeline.follow(again, [only], start=start, rate=rate, longest=longest, ahead=longest)
        if counter and found.trouble:
            counter.complete = False
    ends = {stream.index: found.ends.get(stream.index, start) - start for stream in streams}
    real = found.last - start
    _check_limit(max(ends.values(), default=0.0), longest)
    if "matroska" in formats and real:
        claimed -= max(0.0, start)  # Its header names the last timestamp, whatever the first one is.
    warning = truncation.check(fd, formats, real, real if found.discontinuities else claimed)
    if "mp3" in formats and abs(real - claimed) <= 2 * TOLERANCE and truncation.counts_frames(fd):
        ends = dict.fromkeys(ends, claimed)  # Exact to the sample: it leaves out encoder padding.
    return Timing(
        ends,
        start,
        {index: begin - start for index, begin in found.starts.items()},
        tuple(msgspec.structs.replace(each, at=each.at - start) for each in found.discontinuities),
        (*([warning] if warning else []), *_remarks(found, start), *_unmet(fd, formats, found, start)),
        counter.measured(container) if counter else None,
    )


def count(video: Any, reopen: Reopen) -> Cadence:
    """Return the cadence of a video by its packets, from the first one in its index on."""
    if len(video.index_entries):
        video.container.seek(video.index_entries[0].timestamp, stream=video, any_frame=True)
        return cadence.measure(video.container, video)
    with reopen() as again:
        return cadence.measure(again, again.streams[video.index])


def compare(what: str, source: float, output: float, frame: float, damaged: bool) -> str:
    """Return a warning when an output's stream is longer or a little shorter than the source's, else "" (in seconds).

    ``frame`` is the duration of one frame. Raises RejectedInput when more is missing: ffmpeg exits with 0 even if the
    source could be decoded only in part. Decoders drop what precedes the first sample, encoders round; and of a source
    that ffmpeg reported as ``damaged`` the last moments may be missing.
    """
    missing, tolerance = source - output, max(2 * TOLERANCE, frame) + 0.001
    if missing > max(slack(source), frame) + 0.001:
        raise RejectedInput(f"{what} is broken after {truncation.of(output, source)}: the rest cannot be decoded")
    if -missing > tolerance:
        return f"{what} lasts {output:.2f} s, its packets {source:.2f} s"
    if missing > tolerance and not damaged:
        return f"{what} ends after {output:.2f} s of {source:.2f} s: the rest cannot be decoded"
    return ""


def slack(claimed: float, damaged: bool = True) -> float:
    """Return the seconds that may be missing at the end: live recorders round, and write headers too early.

    Fewer where nothing is ``damaged``.
    """
    return truncation.slack(claimed) if damaged else 2 * TOLERANCE


def _check_limit(duration: float, longest: float) -> None:
    if duration > longest:
        raise RejectedInput(
            f"lasts {duration:.0f} s by its time stamps, the limit is {longest:.0f} s (limits.duration)"
        )


def _is_indexed(stream: Any) -> bool:
    """Return whether an MP4's index lists all samples of a stream, and its header agrees with it.

    libav takes the shorter of what the header claims (``mdhd``) and what the samples last (``stts``).
    """
    if not stream.duration or not stream.frames:
        return False
    entries = stream.index_entries
    count = len(entries)
    return not count or entries[count - 1].timestamp <= stream.duration + (stream.start_time or 0)


def _is_fragmented(fd: int) -> bool:
    return any(kind == b"moof" for kind, _, _ in isobmff.top_level_boxes(fd))


def _indexed_end(stream: Any) -> float:
    return float((stream.duration + (stream.start_time or 0)) * stream.time_base)


def _shown_end(fd: int, video: Any, counted: Cadence) -> float:
    """Return when the last frame of an indexed video ends, in the container's seconds.

    What the samples last does not always add up to what is shown: libavformat (62) writes durations between decoding
    times. The edit list has the end of the frame that is shown last, then.
    """
    indexed, ends = _indexed_end(video), counted.last + counted.length
    presented = isobmff.presented(fd, video.id) or 0.0
    shown = presented if presented > counted.last else ends
    return shown if shown > indexed + TOLERANCE else indexed


def _joined(fd: int, streams: list[Any], longest: float) -> Timing | None:
    """Return the timing of chained audio, whose links follow one another whatever their stamps are; None for others."""
    links = ogg.links(fd)
    lengths = ogg.lengths(fd) if len(links) > 1 and len(streams) == 1 else []
    if not lengths:
        return None
    index, joints = streams[0].index, list(accumulate(lengths))
    _check_limit(joints[-1], longest)
    jumps = [Discontinuity(index, at, -length) for at, length in zip(joints, lengths[:-1], strict=False)]
    remarks = [f"consists of {len(links)} files that were joined end to end: they follow one another without a gap"]
    if any(link != links[0] for link in links):
        remarks.append("its parts differ in codec, channels or sample rate: all are made like the first one")
    return Timing({index: joints[-1]}, discontinuities=tuple(jumps), warnings=tuple(remarks))


def _is_chained(fd: int) -> bool:
    """Return whether an Ogg file was joined from others. Raises RejectedInput when those have other parameters."""
    links = ogg.links(fd)
    if any(link != links[0] for link in links):
        raise RejectedInput(timeline.CHANGES)
    return len(links) > 1


def _by_tail(reopen: Reopen, streams: list[Any], start: float, claimed: float) -> Timeline | None:
    """Return the ends of all streams by their last packets; None where those do not confirm what is claimed."""
    with reopen() as container:
        try:
            container.seek(int(max(0.0, start + claimed - _TAIL) * 1e6))
        except av.FFmpegError:
            return None
        listed = [container.streams[stream.index] for stream in streams]
        found = timeline.follow(container, listed, start=start, rate=None, longest=float("inf"))
    confirmed = len(found.ends) == len(streams) and not found.discontinuities
    confirmed = confirmed and abs(max(found.ends.values()) - start - claimed) <= 2 * TOLERANCE
    return Timeline({}, found.ends, last=found.last) if confirmed else None


def _remarks(found: Timeline, start: float) -> list[str]:
    """Return warnings about time stamps, and about what could not be read."""
    remarks = []
    if found.discontinuities:
        first, count = found.discontinuities[0], len(found.discontinuities)
        times = f"at {first.at - start:.1f} s" + (f" and {count - 1} more times" if count > 1 else "")
        remarks.append(f"its time stamps jump by {first.jump:+.1f} s {times}: what follows is joined without a gap")
    if found.gaps:
        gap = found.gaps[0]
        remarks.append(f"its time stamps jump by {gap.jump:+.1f} s at {gap.at - start:.1f} s: the gap is kept")
    if found.trouble:
        end = max(found.ends.values(), default=start) - start
        remarks.append(f"cannot be read beyond {end:.1f} s: {found.trouble}")
    return remarks


def _unmet(fd: int, formats: frozenset[str], found: Timeline, start: float) -> list[str]:
    """Return a warning about streams that begin in the middle, of which PyAV yields nothing."""
    size = os.fstat(fd).st_size
    rest = size - found.position
    if not formats & _APPEARING or not found.position or rest < max(_LARGE, size * _SHARE):
        return []
    end = max(found.ends.values(), default=start) - start
    share = f"{100 * rest // size} % of the file"
    return [f"the streams end after {end:.1f} s: {share}, of streams that begin there, is left out"]
