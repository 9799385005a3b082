"""Digests and probe results of unchanged files, in the user's cache folder, shared by all output trees.

It may be deleted at any time. Values are JSON, never pickle: who can write to the folder must not run code here.
"""

from __future__ import annotations

import os
import sqlite3

import diskcache
import msgspec

from mediactl.model import Fingerprint, Limits, MediaInfo

SIZE_LIMIT = 256 << 20
"""Bytes; diskcache drops the oldest beyond it. A probe result is about 1 kB."""
VERSION = 3
"""Raised when probing learns to tell more."""


class Remembered(msgspec.Struct, frozen=True):
    """What was found out of a file."""

    digest: str
    info: MediaInfo


class ProbeCache:
    """Remembers probe results by (device, path-independent fingerprint). Trouble with it is never the job's."""

    def __init__(self, folder: bytes) -> None:
        path = os.fsdecode(folder)
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._cache = diskcache.Cache(
            path, disk=diskcache.JSONDisk, size_limit=SIZE_LIMIT, eviction_policy="least-recently-stored", timeout=1
        )

    def get(self, device: int, fingerprint: Fingerprint, format_: str, limits: Limits) -> Remembered | None:
        """What is known of a file with this fingerprint, or None."""
        try:
            value = self._cache.get(_key(device, fingerprint, format_, limits))
            return None if value is None else msgspec.convert(value, Remembered)
        except (diskcache.Timeout, sqlite3.Error, OSError, ValueError):
            return None  # msgspec.ValidationError is a ValueError: written by another version

    def put(self, device: int, fingerprint: Fingerprint, format_: str, limits: Limits, value: Remembered) -> None:
        """Remember a probe result."""
        try:
            self._cache.set(_key(device, fingerprint, format_, limits), msgspec.to_builtins(value))
        except (diskcache.Timeout, sqlite3.Error, OSError):
            return  # a cache that cannot be written only costs time


def _key(device: int, mark: Fingerprint, format_: str, limits: Limits) -> list[object]:
    return [VERSION, device, mark.size, mark.mtime_ns, mark.ctime_ns, mark.inode, format_, msgspec.to_builtins(limits)]
