"""An output of another package: examples/contact-sheet, installed beside mediactl, which names it nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, CommandLine
from PIL import Image, ImageChops, ImageStat
from support.films import make
from support.packages import install
from test_docs import blocks

EXAMPLE = ROOT / "examples" / "contact-sheet"
PLAIN = """
name = "mine"
[[poster]]
name = "poster"
width = 64
"""
RECIPE = (
    PLAIN
    + """
[[contact_sheet]]
name = "sheet"
columns = 3
rows = 2
width = 192
"""
)


@pytest.fixture
def installed(mediactl: CommandLine) -> CommandLine:
    """A command line in whose environment the example is installed, with a video of six scenes and two recipes."""
    site = mediactl.folder / "site"
    install(EXAMPLE, site)
    mediactl.environment["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(site)))
    (mediactl.folder / "in").mkdir()
    # The hue turns once in six seconds; a key frame a second.
    scene = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=6,hue=h=60*floor(t)")
    make(mediactl.folder / "in" / "clip.mp4", *scene, "-c:v", "libx264", "-preset", "ultrafast", "-g", "10")
    (mediactl.folder / "mine.toml").write_text(RECIPE)
    (mediactl.folder / "plain.toml").write_text(PLAIN)
    return mediactl


PROCESS = ("process", "in", "--out", "out", "--json", "--recipe")


def cells(sheet: Path) -> list[Image.Image]:
    """The six cells of a sheet of 192 x 72 pixels."""
    whole = Image.open(sheet).convert("RGB")
    assert (whole.width, whole.height) == (192, 72)
    return [whole.crop((64 * x, 36 * y, 64 * x + 64, 36 * y + 36)) for y in range(2) for x in range(3)]


def test_a_sheet_is_made_once_and_its_cells_are_frames_from_all_over_the_video(installed: CommandLine) -> None:
    done = installed(*PROCESS, "mine.toml")
    assert done.code == 0, done.err
    asset = json.loads((installed.folder / "out" / "clip.mp4" / "asset.json").read_text())
    sheet = next(each for each in asset["artefacts"] if each["name"] == "sheet.webp")
    assert (sheet["role"], sheet["media_type"], sheet["width"]) == ("contact-sheet", "image/webp", 192)
    shown = cells(installed.folder / "out" / "clip.mp4" / "sheet.webp")
    for number, cell in enumerate(shown):
        for other in shown[:number]:
            assert sum(ImageStat.Stat(ImageChops.difference(cell, other)).mean) > 10
    again = installed(*PROCESS, "mine.toml").summary
    assert (again["jobs"], again["up_to_date"]) == (0, 1)


def test_a_sheet_that_is_added_later_is_all_that_is_made(installed: CommandLine) -> None:
    assert installed(*PROCESS, "plain.toml").code == 0
    folder = installed.folder / "out" / "clip.mp4"
    before = (folder / "poster.webp").stat()
    told = installed(*PROCESS, "mine.toml", "--dry-run")
    (plan,) = [each for each in told.events if each["event"] == "plan"]
    assert [(each["output"], each["change"], each["artefacts"]) for each in plan["changes"]] == [
        ("contact_sheet sheet.webp", "new", 1)
    ]
    assert plan["kept"] == 1
    assert installed(*PROCESS, "mine.toml").code == 0
    assert len(cells(folder / "sheet.webp")) == 6
    after = (folder / "poster.webp").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)


def test_recipes_with_it_are_checked_like_any_others(installed: CommandLine) -> None:
    (shown, *_) = blocks(ROOT / "docs" / "extending.md", "toml")
    (installed.folder / "docs.toml").write_text('name = "docs"\n' + shown)
    for name in ("mine.toml", "docs.toml"):
        assert installed("recipe", "check", name).out.endswith(" video\n")
    for wrong, told in (
        ("colums = 3\n", "contact_sheet[0]: unknown key 'colums'; did you mean 'columns'?"),
        ("columns = 99\n", "contact_sheet[0].columns: expected `int` <= 20"),
        ("columns = 20\nwidth = 100\n", "contact_sheet[0].width: expected at least 16 for each column"),
        ('when = "alpha"\n', "'alpha' is not available for contact_sheet"),
    ):
        (installed.folder / "wrong.toml").write_text(PLAIN + '[[contact_sheet]]\nname = "sheet"\n' + wrong)
        done = installed("recipe", "check", "wrong.toml")
        assert (done.code, told in done.err) == (2, True), done.err
    (installed.folder / "clash.toml").write_text(PLAIN + '[[contact_sheet]]\nname = "poster"\n')
    done = installed("recipe", "check", "clash.toml")
    assert (done.code, "would write 'poster.webp', as poster[0]" in done.err) == (2, True), done.err


def test_recipes_with_it_can_be_extended(installed: CommandLine) -> None:
    (installed.folder / "more.toml").write_text(
        'name = "more"\nextends = "./mine.toml"\nwithout = ["poster"]\n[[contact_sheet]]\nname = "sheet"\nrows = 4\n'
    )
    shown = tomllib.loads(installed("recipe", "show", "./more.toml", "--resolved").out)
    assert shown["contact_sheet"] == [{"name": "sheet", "columns": 3, "rows": 4, "width": 192}]
    assert "poster" not in shown


def test_the_json_schema_describes_it(installed: CommandLine) -> None:
    schema = json.loads(installed("recipe", "schema").out)
    jsonschema.Draft202012Validator(schema).validate(tomllib.loads(RECIPE))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(tomllib.loads(RECIPE.replace("rows = 2", "rows = 0")))
    keys = schema["$defs"]["ContactSheetOutput"]["properties"]
    assert keys["columns"]["description"] == "Frames beside one another."
    assert schema["properties"]["contact_sheet"]["description"] == "Key frames from all over a video, in a grid."


def test_without_its_package_the_recipe_is_refused_and_others_go_on(installed: CommandLine) -> None:
    assert installed(*PROCESS, "mine.toml").code == 0
    gone = {"PYTHONPATH": str(ROOT)}
    done = installed(*PROCESS, "mine.toml", environment=gone)
    assert done.code == 2
    assert "no output is called [[contact_sheet]]; install the package that provides it" in done.err
    other = installed(*PROCESS, "plain.toml", environment=gone)
    assert other.code == 0, other.err
    asset = json.loads((installed.folder / "out" / "clip.mp4" / "asset.json").read_text())
    assert [each["name"] for each in asset["artefacts"]] == ["poster.webp"]


def test_a_broken_package_is_named(installed: CommandLine) -> None:
    (installed.folder / "site" / "mediactl_contact_sheet" / "output.py").write_text("import nothing_like_it\n")
    done = installed("recipe", "check", "mine.toml")
    assert done.code == 2
    assert "output [[contact_sheet]]: mediactl_contact_sheet.output:ContactSheetOutput cannot be loaded" in done.err
    assert "nothing_like_it" in done.err


def test_digests_of_recipes_without_it_are_the_same_with_and_without_the_package(installed: CommandLine) -> None:
    code = "from mediactl.recipe import loader; print(loader.load('web').digest())"
    environments = (installed.environment, {**installed.environment, "PYTHONPATH": str(ROOT)})
    digests = {
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        for env in environments
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    "file", ["pyproject.toml", "mediactl_contact_sheet/output.py", "mediactl_contact_sheet/make.py"]
)
def test_the_code_in_the_docs_is_that_of_the_example(file: str) -> None:
    docs = (ROOT / "docs" / "extending.md").read_text()
    language = "toml" if file.endswith(".toml") else "python"
    assert f"```{language}\n{(EXAMPLE / file).read_text()}```\n" in docs
