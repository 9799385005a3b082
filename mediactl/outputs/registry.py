"""All kinds of output: the modules of this package, and those that installed packages add.

A package adds kinds by entry points of the group ``mediactl.outputs``: name of the table = "module:Output subclass".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec

from mediactl import outputs as bundled
from mediactl.core.distributions import entry_points
from mediactl.core.errors import JobFailed, UsageError
from mediactl.core.files import shown
from mediactl.core.filesystem.trust import written_by_others
from mediactl.model.assets import Operation, PriorArtefact
from mediactl.model.media import Kind
from mediactl.outputs.base import Output, Params

GROUP = "mediactl.outputs"


@cache
def tables() -> dict[str, type[Output]]:
    """Return all kinds of output by table, in the order of asset.json. Raises UsageError for one that is broken."""
    found = {kind.table: kind for kind in _bundled()}
    for table, kind in _installed():
        if table in found:
            raise UsageError(f"output [[{shown(table)}]]: two installed packages provide it; uninstall one of them")
        found[table] = kind
    return dict(sorted(found.items(), key=lambda each: (each[1].order, each[0])))


@cache
def added() -> frozenset[str]:
    """Return the tables that installed packages add."""
    return frozenset(tables()) - {kind.table for kind in _bundled()}


@cache
def made_of(kind: Kind) -> tuple[type[Output], ...]:
    """Return the outputs that a kind of source may get, in the order of asset.json."""
    return tuple(output for output in tables().values() if kind in output.kinds)


@cache
def operations() -> dict[str, type[Params]]:
    """Return all operations by name. Raises UsageError where two have one name."""
    found: dict[str, type[Params]] = {}
    for table, output in tables().items():
        for params in output.operations:
            if found.setdefault(params.operation(), params) is not params:
                raise UsageError(f"output [[{table}]]: another output has an operation {params.operation()!r} as well")
    return found


def decode(wanted: type, value: Any) -> Any:
    """Return the parameters that msgspec found where a type says ``Operation``: the ``dec_hook`` of all decoders.

    Raises JobFailed for an operation that no installed package provides.
    """
    if wanted is not Operation:
        raise NotImplementedError(f"no way to decode {wanted}")
    if (params := operations().get(value["type"])) is None:
        raise JobFailed(f"no installed output has an operation {value['type']!r}; install the package that provides it")
    return msgspec.convert(value, params)


def label_of(artefact: PriorArtefact, every: list[PriorArtefact]) -> str:
    """Return table and file of the output that an artefact was made for, though no recipe may have it any more."""
    for table, output in tables().items():
        if (name := output.owns(artefact, every)) is not None:
            return f"{table} {name}"
    return f"{artefact.role} {artefact.name}"


@cache
def _bundled() -> tuple[type[Output], ...]:
    names = (name for folder in bundled.__path__ for name in os.listdir(folder) if name.endswith(".py"))
    modules = (import_module(f"{bundled.__name__}.{name.removesuffix('.py')}") for name in sorted(names))
    return tuple(module.OUTPUT for module in modules if hasattr(module, "OUTPUT"))


def _installed() -> Iterator[tuple[str, type[Output]]]:
    for table, value in entry_points(GROUP):
        module, _, name = value.partition(":")
        if why := _written_by_others(module):
            raise UsageError(f"output [[{shown(table)}]]: {why}; review it, then change its owner or mode")
        try:
            kind = getattr(import_module(module), name)
        except Exception as error:  # whatever somebody else's module does when it is imported
            raise UsageError(
                f"output [[{shown(table)}]]: {shown(value)} cannot be loaded: {type(error).__name__}:"
                f" {shown(str(error))}; repair or uninstall its package"
            ) from error
        if not (isinstance(kind, type) and issubclass(kind, Output) and kind.table == table):
            raise UsageError(f"output [[{shown(table)}]]: {shown(value)} is not an Output of that table")
        yield table, kind


def _written_by_others(module: str) -> str | None:
    """Return which file of a package somebody else may have written, before it is imported; None: it cannot be found,
    or only those who can change mediactl itself may."""
    with suppress(Exception):  # importing it says what is wrong
        spec, own = find_spec(module.partition(".")[0]), _writers(os.stat(__file__))
        for path in () if spec is None else {spec.origin, *(spec.submodule_search_locations or ())}:
            if path and _writers(status := os.stat(path)) != own and (why := written_by_others(status)):
                return f"{shown(path)} {why}"
    return None


def _writers(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_uid, status.st_gid, status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
