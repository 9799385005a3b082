"""Is there room on the disk for what is about to be made? Found out after hours of encoding, it would be too late."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mediactl.core.errors import NoRoom
from mediactl.core.files import shown
from mediactl.model.assets import Operation, Prior, Target
from mediactl.model.media import MediaInfo

LARGE = 64 << 20
"""Bytes; the disk is not asked for less, for then it is soon found out."""
CERTAIN = 0.5
"""Share of the expected bytes that certainly are needed: estimates are by bit rate, or by pixels."""


def require(folder: bytes, targets: Iterable[Target[Operation]], info: MediaInfo) -> None:
    """Raise NoRoom where the file system of a directory has less free than the outputs certainly take.

    The directory, or one above it, exists.
    """
    needed = CERTAIN * sum(target.params.expected_bytes(info, Prior(name=target.name)) for target in targets)
    if needed < LARGE:
        return
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise NoRoom(
            f"its outputs take at least {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in {shown(folder)};"
            " free some space"
        )
