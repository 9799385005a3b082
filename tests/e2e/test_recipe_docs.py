"""docs/recipes.md has every key of every table, with what it says and an example that works."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import jsonschema
import msgspec
import pytest
from conftest import ROOT, CommandLine
from test_docs import blocks

from mediactl.model.media import Kind
from mediactl.outputs import registry
from mediactl.recipe import conditions, inheritance, loader, schema

DOCS = ROOT / "docs" / "recipes.md"
TEXT = DOCS.read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \| `(.*)` \|$", re.MULTILINE)
NEEDED: dict[str, dict[str, Any]] = {
    "image": {"width": 800, "height": 600},
    "poster": {"width": 800, "height": 600},
    "video": {"codec": "hevc"},
    "hls": {"codec": "hevc"},
    "waveform": {"format": "png"},
}
WITH: dict[str, dict[str, Any]] = {"position": {"fit": "cover"}, "similarity": {"quality": "auto"}}
"""What examples need beside them: cover needs both sides, HDR a codec that holds it."""


def sections() -> dict[str, list[tuple[str, str, str, str]]]:
    """Table -> rows (key, what it says, default, example); "" is the recipe itself."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    _, _, every = TEXT.partition("\n## Every key\n")
    for section in re.split(r"^### ", every, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        for table in re.findall(r"`\[+(\w+)\]+`", heading) or [""]:
            found.setdefault(table, []).extend(ROW.findall(body))
    return found


SECTIONS = sections()
STRUCTS: dict[str, type[msgspec.Struct]] = {"": loader.RecipeFile, **loader.structs()}


def plain(value: object) -> Any:
    """As TOML would have it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def test_every_table_and_every_key_of_it_is_in_the_docs_and_no_others() -> None:
    assert set(SECTIONS) == set(STRUCTS)
    for table, struct in STRUCTS.items():
        keys = {field.encode_name for field in msgspec.structs.fields(struct)} - set(loader.structs())
        if table:
            keys = {field.encode_name for field in msgspec.structs.fields(struct)}
        assert sorted(row[0] for row in SECTIONS[table]) == sorted(keys), table


def test_what_the_docs_say_of_a_key_is_what_the_schema_says() -> None:
    found = schema.recipe_schema()
    for table, struct in STRUCTS.items():
        part = found["$defs"][struct.__name__] if table else found
        for key, says, default, _ in SECTIONS[table]:
            assert says == part["properties"][key]["description"], (table, key)
            value = part["properties"][key].get("default")
            if default.startswith("`"):
                assert tomllib.loads(f"x = {default.strip('`')}")["x"] == value, (table, key)
            else:
                assert default == (
                    "required" if key in ("name", "output") else "all but `place`" if key == "metadata" else ""
                )
                assert value in (None, "", []) or key == "metadata", (table, key)


@pytest.mark.parametrize(("table", "example"), [(table, row[3]) for table, rows in SECTIONS.items() for row in rows])
def test_every_example_of_a_key_is_valid(table: str, example: str) -> None:
    said = tomllib.loads(example)
    tree: dict[str, Any] = {"name": "mine"}
    if table in registry.tables():
        tree[table] = [{"name": "x", **NEEDED.get(table, {}), **WITH.get(next(iter(said)), {}), **said}]
    else:
        tree["image"] = [{"name": "x"}]
        whole = [{"output": "image.x", "bytes": 1000, **said}] if table == "budget" else said
        tree = {**tree, table: whole} if table else {**tree, **said}
    if "without" in tree:
        # What is left out has to be there.
        tree["extends"] = "web"
    found = loader.parse(inheritance.toml(tree), "mine.toml")
    where = (
        getattr(found, table)[0]
        if table in (*registry.tables(), "budget")
        else getattr(found, table)
        if table
        else found
    )
    for key, value in said.items():
        if key not in ("extends", "without"):
            assert plain(getattr(where, key)) == value
            field = next(field for field in msgspec.structs.fields(type(where)) if field.name == key)
            default = field.default_factory() if callable(field.default_factory) else field.default
            assert key in ("name", "format", "output") or plain(default) != value, "an example that changes nothing"


def test_every_recipe_in_the_docs_is_valid_and_agrees_with_the_schema(mediactl: CommandLine) -> None:
    validator = jsonschema.Draft202012Validator(schema.recipe_schema())
    shown = blocks(DOCS, "toml")
    assert len(shown) >= 2
    for number, text in enumerate(shown):
        validator.validate(tomllib.loads(text))
        (mediactl.folder / f"{number}.toml").write_text(text)
        told = mediactl("recipe", "check", f"{number}.toml")
        assert told.code == 0, told.err


def test_every_name_of_conditions_is_in_the_docs_with_what_it_is() -> None:
    _, _, section = TEXT.partition("\n## Conditions\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE)
    assert [row[0] for row in rows] == list(conditions.NAMES)
    for name, says, of in rows:
        known = conditions.NAMES[name]
        assert says.removesuffix(" (true or false)") == known.meaning
        assert says.endswith("(true or false)") is (known.type == conditions.TRUTH)
        assert ("images" in of) is (Kind.IMAGE in known.kinds)
        assert ("videos" in of) is (Kind.VIDEO in known.kinds)
        assert ("audio" in of) is (Kind.AUDIO in known.kinds)


def test_the_bundled_recipes_are_in_the_docs() -> None:
    _, _, section = TEXT.partition("\n## Bundled recipes\n")
    rows = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert set(loader.builtin_names()) == set(rows)
