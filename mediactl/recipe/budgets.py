"""``[[budget]]`` in recipes: what the files of an output may take, and how similar to their source they have to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from mediactl.core import quantities
from mediactl.core.suggestions import did_you_mean
from mediactl.outputs.base import Output

Tables = Mapping[str, Sequence[Output]]
"""Outputs of a recipe by table."""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one output may take: a run that ends with a file over budget exits with 1. Changing one rebuilds nothing."""

    output: str
    """Output, as in ``without``: "image.w1600", or "audio.audio.opus" for one format."""
    bytes: str | int | None = None
    """Maximum size of each of its files, e.g. "200 kB"; default: unbounded."""
    similarity: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """Minimum SSIM of each of its files to the source at the same size; for ``[[image]]`` alone. It is measured when
    the file is made, which takes another decode."""

    @property
    def most(self) -> int | None:
        """Maximum size in bytes. Raises ValueError for what is no size."""
        return None if self.bytes is None else quantities.size(str(self.bytes))


def outputs_of(budget: Budget, tables: Tables) -> list[Output]:
    """Return the outputs that a budget is for."""
    table, _, rest = budget.output.partition(".")
    return [each for each in tables.get(table, ()) if rest in _names(each)]


def problem(budget: Budget, tables: Tables) -> tuple[str, str] | None:
    """Return key and complaint of an invalid budget; None: it is valid."""
    outputs = outputs_of(budget, tables)
    if not outputs:
        there = [f"{table}.{each.name}" for table, found in tables.items() for each in found]
        hint = did_you_mean(budget.output, there, f"there are: {', '.join(there)}")
        return "output", f"no output is called {budget.output!r}; {hint}"
    if budget.bytes is None and budget.similarity is None:
        return "output", f"{budget.output!r}: no limit; add bytes or similarity"
    try:
        _ = budget.most
    except ValueError as error:
        return "bytes", str(error)
    if budget.similarity is not None and not all(each.comparable for each in outputs):
        return "similarity", f"{budget.output!r} cannot be compared with its source; images alone can"
    return None


def compared(budgets: Sequence[Budget], tables: Tables) -> tuple[str, ...]:
    """Return the file names of the outputs whose similarity is to be measured, in order."""
    names = {output.file_name for each in budgets if each.similarity is not None for output in outputs_of(each, tables)}
    return tuple(sorted(names))


def _names(output: Output) -> tuple[str, ...]:
    return output.name, f"{output.name}.{getattr(output, 'format', None)}"
