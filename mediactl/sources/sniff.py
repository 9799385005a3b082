"""What a file is, by its first bytes; its name only decides whether an unknown one was meant to be media.

Our own table, not a library: existing ones have hundreds of types by loose patterns, and take a text file for a
video; this one names what mediactl reads, or rejects by name (``model.formats``).

Text is recognised first: it is never media, whatever word it begins with, but for the formats that are text themselves.
"""

from __future__ import annotations

import os
import re

from mediactl.core.filesystem.beneath import open_beneath
from mediactl.model.formats import BY_NAME, EXTENSIONS, UNKNOWN
from mediactl.model.media import Kind
from mediactl.sources import framing

HEAD = 8192
"""Bytes that ``sniff`` requires: room for kilobytes of junk, and for packets in a row behind it."""
NO_MEDIA = "no image, video or audio"
"""Why a file is ignored."""

_MOST_TAGS = 4
"""ID3v2 and APE tags in a row that are looked behind."""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"8BPS", "psd"),
    (b"\0\0\1\0", "ico"),
    (b"icns", "icns"),
    (b"DDS ", "dds"),
    (b"BLP1", "blp"),
    (b"BLP2", "blp"),
    (b"\x01\xda", "sgi"),
    (b"v/1\x01", "exr"),
    (b"FUJIFILMCCD-RAW ", "raw"),
    (b"IIRO\x08\0", "raw"),
    (b"IIRS\x08\0", "raw"),
    (b"IIU\0", "raw"),
    (b"gimp xcf ", "xcf"),
    (b"qoif\0", "qoi"),
    (b"II\xbc\x01", "jxr"),
    (b"BPG\xfb", "bpg"),
    (b"SDPX\0", "dpx"),
    (b"XPDS", "dpx"),
    (b"\x59\xa6\x6a\x95", "ras"),
    (b"\xd7\xcd\xc6\x9a\0\0", "wmf"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (b"\0\0\1\xba", "mpeg"),
    (b"\x06\x0e+4\x02\x05\x01\x01", "mxf"),
    (b"DKIF\0\0", "ivf"),
    (b".RMF\0\0", "rm"),
    (b".ra\xfd", "ra"),
    (b"nut/multimedia container\0", "nut"),
    (b"\xb7\xd8\x00\x20\x37\x49\xda\x11", "wtv"),
    (b"OFR ", "ofr"),
    (b"Creative Voice File\x1a", "voc"),
    (b"fLaC", "flac"),
    (b".snd", "au"),
    (b"wvpk", "wavpack"),
    (b"MAC ", "ape"),
    (b"caff", "caf"),
    (b"#!AMR", "amr"),
    (b"TTA1", "tta"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"DSD \x1c\0\0\0\0\0\0\0", "dsf"),
    (b"\x7f\xfe\x80\x01", "dts"),
    (b"\xfe\x7f\x01\x80", "dts"),
    (b"MPCK", "mpc"),
    (b"MP+", "mpc"),
    (b"ajkg", "shn"),
)
"""Of files that are not text."""
_PATTERNS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), format_)
    for pattern, format_ in (
        (rb"\x89PNG\r\n\x1a\n.{4}CgBI", "cgbi"),
        (rb"\x89PNG\r\n\x1a\n", "png"),
        (rb"#\?(?:RADIANCE|RGBE)[\r\n]", "hdr"),
        (rb"(?:RIFF|RF64|RIFX).{4}WEBP", "webp"),
        (rb"(?:RIFF|RF64|RIFX).{4}AVI ", "avi"),
        (rb"(?:RIFF|RF64|RIFX).{4}WAVE", "wav"),
        (rb"RIFF.{4}RMP3", "mp3"),
        (rb"FORM.{4}AIF[FC]", "aiff"),
        (rb"FRM8.{8}DSD ", "dff"),
        (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00.", "bmp"),
        (rb"\x00\x00\x02\x00[^\x00]\x00.{3}\x00", "cur"),
        (rb"\n[\x00\x02-\x05][\x00\x01][\x01\x02\x04\x08].{60}\x00[\x01-\x04]", "pcx"),
        (rb".{4}[\x11\x12]\xaf.{6}[\x00\x08]\x00", "fli"),
        (rb"P[4-6]\s++(?:#[^\n]*+\n\s*+)*+\d++\s++(?:#[^\n]*+\n\s*+)*+\d++\s", "pnm"),
        # A DIF block of 80 bytes for the header, then one for subcodes (IEC 61834-2).
        (rb"\x1f\x07\x00[\x3f\xbf].{76}[\x20-\x3f]", "dv"),
        (rb"(?:BIK[a-k]|KB2[a-n]).{3}\x00", "bink"),
        (rb".{4}\xf8\x72\x6f\xba", "truehd"),
        (rb"YUV4MPEG2 [^\n]{0,200}W\d", "y4m"),
        # The first unit of a stream: a delimiter or parameters, with a profile that exists.
        (
            rb"\x00{2,3}\x01(?:\x09[\x10-\xf0]\x00{2,3}\x01)?[\x27\x47\x67][\x2c\x42\x4d\x53\x56\x58\x64\x6e\x7a\xf4]",
            "h264",
        ),
        (rb"\x00{2,3}\x01(?:\x46\x01.\x00{2,3}\x01)?(?:\x40\x01\x0c|\x42\x01\x01)", "hevc"),
    )
)
_TGA = re.compile(
    # No or some colour map of whole bytes, a known type, width and height, bits of a pixel.
    rb".(?:\x00[\x02\x03\x0a\x0b]\x00{5}|\x01[\x01\x09]..[^\x00].[\x0f\x10\x18\x20])"
    rb".{4}(?:[^\x00].|.[^\x00]){2}[\x08\x0f\x10\x18\x20]",
    re.DOTALL,
)
"""Too little to be recognised by: only where the name says so too."""
_TEXT: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), format_)
    for pattern, format_ in (
        # Possessive throughout: a comment that ends nowhere must not be tried again in every possible way.
        (
            rb"(?i)(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?+(?:(?:<!--.*?-->|<!DOCTYPE[^>]*+>)\s*+)*+<svg[\s>]",
            "svg",
        ),
        (rb"%PDF-\d\.\d[ \t]*+(?:[\r\n]|\Z)", "pdf"),
        (rb"%!PS-Adobe-\d\.\d EPSF", "eps"),
        (rb"P[1-3]\s++(?:#[^\n]*+\n\s*+)*+\d(?:[\d\s]++|#[^\n]*+(?:\n|\Z))*+\Z", "pnm"),
        (rb"P[4-6]\n(?:#[^\n]*+\n\s*+)*+\d++\s++(?:#[^\n]*+\n\s*+)*+\d++\s", "pnm"),
        (rb"P7\n(?:#[^\n]*+\n)*+(?:WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE) ", "pnm"),
    )
)
"""Formats that are text, or begin with a page of it."""
_OTHERS = re.compile(
    rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b|MZ|\x7fELF|SQLite format 3\x00|\xd0\xcf\x11\xe0"
    rb"|[FCZ]WS[\x01-\x20]|RIFF|FORM|!<arch>|.{257}ustar|0707",
    re.DOTALL,
)
"""Archives, programs and databases: media inside them are not what the file is."""
_HEIF = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"F4A "}

