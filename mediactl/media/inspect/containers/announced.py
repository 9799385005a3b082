"""What the header of a video or audio file announces, checked against the limits before libav reads it.

libav allocates for each sample that an index announces, though the file may hold none, keeps attachments and tags in
memory, and compares each tag with all before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from mediactl.media.inspect.containers import matroska
from mediactl.media.inspect.containers.isobmff import boxes, found
from mediactl.media.limits import exceeded, require
from mediactl.model.media import Limits

_METADATA, _TAGS = "bytes of metadata", "tags"
_MOST_CHUNKS = 10_000
"""Chunks of RIFF or AIFF, and metadata blocks of FLAC, that are looked at."""
_COMMENTS = (b"OpusTags", b"\x03vorbis", b"\x81theora")
"""What the packet of comments begins with (RFC 7845, Vorbis I, Theora I); FLAC in Ogg has it in a block of its own."""
_FIRST_PAGES = 1 << 17
"""Bytes of an Ogg in which its comments begin."""


def check(fd: int, limits: Limits) -> None:
    """Raise RejectedInput where a file announces more than a limit allows."""
    size = os.fstat(fd).st_size
    at = 0
    while (tag := _id3_size(fd, at)) and at < size:
        _id3(fd, at, limits)
        at += tag
    head = os.pread(fd, 12, at)
    if head[4:8] in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip", b"pnot"):
        _mp4(fd, size, limits)
    elif head[:4] == matroska.EBML:
        _matroska(fd, size, limits)
    elif head[:4] in (b"RIFF", b"RF64", b"RIFX", b"FORM"):
        _riff(fd, "little" if head[:4] in (b"RIFF", b"RF64") else "big", limits)
    elif head[:4] == b"fLaC":
        _flac(fd, at + 4, limits)
    elif head[:4] == b"OggS":
        first = os.pread(fd, _FIRST_PAGES, at)
        for mark in _COMMENTS:
            if (comments := first.find(mark)) >= 0:
                _vorbis_comments(first[comments + len(mark) :], limits)


def _mp4(fd: int, size: int, limits: Limits) -> None:
    tracks = packets = 0
    for kind, _, start, end in boxes(fd, 0, size):
        if kind == b"moov":
            for content, _ in found(fd, start, end, b"cmov", b"cmvd"):
                unpacked = _number(fd, content)
                require(unpacked, limits, "metadata_bytes", "bytes of a compressed index")
            for content, close in found(fd, start, end, b"trak"):
                tracks += 1
                require(tracks, limits, "streams", "streams")
                packets += _samples(fd, content, close)
            _mp4_tags(fd, start, end, limits)
        elif kind == b"moof":
            packets += sum(_number(fd, content + 4) for content, _ in found(fd, start, end, b"traf", b"trun"))
        require(packets, limits, "packets", "packets")


def _samples(fd: int, start: int, end: int) -> int:
    """Return how many samples libav indexes of a track; not those of PCM, which it reads by chunks."""
    audio = any(os.pread(fd, 4, content + 8) == b"soun" for content, _ in found(fd, start, end, b"mdia", b"hdlr"))
    table = (b"mdia", b"minf", b"stbl")
    single = [os.pread(fd, 16, content)[4:] for content, _ in found(fd, start, end, *table, b"stts")]
    if audio and any(each[:4] == each[8:12] == b"\0\0\0\1" for each in single):
        return 0
    sizes = [content for name in (b"stsz", b"stz2") for content, _ in found(fd, start, end, *table, name)]
    return sum(_number(fd, content + 8) for content in sizes)


def _mp4_tags(fd: int, start: int, end: int, limits: Limits) -> None:
    for content, close in found(fd, start, end, b"udta"):
        require(close - content, limits, "metadata_bytes", _METADATA)
        for items, last in found(fd, content, close, b"meta"):
            # A full box in MP4, none in MOV.
            for shift in (0, 4):
                lists = found(fd, items + shift, last, b"ilst")
                _require_few((box for each in lists for box in boxes(fd, *each)), limits, "tags", _TAGS)


def _matroska(fd: int, size: int, limits: Limits) -> None:
    for name, start, end in matroska.top_level(fd, size):
        if name == matroska.TRACKS:
            _require_few(matroska.found(fd, start, end, matroska.TRACK), limits, "streams", "streams")
        elif name == matroska.ATTACHMENTS:
            require(end - start, limits, "attachment_bytes", "bytes of attachments")
            _require_few(matroska.found(fd, start, end, matroska.ATTACHMENT), limits, "attachments", "attachments")
        elif name == matroska.TAGS:
            require(end - start, limits, "metadata_bytes", _METADATA)
            _require_few(matroska.found(fd, start, end, matroska.TAG, matroska.SIMPLE_TAG), limits, "tags", _TAGS)


def _require_few(found: Iterable[object], limits: Limits, key: str, what: str) -> None:
    """Raise RejectedInput where there are more than limits.``key`` allows; no more than that are counted."""
    limit = getattr(limits, key)
    if sum(1 for _ in islice(found, limit + 1)) > limit:
        raise exceeded(f"more than {limit:,} {what}", limits, key)


def _riff(fd: int, order: Literal["little", "big"], limits: Limits) -> None:
    for kind, start, end in _chunks(fd, 12, os.fstat(fd).st_size, order):
        if kind == b"LIST" and os.pread(fd, 4, start) == b"INFO":
            require(end - start, limits, "metadata_bytes", _METADATA)
            _require_few(_chunks(fd, start + 4, end, order, limits.tags + 1), limits, "tags", _TAGS)
        elif kind in (b"id3 ", b"ID3 "):
            _id3(fd, start, limits)
        elif kind in (b"NAME", b"AUTH", b"(c) ", b"ANNO", b"bext", b"iXML", b"_PMX"):
            require(end - start, limits, "metadata_bytes", _METADATA)


def _chunks(
    fd: int, at: int, end: int, order: Literal["little", "big"], most: int = _MOST_CHUNKS
) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each chunk, as far as they can be followed."""
    for _ in range(most):
        head = os.pread(fd, 8, at) if at < end else b""
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], order)
        yield head[:4], at + 8, min(at + 8 + length, end)
        at += 8 + length + length % 2


