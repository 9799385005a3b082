"""An asset as callers have it: what its asset.json says, and where its files are."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec

from mediactl.api.messages import Completed
from mediactl.assets import document, markup
from mediactl.model.assets import Artefact
from mediactl.model.media import Kind, MediaInfo


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A source with all that was made of it."""

    folder: str
    """Directory of its files, or their s3:// URL."""
    path: str
    """Path of the source, relative to the directory that it was found in; unprintable characters are escaped."""
    kind: str
    """"image", "video" or "audio"."""
    bytes: int
    """Size of the source."""
    digest: str
    """SHA-256 of the source, in hex."""
    recipe: str
    """Name of the recipe."""
    artefacts: tuple[Artefact, ...]
    """Its files, in the order of asset.json."""
    info: MediaInfo
    """What the source is: dimensions as shown, duration in seconds, streams, tags."""
    placeholder: str = ""
    """Thumbhash, base64."""
    colour: str = ""
    """Dominant colour, "#rrggbb"."""
    phash: str = ""
    """Perceptual hash, 16 hex digits."""
    warnings: tuple[str, ...] = ()

    @property
    def width(self) -> int | None:
        """Width in pixels, as shown; None for audio."""
        return self.info.width

    @property
    def height(self) -> int | None:
        """Height in pixels, as shown; None for audio."""
        return self.info.height

    @property
    def duration(self) -> float | None:
        """Duration in seconds; None for images that do not move."""
        return self.info.duration

    def file(self, name: str) -> str:
        """Return the path or URL of one of its files. Raises KeyError where it has none of that name."""
        if all(each.name != name for each in self.artefacts):
            raise KeyError(name)
        return f"{self.folder}/{name}"

    def picture(self, base: str = "", *, alt: str = "", sizes: str = markup.SIZES) -> str:
        """Return <picture> markup, "" without variants. ``base`` is the URL of its directory."""
        return markup.picture(self.artefacts, self.info, self.colour, base=base, alt=alt, sizes=sizes)

    def video(self, base: str = "") -> str:
        """Return <video> markup, "" where there is nothing to play."""
        return markup.video(self.artefacts, self.info, base=base)

    def srcset(self, base: str = "") -> str:
        """Return the value of an <img srcset>, "" where its variants are of several formats."""
        return markup.srcset(self.artefacts, self.info, base=base)

    def to_dict(self) -> dict[str, Any]:
        """Return what its asset.json says (docs/assets.md), as values that JSON can hold."""
        look = document.Appearance(self.placeholder, self.colour, self.phash)
        images, picture, video = document.markup_of(self.artefacts, self.info, look)
        asset = document.Asset(
            schema=document.SCHEMA,
            source=document.AssetSource(self.path, self.bytes, self.digest, Kind(self.kind)),
            recipe=self.recipe,
            metadata=self.info,
            artefacts=self.artefacts,
            srcset=images,
            picture=picture,
            video=video,
            placeholder=self.placeholder,
            colour=self.colour,
            phash=self.phash,
            warnings=self.warnings,
        )
        found: dict[str, Any] = json.loads(document.encode(asset))
        return found


def of(done: Completed) -> Asset:
    """Return the asset of a source that is done. Raises ValueError where its asset.json is malformed."""
    return parsed(done.document, os.fsdecode(done.folder))


def parsed(content: bytes, folder: str) -> Asset:
    """Return the asset that an asset.json in a directory describes. Raises ValueError where it is malformed."""
    found = document.decode(content)
    return Asset(
        folder=folder,
        path=found.source.path,
        kind=found.source.kind.value,
        bytes=found.source.bytes,
        digest=found.source.digest,
        recipe=found.recipe,
        artefacts=found.artefacts,
        info=found.metadata,
        placeholder=found.placeholder,
        colour=found.colour,
        phash=found.phash,
        warnings=found.warnings,
    )


def read(folder: str) -> Asset:
    """Return the asset in a directory. Raises OSError where there is none, ValueError where it is malformed."""
    with open(os.path.join(folder, os.fsdecode(document.NAME)), "rb") as file:
        return parsed(file.read(), folder)
