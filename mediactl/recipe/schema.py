"""JSON Schema of recipe files, for editors: the recipe's and the outputs' Structs, described by their docstrings."""

from __future__ import annotations

from typing import Any

from mediactl.core import json_schema
from mediactl.outputs import registry
from mediactl.recipe.loader import RecipeFile, with_tables

TITLE = "mediactl recipe"


def recipe_schema() -> dict[str, Any]:
    """The schema, in draft 2020-12. Conditions, and names that would clash, are checked by ``recipe check`` alone."""
    parts = json_schema.definitions(with_tables(RecipeFile))
    whole = parts.pop(RecipeFile.__name__)
    for table, output in registry.tables().items():
        whole["properties"][table]["description"] = json_schema.summary(output)
    for key in ("title", "description"):
        whole.pop(key, None)
    return {
        "$schema": json_schema.DIALECT,
        "title": TITLE,
        "description": "What to derive from each kind of source; see docs/recipes.md.",
        **whole,
        "$defs": parts,
    }


def text() -> str:
    """The same as a file."""
    return json_schema.text(recipe_schema())
