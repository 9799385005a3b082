"""The values that travel through mediactl: frozen, self-contained, JSON-able.

Paths are ``bytes``, as Linux has them; text is made of them only to be shown (``files.shown``).
Sizes are bytes, durations seconds, dimensions pixels *as shown* (after rotation) unless a name says otherwise.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated

import msgspec


class Kind(StrEnum):
    """What a source is, by its content."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class Priority(IntEnum):
    """How urgent a job is; ``jobs.priority`` turns it into a due time."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3
    BACKFILL = 4


class Verdict(StrEnum):
    """How one attempt at a job ended."""

    DONE = "done"
    REJECTED = "rejected"
    """The input is bad; final."""
    FAILED = "failed"
    """Did not work out; retried, and after some failures quarantined."""
    INTERNAL = "internal"
    """A fault of mediactl's own, or of a library that is not the one it was written for: says nothing about the input.
    Retried like a failure, then left to the next run, which ends with exit code 70."""
    CRASHED = "crashed"
    """The worker died under it."""
    TIMED_OUT = "timed_out"
    """Over its hard time limit; its worker was killed. Counts as a failure."""
    CHANGED = "changed"
    """The source changed while it was read; it is planned anew."""
    UNREADABLE = "unreadable"
    """The machine failed to read the source; retried, and after some failures left to the next run."""
    INTERRUPTED = "interrupted"
    """Stopped from outside (signal, owner died); costs nothing."""
    BLOCKED = "blocked"
    """The machine cannot go on (disk full); costs nothing, ends the run."""
    REFUSED = "refused"
    """Set up wrongly (no such bucket, access denied); costs nothing, ends this lane's work in this run."""
    AWAY = "away"
    """The other side cannot be reached, or credentials ran out; costs nothing, ends this lane's work in this run."""


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """What stat tells of a file; two equal fingerprints mean, in practice, equal content."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


UNREADABLE = "unreadable"
"""Format of a source whose first bytes could not be read."""


class Source(msgspec.Struct, frozen=True):
    """An input file."""

    root: bytes
    """Absolute folder that the path is relative to."""
    path: bytes
    """Path relative to ``root``."""
    place: bytes
    """Folder of its artefacts, relative to OUT. Unique in one OUT."""
    fingerprint: Fingerprint
    kind: Kind
    format: str
    """Container or codec as sniffed from the first bytes: "jpeg", "mp4" ..."""

    @property
    def file(self) -> bytes:
        """Absolute path of the file."""
        return self.root + b"/" + self.path


class VideoTrack(msgspec.Struct, frozen=True, omit_defaults=True):
    """The moving picture of a source. Width and height are those shown, after rotation and sample aspect."""

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
    """Every frame comes at its time at that rate and none is missing: the film may be cut at frame numbers."""
    interlaced: bool = False


class AudioTrack(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sound track of a source."""

    codec: str
    channels: int
    sample_rate: int
    duration: float | None = None
    language: str = ""
    title: str = ""
    playable: bool = True
    """Whether it can be decoded and mixed down."""


