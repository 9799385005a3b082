"""Videos whose frames come at times that a test chooses, each recognised by its brightness, and boxes read back."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

MILLI = Fraction(1, 1000)
SHADES = 24
"""Frames until the brightness begins anew."""
_SIDE = 64
REORDERED = {"bf": "3", "g": "250", "preset": "veryfast"}
"""Options of x264: B-frames, and references among them."""


def write(
    path: Path,
    times: Sequence[int],
    last: int,
    *,
    base: Fraction = MILLI,
    codec: str = "libx264",
    options: dict[str, str] = REORDERED,
    muxer: dict[str, str] | None = None,
    shades: Sequence[int] | None = None,
) -> Path:
    """Write frames at these ``times`` (ticks of ``base``), the last of which is shown for ``last`` ticks."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = base
        lasting = dict(
            zip(times, [end - time for time, end in itertools.pairwise([*times, times[-1] + last])], strict=True)
        )
        for number, time in enumerate(times):
            shade = shades[number] if shades else number % SHADES
            frame: Any = av.VideoFrame(_SIDE, _SIDE, "yuv420p")
            for plane, value in zip(frame.planes, (20 + 9 * shade, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = time, base
            _mux(container, stream.encode(frame), lasting)
        _mux(container, stream.encode(None), lasting)
    return path


def _mux(container: Any, packets: list[Any], lasting: dict[int, int]) -> None:
    """Write packets, each with how long its frame is shown, as ffmpeg has it."""
    for packet in packets:
        packet.duration = lasting[packet.pts]
        container.mux(packet)


def shade(frame: Any) -> int:
    """Return which frame (modulo SHADES) a decoded one is."""
    plane = frame.planes[0]
    rows, width, middle = bytes(plane), int(plane.line_size), int(frame.width) // 2
    luma = [rows[y * width + middle] for y in range(0, int(frame.height), 4)]
    return round((sum(luma) / len(luma) - 20) / 9)


def shown(path: Path) -> list[tuple[Fraction, int]]:
    """Return when each frame is shown (seconds) and which one it is, in order."""
    with av.open(str(path)) as container:
        return [
            (Fraction(frame.pts or 0) * Fraction(frame.time_base or 0), shade(frame))
            for frame in container.decode(video=0)
        ]


class Track(NamedTuple):
    """A track as the boxes of an MP4 describe it; durations in seconds."""

    kind: str
    tkhd: Fraction
    mdhd: Fraction
    edited: Fraction
    """Sum of its edits, of the empty one, too."""
    skipped: Fraction
    """Begin of its last edit in the media."""
    decoded: list[Fraction]
    """Duration of each sample, by decoding time (stts)."""
    presented: list[Fraction]
    """When each sample is shown, by decoding and composition time, less ``skipped``; in decoding order."""


def index(path: Path) -> tuple[Fraction, list[Track]]:
    """Return the duration in mvhd, and the tracks, of an MP4; nothing of mediactl is used."""
    moov = dict(_boxes(path.read_bytes()))[b"moov"]
    scale, duration = _header(dict(_boxes(moov))[b"mvhd"])
    tracks = [_track(dict(_boxes(body)), scale) for kind, body in _boxes(moov) if kind == b"trak"]
    return Fraction(duration, scale), tracks


def _track(trak: dict[bytes, bytes], movie: int) -> Track:
    tkhd, mdia = trak[b"tkhd"], dict(_boxes(trak[b"mdia"]))
    length = struct.unpack_from(">Q", tkhd, 28) if tkhd[0] else struct.unpack_from(">I", tkhd, 20)
    scale, duration = _header(mdia[b"mdhd"])
    table = dict(_boxes(dict(_boxes(mdia[b"minf"]))[b"stbl"]))
    decoded = [each for count, each in _rows(table[b"stts"], ">II") for _ in range(count)]
    ahead = [each for count, each in _rows(table.get(b"ctts", bytes(8)), ">Ii") for _ in range(count)] or [0] * len(
        decoded
    )
    edits = _edits(dict(_boxes(trak[b"edts"]))[b"elst"]) if b"edts" in trak else []
    skipped = edits[-1][1] if edits else 0
    starts = [sum(decoded[:number]) for number in range(len(decoded))]
    return Track(
        mdia[b"hdlr"][8:12].decode(),
        Fraction(length[0], movie),
        Fraction(duration, scale),
        Fraction(sum(each for each, _ in edits), movie),
        Fraction(skipped, scale),
        [Fraction(each, scale) for each in decoded],
        [Fraction(start + offset - skipped, scale) for start, offset in zip(starts, ahead, strict=True)],
    )


def _header(body: bytes) -> tuple[int, int]:
    """Time scale and duration of an mvhd or mdhd."""
    scale, duration = struct.unpack_from(">IQ", body, 20) if body[0] else struct.unpack_from(">II", body, 12)
    return scale, duration


def _edits(body: bytes) -> list[tuple[int, int]]:
    [count] = struct.unpack_from(">I", body, 4)
    form, size = (">Qq", 20) if body[0] else (">Ii", 12)
    return [struct.unpack_from(form, body, 8 + size * number) for number in range(count)]


def _rows(body: bytes, form: str) -> list[tuple[int, int]]:
    [count] = struct.unpack_from(">I", body, 4)
    return list(struct.iter_unpack(form, body[8 : 8 + 8 * count]))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert size >= 8, "a box of 64 bits, or to the end of the file"
        yield kind, data[at + 8 : at + size]
        at += size
