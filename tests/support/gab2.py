"""Subtitles hidden in AVI files."""

from __future__ import annotations

import struct


def with_gab2(avi: bytes, text: bytes) -> bytes:
    """An AVI with one more track, a GAB2 subtitle, as players read them: its text may be any format at all."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    header = struct.pack("<4s4sIHHIIIIIIIIhhhh", b"txts", b"\0" * 4, 0, 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    track = chunk(b"LIST", b"strl" + chunk(b"strh", header) + chunk(b"strf", b"\0" * 40))
    gab2 = b"GAB2\0" + struct.pack("<HI", 2, 2) + b"x\0" + struct.pack("<HI", 4, len(text)) + text
    hdrl = avi.index(b"LIST")
    hdrl_size = struct.unpack_from("<I", avi, hdrl + 4)[0]
    end = hdrl + 8 + hdrl_size
    head = bytearray(avi[hdrl + 8 : end])
    struct.pack_into("<I", head, 4 + 8 + 24, 2)  # avih: number of tracks
    movi = avi.index(b"movi", end)
    rest = avi[movi + 4 :]
    body = b"AVI " + chunk(b"LIST", bytes(head) + track) + chunk(b"LIST", b"movi" + chunk(b"01tx", gab2) + rest)
    return chunk(b"RIFF", body)
