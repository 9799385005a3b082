"""Jobs: what the journal holds, what crosses the pipe to a worker, what comes back."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from mediactl.model.assets import AssetWarning, Operation, OutputFile, Target
from mediactl.model.media import Limits, MediaInfo, Source


class Priority(IntEnum):
    """How urgent a job is; ``jobs.priority`` turns it into a due time."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3
    BACKFILL = 4


QUICK, HEAVY = "quick", "heavy"
"""Lanes of media jobs: what a person would wait for, and the rest."""


JOIN = "join"
"""Operation of the video job that joins the pieces of a long video: how long that takes says nothing of encoding."""
PUBLISH = "publish"
"""Operation of the upload of an asset.json, after all that it names."""


class NewJob(msgspec.Struct, frozen=True):
    """A job to be added to the journal."""

    key: str
    """Digest of what it does: the same in every run."""
    kind: str
    """"probe", "image", "video", "audio", "piece" or "upload"."""
    payload: bytes
    """JSON of its task; all that a worker needs."""
    lane: str = "quick"
    source: int | None = None
    """Row of the source in the journal."""
    special: str = ""
    """The operation, where it is not the one that jobs of its kind usually do: JOIN or PUBLISH."""
    content: str | None = None
    """Digest of what it processes; two jobs on one content never run at once."""
    format: str = ""
    """Of its source, where its duration depends on that."""
    size: int = 0
    """Amount of work: bytes of a probe, pixels of an image, milliseconds of video or audio."""
    priority: Priority = Priority.NORMAL
    due: float | None = None
    """When it is due, in seconds since 1970; None: its priority's slack from now."""
    time_limit: float = 600.0
    """Seconds after which it is stopped."""
    plan: str = ""
    """Plan digest that its targets follow from."""
    piece: int | None = None
    """Which piece of a long video it encodes, counted from 1; 0: all of its audio."""
    pieces: int | None = None
    """How many pieces of video there are; 0 for audio."""
    cut: str = ""
    """Digest of the content that a piece is cut from."""
    destination: str = ""
    """Digest of where an upload goes."""
    cores: int = 1
    """Cores that it keeps busy."""
    stall_limit: float | None = None
    """Seconds without progress after which its worker is killed; None: it reports no progress."""
    memory_limit: int | None = None
    """Bytes that its worker and what that started may take together; None: what there is."""
    memory: int = 0
    """Bytes that these are expected to take."""

    @property
    def operation(self) -> str:
        """What it does: how its duration is learned, and which handler it has, go by that."""
        return self.special or self.kind


class ProbeTask(msgspec.Struct, frozen=True):
    """Read a source once: digest, dimensions, tracks, tags."""

    source: Source
    limits: Limits
    position: bool = msgspec.field(default=False, name="place")
    """Whether to read the GPS position, too: only for a recipe that names the tag "place"."""


class MakeTask(msgspec.Struct, frozen=True):
    """Make the missing artefacts of one source, then its asset.json."""

    source: Source
    digest: str
    info: MediaInfo
    targets: tuple[Target[Operation], ...]
    """Every artefact of the asset, in asset.json's order."""
    keep: tuple[OutputFile, ...]
    """Those believed to be there: trusted when their stat agrees, hashed when not, made again when they differ."""
    out: bytes
    """Absolute path of OUT."""
    recipe: str
    """Name of the recipe, for asset.json."""
    limits: Limits
    placeholder: str = ""
    """Its placeholder, if made before, as text (``asset.Appearance``); "" when it has to be made."""
    thumbhash: bool = True
    """Whether asset.json has the thumbhash."""
    metadata: tuple[str, ...] | None = None
    """Tags that asset.json has, of those in ``info``; None: all of them."""
    threads: int = 1
    """Cores that an encoder may use. Part of the params where it changes the bytes."""
    work: bytes = b""
    """Folder of the pieces of long videos, absolute; b"": none are kept."""
    long: bool = False
    """Whether a video of this length is cut into pieces where it can be."""
    warnings: tuple[AssetWarning, ...] = ()
    """Those of the asset as it was left: the ones about artefacts that are kept stay."""
    compared: tuple[str, ...] = ()
    """Names of the artefacts whose similarity to the source is measured."""
    elsewhere: tuple[OutputFile, ...] = ()
    """Those that are in the bucket and need not be in OUT; without mtime and inode."""


class PieceTask(msgspec.Struct, frozen=True):
    """Encode one piece of a long video, for all the tracks that its missing artefacts need.

    What it makes lies in ``work`` and is no artefact; the make job that follows the last piece joins them.
    """

    source: Source
    digest: str
    info: MediaInfo
    targets: tuple[Target[Operation], ...]
    """Those of the asset that are missing and made of encoded tracks."""
    limits: Limits
    work: bytes
    number: int
    """Counted from 0; -1: all of the audio."""
    first: int = 0
    """Its first frame, counted from 0."""
    frames: int = 0
    """How many frames it has."""
    threads: int = 1


class JobResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker found or made for one job; a probe fills the first two, a make the rest."""

    digest: str = ""
    info: MediaInfo | None = None
    files: tuple[OutputFile, ...] = ()
    """All artefacts of the asset as they lie now, kept ones included."""
    made: int = 0
    """How many of them this job made (encoded or linked)."""
    bytes_made: int = 0
    """Bytes of those, links counted once."""
    roles: dict[str, int] = {}
    """How many of those have which role."""
    placeholder: str = ""
    """What the source looks like, as text (``asset.Appearance``)."""
    warnings: tuple[AssetWarning, ...] = ()
    """All that asset.json has, in its order."""
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
