"""JSON Schemas of Structs, described by the docstrings of the Structs and of their fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

import msgspec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def definitions(*roots: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of each of these Structs, and of all that they are made of, by its name, in draft 2020-12.

    A field that may be None is one that may be absent: null is in none of them.
    """
    structs = list(dict.fromkeys(each for root in roots for each in _structs(root)))
    _, parts = msgspec.json.schema_components(structs, ref_template="#/$defs/{name}")
    for struct in structs:
        properties = parts[struct.__name__]["properties"]
        for field in msgspec.structs.fields(struct):
            if description := descriptions(struct).get(field.name):
                properties[field.encode_name]["description"] = description
    return dict(sorted((name, _without_null(part)) for name, part in parts.items()))


def text(schema: dict[str, Any]) -> str:
    """Return a schema as a file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _structs(struct: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Return a Struct and all Structs that it is made of, each once."""
    found: list[type[msgspec.Struct]] = []

    def look(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in found:
            found.append(kind.cls)
            for field in kind.fields:
                look(field.type)
        for name in ("types", "item_types"):
            for each in getattr(kind, name, ()):
                look(each)
        for name in ("item_type", "value_type"):
            if hasattr(kind, name):
                look(getattr(kind, name))

    look(msgspec.inspect.type_info(struct))
    return found


def _without_null(part: Any) -> Any:
    """Return a part of a schema without null."""
    if isinstance(part, (list, tuple)):
        return [_without_null(each) for each in part if each != {"type": "null"}]
    if not isinstance(part, dict):
        return part
    made = {key: _without_null(value) for key, value in part.items() if value is not None}
    if len(made.get("anyOf", ())) == 1:
        (only,) = made.pop("anyOf")
        made = {**only, **made}
    return made


def summary(struct: type[msgspec.Struct]) -> str:
    """Return the first paragraph of the docstring of a Struct, in one line."""
    return _plain((inspect.getdoc(struct) or "").partition("\n\n")[0])


@cache
def descriptions(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstring of each field that has one, inherited fields included."""
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
                    ast.Expr(value=ast.Constant(value=str() as description)),
                ):
                    found[name] = _plain(inspect.cleandoc(description))
    return found


def _plain(docstring: str) -> str:
    return docstring.replace("\n", " ").replace("``", "")
