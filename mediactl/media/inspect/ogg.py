"""Ogg files that were joined end to end ("chained", RFC 3533, section 4): each link begins with headers of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

_BEGINNING = re.compile(rb"OggS\0[\x02\x03\x06\x07]")
"""A page with the flag "beginning of a logical bitstream" (RFC 3533, section 6)."""
_BLOCK = 1 << 22
_OVERLAP = 512
"""Bytes of a page that hold its header and the first packet of any codec."""
_SEGMENTS = 26
"""Offset of the number of segments, after which their table comes."""
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
    found: list[set[bytes]] = []
    previous = -1
    for offset, following, packet in _beginnings(fd):
        if offset != previous:  # The first pages of all streams of a link come one behind the other.
            found.append(set())
        found[-1].add(_kind(packet))
        previous = following
    return [frozenset(link - {b""}) for link in found]


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
