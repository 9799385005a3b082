"""JSON Schema of recipe files, for editors: what ``wanted`` and ``recipe`` say, described by their docstrings."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

import msgspec

from mediactl.recipe.loader import RecipeFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "mediactl recipe"


def recipe_schema() -> dict[str, Any]:
    """The schema, in draft 2020-12. Conditions, and names that would clash, are checked by ``recipe check`` alone."""
    structs = _structs(RecipeFile)
    _, parts = msgspec.json.schema_components(structs, ref_template="#/$defs/{name}")
    for struct in structs:
        part = parts[struct.__name__]
        for field in msgspec.structs.fields(struct):
            told = _descriptions(struct).get(field.name, "")
            if told:
                part["properties"][field.encode_name]["description"] = told
    whole = parts.pop(RecipeFile.__name__)
    for key in ("title", "description"):
        whole.pop(key, None)
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "description": "What to derive from each kind of source; see docs/recipes.md.",
        **_plain(whole),
        "$defs": dict(sorted((name, _plain(part)) for name, part in parts.items())),
    }


def text() -> str:
    """The same as a file."""
    return msgspec.json.format(msgspec.json.encode(recipe_schema()), indent=2).decode() + "\n"


def _structs(struct: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """A struct and all that it is made of, each once."""
    found: list[type[msgspec.Struct]] = []

    def look(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in found:
            found.append(kind.cls)
            for field in kind.fields:
                look(field.type)
        for name in ("types", "item_types"):
            for each in getattr(kind, name, ()):
                look(each)
        if hasattr(kind, "item_type"):
            look(kind.item_type)

    look(msgspec.inspect.type_info(struct))
    return found


def _plain(part: Any) -> Any:
    """Without null, which TOML does not have."""
    if isinstance(part, (list, tuple)):
        return [_plain(each) for each in part if each != {"type": "null"}]
    if not isinstance(part, dict):
        return part
    made = {key: _plain(value) for key, value in part.items() if value is not None}
    if len(made.get("anyOf", ())) == 1:
        (only,) = made.pop("anyOf")
        made = {**only, **made}
    return made


@cache
def _descriptions(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Field -> the text that stands under it in the source, of the struct and what it inherits."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if not issubclass(each, msgspec.Struct) or each is msgspec.Struct:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as told)),
                ):
                    found[name] = inspect.cleandoc(told).replace("\n", " ").replace("``", "")
    return found
