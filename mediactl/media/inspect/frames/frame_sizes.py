"""Whether the frames of a video change their size or their shape midway, as those of video calls and broadcasts do.

Nothing is decoded but one key frame for each new set of parameters: those are compared as bytes, where each codec has
them at the beginning of a key frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av

from mediactl.core import machine
from mediactl.model.media import FrameShape

SAME_SHAPE = 0.03
"""Relative difference of two aspect ratios that look the same: encoders round sizes up, 640 x 360 to 640 x 368."""
_HEAD = 4 << 10
"""Bytes of a key frame within which its parameters begin."""
_MOST = 64
"""Sets of parameters that are decoded; whoever changes more often has come back to one of them."""
_CLOCKED = frozenset({"mpegts", "mpeg"})
"""Containers without an aspect ratio of their own: that of the frames counts."""


_Parameters = Callable[[memoryview, bytes], bytes]
"""Returns the parameters that a key frame of a stream with some extradata begins with; empty: it has none."""


def resized(shapes: Sequence[FrameShape]) -> bool:
    """Return whether some frames have another size than others."""
    return len({(each.width, each.height) for each in shapes}) > 1


def need_bars(shapes: Sequence[FrameShape]) -> bool:
    """Return whether frames of another size do not fill the rectangle of the first."""
    return any(resized((shapes[0], each)) for each in _unlike(shapes))


def are_ambiguous(shapes: Sequence[FrameShape]) -> bool:
    """Return whether frames of one size are shown in different shapes: no filter can distinguish them."""
    return any(not resized((shapes[0], each)) for each in _unlike(shapes))


def _unlike(shapes: Sequence[FrameShape]) -> list[FrameShape]:
    return [each for each in shapes if abs(each.aspect / shapes[0].aspect - 1) >= SAME_SHAPE]


class FrameSizes:
    """Compares the parameters of the key frames of a stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._parameters = _PARAMETERS.get(stream.codec_context.codec.canonical_name)
        self._own_aspect = bool(_CLOCKED & set(stream.container.format.name.split(",")))
        self._seen: set[bytes] = set()
        self._aspect = Fraction(stream.sample_aspect_ratio or 1)
        width, height = stream.codec_context.width or 1, stream.codec_context.height or 1
        self._shapes = {self._shape(width, height, self._aspect): None}

    def look(self, packet: Any) -> None:
        """Take a packet of the stream into account, in the order of decoding."""
        if not packet.is_keyframe or self._parameters is None or len(self._seen) >= _MOST:
            return
        extradata = bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else b""
        found = extradata + self._parameters(memoryview(packet), self._stream.codec_context.extradata or b"")
        if found not in self._seen:
            if self._seen:
                self._decode(packet, extradata)
            self._seen.add(found)

    @property
    def shapes(self) -> tuple[FrameShape, ...]:
        """The shapes of the frames, the first one's first; none where there is only one."""
        return tuple(self._shapes) if len(self._shapes) > 1 else ()

    def _decode(self, packet: Any, extradata: bytes) -> None:
        context = av.CodecContext.create(self._stream.codec_context.codec.name, "r")
        context.extradata = extradata or self._stream.codec_context.extradata
        try:
            frames = [*context.decode(packet), *context.decode(None)]
        except av.FFmpegError as error:
            machine.pass_on(error)
            return  # Damaged: rendering will report it.
        aspect = (context.sample_aspect_ratio or Fraction(1)) if self._own_aspect else self._aspect
        self._shapes |= {self._shape(frame.width, frame.height, aspect): None for frame in frames}

    @staticmethod
    def _shape(width: int, height: int, aspect: Fraction) -> FrameShape:
        return FrameShape(width, height, round(float(aspect * Fraction(width, height)), 6))


def _parameter_sets(length_at: int, kind: Callable[[int], int], set_: int, slices: range) -> _Parameters:
    """Return what finds the sequence parameter sets that precede the first slice of an access unit.

    ``length_at``: byte of the extradata whose low two bits are the bytes of a length less one (ISO/IEC 14496-15).
    """

    def found(packet: memoryview, extradata: bytes) -> bytes:
        prefixed = extradata[:1] == b"\1" and len(extradata) > length_at
        units = _prefixed(packet, (extradata[length_at] & 3) + 1) if prefixed else _started(packet)
        sets = []
        for unit in units:
            if not unit or kind(unit[0]) in slices:
                break
            if kind(unit[0]) == set_:
                sets.append(bytes(unit).rstrip(b"\0"))
        return b"".join(sets)

    return found


def _prefixed(packet: memoryview, length: int) -> Iterator[memoryview]:
    """Yield the NAL units of a packet of MP4 or Matroska: each behind so many bytes with its length."""
    offset = 0
    while offset + length < len(packet):
        size = int.from_bytes(packet[offset : offset + length], "big")
        yield packet[offset + length : offset + length + size]
        offset += length + size


def _started(packet: memoryview) -> Iterator[memoryview]:
    """Yield the NAL units at the beginning of a packet of a byte stream (ITU-T H.264, annex B)."""
    starts = [match.end() for match in re.finditer(rb"\x00\x00\x01", packet[:_HEAD])]
    for start, end in zip(starts, [*(start - 3 for start in starts[1:]), _HEAD], strict=True):
        yield packet[start:end]


def _sequence_header(packet: memoryview, _: bytes) -> bytes:
    """Return the sequence header of an AV1 temporal unit (AV1 specification, 5.3: open bitstream units)."""
    offset = 0
    while offset + 2 < len(packet) and packet[offset] & 0b10:
        kind, offset = packet[offset] >> 3 & 15, offset + 1 + (packet[offset] >> 2 & 1)
        size = shift = 0
        for byte in packet[offset : offset + 8]:
            offset, size, shift = offset + 1, size | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        if kind == 1:
            return bytes(packet[offset : offset + size])
        offset += size
    return b""


def _matching(pattern: bytes) -> _Parameters:
    """Return what finds the first match of a pattern in the head of a packet."""
    compiled = re.compile(pattern, re.DOTALL)

    def found(packet: memoryview, _: bytes) -> bytes:
        match = compiled.search(packet[:_HEAD])
        return match[0] if match else b""

    return found


_SEQUENCE = _matching(rb"\x00\x00\x01\xb3.{4}")
_PARAMETERS: dict[str, _Parameters] = {
    "h264": _parameter_sets(4, lambda byte: byte & 31, 7, range(1, 6)),
    "hevc": _parameter_sets(21, lambda byte: byte >> 1 & 63, 33, range(32)),
    "av1": _sequence_header,
    "vp8": lambda packet, _: bytes(packet[6:10]),
    "vp9": lambda packet, _: bytes(packet[4:9]),
    "prores": lambda packet, _: bytes(packet[16:20]),
    "mpeg1video": _SEQUENCE,
    "mpeg2video": _SEQUENCE,
    "mpeg4": _matching(rb"\x00\x00\x01[\x20-\x2f](?:(?!\x00\x00\x01).){0,32}"),
    "mjpeg": _matching(rb"\xff[\xc0-\xc2]\0[\x0b\x11].{5}"),
}
"""Codec -> what finds the size in a key frame: width and height themselves, or parameters with them."""
