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
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return Mount("", "")
    real = os.path.realpath(folder)
    best = Mount("", "")
    for line in lines:
        # "36 35 98:0 / /mnt/point rw,noatime shared:1 - ext4 /dev/root rw": proc(5)
        left, _, right = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), left.split()[4])
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best.point):
            best = Mount(point, right.split()[0])
    return best
