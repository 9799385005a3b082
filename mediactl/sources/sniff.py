"""What a file is, by its first bytes; its name only decides whether an unknown one was meant to be media.

Our own table, not a library: existing ones have hundreds of types by loose patterns, and take a text file for a
video; this one names just what mediactl reads, or refuses by name.
"""

from __future__ import annotations

import os
import re

from mediactl.model.media import Kind

HEAD = 4096
"""Bytes that ``sniff`` requires."""
NO_MEDIA = "no image, video or audio"
"""Why a file is ignored."""

_MAGIC: tuple[tuple[int, bytes, Kind, str], ...] = (
    (0, b"\xff\xd8\xff", Kind.IMAGE, "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", Kind.IMAGE, "png"),
    (0, b"GIF8", Kind.IMAGE, "gif"),
    (0, b"II*\0", Kind.IMAGE, "tiff"),
    (0, b"MM\0*", Kind.IMAGE, "tiff"),
    (0, b"II+\0", Kind.IMAGE, "tiff"),
    (0, b"MM\0+", Kind.IMAGE, "tiff"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Kind.IMAGE, "jp2"),
    (0, b"\xff\x4f\xff\x51", Kind.IMAGE, "jp2"),
    (0, b"\xff\x0a", Kind.IMAGE, "jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Kind.IMAGE, "jxl"),
    (0, b"8BPS", Kind.IMAGE, "psd"),
    (0, b"%PDF-", Kind.IMAGE, "pdf"),
    (0, b"\0\0\1\0", Kind.IMAGE, "ico"),
    (0, b"icns", Kind.IMAGE, "icns"),
    (0, b"DDS ", Kind.IMAGE, "dds"),
    (0, b"BLP1", Kind.IMAGE, "blp"),
    (0, b"BLP2", Kind.IMAGE, "blp"),
    (0, b"\x01\xda", Kind.IMAGE, "sgi"),
    (0, b"v/1\x01", Kind.IMAGE, "exr"),
    (0, b"#?RADIANCE", Kind.IMAGE, "hdr"),
    (0, b"\x1aE\xdf\xa3", Kind.VIDEO, "matroska"),
    (0, b"FLV\x01", Kind.VIDEO, "flv"),
    (0, b"0&\xb2u\x8ef\xcf\x11", Kind.VIDEO, "asf"),
    (0, b"\0\0\1\xba", Kind.VIDEO, "mpeg"),
    (0, b"\0\0\1\xb3", Kind.VIDEO, "mpeg"),
    (0, b"fLaC", Kind.AUDIO, "flac"),
    (0, b"ID3", Kind.AUDIO, "mp3"),
    (0, b".snd", Kind.AUDIO, "au"),
    (0, b"wvpk", Kind.AUDIO, "wavpack"),
    (0, b"MAC ", Kind.AUDIO, "ape"),
    (0, b"caff", Kind.AUDIO, "caf"),
    (0, b"#!AMR", Kind.AUDIO, "amr"),
)
_RIFF = {b"WEBP": (Kind.IMAGE, "webp"), b"AVI ": (Kind.VIDEO, "avi"), b"WAVE": (Kind.AUDIO, "wav")}
# Possessive throughout: a comment that ends nowhere must not be tried again in every possible way.
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?+(?:(?:<!--.*?-->|<!DOCTYPE[^>]*+>)\s*+)*+<svg[\s>]",
    re.DOTALL | re.IGNORECASE,
)
_HEIF = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"F4A "}

EXTENSIONS: dict[str, Kind] = {
    **dict.fromkeys(
        "jpg jpeg jpe jfif png apng gif webp avif heic heif tif tiff bmp dib jp2 j2k jpf jpx jxl svg svgz psd psb"
        " ico icns dds blp sgi rgb bw tga fli flc pcx ppm pgm pbm pnm exr hdr dng cr2 cr3 nef arw orf rw2 raf pef srw"
        " pdf eps".split(),
        Kind.IMAGE,
    ),
    **dict.fromkeys(
        "mp4 m4v mov qt mkv webm avi wmv asf flv f4v mpg mpeg m2v vob m2ts 3gp 3g2 ogv mxf divx".split(),
        Kind.VIDEO,
    ),
    **dict.fromkeys(
        "mp3 m4a m4b aac wav wave flac ogg oga opus wma aif aiff aifc au caf amr ape wv mka ac3".split(), Kind.AUDIO
    ),
}
"""Names that promise media: such a file is reported as rejected when it is none, not skipped."""


def head(path: bytes) -> bytes:
    """The first bytes of a file; a FIFO that has replaced it does not block. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(fd, HEAD)
    finally:
        os.close(fd)


def sniff(head: bytes, name: bytes) -> tuple[Kind, str] | None:
    """Kind and format of a file by its first bytes; format "unknown" when only its name promises media; else None."""
    return _by_content(head) or _by_name(name)


def _by_content(head: bytes) -> tuple[Kind, str] | None:
    for offset, magic, kind, format_ in _MAGIC:
        if head.startswith(magic, offset):
            return kind, format_
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _bmff(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip") and int.from_bytes(head[:4]) >= 8:
        return Kind.VIDEO, "mp4"  # QuickTime from before there was an ftyp
    if head[:4] == b"OggS":
        return (Kind.VIDEO, "ogg") if b"\x80theora" in head[:256] else (Kind.AUDIO, "ogg")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind.AUDIO, "aiff"
    if head[:2] == b"BM" and len(head) > 18 and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return Kind.IMAGE, "bmp"
    if re.match(rb"P[1-7][\s#]", head):
        return Kind.IMAGE, "pnm"
    if _SVG.match(head):
        return Kind.IMAGE, "svg"
    if _in_packets(head, 0, 188) or _in_packets(head, 4, 192):  # 192: with timestamps, as camcorders write it
        return Kind.VIDEO, "mpegts"
    return _mpeg_audio(head)


def _in_packets(head: bytes, start: int, size: int) -> bool:
    """Whether the sync byte of an MPEG transport stream begins each of the first packets, of two at least."""
    sync = head[start::size][:4]
    return len(sync) > 1 and sync.count(0x47) == len(sync)


def _bmff(head: bytes) -> tuple[Kind, str]:
    size = int.from_bytes(head[:4])
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(size, len(head)), 4)}
    if head[8:12] in (b"avif", b"avis") or (brands & {b"avif", b"avis"} and head[8:12] in _HEIF):
        return Kind.IMAGE, "avif"
    if head[8:12] in _HEIF:
        return Kind.IMAGE, "heic"
    if head[8:12] in (b"crx ",):
        return Kind.IMAGE, "raw"
    if head[8:12] in (b"jxl ",):
        return Kind.IMAGE, "jxl"
    return (Kind.AUDIO if head[8:12] in _AUDIO_BRANDS else Kind.VIDEO), "mp4"


def _mpeg_audio(head: bytes) -> tuple[Kind, str] | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return Kind.AUDIO, "aac"  # ADTS: layer bits are zero
    version, layer, rate, sampling = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return (Kind.AUDIO, "mp3") if version != 1 and layer and rate not in (0, 15) and sampling != 3 else None


def _by_name(name: bytes) -> tuple[Kind, str] | None:
    kind = EXTENSIONS.get(name.rpartition(b".")[2].decode("ascii", "replace").lower()) if b"." in name else None
    return None if kind is None else (kind, "unknown")
