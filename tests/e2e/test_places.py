"""Where something was taken is told to nobody who did not ask, and to whoever asks."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational
from support.films import make

RECIPE = """
name = "r"
{metadata}
[[image]]
name = "w50"
width = 50
[[video]]
name = "v"
height = 64
preset = "ultrafast"
[[poster]]
name = "poster"
width = 64
[[audio]]
name = "audio"
"""
SILENT = RECIPE.format(metadata="")
ASKING = RECIPE.format(metadata='metadata = ["camera", "title", "place"]')
LOCATION = "48.858417,2.2945"
TRACES = (b"48.85", b"2.2945", b"002.29", b"25209")
"""As text, as ISO 6709, and the seconds of the EXIF fraction."""


@pytest.fixture
def uploads(mediactl: CommandLine) -> Path:
    """A photo and three films that know where they were taken, and a photo that does not."""
    folder = mediactl.folder / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Acme"
    exif[ExifTags.Base.Software] = "Firmware 7"
    seconds = IFDRational(30301, 1000)
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {1: "N", 2: (48.0, 51.0, seconds), 3: "E", 4: (2.0, 17.0, IFDRational(402, 10))}
    )
    picture = Image.linear_gradient("L").convert("RGB")
    picture.save(folder / "photo.jpg", exif=exif)
    picture.save(folder / "plain.jpg")
    iso = "+48.858417+002.294500+035.0/"
    film = ("-f", "lavfi", "-i", "testsrc=s=128x96:r=10:d=0.5", "-metadata", "title=Tower", "-c:v", "libx264")
    apple = ("-metadata", f"com.apple.quicktime.location.ISO6709={iso}", "-movflags", "use_metadata_tags")
    other = ("-metadata", f"location={iso}")  # "©xyz" in MOV, "loci" (binary) in MP4
    for name, told in {"apple.mov": apple, "android.mov": other, "loci.mp4": other}.items():
        make(folder / name, *film, *told)
        assert (b"loci" if name == "loci.mp4" else b"48.85") in (folder / name).read_bytes()
    (mediactl.folder / "silent.toml").write_text(SILENT)
    (mediactl.folder / "asking.toml").write_text(ASKING)
    return folder


def run(mediactl: CommandLine, recipe: str) -> dict[str, Any]:
    done = mediactl("process", "in", "--recipe", f"{recipe}.toml", "--json")
    assert done.code == 0, done
    return done.summary


def tags(mediactl: CommandLine) -> dict[str, dict[str, str]]:
    """Source -> its tags in asset.json."""
    return {
        path.parent.name: json.loads(path.read_text())["metadata"].get("tags", {})
        for path in (mediactl.folder / "derived").rglob("asset.json")
    }


def journal(mediactl: CommandLine) -> str:
    """All that the journal knows of the sources."""
    file = mediactl.folder / "derived/.mediactl/journal.db"
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT info FROM sources").fetchall()
        return str(rows + connection.execute("SELECT payload FROM jobs").fetchall())


def traces(mediactl: CommandLine) -> list[str]:
    """Files of outputs, journal and cache in which a place can be found."""
    files = [path for name in ("derived", "cache") for path in (mediactl.folder / name).rglob("*") if path.is_file()]
    assert len(files) > 8
    return [str(path) for path in files if any(trace in path.read_bytes() for trace in TRACES)]


def test_a_recipe_that_does_not_ask_leaves_no_place_anywhere(mediactl: CommandLine, uploads: Path) -> None:
    run(mediactl, "silent")
    assert traces(mediactl) == []
    assert tags(mediactl)["photo.jpg"] == {"camera": "Acme", "software": "Firmware 7"}
    assert tags(mediactl)["apple.mov"]["title"] == "Tower"


def test_a_recipe_that_asks_gets_it_and_only_the_tags_that_it_names(mediactl: CommandLine, uploads: Path) -> None:
    run(mediactl, "asking")
    assert tags(mediactl) == {
        "photo.jpg": {"camera": "Acme", "place": LOCATION},
        "plain.jpg": {},
        "apple.mov": {"title": "Tower", "place": LOCATION},
        "android.mov": {"title": "Tower", "place": LOCATION},
        "loci.mp4": {"title": "Tower", "place": "48.8584,2.2945"},
    }
    assert {Path(each).name for each in traces(mediactl) if "derived" in each} <= {
        "asset.json", "journal.db", "journal.db-wal",
    }  # fmt: skip
    assert mediactl("verify", "--out", "derived").code == 0


def test_what_another_recipe_asked_for_does_not_come_out_of_the_cache(mediactl: CommandLine, uploads: Path) -> None:
    run(mediactl, "asking")
    shutil.rmtree(mediactl.folder / "derived")
    run(mediactl, "silent")
    assert [each for each in traces(mediactl) if "derived" in each] == []


def test_asking_later_reads_the_sources_again_and_makes_nothing(mediactl: CommandLine, uploads: Path) -> None:
    run(mediactl, "silent")
    asked = run(mediactl, "asking")
    assert asked["artefacts"] == 0
    assert tags(mediactl)["photo.jpg"]["place"] == LOCATION
    assert tags(mediactl)["android.mov"]["place"] == LOCATION
    assert run(mediactl, "asking")["up_to_date"] == 5


def test_asking_no_longer_removes_it_without_reading_anything(mediactl: CommandLine, uploads: Path) -> None:
    run(mediactl, "asking")
    assert LOCATION in journal(mediactl)
    forgotten = run(mediactl, "silent")
    assert (forgotten["artefacts"], forgotten["jobs"]) == (0, 5)
    assert not any("place" in each for each in tags(mediactl).values())
    assert tags(mediactl)["photo.jpg"]["software"] == "Firmware 7"
    assert LOCATION not in journal(mediactl)
    assert mediactl("verify", "--out", "derived").code == 0


def test_a_rebuilt_journal_does_not_take_a_place_from_asset_json(mediactl: CommandLine, uploads: Path) -> None:
    run(mediactl, "asking")
    shutil.rmtree(mediactl.folder / "derived/.mediactl")
    run(mediactl, "silent")
    assert LOCATION not in journal(mediactl)
    assert [each for each in traces(mediactl) if "derived" in each] == []