def _flac(fd: int, at: int, limits: Limits) -> None:
    total, last = 0, False
    while not last:
        head = os.pread(fd, 4, at)
        if len(head) < 4:
            return
        last, kind, length = bool(head[0] & 0x80), head[0] & 0x7F, int.from_bytes(head[1:])
        if kind == 4:
            _vorbis_comments(os.pread(fd, _FIRST_PAGES, at + 4), limits)
        total += length + 4
        require(total, limits, "metadata_bytes", _METADATA)
        at += 4 + length


def _vorbis_comments(content: bytes, limits: Limits) -> None:
    vendor = int.from_bytes(content[:4], "little")
    require(int.from_bytes(content[4 + vendor : 8 + vendor], "little"), limits, "tags", _TAGS)


def _id3_size(fd: int, at: int) -> int:
    """Return the bytes of an ID3v2 tag, with its header; 0 where there is none."""
    head = os.pread(fd, 10, at)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + _synchsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)


def _id3(fd: int, at: int, limits: Limits) -> None:
    """Check the size and the number of frames of an ID3v2 tag (id3.org, ID3v2.2 to 2.4)."""
    size = _id3_size(fd, at)
    require(size, limits, "metadata_bytes", _METADATA)
    content = os.pread(fd, size, at)
    version, position, number = content[3] if size else 0, 10, 0
    while position + 6 < len(content) and content[position]:
        if version == 2:
            position += 6 + int.from_bytes(content[position + 3 : position + 6])
        else:
            length = content[position + 4 : position + 8]
            position += 10 + (_synchsafe(length) if version == 4 else int.from_bytes(length))
        number += 1
        require(number, limits, "tags", _TAGS)


def _synchsafe(number: bytes) -> int:
    return sum((byte & 0x7F) << 7 * power for power, byte in enumerate(reversed(number)))


def _number(fd: int, at: int) -> int:
    return int.from_bytes(os.pread(fd, 4, at))
