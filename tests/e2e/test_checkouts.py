"""Trees that are checked out or restored elsewhere: what they have in common is neither refused nor made again."""

from __future__ import annotations

import shutil

import pytest
from conftest import CommandLine
from PIL import Image

RECIPE = 'name = "r"\n[[image]]\nname = "w16"\nwidth = 16\n'


@pytest.fixture
def checkouts(mediactl: CommandLine) -> CommandLine:
    """Checkout "one" was processed, "two" is another of the same, both are there."""
    folder = mediactl.folder / "one" / "sub"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.radial_gradient("L").rotate(45 * number).resize((40 + number, 30)).save(folder / f"{number}.png")
    (folder / "rejected.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    (folder / "notes.txt").write_text("notes")
    (mediactl.folder / "r.toml").write_text(RECIPE)
    assert run(mediactl, "one") == (1, 3)
    shutil.copytree(mediactl.folder / "one", mediactl.folder / "two", copy_function=shutil.copyfile)
    return mediactl


def run(mediactl: CommandLine, *sources: str) -> tuple[int, int]:
    """Exit code of a run, and how many artefacts it made."""
    done = mediactl("process", *sources, "-o", "out", "--recipe", "r.toml", "--json")
    return done.code, done.summary["artefacts"] if done.code < 2 else -1


def test_another_checkout_of_the_same_takes_the_outputs_over(checkouts: CommandLine) -> None:
    planned = checkouts("process", "two", "-o", "out", "--recipe", "r.toml", "--dry-run")
    assert "would read 3 sources again, with the same content as before" in planned.out
    assert "0 files to make" in planned.out
    assert "to build" not in planned.out
    for source in ("two", "one", "two"):
        assert run(checkouts, source) == (1, 0), source
    again = checkouts("process", "two", "-o", "out", "--recipe", "r.toml", "--json")
    assert again.summary["jobs"] == 0


def test_files_of_the_same_path_that_differ_are_a_conflict_that_names_both(checkouts: CommandLine) -> None:
    path = checkouts.folder / "two" / "sub" / "1.png"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the same size
    path.write_bytes(content)
    done = checkouts("process", "two", "-o", "out", "--recipe", "r.toml")
    assert done.code == 2
    assert str(path) in done.err
    assert str(checkouts.folder / "one" / "sub" / "1.png") in done.err
    path.unlink()
    assert run(checkouts, "two") == (1, 0)


def test_a_dry_run_counts_what_a_restored_tree_lacks(checkouts: CommandLine) -> None:
    shutil.rmtree(checkouts.folder / "one")
    (checkouts.folder / "out" / "sub" / "1.png" / "w16.webp").unlink()
    planned = checkouts("process", "two", "-o", "out", "--recipe", "r.toml", "--dry-run")
    assert "would read 2 sources again" in planned.out
    assert "changed: sub/1.png" in planned.out
    assert run(checkouts, "two") == (1, 1)
