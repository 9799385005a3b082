"""The registry of outputs: what is in it agrees with itself, crosses processes, and is light to load."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import msgspec
import pytest
from conftest import ROOT

from mediactl.core.errors import JobFailed, UsageError
from mediactl.model.assets import Operation, PriorArtefact, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs import registry
from mediactl.outputs.base import Params
from mediactl.planning import keys
from mediactl.recipe import loader

FROZEN = json.loads((ROOT / "tests" / "unit" / "frozen_keys.json").read_text())
VERSIONS = FROZEN["versions"]
RECIPE = loader.parse(FROZEN["recipes"]["all"]["toml"], "all.toml")
SOURCES = {
    name: (Kind(each["kind"]), msgspec.convert(each["info"], MediaInfo)) for name, each in FROZEN["infos"].items()
}


def targets(source: str) -> tuple[Target[Params], ...]:
    """Everything that a recipe with all outputs makes of a source."""
    return keys.targets(RECIPE, *SOURCES[source], "aa", VERSIONS)


def test_outputs_come_in_the_order_of_asset_json() -> None:
    assert list(registry.tables()) == [
        "image", "animation", "video", "hls", "poster", "storyboard", "preview", "subtitles", "audio", "waveform",
    ]  # fmt: skip


def test_every_operation_of_every_output_is_declared_by_it_and_so_is_every_role() -> None:
    for kind, info in SOURCES.values():
        for output, made in keys.by_output(RECIPE, kind, info, "aa", VERSIONS):
            assert {type(target.params) for target in made} <= set(output.operations), output.label
            assert {target.role for target in made} <= {*output.roles, "subtitles"}, output.label


def test_every_maker_is_a_function_of_media() -> None:
    for params in registry.operations().values():
        module, _, function = params.maker.partition(":")
        assert callable(getattr(import_module(module), function)), params


@pytest.mark.parametrize("source", SOURCES)
def test_every_file_is_one_that_the_output_says_it_may_write(source: str) -> None:
    kind, info = SOURCES[source]
    for output, made in keys.by_output(RECIPE, kind, info, "aa", VERSIONS):
        for target in made:
            assert any(file.matches(target.name) for file in output.files()), target.name


@pytest.mark.parametrize("source", SOURCES)
def test_every_artefact_is_known_to_be_of_its_output_when_the_recipe_has_it_no_more(source: str) -> None:
    kind, info = SOURCES[source]
    for output, made in keys.by_output(RECIPE, kind, info, "aa", VERSIONS):
        had = [PriorArtefact(each.name, each.role, each.key, 1, None, None, None) for each in made]
        assert {registry.label_of(each, had) for each in had} == ({output.label} if had else set())


@pytest.mark.parametrize("source", SOURCES)
def test_targets_cross_processes_as_they_are(source: str) -> None:
    made = targets(source)
    found = msgspec.json.decode(msgspec.json.encode(made), type=tuple[Target[Operation], ...], dec_hook=registry.decode)
    assert found == made
    assert [type(each.params) for each in found] == [type(each.params) for each in made]


def test_an_operation_that_is_not_installed_is_a_job_that_fails_and_says_why() -> None:
    with pytest.raises(JobFailed, match=r"no installed output has an operation 'hologram'; install the package"):
        msgspec.json.decode(
            b'{"name":"a","role":"a","params":{"type":"hologram"},"key":"a"}',
            type=Target[Operation],
            dec_hook=registry.decode,
        )


def test_a_recipe_in_the_journal_is_read_as_it_was() -> None:
    assert loader.decode(msgspec.json.encode(RECIPE).decode()) == RECIPE


def test_a_recipe_in_the_journal_whose_output_is_not_installed_is_refused() -> None:
    content = msgspec.json.encode({**msgspec.to_builtins(RECIPE), "hologram": [{"name": "a"}]}).decode()
    with pytest.raises(UsageError, match=r"unknown field `hologram`; install the package that provides this output"):
        loader.decode(content)


def test_all_outputs_together_load_no_library_that_decodes() -> None:
    code = (
        "import sys; from mediactl.outputs import registry; registry.operations();"
        "print(*sorted({'av', 'pyvips', 'PIL', 'ffmpeg', 'importlib.metadata'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
