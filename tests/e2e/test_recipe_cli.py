"""`mediactl recipe`: what its users see."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
import pyvips
from conftest import CommandLine

from mediactl.recipe import loader

BASE = 'name = "mine"\n[[image]]\nname = "w100"\nwidth = 100\n[[image]]\nname = "w50"\nwidth = 50\n'
WIDER = 'name = "mine"\nextends = "base.toml"\n[[image]]\nname = "w80"\nwidth = 80\n'


@pytest.fixture
def folder(mediactl: CommandLine) -> Path:
    """Two recipes and three photos, one of them twice."""
    (mediactl.folder / "base.toml").write_text(BASE)
    (mediactl.folder / "wider.toml").write_text(WIDER)
    (mediactl.folder / "in").mkdir()
    for name, seed in (("a.jpg", 1), ("b.jpg", 2), ("c.jpg", 3), ("again.jpg", 3)):
        noise = pyvips.Image.gaussnoise(300, 200, sigma=30, mean=128, seed=seed).cast("uchar")
        noise.jpegsave(str(mediactl.folder / "in" / name))
    return mediactl.folder


def tree(folder: Path) -> dict[str, str]:
    """Every file with its digest."""
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.rglob("*") if each.is_file()}


def test_list_names_every_built_in_recipe_with_what_it_is_for(mediactl: CommandLine) -> None:
    told = mediactl("recipe", "list")
    assert told.code == 0
    assert [line.split()[0] for line in told.out.splitlines()] == loader.builtin_names()
    assert all(len(line.split()) > 3 for line in told.out.splitlines())


def test_show_prints_what_a_recipe_of_ones_own_can_start_from(mediactl: CommandLine) -> None:
    told = mediactl("recipe", "show", "web")
    assert loader.parse(told.out, "mine.toml") == loader.load("web")


def test_show_resolved_prints_what_comes_out_of_a_chain(mediactl: CommandLine, folder: Path) -> None:
    told = mediactl("recipe", "show", "wider.toml", "--resolved")
    assert told.code == 0
    assert loader.parse(told.out, "one.toml") == loader.load(str(folder / "wider.toml"))
    assert "extends" in mediactl("recipe", "show", "wider.toml").out
    assert "extends" not in told.out


def test_check_says_what_is_sound_and_refuses_the_rest_in_one_line(mediactl: CommandLine, folder: Path) -> None:
    assert mediactl("recipe", "check", "wider.toml").out == "recipe 'mine': valid; outputs: 3 image\n"
    (folder / "bad.toml").write_text(WIDER + 'when = "widht > 3"\n')
    told = mediactl("recipe", "check", "bad.toml")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("mediactl: bad.toml: image[0].when: 'widht > 3': unknown name 'widht'; did you mean")
    assert told.err.count("\n") == 1


def test_check_against_another_recipe_tells_the_difference(mediactl: CommandLine, folder: Path) -> None:
    told = mediactl("recipe", "check", "wider.toml", "--against", "base.toml")
    assert told.out.splitlines()[1:] == ["new      image w80.webp: width 80"]
    told = mediactl("recipe", "check", "base.toml", "--against", "base.toml")
    assert told.out.splitlines()[1:] == ["no difference from base.toml"]
    assert mediactl("recipe", "check", "base.toml", "--against", "wbe").code == 2


def test_check_tells_what_would_change_of_what_was_made_and_touches_nothing(
    mediactl: CommandLine, folder: Path
) -> None:
    assert mediactl("process", "in", "--recipe", "base.toml").code == 0
    before = tree(folder)
    told = mediactl("recipe", "check", "wider.toml", "--out", "derived")
    assert told.code == 0, told.err
    new, total = told.out.splitlines()[1:]
    assert new.startswith("new: image w80.webp: 4 artefacts, about ")
    assert total.startswith("total: 4 artefacts to build, about ") and total.endswith("; 8 unchanged")
    told = mediactl("recipe", "check", "base.toml", "--out", "derived")
    assert told.out.splitlines()[1:] == ["no change: 8 artefacts of 4 sources"]
    assert tree(folder) == before


def test_check_where_nothing_was_made_says_so(mediactl: CommandLine, folder: Path) -> None:
    told = mediactl("recipe", "check", "base.toml", "--out", "elsewhere")
    assert told.code == 2
    assert "no journal found" in told.err
    assert not (folder / "elsewhere").exists()


def test_a_dry_run_tells_exactly_what_a_changed_recipe_makes(mediactl: CommandLine, folder: Path) -> None:
    assert mediactl("process", "in", "--recipe", "base.toml").code == 0
    changed = WIDER.replace("[[image]]", 'without = ["image.w50"]\n[[image]]\nname = "w100"\nquality = 30\n[[image]]')
    (folder / "wider.toml").write_text(changed)
    before = tree(folder)
    plan = mediactl("process", "in", "--recipe", "wider.toml", "--dry-run", "--json").events[-1]
    assert tree(folder) == before
    assert [(each["output"], each["change"], each["artefacts"], each["sources"]) for each in plan["changes"]] == [
        ("image w80.webp", "new", 4, 4),
        ("image w100.webp", "changed", 4, 4),
        ("image w50.webp", "removed", 4, 4),
    ]
    assert plan["kept"] == 0
    lines = mediactl("process", "in", "--recipe", "wider.toml", "--dry-run").out.splitlines()
    assert lines[4].startswith("new: image w80.webp: 4 artefacts, about ")
    assert lines[7].startswith("total: 8 artefacts to build, about ")
    done = mediactl("process", "in", "--recipe", "wider.toml", "--json").summary
    assert done["artefacts"] == 8
    made = sum(each.stat().st_size for each in (folder / "derived").rglob("w80.webp"))
    assert made / 1.5 < plan["changes"][0]["bytes"] < made * 1.5


def test_a_dry_run_tells_what_each_new_source_gets(mediactl: CommandLine, folder: Path) -> None:
    (folder / "wider.toml").write_text(WIDER + 'when = "width > 200"\n')
    told = mediactl("process", "in", "--recipe", "wider.toml", "--dry-run").out.splitlines()
    line = "of 4 new images: image w100.webp, image w50.webp, image w80.webp (when width > 200)"
    assert line in told
    plan = mediactl("process", "in", "--recipe", "wider.toml", "--dry-run", "--json").events[-1]
    assert list(plan["outputs"]) == ["image"]
    assert (plan["changes"], plan["kept"]) == ([], 0)


def test_the_schema_is_printed_for_editors(mediactl: CommandLine, folder: Path) -> None:
    told = mediactl("recipe", "schema")
    validator = jsonschema.Draft202012Validator(json.loads(told.out))
    validator.validate(tomllib.loads(WIDER))
    with pytest.raises(jsonschema.ValidationError, match="widht"):
        validator.validate(tomllib.loads(WIDER + "widht = 3\n"))
