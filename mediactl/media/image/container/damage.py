"""Why an image cannot be decoded, in words for people: by its structure, else by what the decoder said."""

from __future__ import annotations

import re
import zlib

from mediactl.core import machine
from mediactl.core.errors import MachineTrouble, RejectedInput
from mediactl.media.image.container import kinds
from mediactl.media.image.container.structure import Read, reader
from mediactl.media.image.vips import reason
from mediactl.model import formats

_DAMAGED = "is damaged: "
_TRUNCATED = "is truncated: "
_SAID: tuple[tuple[str, str], ...] = (
    # libjpeg
    ("premature end of jpeg", _TRUNCATED + "its pixels end early"),
    ("missing sos marker", _TRUNCATED + "it ends before its pixels begin"),
    ("datastream contains no image", "is truncated or damaged: it contains no image"),
    ("huffman", _DAMAGED + "its Huffman tables or its compressed pixels are invalid"),
    ("quantization table .* not defined", _DAMAGED + "a quantization table is missing"),
    ("bogus marker length", _DAMAGED + "a marker has an invalid length"),
    ("empty jpeg image", _DAMAGED + "its width or height is 0"),
    ("progressive.*parameters", _DAMAGED + "its progressive scans are invalid"),
    # libpng, when its chunks and their compression are whole; libwebp, libnsgif
    ("libpng", _DAMAGED + "its pixels cannot be decoded"),
    ("webp: unable to parse", _DAMAGED + "its header is invalid"),
    ("unable to read pixels", _DAMAGED + "its compressed pixels are invalid"),
    ("invalid frame data|bad lzw|invalid data in gif", _DAMAGED + "the compressed pixels of a frame are invalid"),
    ("no frames in gif", _DAMAGED + "it contains no complete frame"),
    # libtiff
    ("cannot read tiff header", _TRUNCATED + "it ends inside its header"),
    (r"failed to read directory at offset (\d+)",
     r"is truncated or damaged: its directory of tags is missing at byte \1"),
    (r"compression scheme (\d+) .*not implemented", rf"is a TIFF with compression \1{formats.UNSUPPORTED}"),
    ("read error at|read error on strip|read error on tile", _TRUNCATED + "its pixels end early"),
    ("decoding error at|code not yet in table|not enough data at scanline|incorrect data check|corrupted lzw",
     _DAMAGED + "its compressed pixels are invalid"),
    ("zero scanline size|bad value 0", _DAMAGED + "its width, height or number of channels is 0"),
    # libheif and its decoders
    ("security limit exceeded: (.*)", r"is too large: \1"),
    ("outside of file bounds|insufficient input", _TRUNCATED + "the end of its data is missing"),
    ("unexpected end of file", _DAMAGED + "a box or its compressed pixels end early"),
    ("corrupt frame|bitstream not supported|decoder plugin", _DAMAGED + "its compressed pixels are invalid"),
    ("no '?(.{4})'? (box|property)", _DAMAGED + r"its box '\1' is missing"),
    ("no or invalid primary item", _DAMAGED + "its primary item is missing (boxes 'hdlr' and 'pitm')"),
    ("'(.{4})' box references a non-existing property", _DAMAGED + r"its box '\1' refers to a missing property"),
    ("bad dimensions", _DAMAGED + "its width or height is missing"),
    ("no item|invalid box", _DAMAGED + "a required box is missing or invalid"),
    # Pillow, OpenJPEG
    (r"^\[errno \d+\]", _DAMAGED + "a length in its header is invalid"),
    ("truncated file read|only got \\d", _TRUNCATED + "it ends inside its header"),
    ("image file is truncated|not enough image data|image data.* ended", _TRUNCATED + "its pixels end early"),
    ("broken data stream", "is truncated or damaged: its compressed pixels are invalid or end early"),
    ("maxval must", _DAMAGED + "the largest value in its header is invalid"),
    ("cannot identify", "is truncated or damaged: its header cannot be read"),
)  # fmt: skip
"""What libraries say, in whatever case -> the reason."""

_PNG_TYPES = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type -> bit depths (PNG, 11.2.1)."""
_OF_FRAMES = (b"acTL", b"fcTL", b"fdAT")
"""Chunks of animated PNG."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_CHUNK = 2**31 - 1
_BLOCK = 1 << 20
"""Bytes of pixels that are decompressed at once."""


