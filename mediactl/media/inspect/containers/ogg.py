"""Ogg files that were joined end to end ("chained", RFC 3533, section 4): each link begins with headers of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import av

from mediactl.media.inspect.window import Window

_BEGINNING = re.compile(rb"OggS\0[\x02\x03\x06\x07]")
"""A page with the flag "beginning of a logical bitstream" (RFC 3533, section 6)."""
_BLOCK = 1 << 22
_OVERLAP = 512
"""Bytes of a page that hold its header and the first packet of any codec."""
_SEGMENTS = 26
"""Offset of the number of segments, after which their table comes."""
_SKIPPED, _OPUS_RATE = slice(10, 12), 48_000
"""Where the header of Opus says how many samples are skipped at its beginning, and their rate (RFC 7845, 5.1)."""
_PARAMETERS = {
    b"\x01vorbis": slice(11, 16),  # channels and sample rate
    b"OpusHead": slice(9, 10),  # channels; it is always decoded at 48 kHz
    b"\x7fFLAC": slice(27, 30),  # sample rate and channels, in 23 of these bits
    b"Speex   ": slice(36, 52),  # sample rate, mode, channels
    b"\x80theora": slice(10, 20),  # size in macroblocks and pixels
}
"""Where the first packet of a codec says what must not change within a stream."""


def links(fd: int) -> list[frozenset[bytes]]:
    """Return the links of an Ogg file, each as the codecs and parameters of its streams."""
    return [frozenset(_kind(packet) for packet in packets) - {b""} for _, packets in _links(fd)]


def spans(fd: int) -> list[tuple[int, int]]:
    """Return where each link begins and ends, in bytes: each is an Ogg file of its own."""
    starts = [start for start, _ in _links(fd)]
    return list(pairwise([*starts, os.fstat(fd).st_size]))


def lengths(fd: int) -> list[float]:
    """Return the seconds of each link; [] where a link is not one audio stream, or does not say its length."""
    found = []
    for span in spans(fd):
        try:
            with opened(fd, span) as link:
                if len(link.streams) != 1 or not link.streams.audio or not link.duration:
                    return []
                head = link.streams.audio[0].codec_context.extradata or b""
                skipped = int.from_bytes(head[_SKIPPED], "little") / _OPUS_RATE if head.startswith(b"OpusHead") else 0.0
                found.append(link.duration / 1e6 - skipped)
        except av.FFmpegError:
            return []
    return found


def opened(fd: int, span: tuple[int, int]) -> Any:
    """Open one link as a file of its own, which can open nothing else."""
    return av.open(Window(fd, *span), "r", format="ogg", options={"protocol_whitelist": "none"})


def _links(fd: int) -> list[tuple[int, list[bytes]]]:
    """Return where each link begins, and the first packet of each of its streams."""
    found: list[tuple[int, list[bytes]]] = []
    previous = -1
    for offset, following, packet in _beginnings(fd):
        if offset != previous:  # The first pages of all streams of a link come one behind the other.
            found.append((offset, []))
        found[-1][1].append(packet)
        previous = following
    return found


def _beginnings(fd: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (offset of a page, offset behind it, its first packet) for each logical bitstream."""
    at = 0
    while block := os.pread(fd, _BLOCK + _OVERLAP, at):
        for match in _BEGINNING.finditer(block):
            if match.start() >= _BLOCK:
                break  # The next block begins with it.
            page = block[match.start() : match.start() + _OVERLAP]
            count = page[_SEGMENTS] if len(page) > _SEGMENTS else 0
            body = _SEGMENTS + 1 + count
            behind = body + sum(page[_SEGMENTS + 1 : body])
            yield at + match.start(), at + match.start() + behind, page[body:behind]
        at += _BLOCK


def _kind(packet: bytes) -> bytes:
    """Return the codec of a stream with what must not change in it; b"" for what is no known codec."""
    for magic, where in _PARAMETERS.items():
        if packet.startswith(magic):
            return magic + packet[where]
    return b""
