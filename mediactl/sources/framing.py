"""Streams of frames or packets that have no signature: found by sync words that follow one another at their distance.

All functions take the first bytes of a file; one sync word alone is found in any file by chance.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TS_PACKETS = (188, 192, 204)
"""Bytes: plain; behind a time stamp of four, as camcorders write it; before error correction of 16 (broadcast)."""

_PACKETS = 5
"""Packets in a row that prove a transport stream anywhere in the head: 40 bits of sync words and 15 of flags."""
_FRAMES = 3
"""Frames in a row that prove a stream anywhere in the head; two when the file ends behind them."""
_PACK = b"\0\0\1\xba"
_AUDIO_SYNC = re.compile(rb"\xff[\xe2-\xe5\xf0-\xf5\xf8-\xfd]|\x0b\x77")
"""MPEG audio, ADTS, AC-3; without layer I, which nobody writes and runs of ones and small numbers look like."""
_LAYERS = {  # ISO/IEC 11172-3 and 13818-3: kbit/s by (MPEG-1, layer)
    (True, 1): tuple(range(0, 480, 32)),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AC3_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
"""kbit/s (ATSC A/52, table 5.18)."""


class Frame(NamedTuple):
    """What the header of an audio frame says."""

    format: str
    size: int
    """Bytes to the next frame."""
    constant: tuple[int, ...]
    """What all frames of a stream have in common."""


def audio_format(head: bytes) -> str:
    """Return the format of the audio frame that a file begins with, "" for none.

    One header of MPEG audio or ADTS is enough here, for files of a single frame and damaged ones; but not for one that
    is also the mark of UTF-16, and not for the shorter sync word of AC-3.
    """
    frame = _frame(head, 0)
    if frame is None:
        return ""
    return frame.format if head[0] == 0xFF and head[1] != 0xFE else _in_a_row(head, 0, wanted=1)


def audio_within(head: bytes) -> str:
    """Return the format of the first audio frames in a row, wherever they begin; "" for none."""
    for found in _AUDIO_SYNC.finditer(head):
        if format_ := _in_a_row(head, found.start(), wanted=_FRAMES):
            return format_
    return ""


def is_transport_stream(head: bytes) -> bool:
    """Return whether MPEG-TS packets follow one another, from anywhere in the head on."""
    at = head.find(b"\x47")
    while at >= 0:
        if any(_are_packets(head, at, size) for size in TS_PACKETS):
            return True
        at = head.find(b"\x47", at + 1)
    return False


def is_program_stream(head: bytes) -> bool:
    """Return whether a whole MPEG-PS pack header is anywhere in the head, with the next start code behind it."""
    at = head.find(_PACK)
    while at >= 0:
        if (size := _pack_header(head, at)) and re.match(rb"\x00\x00\x01[\xb9-\xff]", head[at + size : at + size + 4]):
            return True
        at = head.find(_PACK, at + 1)
    return False


def _are_packets(head: bytes, at: int, size: int) -> bool:
    headers = [head[place : place + 4] for place in range(at, at + _PACKETS * size, size)]
    return all(
        len(header) == 4 and header[0] == 0x47 and header[1] < 0x80 and header[3] & 0x30 for header in headers
    )  # no transport error; adaptation field, payload or both


def _pack_header(head: bytes, at: int) -> int:
    """Return the size of a pack header in bytes, 0 when it is none."""
    marks = head[at + 4 : at + 14]
    if len(marks) < 10:
        return 0
    if marks[0] & 0xC4 == 0x44:  # MPEG-2, with marker bits
        return 14 + (marks[9] & 7)
    return 12 if marks[0] & 0xF1 == 0x21 else 0


def _in_a_row(head: bytes, at: int, wanted: int) -> str:
    """Return the format of frames in a row, so many in the head at least, and no other byte where one must be."""
    first = frame = _frame(head, at)
    for number in range(1, _FRAMES + 1):
        if frame is None or first is None or frame.constant != first.constant:
            return ""
        at += frame.size
        if number >= _FRAMES or at + 8 > len(head):
            return first.format if number >= wanted or (number == 2 and at == len(head)) else ""
        frame = _frame(head, at)
    return ""


def _frame(head: bytes, at: int) -> Frame | None:
    header = head[at : at + 8]
    if len(header) < 4:
        return None
    parse = _ac3 if header[0] == 0x0B else _adts if header[1] & 0xF6 == 0xF0 else _mpeg_audio
    return parse(header.ljust(8, b"\xff"))


def _mpeg_audio(header: bytes) -> Frame | None:
    version, layer, sampling = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3), header[2] >> 2 & 3
    rate = header[2] >> 4
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer == 4 or rate in (0, 15) or sampling == 3:
        return None
    hertz = (44100, 48000, 32000)[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    bits, padding = _LAYERS[version == 3, layer][rate] * 1000, header[2] >> 1 & 1
    if layer == 1:
        size = (12 * bits // hertz + padding) * 4
    else:
        size = (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
    return Frame("mp3", size, (version, layer, sampling))


def _adts(header: bytes) -> Frame | None:
    """ISO/IEC 13818-7, 6.2."""
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    sampling = header[2] >> 2 & 15
    return Frame("aac", size, (header[1], header[2] >> 2)) if header[0] == 0xFF and size > 7 and sampling < 13 else None


def _ac3(header: bytes) -> Frame | None:
    """ATSC A/52, 5.3 and E.2.2; versions of the bit stream up to 10 are AC-3, later ones E-AC-3.

    Both may alternate in a stream: of more than six channels the first six are in AC-3 frames.
    """
    if header[1] != 0x77:
        return None
    version, sampling = header[5] >> 3, header[4] >> 6
    if 11 <= version <= 16:
        return Frame("eac3", ((header[2] & 7) << 8 | header[3]) * 2 + 2, (sampling,))
    code = header[4] & 63
    if version > 10 or sampling == 3 or code >= 2 * len(_AC3_RATES):
        return None
    rate = _AC3_RATES[code // 2]
    words = (96000 * rate // 48000, 96000 * rate // 44100 + (code & 1), 96000 * rate // 32000)[sampling]
    return Frame("ac3", words * 2, (sampling,))
