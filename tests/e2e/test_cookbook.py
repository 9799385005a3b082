"""Each recipe of the cookbook makes what it names, of small files of every kind that it is for."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, CommandLine
from test_docs import blocks

from mediactl.media.ffmpeg import binary
from mediactl.model.media import Kind
from mediactl.recipe import loader

RECIPES = blocks(ROOT / "docs/cookbook.md", "toml")
CONDITIONAL = {"hero", "storyboard"}
"""Outputs whose condition none of the files here meets."""
STREAMS = {"subtitles"}
"""Outputs that need a subtitle stream."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, an animation, a video and an audio file, each small."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(ROOT / "samples/balloon.png", folder)
    ffmpeg = [binary.find(None), "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i"]
    for source, *arguments in (
        ("testsrc2=s=64x48:r=5:d=0.6", "moving.gif"),
        ("testsrc2=s=96x64:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1", "-pix_fmt", "yuv420p", "clip.mp4"),
        ("sine=440:d=1", "tone.wav"),
    ):
        subprocess.run([*ffmpeg, source, *arguments], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("text", RECIPES, ids=lambda text: loader.parse(text, "recipe.toml").name)
def test_a_recipe_makes_what_it_names(mediactl: CommandLine, media: Path, text: str) -> None:
    (mediactl.folder / "recipe.toml").write_text(text)
    recipe = loader.parse(text, "recipe.toml")
    result = mediactl("process", str(media), "--recipe", "recipe.toml", "--speed", "fast", "--cache", "none")
    assert result.code == 0, result.err
    assets = {path.parent.name: json.loads(path.read_text()) for path in mediactl.folder.glob("derived/*/asset.json")}
    of_kind = {kind: [each for each in assets.values() if each["source"]["kind"] == kind.value] for kind in Kind}
    for kind in Kind:
        wanted = {output.name for output in recipe.outputs(kind)} - CONDITIONAL - STREAMS
        made = {file["name"].partition(".")[0] for each in of_kind[kind] for file in each["artefacts"]}
        assert wanted <= {name.partition("-")[0] for name in made} | made, (kind, wanted - made)