def rejection(error: Exception, content: bytes | int = b"", format: str = "") -> RejectedInput | MachineTrouble:
    """Return the error for a file (its bytes or its descriptor) that libvips or Pillow cannot decode completely.

    A kind of a format that no decoder reads is rejected by its name, what is damaged by the cause. Where
    the machine is to blame, the error says so.
    """
    if trouble := machine.trouble(error):
        return MachineTrouble(f"the machine failed: {trouble}")
    read = reader(content)
    said = reason(error)
    known = next((found.expand(text) for pattern, text in _SAID if (found := re.search(pattern, said, re.I))), "")
    if format in ("png", "apng"):
        known = _png(read) or known
    elif format == "webp" and _riff_is_cut(read):
        known = _TRUNCATED + "the end of its data is missing"
    elif not known.startswith(_TRUNCATED):  # what was cut off says nothing of its kind
        known = kinds.refusal(read, format) or known
    return RejectedInput(known or f"is truncated or damaged: {said}")


def _riff_is_cut(read: Read) -> bool:
    head = read(0, 20)
    end = int.from_bytes(head[4:8], "little") + 8
    return len(head) < 20 or not read(end - 1, 1)


def _png(read: Read) -> str:
    """Return the damage to the chunks or compressed pixels of a PNG, "" when none is found."""
    at, header, palette = 8, b"", False
    pixels = _Pixels()
    while True:
        head = read(at, 8)
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if len(head) < 8:
            return _TRUNCATED + ("it ends inside its pixels" if pixels.begun else "it ends before its pixels begin")
        if length > _MOST_CHUNK or not kind.isalpha():
            return f"{_DAMAGED}its chunk at byte {at:,} is invalid"
        data, crc = read(at + 8, length), read(at + 8 + length, 4)
        name = kind.decode("ascii")
        if len(crc) < 4:
            return f"{_TRUNCATED}it ends inside its chunk {name}"
        needed = kind[:1].isupper() or kind in _OF_FRAMES  # others are skipped by decoders
        if needed and zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(crc):
            return f"{_DAMAGED}the CRC of its chunk {name} at byte {at:,} does not match"
        if kind == b"IHDR":
            header = data
            if found := _png_header(header):
                return found
            pixels.expected = _png_bytes(header)
        elif kind == b"PLTE":
            palette = True
        elif kind == b"IDAT" and (found := pixels.add(data)):
            return found
        elif kind == b"IEND":
            break
        at += 12 + length
    if not header:
        return _DAMAGED + "it has no header (chunk IHDR)"
    if not pixels.begun:
        return _DAMAGED + "it contains no pixels (chunk IDAT)"
    if header[9] == 3 and not palette:
        return _DAMAGED + "its palette (chunk PLTE) is missing"
    return "" if pixels.complete else _DAMAGED + "its compressed pixels end early"


def _png_header(header: bytes) -> str:
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    if len(header) != 13:
        return _DAMAGED + "its header (chunk IHDR) has an invalid length"
    if not width or not height:
        return _DAMAGED + "its width or height is 0"
    if header[8] not in _PNG_TYPES.get(header[9], ()):
        return f"{_DAMAGED}its header has an invalid bit depth ({header[8]}) or colour type ({header[9]})"
    return ""


def _png_bytes(header: bytes) -> int:
    """Return the bytes of the rows, each with its filter; those of an interlaced image are at least as many."""
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    return height * (1 + (width * _PNG_CHANNELS[header[9]] * header[8] + 7) // 8)


class _Pixels:
    """The compressed pixels of a PNG, decompressed as they come, and counted only."""

    def __init__(self) -> None:
        self.expected = 0
        self.begun = False
        self._count = 0
        self._stream = zlib.decompressobj()

    @property
    def complete(self) -> bool:
        """Whether there are as many as the header says."""
        return self._count >= self.expected

    def add(self, data: bytes) -> str:
        """Return the damage to them, "" when none is found so far."""
        self.begun = True
        try:
            while data and not self.complete:
                self._count += len(self._stream.decompress(data, _BLOCK))
                data = self._stream.unconsumed_tail
        except zlib.error:
            return _DAMAGED + "its compressed pixels are invalid (zlib)"
        return ""
