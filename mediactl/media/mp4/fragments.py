"""Read CMAF tracks (fragmented MP4s of one track): the codec, and offset and time of each fragment.

Only what ``package`` writes is supported; errors name what is missing from other files.
"""

from __future__ import annotations

import os
import struct
from fractions import Fraction

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.core.files import shown
from mediactl.media.inspect.containers import isobmff
from mediactl.media.mp4 import boxes

_NON_SYNC = 0x0001_0000
"""Sample flag: not a key frame (ISO/IEC 14496-12, 8.8.3.1)."""
_OBJECT, _DECODER_CONFIG, _DECODER_SPECIFIC = 0x03, 0x04, 0x05
"""Tags of the descriptors in an esds box (ISO/IEC 14496-1, 7.2.2.1)."""


class Fragment(msgspec.Struct, frozen=True):
    """A moof with its mdat. Times in ticks of the track."""

    offset: int
    size: int
    start: int
    """When its first sample is decoded, which is when it is shown."""
    duration: int
    samples: int
    key: bool
    """Whether it begins with a key frame."""
    opens: bool
    """Whether a segment begins here (a styp box precedes it, and belongs to it)."""


class Segment(msgspec.Struct, frozen=True):
    """What one line of a playlist names. Times in seconds."""

    offset: int
    size: int
    start: Fraction
    duration: Fraction


class Track(msgspec.Struct, frozen=True):
    """A CMAF track."""

    kind: str
    """"video" or "audio"."""
    codec: str
    """As RFC 6381 has it, "avc1.64001f"."""
    timescale: int
    """Ticks a second."""
    header: int
    """Bytes at the beginning of the file that every fragment needs (ftyp and moov)."""
    fragments: tuple[Fragment, ...]
    lead: int = 0
    """Ticks that the edit list skips (``cmaf.Writer``)."""
    width: int = 0
    height: int = 0
    channels: int = 0
    language: str = ""
    """Three letters of ISO 639-2; "" where there is none."""
    transfer: int = 2
    """Transfer characteristics of ITU-T H.273, table 3; 2 is unknown."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The fragments, grouped into segments: exactly those bytes, exactly that time."""
        groups: list[list[Fragment]] = []
        for fragment in self.fragments:
            if fragment.opens or not groups:
                groups.append([])
            groups[-1].append(fragment)
        return tuple(
            Segment(
                group[0].offset,
                group[-1].offset + group[-1].size - group[0].offset,
                Fraction(group[0].start, self.timescale),
                Fraction(sum(each.duration for each in group), self.timescale),
            )
            for group in groups
        )

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return Fraction(sum(each.duration for each in self.fragments), self.timescale)

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return Fraction(sum(each.samples for each in self.fragments)) / (self.duration or 1)


