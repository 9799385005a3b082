"""Sources and what probing finds in them.

Paths are ``bytes``, as Linux has them; text is made of them only to be shown (``core.files.shown``). Sizes are bytes,
durations seconds, dimensions pixels *as shown* (after rotation) unless a name says otherwise.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any

import msgspec


class Kind(StrEnum):
    """What a source is, by its content."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """What stat returns for a file; two equal fingerprints mean, in practice, equal content. Those of objects in a
    bucket have a digest of the ETag in the place of the time (``model.fetches``)."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Copy(msgspec.Struct, frozen=True):
    """The file that an object of a bucket was fetched into; fields as those of ``Source``."""

    root: bytes
    path: bytes
    fingerprint: Fingerprint


REMOTE = b"s3://"
"""What the roots of objects begin with."""


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input file, or an object of a bucket."""

    root: bytes
    """Absolute folder, or s3://BUCKET/PREFIX, that the path is relative to."""
    path: bytes
    """Path relative to ``root``."""
    directory: bytes = msgspec.field(name="place")
    """Folder of its artefacts, relative to OUT. Unique in one OUT."""
    fingerprint: Fingerprint
    kind: Kind
    format: str
    """Container or codec as sniffed from the first bytes: "jpeg", "mp4" ..."""
    copy: Copy | None = None
    """Of an object, for whoever reads it: the file with its content."""

    @property
    def is_remote(self) -> bool:
        """Return whether it is an object of a bucket."""
        return self.root.startswith(REMOTE)

    @property
    def file(self) -> bytes:
        """Absolute path of the file."""
        return self.root + b"/" + self.path


class Treatment(StrEnum):
    """What rendering corrects in the frames of a video; part of the parameters, and so of the keys, of what is made of
    them."""

    FLATTENED = "flattened"
    """They are transparent: they are drawn on white."""
    LETTERBOXED = "letterboxed"
    """They change their shape midway: bars fill what is left of the shape of the first."""
    RETAGGED = "retagged"
    """Their colour tags cannot be true: they are taken for missing."""
    STRIPPED = "stripped"
    """They carry metadata of high dynamic range without being so: it is removed."""


class FrameShape(msgspec.Struct, frozen=True):
    """Size of coded frames, and the aspect ratio that they are shown in, before rotation and crop."""

    width: int
    height: int
    aspect: float


_UNEVEN = 0.05
"""Seconds that a frame may last longer than usual: durations that are off by as much are taken to be right."""
_BRIEF = 0.1
"""Seconds up to which a frame may be taken for its neighbour."""


class VideoStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """The video stream of a source. Width and height are those shown, after rotation and sample aspect."""

    codec: str
    width: int
    height: int
    rotation: int = 0
    """Degrees clockwise that a player turns the coded frames by: 0, 90, 180 or 270."""
    fps: float | None = None
    frames: int | None = None
    duration: float | None = None
    pixel_format: str = ""
    transfer: str = ""
    """Transfer characteristic, "smpte2084" (HDR10) and "arib-std-b67" (HLG) being the HDR ones."""
    start: float = 0.0
    rate: str = ""
    """Frames a second as an exact fraction, "24000/1001"."""
    even: bool = False
    """Every frame comes at its time at that rate and none is missing: the video may be cut at frame numbers."""
    interlaced: bool = False
    longest: float = 0.0
    """Seconds from one frame to the next, at most, where they do not come evenly."""
    cropped: bool = False
    """Whether its container crops the coded frames."""
    shapes: tuple[FrameShape, ...] = ()
    """Those of its frames, the first one's first, where they change midway."""
    treatment: tuple[Treatment, ...] = ()

    @property
    def uneven(self) -> bool:
        """Whether some frames last much longer than others."""
        return bool(self.longest and self.rate) and self.longest > 1 / Fraction(self.rate) + _UNEVEN

    @property
    def still(self) -> bool:
        """Whether frames are shown for so long that the nearest one may not be the one on screen."""
        usual = float(1 / Fraction(self.rate)) if self.even and self.rate else 0.0
        return max(self.longest, usual) > _BRIEF


class AudioStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """An audio stream of a source."""

    codec: str
    channels: int
    sample_rate: int
    duration: float | None = None
    language: str = ""
    title: str = ""
    playable: bool = True
    """Whether it can be decoded and mixed down."""
    gap_threshold: float = 0.0
    """Seconds that its time stamps have to be off to be a gap (filled with silence) or an overlap (cut off), and not
    mere jitter; 0: they have neither."""
    first_gap: float = 0.0
    """Seconds of a gap behind its first packet, which then is the priming of its encoder and belongs to the second."""
    layout: tuple[str, ...] = ()
    """Where each channel belongs, under ffmpeg's names ("FL", "LFE"); () for mono and stereo, and where nothing says
    it."""


class SubtitleStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subtitle track of a source."""

    codec: str
    language: str = ""
    title: str = ""
    text: bool = True
    """Whether it holds text, which can become WebVTT; else it holds bitmaps."""


class Chapter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chapter of a video or audio, in seconds from its start."""

    start: float
    end: float
    title: str = ""


class Discontinuity(msgspec.Struct, frozen=True):
    """Where the time stamps of a stream do not continue: its clock starts again, wraps or jumps."""

    stream: int
    """Index of the stream in the file."""
    at: float
    """Seconds from the file's start, by what the packets before it last."""
    jump: float
    """Seconds by which the stamps are off from there on, compared with ``at``; negative: they go back."""


class MediaInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What probing reads of a source, as far as planning and asset.json need it."""

    format: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    frames: int = 1
    """Frames or pages of an image; 1 for a still. Not set for videos (see ``video.frames``)."""
    alpha: bool = False
    anamorphic: bool = False
    """Whether the pixels of an image are not square as stored (faxes)."""
    video: VideoStream | None = None
    audio: tuple[AudioStream, ...] = ()
    default_audio: int = 0
    """Which of ``audio`` is played unless another is asked for."""
    subtitles: tuple[str, ...] = ()
    """Codec names of the subtitle tracks."""
    texts: tuple[SubtitleStream, ...] = ()
    """The same tracks, with what planning needs of them."""
    chapters: tuple[Chapter, ...] = ()
    discontinuities: tuple[Discontinuity, ...] = ()
    """Jumps of the time stamps, in the order of the file. Durations and starts are those without them: what was sampled
    without a gap is presented without a gap."""
    tags: dict[str, str] = {}
    """Camera, lens, time, title ...; "place" only where the recipe names it."""
    warnings: tuple[str, ...] = ()

    @property
    def played(self) -> AudioStream | None:
        """The audio stream of outputs that have one; None: there is none that can be played."""
        first = self.audio[self.default_audio : self.default_audio + 1]
        return next((stream for stream in (*first, *self.audio) if stream.playable), None)

    @property
    def treatment(self) -> tuple[Treatment, ...]:
        """What rendering corrects in the frames of the video."""
        return self.video.treatment if self.video else ()


def _encoded(number: float) -> Any:
    """Return the default of a key that is encoded even where it has its default: digests of recipes depend on it."""
    return msgspec.field(default_factory=lambda: number)


def _at_least_one(default: float) -> msgspec.Meta:
    return msgspec.Meta(ge=1, extra_json_schema={"default": default})


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Upper bounds for sources, checked from the header before anything is decoded."""

    pixels: Annotated[int, _at_least_one(300_000_000)] = _encoded(300_000_000)
    """Pixels of one frame. The largest phone sensors have 200 MP."""
    frames: Annotated[int, _at_least_one(3_000)] = _encoded(3_000)
    """Frames of an animated image."""
    animation_pixels: Annotated[int, _at_least_one(1_500_000_000)] = _encoded(1_500_000_000)
    """Pixels of all frames of an animated image together."""
    duration: Annotated[float, msgspec.Meta(gt=0, extra_json_schema={"default": 21_600.0})] = _encoded(21_600.0)
    """Seconds of a video or audio file."""
    bytes: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000_000_000
    """Bytes of a source."""
    video_pixels: Annotated[int, msgspec.Meta(ge=1)] = 20_000_000_000_000
    """Pixels of all frames of a video together. Six hours of 4K at 60 frames a second have 11 trillion."""
    packets: Annotated[int, msgspec.Meta(ge=1)] = 20_000_000
    """Packets that the index of a video or audio file lists, of all streams together. Six hours have 2 million."""
    streams: Annotated[int, msgspec.Meta(ge=1)] = 500
    """Streams of a video or audio file, without attachments."""
    attachments: Annotated[int, msgspec.Meta(ge=0)] = 1_000
    """Attachments (fonts, cover art) of a video or audio file."""
    attachment_bytes: Annotated[int, msgspec.Meta(ge=1)] = 512 << 20
    """Bytes of all attachments together."""
    metadata_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 << 20
    """Bytes of one block of metadata, decompressed: an ICC profile, EXIF, XMP, the tags of an audio file."""
    tags: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Tags of a video or audio file."""
    pages: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Pages of a TIFF."""
    scans: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Scans of a progressive JPEG. Encoders write about ten."""
    output_bytes: Annotated[int, msgspec.Meta(ge=1)] = 100_000_000_000
    """Bytes of one output file, or intermediate file."""
    scratch_bytes: Annotated[int, msgspec.Meta(ge=1)] = 200_000_000_000
    """Bytes of all intermediate files of a source together."""


UNREADABLE = "unreadable"
"""Format of a source whose first bytes could not be read."""
