"""All kinds of output: the modules of this package, and those that installed packages add.

A package adds kinds by entry points of the group ``mediactl.outputs``: name of the table = "module:Output subclass".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from mediactl import outputs as bundled
from mediactl.core.distributions import entry_points
from mediactl.core.errors import JobFailed, UsageError
from mediactl.core.files import shown
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
