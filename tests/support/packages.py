"""Packages that tests install without a network: what an installer makes of a pure Python project."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path


def install(project: Path, site: Path) -> None:
    """Install the package of a project with a pyproject.toml into a directory for PYTHONPATH."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    package = about["name"].replace("-", "_")
    shutil.copytree(project / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / f"{package}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = about.get("entry-points", {})
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in groups[group].items()) for group in groups
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
