"""Values of settings files, checked by the options that they stand for."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.shared.sections import FILES, NOTIFY, Option
from mediactl.core import settings_files
from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from mediactl.monitor.targets import Target


def options() -> dict[str, Option]:
    """Return every option that is a setting, by key, in the order of the help."""
    from mediactl.commands.process import process, watch
    from mediactl.commands.upload import upload

    found = [each for command in (process, watch, upload) for each in command.params if isinstance(each, Option)]
    settings: dict[str, Option] = {}
    for each in found:
        if each.setting:
            settings.setdefault(each.key, each)
    return settings


def load(context: click.Context, named: str | None) -> None:
    """Give a context the values of the settings files, and remember which file each is from. Raises UsageError."""
    origins: dict[str, str] = {}
    values: dict[str, Any] = {}
    for file in settings_files.files(os.environ, named):
        if targets := notifications(file):
            context.meta.setdefault(NOTIFY, targets)
        for key, value in checked(file).items():
            if key not in values:
                values[key], origins[key] = value, shown(file.path)
    context.default_map = values
    context.meta[FILES] = origins


TABLES = "notify"
"""The only key that is no option: tables of notifications."""


def notifications(file: settings_files.File) -> tuple[Target, ...]:
    """Return the targets of notifications that a file names. Raises UsageError."""
    if TABLES not in file.values:
        return ()
    where = f"{shown(file.path)}:"
    if not file.trusted:
        raise UsageError(
            f"{where} key {TABLES!r} is not allowed in this file, because it may have come with the sources;"
            " use ~/.config/mediactl/config.toml or --config"
        )
    from mediactl.monitor import targets

    return targets.parse(where, file.values[TABLES])


def checked(file: settings_files.File) -> dict[str, Any]:
    """Return a file's values, paths of programs absolute. Raises UsageError naming what is invalid."""
    known = options()
    values = {key: value for key, value in file.values.items() if key != TABLES}
    for key, value in values.items():
        option = known.get(key)
        where = f"{shown(file.path)}:"
        if option is None:
            hint = did_you_mean(key, known, "`mediactl config show` lists all keys")
            raise UsageError(f"{where} unknown key {shown(key)!r}; {hint}")
        if option.trusted and not file.trusted:
            raise UsageError(
                f"{where} key {key!r} is not allowed in this file, because it may have come with the sources;"
                f" use --{key.replace('_', '-')}, MEDIACTL_{key.upper()}, ~/.config/mediactl/config.toml or --config"
            )
        check(f"{where} {key}:", option, value)
    return {key: _anchored(file.path, key, value) for key, value in values.items()}


def check(where: str, option: Option, value: Any) -> Any:
    """Return a value of a file as its option converts it. Raises UsageError."""
    expected = schema(option)
    if option.multiple:
        if not isinstance(value, list):
            raise UsageError(f'{where} expected a list of strings, e.g. ["..."]')
        return tuple(converted(where, option, each) for each in value)
    allowed = expected["type"] if isinstance(expected["type"], list) else [expected["type"]]
    if not any(type(value) in _PYTHON[each] for each in allowed):
        raise UsageError(f"{where} expected {' or '.join(_NAMES[each] for each in allowed)}, not {toml(value)}")
    return value if isinstance(value, bool) else converted(where, option, value)


def converted(where: str, option: Option, value: Any) -> Any:
    """Return one value as its option converts it. Raises UsageError that begins with ``where``."""
    try:
        return option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise UsageError(f"{where} {error.message}") from None


_NAMES = {"boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "a string"}
_PYTHON: dict[str, tuple[type, ...]] = {"boolean": (bool,), "integer": (int,), "number": (int, float), "string": (str,)}


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    return json.dumps(value, ensure_ascii=False)


def schema(option: Option) -> dict[str, Any]:
    """Return the JSON Schema of an option's value in settings files."""
    each: dict[str, Any]
    kind = option.type
    if isinstance(kind, click.Choice):
        each = {"type": "string", "enum": list(kind.choices)}
    elif isinstance(kind, click.IntRange):
        each = {"type": "integer", "minimum": kind.min}
    elif kind.name in ("size", "duration"):
        each = {"type": ["string", "number" if kind.name == "duration" else "integer"]}
    else:
        each = {"type": "boolean" if option.is_flag else "string"}
    return {"type": "array", "items": each} if option.multiple else each


def _anchored(path: str, key: str, value: Any) -> Any:
    """Return a value; the path of a program is relative to the file: the same one wherever mediactl starts."""
    if key == "ffmpeg" and "/" in value:
        return os.path.join(os.path.dirname(os.path.abspath(path)), value)
    return value
