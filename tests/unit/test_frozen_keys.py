"""Artefact keys, plans and recipe digests are those of earlier versions: trees made by them stay complete."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from conftest import ROOT

from mediactl.model.media import Kind, MediaInfo
from mediactl.planning import jobs, keys
from mediactl.recipe import loader

FROZEN = json.loads((ROOT / "tests" / "unit" / "frozen_keys.json").read_text())
VERSIONS = FROZEN["versions"]
SOURCES = {
    name: (Kind(each["kind"]), msgspec.convert(each["info"], MediaInfo)) for name, each in FROZEN["infos"].items()
}


@pytest.fixture(params=FROZEN["recipes"])
def frozen(request: pytest.FixtureRequest) -> tuple[loader.Recipe, dict[str, Any]]:
    """A recipe, bundled or written for these tests, and what an earlier version made of it."""
    known = FROZEN["recipes"][request.param]
    text = known.get("toml") or loader.text_of(request.param)[0]
    return loader.parse(text, f"{request.param}.toml"), known


def test_names_roles_operations_and_keys_of_all_artefacts_stay(frozen: tuple[loader.Recipe, dict[str, Any]]) -> None:
    recipe, known = frozen
    for name, (kind, info) in SOURCES.items():
        made = keys.targets(recipe, kind, info, "f" * 64, VERSIONS)
        found = {each.name: f"{each.role} {each.operation} {each.key}" for each in made}
        assert found == known["artefacts"].get(name, {}), name
        assert list(found) == list(known["artefacts"].get(name, {})), f"{name}: their order in asset.json"


def test_plans_and_the_digest_of_the_recipe_stay(frozen: tuple[loader.Recipe, dict[str, Any]]) -> None:
    recipe, known = frozen
    assert {kind.value: jobs.plan_digest(recipe, kind, VERSIONS) for kind in Kind} == known["plans"]
    assert recipe.digest() == known["digest"]
