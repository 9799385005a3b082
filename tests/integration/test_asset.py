"""asset.json and what travels to it: looks, tags, markup; nothing is lost over runs, nothing made twice."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine
from PIL import Image

from mediactl.assets import document
from mediactl.assets.document import Appearance
from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import metadata
from mediactl.model.media import MediaInfo

RECIPE = """
name = "r"
placeholder = "{placeholder}"
metadata = [{metadata}]
[[image]]
name = "w{width}"
width = {width}
[[image]]
name = "w100"
width = 100
"""


def write(mediactl: CommandLine, placeholder: str = "thumbhash", metadata: str = "", width: int = 50) -> None:
    (mediactl.folder / "r.toml").write_text(RECIPE.format(placeholder=placeholder, metadata=metadata, width=width))


@pytest.fixture
def photo(mediactl: CommandLine) -> Path:
    """A photo with tags."""
    folder = mediactl.folder / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif.update({0x010F: "Acme", 0x0131: "Firmware 7"})
    picture = Image.merge("RGB", [Image.radial_gradient("L"), Image.linear_gradient("L"), Image.new("L", (256, 256))])
    picture.save(folder / "a.jpg", exif=exif)
    return folder / "a.jpg"


def run(mediactl: CommandLine) -> tuple[dict[str, Any], dict[str, Any]]:
    """Summary of a run, and the asset.json that it left."""
    done = mediactl("process", "in", "--recipe", "r.toml", "--json")
    assert done.code == 0, done
    return done.summary, json.loads((mediactl.folder / "derived/a.jpg/asset.json").read_text())


def test_a_look_survives_as_text() -> None:
    for look in (
        Appearance(),
        Appearance("abc=", "#102030", "00ff00ff00ff00ff"),
        Appearance("", "#102030", ""),
        Appearance("abc=", "#102030"),
    ):
        assert Appearance.parse(look.text()) == look


def test_what_earlier_versions_kept_is_known_to_lack_something() -> None:
    old = Appearance.parse("2fcaZwh4=")
    assert old == Appearance("2fcaZwh4=")
    assert old.known(thumbhash=True) == old.known(thumbhash=False) == ""
    plain = Appearance("abc=", "#102030")
    assert plain.known(thumbhash=True) == plain.text()
    assert Appearance.parse(plain.known(thumbhash=False)).placeholder == ""
    assert Appearance("", "#102030").known(thumbhash=True) == ""


def test_tags_that_the_recipe_does_not_name_are_left_out() -> None:
    info = MediaInfo("jpeg", tags={"camera": "Acme", "software": "7"})
    assert document.with_named_tags(info, ("camera", "lens")).tags == {"camera": "Acme"}
    assert document.with_named_tags(info, ()).tags == {}
    assert document.with_named_tags(info, None) is info


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+48.8584+002.2945+035.000/", "48.8584,2.2945"),
        ("-33.8568-151.2153/", "-33.8568,-151.2153"),
        ("+4851.504+00217.67/", "48.8584,2.294500"),
        ("+485130.24+0021740.2/", "48.8584,2.2945"),
        ("-00.5+000.0000004CRSWGS_84/", "-0.5,0"),
        ("+00.0000+000.0000/", ""),
        ("+95.0+002.0/", ""),
        ("+488.1+002.0/", ""),
        ("Paris", ""),
        ("", ""),
    ],
)
def test_places_of_films_are_read_in_degrees(text: str, place: str) -> None:
    expected = place.replace("2.294500", "2.2945")
    found = metadata.gps_position(text)
    assert found == expected


def test_another_list_of_tags_changes_asset_json_alone(mediactl: CommandLine, photo: Path) -> None:
    write(mediactl, metadata='"camera", "software"')
    assert run(mediactl)[1]["metadata"]["tags"] == {"camera": "Acme", "software": "Firmware 7"}
    write(mediactl, metadata='"camera"')
    summary, less = run(mediactl)
    assert (summary["artefacts"], summary["jobs"]) == (0, 1)
    assert less["metadata"]["tags"] == {"camera": "Acme"}
    write(mediactl, metadata='"software"')
    assert run(mediactl)[1]["metadata"]["tags"] == {"software": "Firmware 7"}
    assert mediactl("verify").code == 0


def test_a_look_is_kept_when_the_journal_is_lost(mediactl: CommandLine, photo: Path) -> None:
    write(mediactl)
    before = run(mediactl)[1]
    assert before["placeholder"] and before["colour"] and len(before["phash"]) == 16
    shutil.rmtree(mediactl.folder / "derived/.mediactl")
    summary, after = run(mediactl)
    assert (summary["artefacts"], after) == (0, before)
    assert mediactl("verify").code == 0


def test_a_recipe_without_placeholder_has_colour_and_hash_all_the_same(mediactl: CommandLine, photo: Path) -> None:
    write(mediactl, placeholder="none")
    without = run(mediactl)[1]
    assert "placeholder" not in without
    assert mediactl("verify").code == 0
    write(mediactl)
    summary, with_it = run(mediactl)
    assert summary["artefacts"] == 0
    placeholder = with_it.pop("placeholder")
    assert placeholder and with_it == without
    write(mediactl, placeholder="none")
    assert run(mediactl)[1] == without


def test_a_journal_of_an_earlier_version_gets_what_it_lacks(mediactl: CommandLine, photo: Path) -> None:
    write(mediactl)
    before = run(mediactl)[1]
    forget(mediactl, before["placeholder"])
    assert run(mediactl)[0]["up_to_date"] == 1  # what is done is left alone until there is a reason
    (mediactl.folder / "derived/a.jpg/w50.webp").unlink()
    (mediactl.folder / "derived/a.jpg/asset.json").unlink()
    summary, after = run(mediactl)
    assert (summary["artefacts"], after) == (1, before)


def test_a_film_is_looked_at_by_the_poster_that_is_there(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    film = [
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=128x96:r=10:d=0.6",
        "-c:v",
        "libx264",
        str(mediactl.folder / "in/a.jpg.mp4"),
    ]
    subprocess.run([binary.find(), "-nostdin", "-loglevel", "error", *film], check=True)
    poster, video = '[[poster]]\nname = "poster"\nwidth = 96\n', '[[video]]\nname = "v"\nheight = 64\n'
    (mediactl.folder / "r.toml").write_text(f'name = "r"\n{poster}')
    assert mediactl("process", "in", "--recipe", "r.toml").code == 0
    file = mediactl.folder / "derived/a.jpg.mp4/asset.json"
    before = document.look_of(document.decode(file.read_bytes()))
    assert before.placeholder and before.colour and before.phash
    forget(mediactl, "")
    (mediactl.folder / "r.toml").write_text(f'name = "r"\n{poster}{video}')
    again = mediactl("process", "in", "--recipe", "r.toml", "--json")
    assert again.summary["artefacts"] == 1
    made = document.decode(file.read_bytes())
    media_type = made.artefacts[0].media_type
    assert re.fullmatch(r'video/mp4; codecs="avc1\.6400[0-9a-f]{2}"', media_type), media_type
    assert media_type in html.unescape(made.video)
    after = document.look_of(made)
    # Of the poster's file now, of the frame that became it before.
    assert after.placeholder and after.colour
    assert (int(before.phash, 16) ^ int(after.phash, 16)).bit_count() <= 4


def forget(mediactl: CommandLine, known: str) -> None:
    """Have the journal know no more than this of what the sources look like."""
    with contextlib.closing(sqlite3.connect(mediactl.folder / "derived/.mediactl/journal.db")) as connection:
        connection.execute("UPDATE sources SET placeholder = ?", (known,))
        connection.commit()


def test_equal_sources_have_equal_assets_but_for_their_paths(mediactl: CommandLine, photo: Path) -> None:
    shutil.copyfile(photo, photo.with_name("b.jpg"))
    write(mediactl)
    first = run(mediactl)[1]
    second = json.loads((mediactl.folder / "derived/b.jpg/asset.json").read_text())
    second["source"]["path"] = "a.jpg"
    assert second == first