def read(file: bytes) -> Track:
    """Return the track in a file. Raises JobFailed when it is not a CMAF track, OSError when it cannot be read."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _track(fd)
    except (ValueError, IndexError, struct.error) as error:
        raise JobFailed(f"{shown(os.path.basename(file))}: not a CMAF track: {error}") from error
    finally:
        os.close(fd)


def codecs(file: bytes) -> tuple[str, ...]:
    """Return the codecs in an MP4 of ours, each once, in RFC 6381 form, as browsers need them.

    Raises JobFailed when it is malformed, OSError when it cannot be read.
    """
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at, size = next((each[1:] for each in isobmff.top_level_boxes(fd) if each[0] == b"moov"), (0, 0))
        traks = [trak for kind, trak in boxes.children(boxes.read(fd, at, size)) if kind == b"trak"]
        entries = [_entry(trak) for trak in traks if _handler(trak) in (b"vide", b"soun")]  # no chapters
        return tuple(dict.fromkeys(_codec(kind, extension) for kind, _, extension in entries))
    except (ValueError, LookupError, struct.error) as error:
        raise JobFailed(f"{shown(os.path.basename(file))}: malformed: {error}") from error
    finally:
        os.close(fd)


def _track(fd: int) -> Track:
    found, end = isobmff.top_level_boxes(fd), os.fstat(fd).st_size
    if [kind for kind, _, _ in found[:2]] != [b"ftyp", b"moov"]:
        raise ValueError("does not begin with ftyp and moov")
    header = found[1][1] + found[1][2]
    moov = boxes.read(fd, found[1][1], found[1][2])
    fragments: list[Fragment] = []
    styp = 0
    at, rest = header, iter(found[2:])
    for kind, offset, size in rest:
        if kind == b"styp":
            styp = size
            continue
        follower, content, length = next(rest, (b"", 0, 0))
        if kind != b"moof" or follower != b"mdat":
            raise ValueError(f"{kind!r} and {follower!r} where moof and mdat should be")
        fragments.append(_fragment(boxes.read(fd, offset, size), offset - styp, content + length, bool(styp)))
        styp, at = 0, content + length
    if at != end or not fragments:
        raise ValueError("has no fragments, or ends within one")
    return _described(moov, header, tuple(fragments))


def _fragment(moof: bytes, offset: int, end: int, opens: bool) -> Fragment:
    traf = boxes.inside(moof, b"traf")
    tfhd, tfdt, trun = (boxes.inside(traf, kind) for kind in (b"tfhd", b"tfdt", b"trun"))
    defaults = _fields(tfhd, 8, ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4), (0x20, 4)))
    flags, count = struct.unpack_from(">I", trun)[0] & 0xFF_FFFF, struct.unpack_from(">I", trun, 4)[0]
    at = 8 + 4 * bool(flags & 0x1)
    first = struct.unpack_from(">I", trun, at)[0] if flags & 0x4 else defaults.get(0x20, 0)
    at += 4 * bool(flags & 0x4)
    width = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    if flags & 0x100:
        total = sum(struct.unpack_from(">I", trun, at + number * width)[0] for number in range(count))
    else:
        total = defaults.get(0x8, 0) * count
    start = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)[0]
    return Fragment(offset, end - offset, start, total, count, not first & _NON_SYNC, opens)


def _fields(body: bytes, at: int, known: tuple[tuple[int, int], ...]) -> dict[int, int]:
    """Return the optional fields of a box whose flags say which are there: flag -> value."""
    flags, values = struct.unpack_from(">I", body)[0] & 0xFF_FFFF, {}
    for flag, size in known:
        if flags & flag:
            values[flag] = int.from_bytes(body[at : at + size], "big")
            at += size
    return values


def _described(moov: bytes, header: int, fragments: tuple[Fragment, ...]) -> Track:
    trak = boxes.inside(moov, b"trak")
    mdhd = boxes.inside(trak, b"mdia", b"mdhd")
    timescale, _, packed = struct.unpack_from(">IQH" if mdhd[0] else ">IIH", mdhd, 20 if mdhd[0] else 12)
    language = "".join(chr((packed >> shift & 0x1F) + 0x60) for shift in (10, 5, 0))
    kind, entry, extension = _entry(trak)
    lead = 0
    if any(each == b"edts" for each, _ in boxes.children(trak)):
        elst = boxes.inside(trak, b"edts", b"elst")
        lead = struct.unpack_from(">q" if elst[0] else ">i", elst, 16 if elst[0] else 12)[0]
    common = {"timescale": timescale, "header": header, "fragments": fragments, "lead": lead}
    common |= {"language": "" if language == "und" else language, "codec": _codec(kind, extension)}
    if _handler(trak) == b"soun":
        return Track(kind="audio", channels=struct.unpack_from(">H", entry, 16)[0], **common)
    width, height = struct.unpack_from(">HH", entry, 24)
    colour = _colour(extension)
    transfer = int.from_bytes(colour[6:8], "big") if colour else 2
    return Track(kind="video", width=width, height=height, transfer=transfer, **common)


def _handler(trak: bytes) -> bytes:
    return boxes.inside(trak, b"mdia", b"hdlr")[8:12]


def _entry(trak: bytes) -> tuple[bytes, bytes, dict[bytes, bytes]]:
    """Return the one sample entry of a track: its type, its content, and the boxes within."""
    kind, entry = next(boxes.children(boxes.inside(trak, b"mdia", b"minf", b"stbl", b"stsd")[8:]))
    return kind, entry, dict(boxes.children(entry[28 if _handler(trak) == b"soun" else 78 :]))


def _colour(extension: dict[bytes, bytes]) -> bytes:
    colour = extension.get(b"colr", b"")
    return colour if colour[:4] == b"nclx" else b""


def _codec(kind: bytes, extension: dict[bytes, bytes]) -> str:
    if kind == b"mp4a":
        return _audio_codec(extension)
    return _video_codec(kind, extension, _colour(extension))


def _video_codec(kind: bytes, extension: dict[bytes, bytes], colour: bytes) -> str:
    if kind in (b"avc1", b"avc3"):
        return f"{kind.decode()}.{extension[b'avcC'][1:4].hex()}"
    if kind in (b"hvc1", b"hev1"):
        return f"{kind.decode()}.{_hevc(extension[b'hvcC'])}"
    if kind == b"av01":
        return f"av01.{_av1(extension[b'av1C'], colour)}"
    raise ValueError(f"unsupported codec {kind!r}")


def _hevc(config: bytes) -> str:
    """ISO/IEC 14496-15, E.3: profile, compatibility flags in reverse bit order, tier and level, constraints."""
    space, tier, profile = config[1] >> 6, config[1] >> 5 & 1, config[1] & 0x1F
    compatible = int(f"{int.from_bytes(config[2:6], 'big'):032b}"[::-1], 2)
    constraints = config[6:12].rstrip(b"\0")
    parts = [("", "A", "B", "C")[space] + str(profile), f"{compatible:x}", "LH"[tier] + str(config[12])]
    return ".".join(parts + [f"{byte:x}" for byte in constraints])


def _av1(config: bytes, colour: bytes) -> str:
    """AV1 Codec ISO Media File Format Binding, 5: profile, level and tier, depth; colour where it is not BT.709."""
    profile, level, bits = config[1] >> 5, config[1] & 0x1F, config[2]
    depth = (12 if bits >> 5 & 1 else 10) if bits >> 6 & 1 else 8
    text = f"{profile}.{level:02}{'MH'[bits >> 7]}.{depth:02}"
    if not colour:
        return text
    primaries, transfer, matrix = struct.unpack_from(">HHH", colour, 4)
    if (primaries, transfer, matrix) == (1, 1, 1) and not colour[10] >> 7:
        return text
    chroma = f"{bits >> 3 & 1}{bits >> 2 & 1}{bits & 3 if bits >> 2 & 3 == 3 else 0}"
    mono, whole = bits >> 4 & 1, colour[10] >> 7
    return f"{text}.{mono}.{chroma}.{primaries:02}.{transfer:02}.{matrix:02}.{whole}"


def _audio_codec(extension: dict[bytes, bytes]) -> str:
    esds, at = extension[b"esds"][4:], 0
    object_type = 0
    while at < len(esds):
        tag, length, at = esds[at], 0, at + 1
        while True:  # Seven bits of each byte; the eighth says that another follows.
            byte, at = esds[at], at + 1
            length = length << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == _OBJECT:
            at += 3
        elif tag == _DECODER_CONFIG:
            object_type, at = esds[at], at + 13
        elif tag == _DECODER_SPECIFIC and object_type == 0x40:
            return f"mp4a.40.{esds[at] >> 3}"
        else:
            at += length
    raise ValueError("its audio is not AAC")
