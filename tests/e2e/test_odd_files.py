"""One odd file does not end a run: its neighbours are done, and the next run has nothing left to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import CommandLine
from support import films
from test_process import picture

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
[[video]]
name = "v"
height = 64
preset = "ultrafast"
[[hls]]
name = "hls"
heights = [64]
preset = "ultrafast"
[[poster]]
name = "poster"
"""
FAR = 10_413_792_000
"""The first of January 2300: in nanoseconds, more than 63 bits hold."""


def far_away(path: Path, seconds: int = FAR) -> None:
    """Give a file a time of the 24th century; skip where the file system cannot hold it."""
    os.utime(path, (seconds, seconds))
    if path.stat().st_mtime != seconds:
        pytest.skip("this file system stores no time of the year 2300")


def test_a_file_of_the_year_2300_is_processed_once_and_again_when_its_time_changes(mediactl: CommandLine) -> None:
    (mediactl.folder / "recipe.toml").write_text(RECIPE)
    odd = picture(mediactl.folder / "in/odd.jpg")
    picture(mediactl.folder / "in/usual.jpg", seed=2)
    (mediactl.folder / "in/notes.txt").write_text("no image")
    far_away(odd)
    far_away(mediactl.folder / "in/notes.txt")
    first = mediactl("process", "in", "--recipe", "recipe.toml", "--json")
    assert (first.code, first.summary["done"], first.summary["ignored"]) == (0, 2, 1), first
    again = mediactl("process", "in", "--recipe", "recipe.toml", "--json").summary
    assert (again["jobs"], again["up_to_date"]) == (0, 2)
    far_away(odd, FAR + 1)
    changed = mediactl("process", "in", "--recipe", "recipe.toml", "--json").summary
    assert (changed["done"], changed["up_to_date"]) == (1, 1)


def test_outputs_of_the_year_2300_are_hashed_once_and_then_believed(mediactl: CommandLine) -> None:
    (mediactl.folder / "recipe.toml").write_text(RECIPE)
    picture(mediactl.folder / "in/a.jpg")
    assert mediactl("process", "in", "--recipe", "recipe.toml").code == 0
    far_away(mediactl.folder / "derived/a.jpg/w50.webp")
    far_away(mediactl.folder / "derived/a.jpg")
    looked = mediactl("process", "in", "--recipe", "recipe.toml", "--json")
    assert (looked.code, looked.summary["bytes_out"]) == (0, 0), looked
    assert mediactl("process", "in", "--recipe", "recipe.toml", "--json").summary["jobs"] == 0


def test_slides_of_several_seconds_each_are_encoded_whole(mediactl: CommandLine) -> None:
    (mediactl.folder / "recipe.toml").write_text(RECIPE)
    (mediactl.folder / "in").mkdir()
    slides = ("-f", "lavfi", "-i", "testsrc=r=1/5:s=96x64:d=150", "-c:v", "libx264", "-preset", "ultrafast")
    films.make(mediactl.folder / "in/slides.mp4", *slides)
    picture(mediactl.folder / "in/usual.jpg")
    run = mediactl("process", "in", "--recipe", "recipe.toml", "--json")
    assert (run.code, run.summary["done"]) == (0, 2), run
    assert films.inspected(mediactl.folder / "derived/slides.mp4/v.mp4").info.duration == pytest.approx(150, abs=5)
