"""Mounted file systems, as the kernel reports them."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

MOUNTS = "/proc/self/mountinfo"


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    kind: str
    """Its type, such as "ext4"."""


def mount_of(folder: str, mounts: str = MOUNTS) -> Mount:
    """Return the file system that a directory is on, also one that does not exist; "" where it is not reported."""
    return _holding(folder, _table(mounts))


class Mounts:
    """The file systems that are mounted now, so that it is noticed later when one of them is not any more."""

    def __init__(self, mounts: str = MOUNTS) -> None:
        self._mounts = mounts
        self._before = _table(mounts)

    def lost(self, root: bytes, path: bytes) -> str:
        """Return why a file below ``root`` cannot be found though nobody need have removed it: its file system, or the
        whole directory, is gone; else ""."""
        folder = os.path.dirname(os.path.join(os.fsdecode(root), os.fsdecode(path)))
        before, now = _holding(folder, self._before), _holding(folder, _table(self._mounts))
        if before.point != now.point:
            return f"{before.point} is not mounted any more"
        return "" if os.path.isdir(root) else "the directory was removed"


def _table(mounts: str) -> list[Mount]:
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        # "36 35 98:0 / /mnt/point rw,noatime shared:1 - ext4 /dev/root rw": proc(5)
        left, _, right = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), left.split()[4])
        found.append(Mount(point, right.split()[0]))
    return found


def _holding(folder: str, table: list[Mount]) -> Mount:
    real = os.path.realpath(folder)
    best = Mount("", "")
    for mount in table:
        above = real == mount.point or real.startswith(mount.point.rstrip("/") + "/")
        if above and len(mount.point) >= len(best.point):
            best = mount
    return best
