"""Recipes that extend others: what a file says, laid over what its base says. Pure, on trees as TOML gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mediactl.core.suggestions import did_you_mean

Tree = dict[str, Any]
OTHER_WAY = {"crf": "quality", "quality": "crf"}
"""Keys that stand for one another: giving one takes the base's other one away."""


class Wrong(Exception):
    """What is invalid, with its path in the file that extends."""


class Entry(NamedTuple):
    """An output after inheritance, and the path of the table that last changed it."""

    values: Tree
    origin: str
    toml_path: str


class Draft(NamedTuple):
    """A recipe before it is validated as a whole."""

    origin: str
    """The file that it is from; of several, the one that extends."""
    plain: Tree
    """Keys and tables that are no outputs."""
    outputs: dict[str, tuple[Entry, ...]]
    """Table -> outputs."""

    def tree(self) -> Tree:
        """As one file would have it."""
        lists = {table: [entry.values for entry in entries] for table, entries in self.outputs.items() if entries}
        return {**self.plain, **lists}


def draft(tree: Tree, origin: str, tables: Iterable[str]) -> Draft:
    """One file's own say, without what it extends."""
    outputs = {
        table: tuple(Entry(values, origin, f"{table}[{number}]") for number, values in enumerate(tree.get(table, ())))
        for table in tables
    }
    return Draft(origin, {key: value for key, value in tree.items() if key not in outputs}, outputs)


def leave_out(base: Draft, names: Iterable[str]) -> Draft:
    """The base without some outputs: "hls" (a table), "video.v720" (an output), "audio.audio.opus" (of one format).

    Raises Wrong where there is nothing of that name.
    """
    outputs = dict(base.outputs)
    for number, name in enumerate(names):
        table, _, rest = name.partition(".")
        if table not in outputs:
            raise Wrong(f"without[{number}]: no kind of output is called {table!r}{_close(table, outputs)}")
        kept = tuple(entry for entry in outputs[table] if rest and rest not in _names(entry))
        if len(kept) == len(outputs[table]):
            there = [f"{each}.{entry.values['name']}" for each, entries in base.outputs.items() for entry in entries]
            raise Wrong(f"without[{number}]: what it extends has no {name!r}{_close(name, there)}")
        outputs[table] = kept
    return Draft(base.origin, base.plain, outputs)


def extend(base: Draft, own: Draft, formats: Mapping[str, str]) -> Draft:
    """What ``own`` says laid over the base: plain keys replaced, tables key by key, outputs of the same name (and
    format, where it is given) changed key by key, others added. ``formats`` are the default formats by table. Raises
    Wrong."""
    plain = dict(base.plain)
    plain.pop("description", None)  # of something else
    for key, value in own.plain.items():
        old = plain.get(key)
        plain[key] = {**old, **value} if isinstance(value, dict) and isinstance(old, dict) else value
    return Draft(own.origin, plain, {
        table: _over(base.outputs[table], entries, formats.get(table)) for table, entries in own.outputs.items()
    })  # fmt: skip


def _over(base: tuple[Entry, ...], own: tuple[Entry, ...], default: str | None) -> tuple[Entry, ...]:
    made = list(base)
    changed: dict[int, str] = {}
    for entry in own:
        name, wanted = entry.values["name"], entry.values.get("format")
        formats = [each.values.get("format", default) for each in base]
        same = [
            number
            for number, each in enumerate(base)
            if each.values["name"] == name and wanted in (None, formats[number])
        ]
        if len(same) > 1:
            there = " and ".join(str(formats[number]) for number in same)
            raise Wrong(f"{entry.toml_path}: what it extends has {name!r} as {there}; add format to choose one")
        if not same:
            made.append(entry)
        elif same[0] in changed:
            raise Wrong(f"{entry.toml_path}: changes the same output as {changed[same[0]]}; put both into one")
        else:
            changed[same[0]] = entry.toml_path
            instead = {OTHER_WAY[key] for key in entry.values if key in OTHER_WAY} - set(entry.values)
            old = {key: value for key, value in base[same[0]].values.items() if key not in instead}
            made[same[0]] = Entry({**old, **entry.values}, entry.origin, entry.toml_path)
    return tuple(made)


def toml(tree: Tree) -> str:
    """TOML of a recipe's tree: plain keys, outputs, then tables; comments are not kept."""
    parts = [_lines({key: value for key, value in tree.items() if not _is_table(value)})]
    parts += [f"[[{key}]]\n{_lines(each)}" for key, value in tree.items() if _is_outputs(value) for each in value]
    parts += [f"[{key}]\n{_lines(value)}" for key, value in tree.items() if isinstance(value, dict) and value]
    return "\n".join(parts)


def _lines(values: Tree) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value).lower()  # True, False, and numbers, "1e-07" and "inf" included


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or _is_outputs(value)


def _is_outputs(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _names(entry: Entry) -> tuple[str, ...]:
    name = entry.values["name"]
    return name, f"{name}.{entry.values.get('format')}"


def _close(name: str, names: Iterable[str]) -> str:
    names = list(names)
    return "; " + did_you_mean(name, names, f"there are: {', '.join(names)}")
