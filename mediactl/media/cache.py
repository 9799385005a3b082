"""Digests and probe results of unchanged files, in the user's cache folder, shared by all output trees.

It may be deleted at any time. Values are JSON, never pickle: who can write to the folder must not run code here.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

import diskcache
import msgspec

from mediactl.core.files import shown
from mediactl.model.media import Fingerprint, Limits, MediaInfo

SIZE_LIMIT = 256 << 20
"""Bytes; diskcache drops the oldest beyond it. A probe result is about 1 kB."""
PATIENCE = 1
"""Seconds that another process may keep it locked."""
VERSION = 10
"""Raised when probing reads or rejects more."""


class Remembered(msgspec.Struct, frozen=True):
    """What was found out of a file."""

    digest: str
    info: MediaInfo


class _Disk(diskcache.JSONDisk):  # type: ignore[misc]
    """JSON alone: diskcache's own would unpickle a value whose row says that it is a pickle, whoever wrote it."""

    def get(self, key: Any, raw: Any) -> Any:
        """Return a key, which is JSON. Raises ValueError."""
        if not raw:
            raise ValueError("a key in the cache is a pickle")
        return super().get(key, raw)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Return a value, which is JSON. Raises ValueError."""
        if mode not in (diskcache.core.MODE_RAW, diskcache.core.MODE_BINARY):
            raise ValueError("a value in the cache is not JSON")
        return super().fetch(mode, filename, value, read)


class ProbeCache:
    """Remembers probe results by (device, path-independent fingerprint).

    Trouble with it is never the job's: whatever goes wrong, it is left aside from then on, and ``trouble`` says why.
    """

    def __init__(self, folder: bytes) -> None:
        self.trouble = ""
        self._cache: diskcache.Cache | None = None
        path = os.fsdecode(folder)
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            _require_unlocked(os.path.join(path, "cache.db"))
            # No memory map: reading one whose file is cut short, or on a full disk, kills the process.
            self._cache = diskcache.Cache(
                path, disk=_Disk, size_limit=SIZE_LIMIT, eviction_policy="least-recently-stored",
                timeout=PATIENCE, sqlite_mmap_size=0,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - as in ``_leave_aside``
            self._leave_aside(error)

    def get(
        self, device: int, fingerprint: Fingerprint, format_: str, limits: Limits, *, position: bool
    ) -> Remembered | None:
        """Return the entry of a file with this fingerprint, or None. With GPS positions it has keys of their own."""
        if self._cache is None:
            return None
        try:
            value = self._cache.get(_key(device, fingerprint, format_, limits, position))
            return None if value is None else msgspec.convert(value, Remembered)
        except msgspec.ValidationError:
            return None  # written by another version
        except Exception as error:  # noqa: BLE001 - as in ``_leave_aside``
            self._leave_aside(error)
            return None

    def put(
        self, device: int, fingerprint: Fingerprint, format_: str, limits: Limits, value: Remembered, *, position: bool
    ) -> None:
        """Remember a probe result."""
        if self._cache is None:
            return
        try:
            self._cache.set(_key(device, fingerprint, format_, limits, position), msgspec.to_builtins(value))
        except Exception as error:  # noqa: BLE001 - as in ``_leave_aside``
            self._leave_aside(error)

    def _leave_aside(self, error: Exception) -> None:
        """A damaged database or value makes SQLite, zlib, JSON and diskcache itself raise anything at all."""
        self._cache = None
        reason = "database is locked" if isinstance(error, diskcache.Timeout) else str(error) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        self.trouble = shown(reason)


def _require_unlocked(path: str) -> None:
    """Raise sqlite3.Error when another process keeps the database locked: diskcache would wait a minute for it."""
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def _key(device: int, mark: Fingerprint, format_: str, limits: Limits, position: bool) -> list[object]:
    file = [device, mark.size, mark.mtime_ns, mark.ctime_ns, mark.inode, format_]
    return [VERSION, *file, msgspec.to_builtins(limits), *(["place"] if position else [])]
