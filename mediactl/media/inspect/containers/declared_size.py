"""The size that a container says it has: where the file is smaller, its end is missing."""

from __future__ import annotations

import os
import struct
from typing import Literal

from mediactl.media.inspect.containers.isobmff import top_level_boxes

_UNKNOWN_SIZE = 0x7FFF_FF00
"""From here on a RIFF size is a placeholder of a writer that could not seek back."""
_RIFF_MEDIA = (b"data", b"SSND")
"""Chunks of WAV and AIFF that hold the samples; those of AVI are in a list."""
_MOST_CHUNKS = 1_000
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""IDs of the first elements of a Matroska file (RFC 9559)."""
_FLV_FILE_SIZE = b"\0\x08filesize\0"
"""The name with its length, and the type "number"."""
_FLV_TAG = 11
"""Bytes of the header of a tag."""
_MP3_SYNC = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
_MP4_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MP4_MEDIA = (b"mdat", b"moof", b"moov")


def declared_size(fd: int) -> int | None:
    """Return the size in bytes that a container declares, None if it declares none."""
    head = os.pread(fd, 1 << 14, 0)
    if head[:4] in (b"RIFF", b"FORM"):
        return _riff_size(fd, head)
    if head[:4] == b"riff":  # Sony Wave64
        return int.from_bytes(head[16:24], "little") or None
    if head[:4] == _EBML:
        return _matroska_size(head)
    if head[:4] == b"\x30\x26\xb2\x75":
        return _asf_size(head)
    if head[:3] == b"FLV":
        return _flv_size(head) or _last_tag_end(fd)
    if head[:3] == b"ID3" or head[:2] in _MP3_SYNC:
        return _mp3_size(fd, head)
    if head[4:8] in _MP4_FIRST:
        ends = (offset + size for kind, offset, size in top_level_boxes(fd) if kind in _MP4_MEDIA)
        return max(ends, default=None)
    return None


def _riff_size(fd: int, head: bytes) -> int | None:
    """Return where the media data ends, or else the file: an index, or tags, may follow."""
    order: Literal["little", "big"] = "little" if head[:4] == b"RIFF" else "big"
    size = int.from_bytes(head[4:8], order)
    if not 0 < size < _UNKNOWN_SIZE:
        return None
    offset, end = 12, size + 8
    for _ in range(_MOST_CHUNKS):
        chunk = os.pread(fd, 12, offset)
        length = int.from_bytes(chunk[4:8], order)
        close = offset + 8 + length
        if not chunk or close > end:
            break
        if chunk[:4] in _RIFF_MEDIA or chunk[:4] + chunk[8:] == b"LISTmovi":
            return close
        offset = close + length % 2
    return end


def _asf_size(head: bytes) -> int | None:
    at = head.find(_ASF_FILE_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") or None if at > 0 else None


def _flv_size(head: bytes) -> int | None:
    """Return "filesize" of onMetaData (FLV 10.1, annex E.5), a number of AMF 0."""
    at = head.find(_FLV_FILE_SIZE)
    value = head[at + len(_FLV_FILE_SIZE) :][:8]
    size = struct.unpack(">d", value)[0] if at > 0 and len(value) == 8 else 0.0
    return int(size) if 0 < size < 1 << 53 else None


def _last_tag_end(fd: int) -> int | None:
    """Return the size of an FLV that ends with a whole tag: 4 bytes behind each are its size (annex E.3)."""
    size = os.fstat(fd).st_size
    tag = int.from_bytes(os.pread(fd, 4, size - 4), "big")
    head = os.pread(fd, 4, size - 4 - tag) if _FLV_TAG < tag < size - 4 else b""
    whole = head[:1] in (b"\x08", b"\x09", b"\x12") and int.from_bytes(head[1:], "big") == tag - _FLV_TAG
    return size if whole else None


def _mp3_size(fd: int, head: bytes) -> int | None:
    """Return where the audio ends by the Xing header in the first frame, which follows the ID3v2 tag."""
    start = 0
    if head[:3] == b"ID3":  # Seven bits of each byte; a footer repeats the 10 bytes of the header.
        start = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        start += 20 if head[5] & 0x10 else 10
    frame = os.pread(fd, 64, start)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    fields = frame[at + 4 : at + 16]  # Flags; number of frames if bit 0 is set; number of bytes if bit 1 is.
    if frame[:1] != b"\xff" or at < 0 or len(fields) < 12 or fields[3] & 3 != 3:
        return None
    return start + int.from_bytes(fields[8:], "big")


def _matroska_size(head: bytes) -> int | None:
    """Return where the segment ends (RFC 8794, sections 4 and 5: variable-size integers)."""
    length, _, after = _variable_integer(head, 4)
    at = after + (length or 0)
    if length is None or head[at : at + 4] != _SEGMENT:
        return None
    segment, unknown, after = _variable_integer(head, at + 4)
    return None if segment is None or unknown else after + segment


def _variable_integer(head: bytes, at: int) -> tuple[int | None, bool, int]:
    """Return (value, whether it means "unknown", offset after it)."""
    if at >= len(head) or not head[at]:
        return None, False, at
    width = 9 - head[at].bit_length()
    bits = 7 * width
    value = int.from_bytes(head[at : at + width], "big") & ((1 << bits) - 1)
    return value, value == (1 << bits) - 1, at + width
