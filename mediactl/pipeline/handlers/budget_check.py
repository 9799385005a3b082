"""Which artefacts in OUT are over budget: of each source as it is settled, and of all at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap

from mediactl.jobs.journal import Journal
from mediactl.model.events import BudgetBroken
from mediactl.pipeline.planner import Planner
from mediactl.planning import budgets


class BudgetCheck:
    """Checks artefacts by the recipes of a run; each that is over a budget is reported once."""

    def __init__(self, journal: Journal, planner: Planner) -> None:
        self._journal = journal
        self._planner = planner
        self._reported: set[BudgetBroken] = set()
        self.broken = 0
        """Number of artefacts that were over budget when ``everything`` was called."""

    def settled(self, source: int) -> Iterator[BudgetBroken]:
        """Yield an event for each artefact of a done source that is over budget and was not reported yet."""
        return filter(self._is_new, self._over(source))

    def everything(self) -> Iterator[BudgetBroken]:
        """Yield an event for each artefact in OUT that is over budget and was not reported yet; count all that are."""
        self.broken = 0
        for event in self._over(None):
            self.broken += 1
            if self._is_new(event):
                yield event

    def _over(self, source: int | None) -> Iterator[BudgetBroken]:
        for recipe in self._planner.recipes:
            if recipe.budgets:
                made = self._journal.sources.measured_artefacts(self._planner.plans(recipe), source)
                yield from budgets.broken(recipe, starmap(budgets.Measured, made))

    def _is_new(self, event: BudgetBroken) -> bool:
        known = event in self._reported
        self._reported.add(event)
        return not known
