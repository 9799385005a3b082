"""What a bucket holds of each source: entries of its index, and the jobs that read and write it. Frozen values, no I/O.

asset.json objects are the truth, and the index is a cache of them: an entry counts only while the object that it was
made of has its ETag.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mediactl.model.assets import Artefact, AssetWarning
from mediactl.model.uploads import Location

RECALL, REMEMBER = "recall", "remember"
"""Kinds of the jobs that look a source up in its bucket, and that write what was uploaded into its index."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a bucket holds of one source."""

    folder: str
    """Start of the keys of its objects below the prefix, with a slash at its end."""
    digest: str
    """SHA-256 of the source's content, hex."""
    etag: str
    """Of its asset.json, with quotes."""
    document: str
    """SHA-256 of its asset.json, hex."""
    artefacts: tuple[Artefact, ...]
    """In the order of asset.json."""
    look: str = ""
    """As text (``document.Appearance``)."""
    warnings: tuple[AssetWarning, ...] = ()
    similarities: Mapping[str, float] = {}
    """Name of an artefact -> SSIM to the source, of those that were compared with it."""
    original: str = ""
    """Name of the object that is the source itself; empty: it was not uploaded, as far as is known."""


class RecallTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Find out what a bucket holds of a source."""

    location: Location
    folder: str
    digest: str
    original: str = ""
    """Name of the object that the source itself would be; empty: it is not to be uploaded."""
    size: int = 0
    """Bytes of the source."""


class Recalled(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the bucket holds."""

    entry: Entry | None = None
    """Without artefacts that are missing or were replaced; None: nothing, or nothing is known."""
    indexed: bool = False
    """Whether the index has it just so."""
    trouble: str = ""
    """What could not be read, in words."""


class RememberTask(msgspec.Struct, frozen=True):
    """Write entries into the index of a bucket; they come as the state of the job, msgpack of a list."""

    location: Location


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was written."""

    trouble: str = ""
    """Why nothing was, in words."""
