"""Boxes put into the sample entry of a video that ffmpeg made, where its muxers would not write them."""

from __future__ import annotations

import struct
from pathlib import Path

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_ENTRY = 86
"""Bytes of a visual sample entry before its boxes."""


def put(path: Path, kind: bytes, body: bytes) -> Path:
    """Put a box at the end of the first sample entry, in place of one of its kind; the index must be at the end."""
    data = path.read_bytes()
    offset, end, sizes = 0, len(data), []
    for wanted in _PATH:
        offset, end = _find(data, offset, end, wanted)
        sizes.append(offset - 8)
    entry = offset + 8
    sizes.append(entry)
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    data = _without(data, entry + _ENTRY, end, kind, sizes)
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    box = struct.pack(">I4s", len(body) + 8, kind) + body
    path.write_bytes(_grown(data[:end] + box + data[end:], sizes, len(box)))
    return path


def _find(data: bytes, offset: int, end: int, wanted: bytes) -> tuple[int, int]:
    while True:
        size, kind = struct.unpack_from(">I4s", data, offset)
        if kind == wanted:
            return offset + 8, offset + size
        offset += size
        assert offset < end, wanted


def _without(data: bytes, offset: int, end: int, kind: bytes, sizes: list[int]) -> bytes:
    while offset < end:
        size, found = struct.unpack_from(">I4s", data, offset)
        if found == kind:
            return _grown(data[:offset] + data[offset + size :], sizes, -size)
        offset += size
    return data


def _grown(data: bytes, sizes: list[int], by: int) -> bytes:
    changed = bytearray(data)
    for offset in sizes:
        struct.pack_into(">I", changed, offset, int.from_bytes(data[offset : offset + 4], "big") + by)
    return bytes(changed)
