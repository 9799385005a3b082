"""What others could have written is not obeyed: state directories, recipes, settings files and plug-ins."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, CommandLine

RECIPE = 'name = "small"\n[[image]]\nname = "w50"\nwidth = 50\n'
ANOTHER = 54321
FLAGS = ("process", "in", "--recipe", "small.toml", "--state", "state")


def given_away(path: Path) -> str:
    """It is another user's."""
    os.chown(path, ANOTHER, ANOTHER)
    return f"belongs to another user (id {ANOTHER})"


def opened_up(path: Path) -> str:
    """Everybody may write to it."""
    path.chmod(0o777)
    return "is writable by everybody"


@pytest.fixture(params=[given_away, opened_up])
def spoil(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """What makes a file one that others could have written; it returns why."""
    if request.param is given_away and os.geteuid():
        pytest.skip("giving files away requires root")
    found: Callable[[Path], str] = request.param
    return found


@pytest.fixture(autouse=True)
def folder(mediactl: CommandLine) -> Path:
    """A folder that was processed once."""
    (mediactl.folder / "in").mkdir()
    shutil.copy(SAMPLES / "harbour.jpg", mediactl.folder / "in")
    (mediactl.folder / "small.toml").write_text(RECIPE)
    return mediactl.folder


def refused(mediactl: CommandLine, why: str, path: Path | str) -> None:
    """A run ends with 2 and one line that names the file and why."""
    result = mediactl(*FLAGS)
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert why in result.err
    assert str(path) in result.err


def test_a_state_directory(mediactl: CommandLine, folder: Path, spoil: Callable[[Path], str]) -> None:
    assert mediactl(*FLAGS).code == 0
    refused(mediactl, spoil(folder / "state"), folder / "state")
    assert mediactl("status", "--state", "state").code == 0  # reading is allowed


def test_a_recipe(mediactl: CommandLine, folder: Path, spoil: Callable[[Path], str]) -> None:
    refused(mediactl, spoil(folder / "small.toml"), "small.toml")
    assert not (folder / "state").exists()


def test_a_recipe_that_another_one_extends(mediactl: CommandLine, folder: Path, spoil: Callable[[Path], str]) -> None:
    (folder / "small.toml").rename(folder / "base.toml")
    (folder / "small.toml").write_text('name = "more"\nextends = "./base.toml"\n')
    refused(mediactl, spoil(folder / "base.toml"), "base.toml")


def test_the_settings_file_of_the_user(mediactl: CommandLine, folder: Path, spoil: Callable[[Path], str]) -> None:
    path = Path(mediactl.environment["XDG_CONFIG_HOME"]) / "mediactl/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('ffmpeg = "/bin/true"\n')
    refused(mediactl, spoil(path), path)


def test_a_plug_in_is_not_even_imported(mediactl: CommandLine, folder: Path, spoil: Callable[[Path], str]) -> None:
    site = folder / "site"
    (site / "evil-1.0.dist-info").mkdir(parents=True)
    (site / "evil-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (site / "evil-1.0.dist-info/entry_points.txt").write_text("[mediactl.outputs]\nevil = evil:OUTPUT\n")
    (site / "evil.py").write_text(f"open({str(folder / 'imported')!r}, 'w')\n")
    why = spoil(site / "evil.py")
    code = f"import sys; sys.path.append({str(site)!r}); from mediactl.cli import main; main()"
    mediactl.servers.clear()
    mediactl.argv = lambda *arguments: [sys.executable, "-P", "-c", code, *arguments]  # type: ignore[method-assign]
    refused(mediactl, why, site / "evil.py")
    assert not (folder / "imported").exists()
