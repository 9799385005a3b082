"""`mediactl duplicates`: copies of real photos are found, other photos are not."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine
from PIL import Image, ImageEnhance, ImageOps

from mediactl.media.ffmpeg import binary

RECIPE = """
name = "small"
[[image]]
name = "w200"
width = 200
"""
PHOTOS = ("canon_hdr_NO", "concert", "jolla", "DSCN0038")


@pytest.fixture
def folder(mediactl: CommandLine) -> Path:
    """A folder to put photos in, and a recipe that makes little work."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    (mediactl.folder / "in").mkdir()
    return mediactl.folder / "in"


def found(mediactl: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    assert mediactl("process", "in", "--recipe", "small.toml").code == 0
    done = mediactl("duplicates", "--json", *arguments)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def places(groups: list[dict[str, Any]]) -> list[set[str]]:
    return sorted(({each["place"] for each in group["assets"]} for group in groups), key=sorted)


def test_copies_of_photos_are_found_the_best_original_first(mediactl: CommandLine, folder: Path, corpus: Path) -> None:
    for name in PHOTOS:
        shutil.copyfile(corpus / f"photos/{name}.jpg", folder / f"{name}.jpg")
        with Image.open(folder / f"{name}.jpg") as file:
            photo = ImageOps.exif_transpose(file)
            width, height = photo.size
            photo.resize((width // 2, height // 2)).save(folder / f"{name}-half.jpg", quality=70)
            photo.save(folder / f"{name}-again.jpg", quality=40)
            edge = width // 100
            photo.crop((edge, edge, width - edge, height - edge)).save(folder / f"{name}-cut.png", compress_level=1)
            ImageEnhance.Brightness(photo).enhance(1.1).save(folder / f"{name}-bright.webp", quality=80, method=0)
    groups = found(mediactl)
    copies = ("", "-half", "-again", "-cut", "-bright")
    endings = {"-cut": ".png", "-bright": ".webp"}
    expected = [{f"{name}{copy}{endings.get(copy, '.jpg')}" for copy in copies} for name in PHOTOS]
    assert places(groups) == sorted(expected, key=sorted)
    for group in groups:
        pixels = [each["width"] * each["height"] for each in group["assets"]]
        assert pixels == sorted(pixels, reverse=True)
        assert not group["exact"]
        assert group["assets"][0]["distance"] == 0


def test_different_photos_are_no_duplicates_but_turned_ones_are(mediactl: CommandLine, corpus: Path) -> None:
    (mediactl.folder / "small.toml").write_text(RECIPE)
    assert mediactl("process", corpus / "photos", "--recipe", "small.toml").code == 0
    done = mediactl("duplicates", "derived", "--json")
    groups = places([json.loads(line) for line in done.out.splitlines()])
    turned = [{f"orientation/{name}_{number}.jpg" for number in (1, 3, 5, 6, 8)} for name in ("Landscape", "Portrait")]
    # The same scene, with and without HDR.
    assert groups == [{"iphone_hdr_NO.jpg", "iphone_hdr_YES.jpg"}, *turned]


def test_exact_copies_are_told_as_such(mediactl: CommandLine, folder: Path, samples: Path) -> None:
    Image.radial_gradient("L").save(folder / "a.png")
    shutil.copyfile(folder / "a.png", folder / "b.png")
    (group,) = found(mediactl)
    assert group["exact"]
    assert [each["same_bytes"] for each in group["assets"]] == [False, True]
    people = mediactl("duplicates", "derived").out.splitlines()
    assert people[0] == "2 identical files:"
    assert people[2].endswith(", same bytes")
    assert people[-1].startswith("1 group among 2 assets: 1 besides the best")


def test_films_are_compared_by_their_posters(mediactl: CommandLine, folder: Path) -> None:
    (mediactl.folder / "small.toml").write_text('name = "s"\n[[poster]]\nname = "poster"\nwidth = 128\n')

    def encode(*source: str, name: str) -> None:
        command = [binary.find(), "-nostdin", "-loglevel", "error", *source, "-t", "0.6", "-c:v", "libx264"]
        subprocess.run([*command, folder / name], check=True)

    encode("-f", "lavfi", "-i", "testsrc=s=256x192:r=10", name="a.mp4")
    encode("-i", str(folder / "a.mp4"), "-vf", "scale=128:96", "-crf", "30", name="b.mkv")
    encode("-f", "lavfi", "-i", "mandelbrot=s=256x192:r=10", name="c.mp4")
    assert places(found(mediactl)) == [{"a.mp4", "b.mkv"}]


def test_nothing_found_is_said(mediactl: CommandLine, folder: Path) -> None:
    Image.radial_gradient("L").save(folder / "a.png")
    Image.linear_gradient("L").save(folder / "b.png")
    assert found(mediactl) == []
    done = mediactl("duplicates")
    assert (done.code, done.out) == (0, "no duplicates among 2 assets\n")


def test_a_folder_that_is_not_there_is_a_usage_error(mediactl: CommandLine) -> None:
    done = mediactl("duplicates", "nowhere")
    assert done.code == 2
    assert "no such directory" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_folder_of_sources_is_told_to_be_no_output_folder(mediactl: CommandLine, folder: Path) -> None:
    Image.radial_gradient("L").save(folder / "a.png")
    (folder / "sub").mkdir()
    (folder / "sub/asset.json").write_text("{}")
    done = mediactl("duplicates", "in")
    assert (done.code, done.out) == (2, "")
    assert "no asset.json in it" in done.err
    assert len(done.err.splitlines()) == 1
    (folder / ".mediactl").mkdir()  # of a run that made nothing
    assert mediactl("duplicates", "in").out == "no duplicates among 0 assets\n"
