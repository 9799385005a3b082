"""Artefacts: planned, derived, on disk."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from mediactl.model.media import MediaInfo


class Operation:
    """What makes an artefact, with its resolved parameters.

    Each operation is a tagged Struct in ``outputs``, derived from ``outputs.base.Params``. This plain class is what
    values that cross processes name in their types: msgspec then leaves the decoding to ``outputs.registry.decode``.
    """

    __slots__ = ()

    version: ClassVar[int] = 1
    """Raised when the operation makes other bytes from the same parameters."""
    encoders: ClassVar[tuple[str, ...]] = ()
    """Libraries whose version decides the bytes: "image" (libvips), "ffmpeg", in the order of the key."""
    reads_others: ClassVar[bool] = False
    """Whether it is made from other files of the asset, which then have to be in OUT, not in a bucket alone."""
    maker: ClassVar[str]
    """"module:function" that makes its targets; all missing targets of an asset with one maker are made in one call."""

    @classmethod
    def operation(cls) -> str:
        """Return the name of the operation, a part of every key."""
        raise NotImplementedError

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds of one core, once the source is decoded."""
        return 0.005

    def shared_seconds(self, info: MediaInfo) -> Mapping[Hashable, float]:
        """Return the expected seconds of work that other targets of the asset may need as well, by what it is."""
        return {}

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size of the artefact in bytes."""
        return 2_000.0

    def expected_memory(self, info: MediaInfo) -> int:
        """Return the bytes of memory expected beyond what other outputs of such a source take."""
        return 0


P_co = TypeVar("P_co", bound=Operation, covariant=True)
P = TypeVar("P", bound=Operation)


class Target(msgspec.Struct, Generic[P_co], frozen=True):
    """An artefact to be made: a recipe's output, resolved for one source."""

    name: str
    """File name in the output directory of the source, "w800.webp"."""
    role: str
    """What it is to a page: "variant", "rendition", "poster" ..."""
    params: P_co
    """Resolved: what is in here decides the bytes of the artefact, together with the encoder."""
    key: str
    """Digest of source content, operation, params, operation version and encoder version."""

    @property
    def operation(self) -> str:
        """Name of the operation that makes it."""
        return self.params.operation()


def made_by(targets: Iterable[Target[Operation]], *operations: type[P]) -> tuple[Target[P], ...]:
    """Return the targets of some operations, in their order."""
    return tuple(target for target in targets if isinstance(target.params, operations))  # type: ignore[misc]


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


class AssetWarning(msgspec.Struct, frozen=True, omit_defaults=True):
    """A warning of an asset, and what it is about."""

    text: str
    keys: tuple[str, ...] | None = ()
    """Keys of the artefacts that it is about, and lasts as long as; (): the source or the asset as a whole; None:
    unknown, since only asset.json or an earlier version knew it."""


class PriorArtefact(NamedTuple):
    """An artefact that a source has, as far as the outputs of another recipe are estimated from it."""

    name: str
    role: str
    key: str
    bytes: int
    width: int | None
    height: int | None
    duration: float | None

    @property
    def pixels(self) -> int:
        """Width x height; 1 where they are unknown."""
        return (self.width or 1) * (self.height or 1)


class Prior(msgspec.Struct, frozen=True):
    """An asset before one of its artefacts is made."""

    artefacts: Sequence[PriorArtefact] = ()
    """Those that the source has."""
    name: str = ""
    """File name of the one to be made."""
    wanted: Mapping[str, Operation] = {}
    """Operations of all artefacts of the recipe, by key."""

    @property
    def replaced(self) -> PriorArtefact | None:
        """The artefact of the same name."""
        return next((each for each in self.artefacts if each.name == self.name), None)

    def nearest(self, role: str, pixels: int) -> PriorArtefact | None:
        """Return the artefact of a role whose number of pixels is nearest; None where none has a size."""
        alike = [each for each in self.artefacts if each.role == role and each.width and each.height]
        return min(alike, key=lambda each: abs(each.pixels - pixels), default=None)


class OutputFile(msgspec.Struct, frozen=True, array_like=True):
    """An artefact as it lies on this disk."""

    artefact: Artefact
    mtime_ns: int
    inode: int
    similarity: float | None = None
    """SSIM to the source at the same size; None: not measured."""


class Reuse(msgspec.Struct, frozen=True):
    """An artefact with the required key that exists elsewhere in OUT; to be linked, after its sha256 was checked."""

    key: str
    file: bytes
    artefact: Artefact
    warnings: tuple[str, ...] = ()
    """Those about it."""
