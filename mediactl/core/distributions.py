"""Installed packages, found by the names of their folders: importlib.metadata takes 30 ms to import."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

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


class Requirement(NamedTuple):
    """What an installed package requires, as its metadata say."""

    name: str
    versions: str
    """Bounds such as ">=18.1,<20"; "" for any version."""
    extra: str
    """The extra that requires it, or ""."""

    def met_by(self, version: str) -> bool:
        """Return whether a version is within the bounds, by the numbers in it."""
        given = _numbers(version)
        for bound in filter(None, self.versions.split(",")):
            sign, number = re.match(r"([<>=!~]*)(.*)", bound).groups()  # type: ignore[union-attr]  # matches anything
            limit = _numbers(number)
            if (sign == "<" and given >= limit) or (sign == ">=" and given < limit) or (sign == ">" and given <= limit):
                return False
        return True


def requirements(package: str) -> list[Requirement]:
    """Return what an installed package requires, in the order of its metadata."""
    folder = _folders().get(package.replace("-", "_"))
    text = b"" if folder is None else _content(os.path.join(folder, "METADATA"))
    found = []
    for line in text.decode(errors="replace").partition("\n\n")[0].splitlines():
        if matched := _REQUIRES.fullmatch(line):
            name, versions, extra = matched.groups()
            found.append(Requirement(name, (versions or "").replace(" ", ""), extra or ""))
    return found


_REQUIRES = re.compile(
    r"""Requires-Dist:\s*([\w.-]+)(?:\[[^]]*\])?\s*\(?([^;()]*)\)?\s*(?:;.*?extra == ['"]([\w-]+)['"].*|;.*)?"""
)


def install_command(requirement: Requirement) -> str:
    """Return the command that installs a package into the environment that this runs in."""
    what = f"'{requirement.name}{requirement.versions}'"
    if "pipx" in sys.prefix.split(os.sep):
        return f"pipx inject mediactl {what}"
    if find_spec("pip") is not None:
        return f"{sys.executable} -m pip install {what}"
    if shutil.which("uv"):
        return f"uv pip install --python {sys.executable} {what}"
    return f"python3 -m pip --python {sys.executable} install {what}"


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"[0-9]+", version.partition("+")[0])]
    while numbers and not numbers[-1]:
        numbers.pop()  # 20 and 20.0 are equal
    return tuple(numbers)


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
