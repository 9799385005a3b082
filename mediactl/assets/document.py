"""asset.json: what an asset is, for whoever reads OUT, and for mediactl when its journal is lost.

It is written last: everything it names is there. It holds nothing that differs between two runs on the same
source (no clock, no machine), so that equal work gives equal bytes.
"""

from __future__ import annotations

import base64

import msgspec

from mediactl.assets import markup
from mediactl.core.files import shown
from mediactl.model.assets import Artefact
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, MediaInfo

NAME = b"asset.json"
SCHEMA = 1


class AssetSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """The source as asset.json names it."""

    path: str
    """Relative path, characters that cannot be shown escaped."""
    bytes: int
    digest: str
    """SHA-256 of the content, in hex."""
    kind: Kind
    path_base64: str = ""
    """The exact bytes of the path, only where ``path`` is not exact."""


class Appearance(msgspec.Struct, frozen=True):
    """What a source looks like (a video: its poster), in a few bytes; all empty for audio."""

    placeholder: str = ""
    """Thumbhash, base64."""
    colour: str = ""
    """Dominant colour, "#rrggbb"; never empty where something can be seen."""
    phash: str = ""
    """Perceptual hash, 16 hex digits; "" for an image of one plain colour."""

    def text(self) -> str:
        """One string, as journal and tasks hold it; "" when there is none."""
        return ",".join((self.placeholder, self.colour, self.phash)) if self.placeholder or self.colour else ""

    @classmethod
    def parse(cls, text: str) -> Appearance:
        """The look that a string is of. Earlier versions held the thumbhash alone."""
        return cls(*text.split(",")[:3])

    def known(self, *, thumbhash: bool) -> str:
        """Its text when nothing is missing of it, "" when it has to be made."""
        if not self.colour or (thumbhash and not self.placeholder):
            return ""
        return self.text() if thumbhash else msgspec.structs.replace(self, placeholder="").text()


class Asset(msgspec.Struct, frozen=True, omit_defaults=True):
    """One source with all its artefacts."""

    schema: int
    source: AssetSource
    recipe: str
    metadata: MediaInfo
    artefacts: tuple[Artefact, ...]
    srcset: str = ""
    """Value for <img srcset>, URLs relative to the folder of this asset.json; each width once."""
    picture: str = ""
    """<picture> markup of the variants."""
    video: str = ""
    """<video> markup of a video, or of an animation that became one."""
    placeholder: str = ""
    """Thumbhash, base64."""
    colour: str = ""
    """Dominant colour, "#rrggbb"."""
    phash: str = ""
    """Perceptual hash, 16 hex digits."""
    warnings: tuple[str, ...] = ()


def build(task: MakeTask, artefacts: tuple[Artefact, ...], look: Appearance, warnings: tuple[str, ...]) -> Asset:
    """The asset of a finished make task."""
    source = task.source
    info = with_named_tags(task.info, task.metadata)
    srcset, picture, video = markup_of(artefacts, info, look)
    path = shown(source.path)
    exact = path.encode("utf-8", "surrogateescape") == source.path
    return Asset(
        schema=SCHEMA,
        source=AssetSource(
            path=path,
            bytes=source.fingerprint.size,
            digest=task.digest,
            kind=source.kind,
            path_base64="" if exact else base64.b64encode(source.path).decode("ascii"),
        ),
        recipe=task.recipe,
        metadata=info,
        artefacts=artefacts,
        srcset=srcset,
        picture=picture,
        video=video,
        placeholder=look.placeholder,
        colour=look.colour,
        phash=look.phash,
        warnings=warnings,
    )


def with_named_tags(info: MediaInfo, metadata: tuple[str, ...] | None) -> MediaInfo:
    """Return what asset.json keeps of a probe: the tags that the recipe names (None: all there are)."""
    if metadata is None or set(info.tags) <= set(metadata):
        return info
    return msgspec.structs.replace(info, tags={name: value for name, value in info.tags.items() if name in metadata})


def markup_of(artefacts: tuple[Artefact, ...], info: MediaInfo, look: Appearance) -> tuple[str, str, str]:
    """srcset, <picture> and <video> of what was made."""
    return (
        markup.srcset(artefacts, info),
        markup.picture(artefacts, info, look.colour),
        markup.video(artefacts, info),
    )


def look_of(asset: Asset) -> Appearance:
    """What the source of an asset looks like."""
    return Appearance(asset.placeholder, asset.colour, asset.phash)


def encode(asset: Asset) -> bytes:
    """The bytes of asset.json: indented, keys in the order of the fields, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(asset), indent=2) + b"\n"


_decode = msgspec.json.Decoder(Asset).decode


def decode(content: bytes) -> Asset:
    """An asset from the bytes of asset.json. Raises ValueError when it is none or of another schema."""
    asset = _decode(content)
    if asset.schema != SCHEMA:
        raise msgspec.ValidationError(f"schema {asset.schema}, expected {SCHEMA}")
    return asset


def path_of(asset: Asset) -> bytes:
    """The exact path of the source, relative to its root."""
    if asset.source.path_base64:
        return base64.b64decode(asset.source.path_base64)
    return asset.source.path.encode("utf-8", "surrogateescape")
