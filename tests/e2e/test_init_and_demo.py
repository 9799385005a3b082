"""What a new user runs first: ``init`` writes a recipe for what is there, ``demo`` shows a run and its report."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, CommandLine

from mediactl.model.media import Kind
from mediactl.recipe import loader, starter

TABLES = {
    Kind.IMAGE: {"image"},
    Kind.VIDEO: {"hls", "video", "poster", "preview", "storyboard", "subtitles"},
    Kind.AUDIO: {"audio", "waveform"},
}


@pytest.mark.parametrize("kinds", [(), (Kind.IMAGE,), (Kind.VIDEO,), (Kind.AUDIO,), tuple(Kind)])
def test_a_recipe_has_tables_for_what_was_found_and_is_valid_with_all_comments_removed(kinds: tuple[Kind, ...]) -> None:
    text = starter.recipe("mine", kinds, ("jpeg",))
    loader.parse(text, "recipe.toml")
    active = {name for name, value in tomllib.loads(text).items() if isinstance(value, list)}
    assert active == set().union(*(TABLES[kind] for kind in kinds or (Kind.IMAGE,)))
    settings = starter.settings("recipe.toml", "derived", 4, "nfs4")
    assert tomllib.loads(settings) == {"out": "derived", "recipe": "recipe.toml", "poll": "1m"}


def test_settings_and_recipe_fit_the_directory_and_are_used(mediactl: CommandLine) -> None:
    uploads = mediactl.folder / "uploads"
    uploads.mkdir()
    shutil.copy(ROOT / "samples/balloon.png", uploads)
    shutil.copy(ROOT / "samples/sailing.gif", uploads)
    (uploads / "drawing.psd").write_bytes(b"8BPS" + bytes(100))
    (uploads / "notes.txt").write_text("nothing\n")
    made = mediactl("init", "uploads", "--out", "web")
    assert (made.code, made.err) == (0, "")
    assert made.out.splitlines() == [
        "found 2 image (121 kB)",
        "1 in Photoshop: not supported",
        "wrote mediactl.toml and recipe.toml; next: mediactl process uploads --dry-run",
    ]
    recipe = tomllib.loads((mediactl.folder / "recipe.toml").read_text())
    assert {"image", "animation"} == {name for name, value in recipe.items() if isinstance(value, list)}
    planned = mediactl("process", "uploads", "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert "w1600.webp" in planned.out
    shown = json.loads(mediactl("config", "show", "--json").out)
    assert (shown["out"]["value"], shown["recipe"]["value"]) == ("web", "recipe.toml")

    again = mediactl("init", "uploads")
    assert (again.code, again.err) == (2, "mediactl init: mediactl.toml: already exists; move it away, or edit it\n")


def test_the_demo_processes_the_samples_and_opens_the_report(mediactl: CommandLine, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    (mediactl.folder / "mediactl.toml").write_text('recipe = "missing.toml"\n')
    result = mediactl(
        "demo", "--out", "a demo", "--open",
        environment={"BROWSER": f"{browser} %s", "MEDIACTL_TO": "s3://nobody/here", "MEDIACTL_SPEED": "fast"},
    )  # fmt: skip
    assert result.code == 0, result.err
    out = mediactl.folder / "a demo"
    assert opened.read_text() == f"file://{out}/report.html".replace(" ", "%20")
    assert b"harbour.jpg" in (out / "report.html").read_bytes()
    assets = {path.parent.name for path in out.glob("*/asset.json")}
    assert {"harbour.mp4", "ode.mp3", "pines.jpg"} <= assets
    assert not {"truncated.jpg", "notes.jpg"} & assets
