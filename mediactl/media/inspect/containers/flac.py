"""FLAC (RFC 9639): whether a file ends with a whole frame, whatever number of samples its header claims."""

from __future__ import annotations

from functools import cache

from mediactl.media.inspect import demux

_POLYNOMIAL = 0x8005
"""Of the CRC-16 that ends each frame (RFC 9639, section 9.3)."""
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What may follow the last frame; libav takes it for a part of that."""


def is_complete(fd: int) -> bool:
    """Return whether the last frame of a FLAC file is whole, by its checksum. Raises RejectedInput."""
    last = b""
    with demux.opened(fd) as container:
        for packet in demux.packets(container):
            last = bytes(packet) if packet.size else last
    ends = (last.find(tag) for tag in _TAGS)
    return bool(last) and any(_crc(last[:end]) == 0 for end in (len(last), *ends) if end > 0)


def _crc(content: bytes) -> int:
    """Return the CRC-16 of a frame: 0 where it includes its own."""
    crc, table = 0, _table()
    for byte in content:
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ byte]
    return crc


@cache
def _table() -> tuple[int, ...]:
    def shifted(crc: int) -> int:
        for _ in range(8):
            crc = (crc << 1 ^ (_POLYNOMIAL if crc & 0x8000 else 0)) & 0xFFFF
        return crc

    return tuple(shifted(byte << 8) for byte in range(256))
