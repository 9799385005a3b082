"""Which artefacts are over the budgets of a recipe. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mediactl.core.files import shown
from mediactl.model.events import BudgetBroken
from mediactl.outputs.base import Output
from mediactl.recipe.budgets import Budget, outputs_of
from mediactl.recipe.loader import Recipe


class Measured(NamedTuple):
    """An artefact of a done source, as far as budgets go. Fields in the order of the query "measured_artefacts"."""

    path: bytes
    """Of the source."""
    name: str
    role: str
    bytes: int
    similarity: float | None
    """None: not measured."""


def broken(recipe: Recipe, artefacts: Iterable[Measured]) -> Iterator[BudgetBroken]:
    """Yield an event for each artefact that is over a budget of its recipe."""
    tables = recipe.by_table()
    limits = [(each, outputs_of(each, tables), each.most) for each in recipe.budgets]
    for artefact in artefacts:
        for budget, outputs, most in limits:
            if any(_is_of(artefact, output) for output in outputs):
                yield from _over(budget, most, artefact)


def _over(budget: Budget, most: int | None, artefact: Measured) -> Iterator[BudgetBroken]:
    path, name = shown(artefact.path), artefact.name
    if most is not None and artefact.bytes > most:
        yield BudgetBroken(path=path, output=budget.output, file=name, bytes=artefact.bytes, bytes_allowed=most)
    similarity = artefact.similarity
    if budget.similarity is not None and similarity is not None and similarity < budget.similarity:
        yield BudgetBroken(
            path=path, output=budget.output, file=name, similarity=round(similarity, 4),
            similarity_required=budget.similarity,
        )  # fmt: skip


def _is_of(artefact: Measured, output: Output) -> bool:
    return artefact.role in output.roles and any(file.matches(artefact.name) for file in output.files())