_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CONTROLS = re.compile("[\\0-\\x08\\x0e-\\x1a\\x1c-\\x1f]")
_ID3 = re.compile(rb"ID3[\x02-\x04][^\xff].[\x00-\x7f]{4}", re.DOTALL)
_EMPTY_TAG = b"ID3\4\0\0\0\0\0\0"


def head(root: bytes, path: bytes, *, links: bool = False) -> bytes:
    """Return the first bytes of the file ``path`` below ``root``, ``HEAD`` at most; a pipe is not waited for.

    Tags that take more than half of them are replaced by an empty one, and the first bytes behind them. Below the root,
    links are followed only with ``links``. Raises OSError.
    """
    fd = open_beneath(root, path, links=links)
    try:
        first = here = os.read(fd, HEAD)
        at = 0
        for _ in range(_MOST_TAGS):
            size = _behind_tags(here)
            if 2 * size <= HEAD:
                break
            at += size
            here = os.pread(fd, HEAD, at)
        return _EMPTY_TAG + here if at and here else first
    finally:
        os.close(fd)


def sniff(head: bytes, name: bytes) -> tuple[Kind, str] | None:
    """Return kind and format of a file by its first bytes; format "unknown" when only its name promises media; else
    None."""
    extension = name.rpartition(b".")[2].decode("ascii", "replace").lower() if b"." in name else ""
    if found := _by_content(head):
        return found
    if extension == "tga" and _TGA.match(head):
        return Kind.IMAGE, "tga"
    return (EXTENSIONS[extension], UNKNOWN) if extension in EXTENSIONS else None