class TextTrack(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subtitle track of a source."""

    codec: str
    language: str = ""
    title: str = ""
    text: bool = True
    """Whether it holds text, which can become WebVTT; else it holds pictures of text."""


class Chapter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a film or a recording, in seconds from its start."""

    start: float
    end: float
    title: str = ""


class MediaInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What probing tells of a source, as far as planning and asset.json need it."""

    format: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    frames: int = 1
    """Frames or pages of an image; 1 for a still. Not set for videos (see ``video.frames``)."""
    alpha: bool = False
    video: VideoTrack | None = None
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[str, ...] = ()
    """Codec names of the subtitle tracks."""
    texts: tuple[TextTrack, ...] = ()
    """The same tracks, with what planning needs of them."""
    chapters: tuple[Chapter, ...] = ()
    tags: dict[str, str] = {}
    """Camera, lens, time, title ...; "place" only where the recipe names it."""
    warnings: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True):
    """An artefact to be made: a recipe's output, resolved for one source."""

    name: str
    """File name in the source's place, "w800.webp"."""
    role: str
    """What it is to a page: "variant", "animation", "rendition", "stream", "sound", "playlist", "master", "poster",
    "storyboard", "storyboard-map", "preview", "subtitles", "audio" or "waveform"."""
    operation: str
    """What makes it; its params are described in ``plan``."""
    params: dict[str, int | float | str | bool]
    """Resolved: what is in here decides the bytes of the artefact, together with the encoder."""
    key: str
    """Digest of source content, operation, params, operation version and encoder version."""


class Artefact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A derived file, as asset.json names it."""

    name: str
    role: str
    media_type: str
    bytes: int
    sha256: str
    key: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None


class OutputFile(msgspec.Struct, frozen=True, array_like=True):
    """An artefact as it lies on this disk."""

    artefact: Artefact
    mtime_ns: int
    inode: int


class Reuse(msgspec.Struct, frozen=True):
    """An artefact with the wanted key that exists elsewhere in OUT; to be linked, after its sha256 was checked."""

    key: str
    file: bytes
    artefact: Artefact


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a source may cost at most; checked from its header, before anything is decoded."""

    pixels: Annotated[int, msgspec.Meta(ge=1)] = 300_000_000
    """Pixels of one frame. The largest phone sensors make 200 MP."""
    frames: Annotated[int, msgspec.Meta(ge=1)] = 3_000
    """Frames of an animated image."""
    animation_pixels: Annotated[int, msgspec.Meta(ge=1)] = 1_500_000_000
    """Pixels of all frames of an animated image together."""
    duration: Annotated[float, msgspec.Meta(gt=0)] = 6 * 3600.0
    """Seconds of a film or a recording."""


class NewJob(msgspec.Struct, frozen=True):
    """A job to be added to the journal."""

    key: str
    """Digest of what it does: the same in every run."""
    kind: str
    """"probe", "image", "video", "audio" or "piece"."""
    payload: bytes
    """JSON of its task; all that a worker needs."""
    lane: str = "quick"
    source: int | None = None
    """Row of the source in the journal."""
    content: str | None = None
    """Source digest; two jobs on one content never run at once."""
    format: str = ""
    size: int = 0
    """Amount of work: bytes of a probe, pixels of an image, milliseconds of a film or a recording."""
    priority: Priority = Priority.NORMAL
    due: float | None = None
    """When it is due, in seconds since 1970; None: its priority's slack from now."""
    time_limit: float = 600.0
    """Seconds after which it is stopped."""
    plan: str = ""
    """Plan digest that its targets follow from."""
    cores: int = 1
    """Cores that it keeps busy."""
    stall_limit: float | None = None
    """Seconds without progress after which its worker is killed; None: it tells no progress."""
    memory_limit: int | None = None
    """Bytes that its worker and what that started may take together; None: what there is."""
    memory: int = 0
    """Bytes that these are expected to take."""


class ProbeTask(msgspec.Struct, frozen=True):
    """Read a source once: digest, dimensions, tracks, tags."""

    source: Source
    limits: Limits
    cache: bytes | None = None
    """Folder of the digest cache shared by all output trees; None: no cache."""
    place: bool = False
    """Whether to read where it was taken, too: only for a recipe that names the tag "place"."""


class MakeTask(msgspec.Struct, frozen=True):
    """Make the missing artefacts of one source, then its asset.json."""

    source: Source
    digest: str
    info: MediaInfo
    targets: tuple[Target, ...]
    """Every artefact of the asset, in asset.json's order."""
    keep: tuple[OutputFile, ...]
    """Those believed to be there: trusted when their stat agrees, hashed when not, made again when they differ."""
    out: bytes
    """Absolute path of OUT."""
    recipe: str
    """Name of the recipe, for asset.json."""
    limits: Limits
    placeholder: str = ""
    """What it looks like, known from before, as text (``asset.Look``); "" when it has to be made."""
    thumbhash: bool = True
    """Whether asset.json has the thumbhash."""
    metadata: tuple[str, ...] | None = None
    """Tags that asset.json has, of those in ``info``; None: all of them."""
    threads: int = 1
    """Cores that an encoder may use. Part of the params where it changes the bytes."""
    work: bytes = b""
    """Folder of the pieces of long films, absolute; b"": none are kept."""
    long: bool = False
    """Whether a film of this length is cut into pieces where it can be."""


class PieceTask(msgspec.Struct, frozen=True):
    """Encode one piece of a long film, for all the tracks that its missing artefacts need.

    What it makes lies in ``work`` and is no artefact; the make job that follows the last piece joins them.
    """

    source: Source
    digest: str
    info: MediaInfo
    targets: tuple[Target, ...]
    """Those of the asset that are missing and made of encoded tracks."""
    limits: Limits
    work: bytes
    number: int
    """Counted from 0; -1: all of the sound."""
    first: int = 0
    """Its first frame, counted from 0."""
    frames: int = 0
    """How many frames it has."""
    threads: int = 1


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker found or made for one job; a probe fills the first two, a make the rest."""

    digest: str = ""
    info: MediaInfo | None = None
    files: tuple[OutputFile, ...] = ()
    """All artefacts of the asset as they lie now, kept ones included."""
    made: int = 0
    """How many of them this job made (encoded or linked)."""
    bytes_made: int = 0
    """Bytes of those, links counted once."""
    placeholder: str = ""
    """What the source looks like, as text (``asset.Look``)."""
    warnings: tuple[str, ...] = ()
    folder_mtime_ns: int = 0
    """Of the asset's folder, after its last rename."""
    cache_trouble: str = ""
    """Why the digest cache cannot be used, "" if it can."""


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What one attempt cost."""

    wall: float = 0.0
    """Seconds."""
    cpu: float = 0.0
    """Seconds, children included."""
    peak_memory: int = 0
    """Bytes, of the worker or its largest child."""
    sent: int = 0
    """Bytes that left for the network."""


class Event(msgspec.Struct, frozen=True):
    """Something that a person, cron or CI may want to know; one line of NDJSON."""

    name: str
    fields: dict[str, object]
