"""The JSON Schema of recipes: true to what ``recipe check`` takes, and the copy in docs true to it."""

from __future__ import annotations

import json
import tomllib

import jsonschema
import pytest
from conftest import ROOT

from mediactl.core.errors import UsageError
from mediactl.recipe import loader, schema

SCHEMA = schema.recipe_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HEAD = 'name = "mine"\n'
IMAGE = '[[image]]\nname = "w1"\nwidth = 100\n'
VIDEO = '[[video]]\nname = "v"\n'


def test_the_copy_in_docs_is_what_the_command_prints() -> None:
    told = "is not what `mediactl recipe schema > docs/recipe.schema.json` writes"
    assert (ROOT / "docs" / "recipe.schema.json").read_text() == schema.text(), told


def test_it_is_a_schema_of_the_dialect_that_it_names() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "null" not in json.dumps(SCHEMA)


def test_every_key_of_every_table_has_a_description() -> None:
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        for key, value in part["properties"].items():
            assert value.get("description"), (part.get("title"), key)


@pytest.mark.parametrize("name", loader.builtin_names())
def test_the_built_in_recipes_agree_with_it(name: str) -> None:
    VALIDATOR.validate(tomllib.loads(loader.text_of(name)[0]))


@pytest.mark.parametrize(
    "text",
    [
        IMAGE,
        HEAD + IMAGE.replace("100", '"100"'),
        HEAD + IMAGE.replace("100", "0"),
        HEAD + IMAGE.replace("w1", "W1"),
        HEAD + IMAGE + 'format = "gif"\n',
        HEAD + IMAGE + 'quality = "best"\n',
        HEAD + IMAGE + "widht = 3\n",
        HEAD + "[[images]]\n",
        HEAD + VIDEO + "quality = { vmaf = 10 }\n",
        HEAD + VIDEO + "crf = 99\n",
        HEAD + '[[hls]]\nname = "h"\nheights = []\n',
        HEAD + '[[audio]]\nname = "a"\nloudness = 3\n',
        HEAD + IMAGE + "[limits]\nduration = 0\n",
        HEAD + 'metadata = ["lense"]\n' + IMAGE,
        HEAD + "extends = 3\n",
    ],
)
def test_what_it_refuses_the_loader_refuses_as_well(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(tomllib.loads(text))
    with pytest.raises(UsageError):
        loader.parse(text, "mine.toml")
