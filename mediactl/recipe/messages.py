"""Messages of msgspec about an invalid recipe, in terms of TOML: key, problem, and what would be valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mediactl.core.files import shown
from mediactl.core.suggestions import did_you_mean

_TYPES = {
    "int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "array": "a list",
    "object": "a table",
}  # fmt: skip
_NAME = 'lower case letters, digits, "-" and "_", a letter or digit first, at most 63 of them'


def explain(
    error: msgspec.ValidationError,
    tree: Mapping[str, Any],
    whole: type[msgspec.Struct],
    tables: Mapping[str, type[msgspec.Struct]],
) -> str:
    """A message of msgspec about a recipe, with the path written as in TOML and the likely right key or value beside a
    wrong one."""
    text, _, path = str(error).partition(" - at `$")
    toml_path = path.rstrip("`").removeprefix(".").replace("[...]", "")
    parts = [re.sub(r"\[\d+\]", "", part) for part in toml_path.split(".")]
    owner = tables.get(parts[0], whole)
    where = f"{toml_path}: " if toml_path else ""
    if found := re.match(r"Object contains unknown field `(.*)`$", text):
        field = _field(owner, parts[-1]) if parts[0] in tables and len(parts) > 1 else None
        keys = [each.encode_name for each in msgspec.structs.fields(_struct(field) or owner)]
        if not toml_path and isinstance(tree.get(found[1]), list) and not did_you_mean(found[1], keys):
            return (
                f"no output is called [[{shown(found[1])}]]; install the package that provides it,"
                f" or take one of: {', '.join(tables)}"
            )
        return f"{where}unknown key {shown(found[1])!r}; {_close(found[1], keys, 'known keys')}"
    if found := re.match(r"Object missing required field `(.*)`$", text):
        return f"{where}needs the key {found[1]!r}"
    if found := re.match(r"Invalid enum value '?(.*?)'?$", text):
        values = _values(_field(owner, parts[-1]))
        return f"{where}unknown value {shown(found[1])!r}; {_close(found[1], values, 'known')}"
    if found := re.match(r"Expected `(.*)`, got `(.*)`$", text):
        wanted = " or ".join(_TYPES.get(each, each) for each in found[1].split(" | ") if each != "null")
        return f"{where}expected {wanted}, got {_TYPES.get(found[2], found[2])}{_brackets(toml_path, found, tables)}"
    if "matching regex" in text:
        return f"{where}expected {_NAME}"
    return f"{where}{text[:1].lower()}{text[1:]}"


def _brackets(toml_path: str, found: re.Match[str], tables: Mapping[str, type[msgspec.Struct]]) -> str:
    """How a table is written, where it was written as the other kind."""
    hints = {("array", "object"): f"; write [[{toml_path}]]", ("object", "array"): f"; write [{toml_path}]"}
    return hints.get((found[1], found[2]), "") if toml_path in tables else ""


def _close(name: str, names: list[str], otherwise: str) -> str:
    return did_you_mean(name, names, f"{otherwise}: {', '.join(names)}")


def _field(owner: type[msgspec.Struct], key: str) -> Any:
    """The type of a key, as msgspec.inspect has it; None: there is none."""
    return next(
        (msgspec.inspect.type_info(each.type) for each in msgspec.structs.fields(owner) if each.encode_name == key),
        None,
    )


def _struct(kind: Any) -> type[msgspec.Struct] | None:
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return next((each.cls for each in kinds if isinstance(each, msgspec.inspect.StructType)), None)


def _values(kind: Any) -> list[str]:
    """The valid values of a key that has only some."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return [value for each in kind.types for value in _values(each)]
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return _values(kind.item_type)
    return [str(value) for value in kind.values] if isinstance(kind, msgspec.inspect.LiteralType) else []
