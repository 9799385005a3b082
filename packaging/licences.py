"""Print docs/licences.md: the licence of every package that the wheel requires, from what is installed here.

python packaging/licences.py > docs/licences.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

BEYOND = {
    "imageio-ffmpeg": "its ffmpeg: GPL 3, run as a separate program",
    "pyvips-binary": "its libraries: LGPL 3 (libvips LGPL 2.1)",
    "pi-heif": "its libheif and libde265: LGPL 3",
    "av": "its FFmpeg libraries: LGPL 2.1",
}
"""What wheels hold beside the package itself, from the projects' own notes."""


def required(name: str, extras: frozenset[str] = frozenset()) -> Iterator[Distribution]:
    """Yield the packages that one requires, and those that they require."""
    for line in distribution(name).requires or []:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)", marker)
        if (extra and extra[1] not in extras) or "platform" in marker or "python_version <" in marker:
            continue
        package = re.split(r"[\s<>=!~\[(]", requirement.strip())[0]
        try:
            yield distribution(package)
            yield from required(package)
        except PackageNotFoundError:
            continue


def licence(package: Distribution) -> str:
    """Return the licence as the metadata have it: an SPDX expression, else classifiers, else the first line."""
    metadata = package.metadata
    classifiers = [
        each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or [] if each.startswith("License ::")
    ]
    lines = (metadata.get("License") or "").splitlines()
    return metadata.get("License-Expression") or ", ".join(classifiers) or (lines[0] if lines else "not named")


def lines() -> Iterator[str]:
    """Yield the page."""
    yield "# Licences"
    yield ""
    yield "Of all packages that the wheel requires, without extras; made by `packaging/licences.py`. Each release has a"
    yield "bill of materials (CycloneDX) beside it."
    yield ""
    yield "| package | licence | |"
    yield "|---|---|---|"
    found = {package.name.lower().replace("_", "-"): package for package in required("mediactl")}
    for name, package in sorted(found.items()):
        yield f"| {name} | {licence(package)} | {BEYOND.get(name, '')} |"


if __name__ == "__main__":
    print("\n".join(lines()))
