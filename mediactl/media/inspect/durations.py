"""How long a film or recording really is, and whether its end is missing. Headers are compared with what is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import av
from av.container import InputContainer

from mediactl.core.errors import RejectedInput

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
_UNKNOWN_SIZE = 0x7FFF_FF00
"""From here on a RIFF size is a placeholder of a writer that could not seek back."""
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def boxes(fd: int) -> list[tuple[bytes, int, int]]:
    """Top-level boxes of an MP4 or MOV: (type, offset, size in bytes), as far as they can be followed."""
    found: list[tuple[bytes, int, int]] = []
    end, offset = os.fstat(fd).st_size, 0
    while offset + 8 <= end and len(found) < 100_000:
        head = os.pread(fd, 16, offset)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - offset
        if size < 8:
            break
        found.append((kind, offset, size))
        offset += size
    return found


def streamable(fd: int) -> bool:
    """Whether an MP4's index comes before its content, so that it plays while it loads."""
    kinds = [kind for kind, _, _ in boxes(fd)]
    return b"moov" in kinds and b"mdat" in kinds and kinds.index(b"moov") < kinds.index(b"mdat")


def declared_size(fd: int) -> int | None:
    """Size in bytes that a container says it has, None if it does not say."""
    head = os.pread(fd, 1 << 14, 0)
    if head[:4] in (b"RIFF", b"FORM"):
        size = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return size + 8 if 0 < size < _UNKNOWN_SIZE else None
    if head[:4] == b"riff":  # Sony Wave64
        return int.from_bytes(head[16:24], "little") or None
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska_size(head)
    if head[:4] == b"\x30\x26\xb2\x75" and (place := head.find(_ASF_FILE_PROPERTIES)) > 0:
        return int.from_bytes(head[place + 40 : place + 48], "little") or None
    if head[:3] == b"ID3" or head[:2] in (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"):
        return _mp3_size(fd, head)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        content = (b"mdat", b"moof", b"moov")
        return max((offset + size for kind, offset, size in boxes(fd) if kind in content), default=None)
    return None


def ends(
    fd: int, container: InputContainer, reopened: Any, chosen: list[Any], rate: float | None
) -> tuple[dict[int, float], str]:
    """Seconds from the file's start at which each chosen stream ends, by its index; and a warning or "".

    ``reopened`` makes a context with the same container at its start; ``rate`` is the film's frames a second.
    Raises RejectedInput ("broken after 12.3 s of 30.0 s: ...") when the end of the file is missing.
    """
    start = (container.start_time or 0) / 1e6
    names = set(container.format.name.split(","))
    claimed = container.duration / 1e6 if container.duration else 0.0
    size, declared = os.fstat(fd).st_size, declared_size(fd)
    if "mov" in names and all(stream.duration and stream.frames for stream in chosen):
        for stream in chosen:
            _check_index(stream, size)
        headers = {
            stream.index: float((stream.duration + (stream.start_time or 0)) * stream.time_base) - start
            for stream in chosen
        }
        return headers, ""
    wanted = {stream.index for stream in chosen}
    found: dict[int, float] = {}
    if claimed and not names & _GUESSING:
        with reopened() as again:
            found = _from(again, start + claimed - _TAIL, rate)
    if not wanted <= found.keys():
        with reopened() as again:
            found = packet_ends(again, rate)
    found = {index: end - start for index, end in found.items()}
    real = max(found.values(), default=0.0)
    if "matroska" in names and real:
        claimed -= max(0.0, start)  # Its header names the last timestamp, whatever the first one is.
    warning = ""
    if declared and declared > size + _SIZE_SLACK:
        if not names & _INDEPENDENT or claimed - real > 2 * TOLERANCE:
            raise _cut_off(real, claimed, size / declared)
        warning = "the file is shorter than it says, but its content goes on to the end"
    if claimed and names & _GUESSING:
        if abs(real - claimed) <= 2 * TOLERANCE:
            found = dict.fromkeys(wanted, claimed)  # Exact to the sample: it leaves out encoder padding.
    elif claimed - real > 2 * TOLERANCE and not names & _UNCLAIMING:
        if names & _EXACT or claimed - real > slack(claimed):
            raise _cut_off(real, claimed, 1.0)
        warning = f"its header says {claimed:.2f} s, but its content ends after {real:.2f} s"
    return {index: found.get(index, 0.0) for index in wanted}, warning


def packets(container: InputContainer, *streams: Any) -> Iterator[Any]:
    """The packets of these streams (of all, without any), flushing ones at the end.

    PyAV's flush fails when a stream has appeared in the middle of the file, as MPEG-TS and FLV may have it.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


def packet_ends(container: InputContainer, rate: float | None) -> dict[int, float]:
    """Seconds, counted as the container does, at which the last packet of each stream ends; absent: it had none."""
    found: dict[int, float] = {}
    try:
        for packet in packets(container):
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


def compared(what: str, wanted: float, made: float, frame: float, damaged: bool) -> str:
    """A warning when an output's track lasts longer than the source's, else "" (seconds; ``frame`` is one frame's).

    Raises RejectedInput when it is shorter: ffmpeg ends well even if the source could be decoded only in part. Of a
    source that ffmpeg called ``damaged`` the last moments may be missing.
    """
    tolerance = (slack(wanted, damaged) if damaged else max(TOLERANCE, frame)) + 0.001
    if wanted - made > tolerance:
        raise RejectedInput(f"{what} is broken after {_of(made, wanted)}: the rest cannot be decoded")
    return f"{what} lasts {made:.2f} s, its header says {wanted:.2f} s" if made - wanted > tolerance else ""


def slack(claimed: float, damaged: bool = True) -> float:
    """Seconds that may be missing at the end of what is claimed: live recorders round, and write headers too early.

    Less where nothing is ``damaged``.
    """
    return min(1.0, max(0.2, claimed / 20)) if damaged else 2 * TOLERANCE


def _from(container: InputContainer, second: float, rate: float | None) -> dict[int, float]:
    try:
        container.seek(int(max(0.0, second) * 1e6))
    except av.FFmpegError:
        return {}
    return packet_ends(container, rate)


def _check_index(stream: Any, size: int) -> None:
    """Raise RejectedInput when the index names samples that lie behind the end of the file."""
    entries = stream.index_entries
    count = len(entries)
    if not count or entries[count - 1].pos + entries[count - 1].size <= size:
        return
    first = next((entry for entry in entries if entry.pos + entry.size > size), entries[count - 1])
    whole = float(stream.duration * stream.time_base)
    raise _cut_off(min(max(float(first.timestamp * stream.time_base), 0.0), whole), whole, 1.0)


def _cut_off(real: float, claimed: float, share: float) -> RejectedInput:
    after, part = _of(real, claimed), ""
    if claimed - real <= TOLERANCE:  # Claimed by the size of what is left.
        after, part = f"{real:.1f} s", f" ({int(share * 100)} % of it is there)"
    return RejectedInput(f"broken after {after}: the end of the file is missing{part}")


def _of(part: float, whole: float) -> str:
    digits = 1 if whole - part >= 0.1 else 2
    return f"{part:.{digits}f} s of {whole:.{digits}f} s"


def _mp3_size(fd: int, head: bytes) -> int | None:
    """Where the sound ends by the Xing header that encoders put into the first frame, behind the ID3v2 tag."""
    start = 0
    if head[:3] == b"ID3":  # Seven bits of each byte; a footer repeats the 10 bytes of the header.
        start = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        start += 20 if head[5] & 0x10 else 10
    frame = os.pread(fd, 64, start)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    fields = frame[place + 4 : place + 16]  # Flags; number of frames if bit 0 is set; number of bytes if bit 1 is.
    if frame[:1] != b"\xff" or place < 0 or len(fields) < 12 or fields[3] & 3 != 3:
        return None
    return start + int.from_bytes(fields[8:], "big")


def _matroska_size(head: bytes) -> int | None:
    """Where the segment of a Matroska file ends (RFC 8794, sections 4 and 5: variable-size integers)."""
    length, _, after = _variable(head, 4)
    place = after + (length or 0)
    if length is None or head[place : place + 4] != b"\x18\x53\x80\x67":
        return None
    segment, unknown, after = _variable(head, place + 4)
    return None if segment is None or unknown else after + segment


def _variable(head: bytes, place: int) -> tuple[int | None, bool, int]:
    """(value, whether it means "unknown", offset behind it)."""
    if place >= len(head) or not head[place]:
        return None, False, place
    width = 9 - head[place].bit_length()
    bits = 7 * width
    value = int.from_bytes(head[place : place + width], "big") & ((1 << bits) - 1)
    return value, value == (1 << bits) - 1, place + width
