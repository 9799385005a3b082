"""asset.json: what an asset is, for whoever reads OUT, and for mediactl when its journal is lost.

It is written last: everything it names is there. It holds nothing that differs between two runs on the same
source (no clock, no machine), so that equal work gives equal bytes.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

import msgspec

from mediactl.files import shown
from mediactl.model import Artefact, Kind, MakeTask, MediaInfo

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


class Asset(msgspec.Struct, frozen=True, omit_defaults=True):
    """One source with all its artefacts."""

    schema: int
    source: AssetSource
    recipe: str
    metadata: MediaInfo
    artefacts: tuple[Artefact, ...]
    srcset: str = ""
    """Value for <img srcset>, URLs relative to the folder of this asset.json; each width once."""
    placeholder: str = ""
    """Thumbhash, base64."""
    warnings: tuple[str, ...] = ()


def build(task: MakeTask, artefacts: tuple[Artefact, ...], placeholder: str, warnings: tuple[str, ...]) -> Asset:
    """The asset of a finished make task."""
    source = task.source
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
        metadata=task.info,
        artefacts=artefacts,
        srcset=srcset(artefacts),
        placeholder=placeholder,
        warnings=warnings,
    )


def srcset(artefacts: tuple[Artefact, ...]) -> str:
    """``"w320.webp 320w, w800.webp 800w"``: image variants by width; of equal widths and type the first only."""
    widths: dict[tuple[str, int], Artefact] = {}
    for artefact in artefacts:
        if artefact.role == "variant" and artefact.width:
            widths.setdefault((artefact.media_type, artefact.width), artefact)
    media_types = {media_type for media_type, _ in widths}
    if len(media_types) != 1:
        return ""  # One srcset cannot mix formats; a <picture> needs one for each.
    return ", ".join(f"{quote(artefact.name)} {width}w" for (_, width), artefact in sorted(widths.items()))


def encode(asset: Asset) -> bytes:
    """The bytes of asset.json: indented, keys in the order of the fields, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(asset), indent=2) + b"\n"


def decode(content: bytes) -> Asset:
    """An asset from the bytes of asset.json. Raises msgspec.DecodeError when it is none or of another schema."""
    asset = msgspec.json.decode(content, type=Asset)
    if asset.schema != SCHEMA:
        raise msgspec.ValidationError(f"schema {asset.schema}, expected {SCHEMA}")
    return asset


def path_of(asset: Asset) -> bytes:
    """The exact path of the source, relative to its root."""
    if asset.source.path_base64:
        return base64.b64decode(asset.source.path_base64)
    return asset.source.path.encode("utf-8", "surrogateescape")