def _by_content(head: bytes) -> tuple[Kind, str] | None:
    if format_ := _first_match(_TEXT, head):
        return _named(format_)
    if _is_text(head):
        return None
    if at := _behind_tags(head):
        found = _by_signature(head[at:])
        return found if found and found[0] is Kind.AUDIO else _named(framing.audio_within(head[at:]) or "mp3")
    return _by_signature(head) or (None if _OTHERS.match(head) else _named(_by_framing(head)))


def _by_signature(head: bytes) -> tuple[Kind, str] | None:
    for magic, format_ in _MAGIC:
        if head.startswith(magic):
            return _named(format_)
    if format_ := _first_match(_PATTERNS, head):
        return _named(format_)
    if head[4:8] == b"ftyp":
        return _bmff(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip") and int.from_bytes(head[:4]) >= 8:
        return _named("mp4")  # QuickTime from before there was an ftyp
    if head[:4] == b"OggS":
        return (Kind.VIDEO, "ogg") if b"\x80theora" in head[:256] else (Kind.AUDIO, "ogg")
    if _in_packets(head, 0, 188) or _in_packets(head, 4, 192):
        return _named("mpegts")
    return _named(framing.audio_format(head))


def _by_framing(head: bytes) -> str:
    """Return the format of packets or frames that follow one another, behind whatever comes before them; or ""."""
    if framing.is_transport_stream(head):
        return "mpegts"
    if framing.is_program_stream(head):
        return "mpeg"
    return "mpegvideo" if head.startswith(b"\0\0\1\xb3") else framing.audio_within(head)


def _first_match(patterns: tuple[tuple[re.Pattern[bytes], str], ...], head: bytes) -> str:
    return next((format_ for pattern, format_ in patterns if pattern.match(head)), "")


def _named(format_: str) -> tuple[Kind, str] | None:
    return (BY_NAME[format_].kind, format_) if format_ else None


def _is_text(head: bytes) -> bool:
    """Return whether a file begins with text: UTF-16 by its mark, else ASCII or what is based on it."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head[: len(head) & ~1].decode("utf-16", "replace")
        return "\ufffd" not in text[:-1] and not _CONTROLS.search(text)
    return not _CONTROL_BYTES.search(head) and (head[:1] < b"\x80" or head[:3] == b"\xef\xbb\xbf")


def _behind_tags(head: bytes) -> int:
    """Return where the ID3v2 and APE tags at the beginning end, 0 without any."""
    at = 0
    for _ in range(_MOST_TAGS):
        at += _tag_size(head[at : at + 32])
    return at


def _tag_size(head: bytes) -> int:
    """Return the bytes of the ID3v2 or APE tag that a file begins with, 0 for none."""
    if _ID3.match(head):
        # 28 bits, seven a byte; ten more for the header, and for a footer (ID3v2.4, 3.1).
        size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head.startswith(b"APETAGEX") and len(head) >= 32:
        return 32 + int.from_bytes(head[12:16], "little")  # of items and footer, behind a header
    return 0


def _in_packets(head: bytes, start: int, size: int) -> bool:
    """Return whether the sync byte of an MPEG transport stream begins the first packets, of two at least."""
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
