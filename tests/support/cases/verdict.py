"""Hold what was measured against what is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from support.cases.checks.ended import Finding, finding
from support.cases.outcomes import Outcome
from support.cases.rows.base import Case
from support.cases.table import HEAVY


def of(case: Case, found: dict[str, Outcome], light: bool = False) -> Iterator[tuple[str, Finding]]:
    """Yield each file of a case with what was found; ``light``: without the heavy ones."""
    for path, checks in case.files.items():
        if light and path.startswith(HEAVY):
            continue
        outcome = found.get(path) or Outcome(path, Path("/nowhere"), found)
        yield path, finding(outcome, checks)
        outcome.forget()
