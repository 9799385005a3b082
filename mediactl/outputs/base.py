"""What all kinds of output share: the table of a recipe, and the operations that its artefacts are made by.

A kind of output is one module with two sorts of Structs: an ``Output``, which is a table of recipes and resolves to
targets, and ``Params`` for each operation. ``registry`` finds them; docs/extending.md shows how to write one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, ClassVar, Protocol, Self, TypeVar

import msgspec

from mediactl.model.assets import Operation, PriorArtefact, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.model.speed import Speed
from mediactl.outputs.cutting import Cutting

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Names become file names and parts of URLs: lower case letters, digits, "-" and "_"."""
Pixels = Annotated[int, msgspec.Meta(ge=1, le=16_383)]
"""WebP's own limit for a side."""
Quality = Annotated[int, msgspec.Meta(ge=1, le=100)]
Bitrate = Annotated[int, msgspec.Meta(ge=8, le=1024)]

EXTENSIONS = {
    "webp": "webp", "jpeg": "jpg", "png": "png", "avif": "avif", "mp4": "mp4", "m4a": "m4a", "opus": "opus",
    "json": "json",
}  # fmt: skip
IMAGE_MAKER = "mediactl.media.image.render:render"
VIDEO_MAKER = "mediactl.media.video.render:render"
AUDIO_MAKER = "mediactl.media.audio.render:render"
"""Kinds that share a decode share a maker: it is called once for all their missing targets."""

_STREAM = r"\d+(-[a-z0-9]{1,8})?"
"""What ``stream_name`` returns."""
_STREAMS = ("1", "1-a")
"""One of each shape of these."""


class Params(Operation, msgspec.Struct, frozen=True):
    """The resolved parameters of an operation; each subclass has a ``tag``, the operation's name.

    Every field is a part of the artefact's key unless it equals its default: so a new field with a default leaves the
    keys of artefacts that do without it as they are.
    """

    @classmethod
    def operation(cls) -> str:
        """Return the name of the operation."""
        return str(cls.__struct_config__.tag)

    def given(self) -> list[tuple[str, object]]:
        """Return the fields that are part of the key, by name."""
        defaults = _defaults(type(self))
        return sorted((name, value) for name, value in msgspec.structs.asdict(self).items() if value != defaults[name])


@cache
def _defaults(operation: type[Params]) -> dict[str, object]:
    """Return the defaults of its fields; kept, for msgspec evaluates all annotations to find them: 0.5 ms."""
    return {field.name: field.default for field in msgspec.structs.fields(operation)}


P = TypeVar("P", bound=Params)


class AssetPlan(Protocol):
    """The asset of one source while its outputs are resolved."""

    info: MediaInfo
    """What probing found in the source."""
    cutting: Cutting
    """How the recipe has long videos cut."""

    def target(self, name: str, role: str, params: P) -> Target[P]:
        """Return the target of a file name, a role and an operation, with its key."""


class File(msgspec.Struct, frozen=True):
    """A file name, or with ``streams`` every ``start`` + ``stream_name`` + ``end``."""

    start: str
    end: str = ""
    streams: bool = False

    def examples(self) -> Iterator[str]:
        """Yield names such that another pattern which has one in common with this has one of these."""
        yield from ((self.start + each + self.end for each in _STREAMS) if self.streams else (self.start + self.end,))

    def matches(self, name: str) -> bool:
        """Return whether a name is one of these."""
        middle = _STREAM if self.streams else ""
        return re.fullmatch(re.escape(self.start) + middle + re.escape(self.end), name) is not None


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of recipes, ``[[table]]``. Its fields are the keys; their docstrings are the docs and the JSON Schema."""

    table: ClassVar[str]
    """Name of the table."""
    kinds: ClassVar[tuple[Kind, ...]]
    """Kinds of sources that it is made from."""
    operations: ClassVar[tuple[type[Params], ...]]
    """Those that its artefacts are made by."""
    roles: ClassVar[tuple[str, ...]]
    """What its artefacts are to a page, as asset.json has it."""
    order: ClassVar[int] = 1000
    """Outputs of a source come in this order in asset.json, then by table."""
    comparable: ClassVar[bool] = False
    """Whether the similarity of its artefacts to their source can be measured."""
    in_every_plan: ClassVar[bool] = False
    """Whether plans name its operations even for recipes without it, as those of the first outputs do: a new version of
    an operation then has every source of its kinds planned again."""

    name: Name
    """File name without extension."""

    @property
    def when(self) -> str:
        """Condition; "" is always. Kinds that take one have a field of this name instead."""
        return ""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file, or of the one that stands for several."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """Table and file, "image w640.webp"."""
        return f"{self.table} {self.file_name}"

    @property
    def summary(self) -> str:
        """The label, with what else is made."""
        return self.label

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the artefacts of a source; those that name others after them."""
        raise NotImplementedError

    def files(self) -> tuple[File, ...]:
        """Return all file names that it may write for a source."""
        return (File(self.file_name),)

    def at_speed(self, speed: Speed) -> Self:
        """Return the output with the encoder settings of a speed, where the recipe does not set them."""
        return self

    def problem(self) -> tuple[str, str] | None:
        """Return key and complaint where two values do not go together; None when all do."""
        return None

    def ffmpeg_encoders(self) -> frozenset[str]:
        """Return the encoders that ffmpeg has to have for it."""
        return frozenset()

    @classmethod
    def owns(cls, artefact: PriorArtefact, every: Sequence[PriorArtefact]) -> str | None:
        """Return the file name of the output that an artefact of a source was made for; None: of another kind."""
        return artefact.name if artefact.role in cls.roles else None


def stream_name(number: int, language: str) -> str:
    """Return what files of one stream of a source are called after, "2-eng"; ``number`` counts from 0."""
    letters = "".join(each for each in language.lower() if each.isascii() and each.isalnum())[:8]
    return f"{number + 1}-{letters}" if letters else f"{number + 1}"


def without_stream(name: str) -> str:
    """Return a file name without the part that ``stream_name`` gave it."""
    return re.sub(rf"-{_STREAM}\.", ".", name)


def digest_of(*parts: object) -> str:
    """Return 32 hex digits for values that JSON can hold."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
