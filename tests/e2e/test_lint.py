"""``lint``, which pre-commit runs: a GPS position, a budget, a broken file, an invalid recipe."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, CommandLine
from PIL import Image

GPS_IFD = 0x8825


def photo(path: Path, position: tuple[float, float] | None) -> None:
    """Write a JPEG with or without a GPS position (degrees north and east)."""
    exif = Image.Exif()
    if position is not None:
        north, east = position
        exif[GPS_IFD] = {1: "N", 2: (int(north), 0.0, 0.0), 3: "E", 4: (int(east), 0.0, 0.0)}
    Image.new("RGB", (64, 48), (10, 120, 200)).save(path, exif=exif)


def test_files_that_have_to_be_changed_are_named_with_the_reason(mediactl: CommandLine) -> None:
    photo(mediactl.folder / "there.jpg", (48, 2))
    photo(mediactl.folder / "nowhere.jpg", None)
    shutil.copy(ROOT / "samples/notes.jpg", mediactl.folder / "broken.jpg")
    (mediactl.folder / "notes.txt").write_text("nothing\n")
    (mediactl.folder / "shop.recipe.toml").write_text('name = "shop"\n[[image]]\nname = "w"\nformat = "jepg"\n')
    (mediactl.folder / "fine.toml").write_text('name = "fine"\n[[image]]\nname = "w"\nwidth = 4\n')
    result = mediactl("lint", "there.jpg", "nowhere.jpg", "broken.jpg", "notes.txt", "shop.recipe.toml", "fine.toml")
    assert (result.code, result.err) == (1, "")
    gps, broken, recipe = result.out.splitlines()
    assert gps == "there.jpg: holds a GPS position; remove it, or accept it with --allow-gps"
    assert broken.startswith("broken.jpg: ")
    assert recipe == "shop.recipe.toml: image[0].format: unknown value 'jepg'; did you mean 'jpeg'?"

    assert mediactl("lint", "there.jpg", "nowhere.jpg", "--allow-gps").code == 0
    small = mediactl("lint", "nowhere.jpg", "--max-bytes", "100B")
    assert (small.code, small.out.count("more than 100 B")) == (1, 1)


@pytest.mark.parametrize(
    "hook", yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()), ids=lambda hook: hook["id"]
)
def test_hooks_find_what_they_are_for(mediactl: CommandLine, hook: dict[str, str]) -> None:
    photo(mediactl.folder / "a.jpg", (48, 2))
    (mediactl.folder / "recipe.toml").write_text("name = 3\n")
    program, *arguments = hook["entry"].split()
    assert (program, hook["language"]) == ("mediactl", "python")
    file = "recipe.toml" if "files" in hook else "a.jpg"
    assert mediactl(*arguments, file).code == 1


def test_the_hooks_run_under_pre_commit(tmp_path: Path) -> None:
    if shutil.which("pre-commit") is None:
        pytest.skip("no pre-commit here")
    subprocess.run(["pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"], check=True)
