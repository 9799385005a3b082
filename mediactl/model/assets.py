"""Artefacts: planned, derived, on disk."""

from __future__ import annotations

import msgspec


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
