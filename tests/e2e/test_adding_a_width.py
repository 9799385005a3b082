"""Adding one width to a recipe makes one file for each photo, and touches no other."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine

RECIPE = """
name = "gallery"
[[image]]
name = "w160"
width = 160
[[image]]
name = "w480"
width = 480
"""
WIDER = """
[[image]]
name = "w320"
width = 320
"""
LARGE = 1_200_000
"""Bytes of photos that are left out: they show nothing that the others do not."""


def stats(out: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Artefact -> inode, time of writing, bytes."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in out.rglob("*")
        if path.is_file() and ".mediactl" not in path.parts and path.name != "asset.json"
    }


def assets(out: Path) -> dict[Path, dict[str, Any]]:
    return {path.parent: json.loads(path.read_text()) for path in out.rglob("asset.json")}


@pytest.mark.long
def test_one_more_width_makes_exactly_that_file_of_each_photo(mediactl: CommandLine, corpus: Path) -> None:
    photos, out = mediactl.folder / "photos", mediactl.folder / "derived"
    for path in (corpus / "photos").rglob("*"):
        if path.is_file() and path.stat().st_size < LARGE:
            (photos / path.relative_to(corpus / "photos")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, photos / path.relative_to(corpus / "photos"))
    recipe = mediactl.folder / "gallery.toml"
    recipe.write_text(RECIPE)
    first = mediactl("process", photos, "--recipe", recipe, "--json")
    number = first.summary["done"]
    assert number >= 20
    before, told = stats(out), assets(out)

    recipe.write_text(RECIPE + WIDER)
    second = mediactl("process", photos, "--recipe", recipe, "--json")
    assert second.summary["done"] == second.summary["artefacts"] == number
    done = [event for event in second.events if event["event"] == "job.done"]
    assert [event["made"] for event in done] == [1] * number
    assert not [event for event in second.events if event["event"] == "job.probed"]

    after = stats(out)
    assert {path: after[path] for path in before} == before
    new = set(after) - set(before)
    assert sorted(new) == sorted(folder / "w320.webp" for folder in told)
    for folder, asset in assets(out).items():
        widths = [int(each.split()[1][:-1]) for each in asset["srcset"].split(", ")]
        assert widths == sorted(widths)
        assert "w320.webp" in asset["srcset"] or widths[-1] < 320, folder
        assert "w320.webp" in asset["picture"] or widths[-1] < 320, folder
        for name in ("placeholder", "colour", "phash", "metadata"):
            assert asset.get(name) == told[folder].get(name), (folder, name)

    # What was added is what the same recipe makes from the beginning.
    fresh = mediactl("process", photos, "--recipe", recipe, "--out", "fresh", "--json")
    assert fresh.summary["done"] == number
    for folder in told:
        twin = mediactl.folder / "fresh" / os.path.relpath(folder, out)
        assert (folder / "w320.webp").read_bytes() == (twin / "w320.webp").read_bytes(), folder
