"""How long a video or audio file really is, and whether its end is missing: headers are compared with the content."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import av
from av.container import InputContainer

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect import demux
from mediactl.media.inspect.declared_size import declared_size

TOLERANCE = 0.05
"""Seconds that a duration may be off, or one frame if that is longer."""

_TAIL = 3.0
"""Seconds before the claimed end from which packets are read to find the real one."""
_GUESSING = {"mp3", "aac", "ac3", "eac3", "amr"}
"""Containers whose claim may be no more than file size over bit rate: all their packets are counted."""
_UNCLAIMING = {"mpegts", "mpeg", "ogg"}
"""Containers without a header that says how long they should be; cut off, they are merely shorter."""
_EXACT = {"flac", "wv", "tta", "ape", "aiff", "w64", "wav", "au", "caf"}
"""Containers whose header counts samples."""
_INDEPENDENT = {"matroska", "mov"}
"""Containers whose claimed duration libav takes from the header alone, and not from the size of the file."""
_SIZE_SLACK = 1 << 10
"""Bytes that a header may claim too many: padding, and sizes that count themselves."""

Reopen = Callable[[], AbstractContextManager[InputContainer]]
"""Opens the same file again, at its start."""


def ends(
    fd: int, container: InputContainer, reopen: Reopen, streams: list[Any], rate: float | None
) -> tuple[dict[int, float], str]:
    """Return at which second from the file's start each of ``streams`` ends, by its index; and a warning or "".

    ``rate`` is the frames a second of the video. Raises RejectedInput ("broken after 12.3 s of 30.0 s: ...") when the
    end of the file is missing.
    """
    start = (container.start_time or 0) / 1e6
    formats = set(container.format.name.split(","))
    if "mov" in formats and all(stream.duration and stream.frames for stream in streams):
        return _indexed_ends(streams, start, os.fstat(fd).st_size), ""
    claimed = container.duration / 1e6 if container.duration else 0.0
    indexes = {stream.index for stream in streams}
    tail = start + claimed - _TAIL if claimed and not formats & _GUESSING else None
    measured = _measured_ends(reopen, indexes, start, tail, rate)
    real = max(measured.values(), default=0.0)
    if "matroska" in formats and real:
        claimed -= max(0.0, start)  # Its header names the last timestamp, whatever the first one is.
    warning = _compare_size(fd, formats, real, claimed)
    if claimed and formats & _GUESSING:
        if abs(real - claimed) <= 2 * TOLERANCE:
            measured = dict.fromkeys(indexes, claimed)  # Exact to the sample: it leaves out encoder padding.
    else:
        warning = _compare_claim(formats, real, claimed) or warning
    return {index: measured.get(index, 0.0) for index in indexes}, warning


def packet_ends(container: InputContainer, rate: float | None) -> dict[int, float]:
    """Return when the last packet of each stream ends, in the container's seconds; streams without any are absent."""
    found: dict[int, float] = {}
    try:
        for packet in demux.packets(container):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or not packet.time_base:
                continue
            end = float((stamp + (packet.duration or 0)) * packet.time_base)
            if not packet.duration and rate and packet.stream.type == "video":
                end += 1 / rate
            index = packet.stream.index
            found[index] = max(found.get(index, 0.0), end)
    except av.FFmpegError as error:
        if error.errno == errno.EIO:
            raise
    return found


def compare(what: str, source: float, output: float, frame: float, damaged: bool) -> str:
    """Return a warning when an output's stream lasts longer than the source's, else "" (all in seconds).

    ``frame`` is the duration of one frame. Raises RejectedInput when the output is shorter: ffmpeg exits with 0 even if
    the source could be decoded only in part. Of a source that ffmpeg reported as ``damaged`` the last moments may be
    missing.
    """
    tolerance = (slack(source, damaged) if damaged else max(TOLERANCE, frame)) + 0.001
    if source - output > tolerance:
        raise RejectedInput(f"{what} is broken after {_of(output, source)}: the rest cannot be decoded")
    return f"{what} lasts {output:.2f} s, its header claims {source:.2f} s" if output - source > tolerance else ""


def slack(claimed: float, damaged: bool = True) -> float:
    """Return the seconds that may be missing at the end: live recorders round, and write headers too early.

    Fewer where nothing is ``damaged``.
    """
    return min(1.0, max(0.2, claimed / 20)) if damaged else 2 * TOLERANCE


def _indexed_ends(streams: Iterable[Any], start: float, size: int) -> dict[int, float]:
    """Return the ends of streams that the index lists completely. Raises RejectedInput when samples are missing."""
    for stream in streams:
        _check_index(stream, size)
    return {
        stream.index: float((stream.duration + (stream.start_time or 0)) * stream.time_base) - start
        for stream in streams
    }


def _check_index(stream: Any, size: int) -> None:
    """Raise RejectedInput when the index names samples that lie behind the end of the file."""
    entries = stream.index_entries
    count = len(entries)
    if not count or entries[count - 1].pos + entries[count - 1].size <= size:
        return
    first = next((entry for entry in entries if entry.pos + entry.size > size), entries[count - 1])
    whole = float(stream.duration * stream.time_base)
    raise _cut_off(min(max(float(first.timestamp * stream.time_base), 0.0), whole), whole, 1.0)


def _measured_ends(
    reopen: Reopen, indexes: set[int], start: float, tail: float | None, rate: float | None
) -> dict[int, float]:
    """Return the ends of all streams by their packets: those from second ``tail`` on, or all if that is not enough."""
    found: dict[int, float] = {}
    if tail is not None:
        with reopen() as container:
            found = _tail_ends(container, tail, rate)
    if not indexes <= found.keys():
        with reopen() as container:
            found = packet_ends(container, rate)
    return {index: end - start for index, end in found.items()}


def _tail_ends(container: InputContainer, second: float, rate: float | None) -> dict[int, float]:
    try:
        container.seek(int(max(0.0, second) * 1e6))
    except av.FFmpegError:
        return {}
    return packet_ends(container, rate)


def _compare_size(fd: int, formats: set[str], real: float, claimed: float) -> str:
    """Return a warning when the file is smaller than it declares. Raises RejectedInput when content is missing."""
    size, declared = os.fstat(fd).st_size, declared_size(fd)
    if not declared or declared <= size + _SIZE_SLACK:
        return ""
    if not formats & _INDEPENDENT or claimed - real > 2 * TOLERANCE:
        raise _cut_off(real, claimed, size / declared)
    return "the file is shorter than it declares, but its content is complete"


def _compare_claim(formats: set[str], real: float, claimed: float) -> str:
    """Return a warning when the content ends a little early. Raises RejectedInput when more is missing."""
    if claimed - real <= 2 * TOLERANCE or formats & _UNCLAIMING:
        return ""
    if formats & _EXACT or claimed - real > slack(claimed):
        raise _cut_off(real, claimed, 1.0)
    return f"its header claims {claimed:.2f} s, but its content ends after {real:.2f} s"


def _cut_off(real: float, claimed: float, share: float) -> RejectedInput:
    after, part = _of(real, claimed), ""
    if claimed - real <= TOLERANCE:  # Claimed by the size of what is left.
        after, part = f"{real:.1f} s", f" ({int(share * 100)} % of it is there)"
    return RejectedInput(f"broken after {after}: the end of the file is missing{part}")


def _of(part: float, whole: float) -> str:
    digits = 1 if whole - part >= 0.1 else 2
    return f"{part:.{digits}f} s of {whole:.{digits}f} s"
