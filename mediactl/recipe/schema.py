"""JSON Schema of recipe files, for editors: what ``wanted`` and ``recipe`` say, described by their docstrings."""

from __future__ import annotations

from typing import Any

from mediactl.core import json_schema
from mediactl.recipe.loader import RecipeFile

TITLE = "mediactl recipe"


def recipe_schema() -> dict[str, Any]:
    """The schema, in draft 2020-12. Conditions, and names that would clash, are checked by ``recipe check`` alone."""
    parts = json_schema.definitions(RecipeFile)
    whole = parts.pop(RecipeFile.__name__)
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
