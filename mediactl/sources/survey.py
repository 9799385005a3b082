"""What is in a directory, by the first bytes of its files: enough to suggest a recipe and settings for it."""

from __future__ import annotations

import os
import time
from collections import Counter

import msgspec

from mediactl.core.filesystem.mounts import mount_of
from mediactl.model.formats import BY_NAME
from mediactl.model.media import Kind
from mediactl.sources import scan, sniff
from mediactl.sources.filters import Filter

LONGEST = 3.0
"""Seconds after which a survey ends."""
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "ceph", "glusterfs", "vboxsf"})
"""Types of file systems whose changes inotify does not report when another machine makes them."""


class Survey(msgspec.Struct):
    """What was found."""

    kinds: Counter[Kind] = msgspec.field(default_factory=Counter)
    """Files that can be processed."""
    formats: Counter[str] = msgspec.field(default_factory=Counter)
    """The same by their formats."""
    unsupported: Counter[str] = msgspec.field(default_factory=Counter)
    """Title -> files in a format that is rejected by its name."""
    others: int = 0
    """Files that are no media, or cannot be read."""
    bytes: int = 0
    """Of the files that can be processed."""
    complete: bool = True
    """Whether the whole directory was read."""
    remote: str = ""
    """Type of its file system if other machines may write to it, "" if not."""


def of(folder: bytes, seconds: float = LONGEST) -> Survey:
    """Return what is in a directory and below it, as far as ``seconds`` suffice."""
    found = Survey()
    kind = mount_of(os.fsdecode(folder)).kind
    found.remote = kind if kind in _REMOTE else ""
    end = time.monotonic() + seconds
    for batch in scan.folder(folder, prefix=b"", never=frozenset(), follow=False, rules=Filter.of()):
        if isinstance(batch, scan.Batch):
            for entry in batch.files:
                _add(found, batch, entry)
                if time.monotonic() > end:
                    found.complete = False
                    return found
    return found


def _add(found: Survey, batch: scan.Batch, entry: scan.Entry) -> None:
    try:
        named = sniff.sniff(sniff.head(batch.root, os.path.join(batch.folder, entry.name)), entry.name)
    except OSError:
        named = None
    if named is None:
        found.others += 1
        return
    kind, name = named
    format_ = BY_NAME.get(name)
    if format_ is None or format_.refusal:
        found.unsupported[format_.title if format_ else "unknown format"] += 1
        return
    found.kinds[kind] += 1
    found.formats[name] += 1
    found.bytes += entry.size
