"""Writing a CMAF track: a header, then fragments, in one file (ISO/IEC 23000-19).

Our own muxer, since libavformat cuts audio only after so many seconds, not where the video is cut (decision 10).
"""

from __future__ import annotations

import io
import os
import struct

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.core.files import shown
from mediactl.media.inspect.containers import isobmff
from mediactl.media.mp4 import boxes

_KEY, _NO_KEY = 0x0200_0000, 0x0101_0000
"""Sample flags: depends on no other; depends on others and is not a key frame (ISO/IEC 14496-12, 8.8.3.1)."""
_UNITY = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MOVIE_TICKS = 1000


class Sample(msgspec.Struct, frozen=True):
    """A frame, in decoding order. Times in ticks."""

    data: bytes
    start: int
    """When it is shown."""
    duration: int
    key: bool


class Origin(msgspec.Struct, frozen=True):
    """The description of a track in an MP4, from which a header is built."""

    kind: bytes
    """"vide" or "soun"."""
    hdlr: bytes
    media_header: bytes
    """vmhd or smhd, whole."""
    dinf: bytes
    stsd: bytes
    timescale: int


def origin(file: bytes) -> Origin:
    """Return how the first track of one of our MP4s is described. Raises JobFailed when it has none."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _, offset, size = next(each for each in isobmff.top_level_boxes(fd) if each[0] == b"moov")
        mdia = boxes.inside(boxes.read(fd, offset, size), b"trak", b"mdia")
        minf, mdhd = boxes.inside(mdia, b"minf"), boxes.inside(mdia, b"mdhd")
        head = next(boxes.box(kind, body) for kind, body in boxes.children(minf) if kind in (b"vmhd", b"smhd"))
        return Origin(
            kind=boxes.inside(mdia, b"hdlr")[8:12],
            hdlr=boxes.inside(mdia, b"hdlr"),
            media_header=head,
            dinf=boxes.inside(minf, b"dinf"),
            stsd=_without_bitrates(boxes.inside(minf, b"stbl", b"stsd")),
            timescale=struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)[0],
        )
    except (ValueError, StopIteration, struct.error) as error:
        raise JobFailed(f"{shown(os.path.basename(file))}: invalid output: no track: {error}") from error
    finally:
        os.close(fd)


class Writer:
    """Appends to a file: first the header, then fragment after fragment."""

    def __init__(self, file: io.BufferedWriter, described: Origin, *, lead: int = 0, language: str = "") -> None:
        """``lead`` (ticks) is what the edit list skips: of audio, what comes before its time 0; of video, the longest
        time that a frame is decoded before it is shown. Raises OSError on writing."""
        self._file = file
        self._is_video = described.kind == b"vide"
        self._number = 0
        self._lead = lead
        file.write(boxes.box(b"ftyp", b"iso6\0\0\0\0", b"iso6cmfc"))
        file.write(_moov(described, lead, language))

    def fragment(self, samples: list[Sample], opens: bool) -> None:
        """Append these samples; ``opens``: a segment begins with them.

        The decode times of its frames are their presentation times, in order: so a fragment begins to be decoded at
        the time at which it is shown, which players treat as the same.
        """
        self._number += 1
        order = sorted(samples, key=lambda sample: sample.start)
        if order[0] is not samples[0] or (self._is_video and not samples[0].key):
            raise JobFailed("a fragment of the video does not begin with a key frame")
        durations = {sample.duration for sample in order}
        even = len(durations) == 1
        flags = 0x1 | (0 if even else 0x100) | 0x200 | (0x804 if self._is_video else 0)
        rows = [
            (b"" if even else struct.pack(">I", turn.duration))
            + struct.pack(">I", len(sample.data))
            + (struct.pack(">i", sample.start - turn.start + self._lead) if self._is_video else b"")
            for sample, turn in zip(samples, order, strict=True)
        ]
        begin = order[0].start + (0 if self._is_video else self._lead)
        later = _NO_KEY if self._is_video else _KEY
        tfhd = struct.pack(">I", 1) + (struct.pack(">I", order[0].duration) if even else b"") + struct.pack(">I", later)
        first = struct.pack(">I", _KEY) if self._is_video else b""

        def moof(offset: int) -> bytes:
            return boxes.box(
                b"moof",
                boxes.full(b"mfhd", 0, 0, struct.pack(">I", self._number)),
                boxes.box(
                    b"traf",
                    boxes.full(b"tfhd", 0, 0x02_0020 | (0x8 if even else 0), tfhd),
                    boxes.full(b"tfdt", 1, 0, struct.pack(">Q", begin)),
                    boxes.full(b"trun", 1, flags, struct.pack(">Ii", len(samples), offset), first, *rows),
                ),
            )

        if opens:
            self._file.write(boxes.box(b"styp", b"msdh\0\0\0\0msdhcmfs"))
        self._file.write(moof(len(moof(0)) + 8))
        self._file.write(struct.pack(">I4s", sum(len(sample.data) for sample in samples) + 8, b"mdat"))
        for sample in samples:
            self._file.write(sample.data)


def _without_bitrates(stsd: bytes) -> bytes:
    """Return a sample description without bit rates, which are those of one piece; HEVC is named hvc1, for Apple."""
    kind, entry = next(boxes.children(stsd[8:]))
    kind = b"hvc1" if kind == b"hev1" else kind
    start = 28 if kind == b"mp4a" else 78  # Of the boxes after the fields of an AudioSampleEntry, VisualSampleEntry.
    kept = [boxes.box(name, body) for name, body in boxes.children(entry[start:]) if name != b"btrt"]
    return stsd[:8] + boxes.box(kind, entry[:start], *kept)


def _moov(described: Origin, lead: int, language: str) -> bytes:
    is_video = described.kind == b"vide"
    width, height = struct.unpack_from(">HH", described.stsd, 8 + 8 + 24) if is_video else (0, 0)
    mvhd = struct.pack(">4I", 0, 0, _MOVIE_TICKS, 0) + struct.pack(">IHH8x", 0x10000, 0x0100, 0)
    tkhd = struct.pack(">5I8x", 0, 0, 1, 0, 0) + struct.pack(
        ">HHHH", 0, 0 if is_video else 1, 0 if is_video else 0x100, 0
    )
    edits = []
    if lead:
        edits = [boxes.box(b"edts", boxes.full(b"elst", 0, 0, struct.pack(">IIihh", 1, 0, lead, 1, 0)))]
    empty = [boxes.full(kind, 0, 0, b"\0" * 4) for kind in (b"stts", b"stsc")]
    empty += [boxes.full(b"stsz", 0, 0, b"\0" * 8), boxes.full(b"stco", 0, 0, b"\0" * 4)]
    mdhd = struct.pack(">4IHH", 0, 0, described.timescale, 0, _packed(language), 0)
    return boxes.box(
        b"moov",
        boxes.full(b"mvhd", 0, 0, mvhd, _UNITY, b"\0" * 24, struct.pack(">I", 2)),
        boxes.box(
            b"trak",
            boxes.full(b"tkhd", 0, 3, tkhd, _UNITY, struct.pack(">II", width << 16, height << 16)),
            *edits,
            boxes.box(
                b"mdia",
                boxes.full(b"mdhd", 0, 0, mdhd),
                boxes.box(b"hdlr", described.hdlr),
                boxes.box(
                    b"minf",
                    described.media_header,
                    boxes.box(b"dinf", described.dinf),
                    boxes.box(b"stbl", boxes.box(b"stsd", described.stsd), *empty),
                ),
            ),
        ),
        boxes.box(b"mvex", boxes.full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 0, 0, 0))),
    )


def _packed(language: str) -> int:
    """Return three letters, five bits each (ISO/IEC 14496-12, 8.4.2.3)."""
    letters = language if len(language) == 3 and language.isascii() and language.isalpha() else "und"
    high, middle, low = (ord(letter) - 0x60 for letter in letters.lower())
    return high << 10 | middle << 5 | low
