"""Installed packages, found by the names of their folders: importlib.metadata takes 30 ms to import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache

_SUFFIX = ".dist-info"


@cache
def _folders() -> dict[str, str]:
    """Return package -> its folder of metadata; of one that is there twice, the one that is imported."""
    found: dict[str, str] = {}
    for folder in filter(os.path.isdir, sys.path):
        for name in os.listdir(folder):
            if name.endswith(_SUFFIX):
                found.setdefault(name.partition("-")[0], os.path.join(folder, name))
    return found


def version(package: str) -> str | None:
    """Return the version of an installed package; None when there is no such folder."""
    folder = _folders().get(package.replace("-", "_"))
    return None if folder is None else folder.removesuffix(_SUFFIX).rpartition("-")[2]


def entry_points(group: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of the entry points of a group, of all installed packages in alphabetical order."""
    for _, folder in sorted(_folders().items()):
        text = _content(os.path.join(folder, "entry_points.txt"))
        if group.encode() in text:
            yield from _section(text.decode(), group)


def _content(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # A third of the time of open(), for each package there is.
    except FileNotFoundError:
        return b""  # of a package without entry points
    try:
        return os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def _section(text: str, group: str) -> Iterator[tuple[str, str]]:
    within = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            within = line == f"[{group}]"
        elif within and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.partition("[")[0].strip()
