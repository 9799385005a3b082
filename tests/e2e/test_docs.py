"""What README and docs show works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest
from conftest import ROOT

from mediactl.assets import document
from mediactl.cli import cli
from mediactl.model.assets import Artefact
from mediactl.model.media import AudioStream, Chapter, MediaInfo, SubtitleStream, VideoStream
from mediactl.recipe import loader


def blocks(file: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", file.read_text(), re.DOTALL | re.MULTILINE)


def command_lines() -> list[str]:
    """Every mediactl command that README shows; "a | b" stands for several."""
    lines = [
        line.split("#")[0].split("<")[0].strip()
        for block in blocks(ROOT / "README.md", "sh")
        for line in block.splitlines()
    ]
    commands: list[str] = []
    for line in lines:
        if line.startswith("mediactl "):
            first, *others = line.removeprefix("mediactl ").split(" | ")
            commands += [first, *others]
    return commands


def parse(line: str) -> None:
    """Parse a command line. Raises click's UsageError."""
    name, *arguments = shlex.split(line)
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None, name
    command.make_context(name, arguments, parent=context)


def test_readme_has_exactly_two_set_up_commands_of_one_line_each() -> None:
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    set_up = [line for line in lines if line.startswith("python3 -m venv")]
    assert len(set_up) == 2
    assert set_up[0].endswith("mediactl process samples")
    assert set_up[1].endswith("pytest")


@pytest.mark.parametrize("line", command_lines())
def test_the_commands_in_readme_parse(line: str) -> None:
    parse(line)


def watch_command_lines() -> list[str]:
    """Every command of docs/watch.md."""
    file = ROOT / "docs" / "watch.md"
    return [line.split("#")[0] for block in blocks(file, "sh") for line in block.splitlines()]


@pytest.mark.parametrize("line", watch_command_lines())
def test_the_commands_in_the_docs_on_watching_parse(line: str) -> None:
    program, _, command = line.partition(" ")
    assert program == "mediactl"
    parse(command)


def test_the_asset_in_the_docs_is_one_and_every_key_of_an_asset_is_told() -> None:
    text = (ROOT / "docs" / "assets.md").read_text()
    (example,) = blocks(ROOT / "docs" / "assets.md", "json")
    whole = document.decode(example.encode())
    assert (whole.srcset, whole.picture, whole.video) == document.markup_of(
        whole.artefacts, whole.metadata, document.look_of(whole)
    )
    told = set(re.findall(r"[`.\]](\w+)`", text))
    structs = (
        document.Asset,
        document.AssetSource,
        MediaInfo,
        VideoStream,
        AudioStream,
        SubtitleStream,
        Chapter,
        Artefact,
    )
    for struct in structs:
        names = {field.encode_name for field in msgspec.structs.fields(struct)}
        assert names - {"source", "metadata", "artefacts"} <= told, struct
    for tag in get_args(loader.Tag):
        assert re.search(rf"\b{tag}\b", text), tag
