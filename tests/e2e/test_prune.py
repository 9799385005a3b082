"""Outputs of sources that are gone are removed, unless it looks as if a disk were not mounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CommandLine
from test_process import picture

RECIPE = """
name = "small"
[[image]]
name = "w8"
width = 8
"""


@pytest.fixture
def folders(mediactl: CommandLine) -> list[Path]:
    """Two processed folders of 12 pictures each."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    made = [mediactl.folder / "one", mediactl.folder / "two"]
    for folder in made:
        first = picture(folder / f"{folder.name}-0.jpg", width=16, height=16).read_bytes()
        for number in range(1, 12):
            (folder / f"{folder.name}-{number}.jpg").write_bytes(first)
    assert mediactl("process", *made, "--recipe", "small.toml").code == 0
    assert outputs(mediactl) == 24
    return made


def outputs(mediactl: CommandLine) -> int:
    """Sources that have outputs."""
    return len(list((mediactl.folder / "derived").glob("*/asset.json")))


def remove(folder: Path, number: int) -> None:
    for file in sorted(folder.iterdir())[:number]:
        file.unlink()


@pytest.mark.parametrize("gone", [11, 12])
def test_a_folder_that_has_lost_nearly_all_its_sources_keeps_everything(
    mediactl: CommandLine, folders: list[Path], gone: int
) -> None:
    remove(folders[0], gone)
    remove(folders[1], 1)  # as good a reason as ever, but nothing is removed by halves
    refused = mediactl("prune", "--yes")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), refused
    assert f"{gone} of 12 sources of {folders[0]} are gone and nothing was removed; mount" in refused.err
    assert outputs(mediactl) == 24
    assert mediactl("prune").out.endswith(f"{gone + 1} sources deleted; --yes removes the outputs\n")
    assert mediactl("prune", "--yes", "--force").code == 0
    assert outputs(mediactl) == 24 - gone - 1


def test_one_that_has_lost_some_is_pruned_whatever_the_others_have(mediactl: CommandLine, folders: list[Path]) -> None:
    remove(folders[0], 10)
    assert mediactl("prune", "--yes").code == 0
    assert outputs(mediactl) == 14


def test_a_source_that_cannot_be_looked_at_is_not_gone(mediactl: CommandLine, folders: list[Path]) -> None:
    remove(folders[0], 1)
    (folders[0] / "one-0.jpg").unlink(missing_ok=True)
    loop = folders[1]
    loop.rename(mediactl.folder / "aside")
    loop.symlink_to("two")  # ELOOP, for every file in it
    pruned = mediactl("prune", "--yes")
    assert (pruned.code, outputs(mediactl)) == (0, 23), pruned
