"""benchmarks/all.py: figures against the baseline, and docs/performance.md from it."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import pytest
from conftest import ROOT


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, which changes sys.path."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    return importlib.import_module("benchmarks.all")


def line(seconds: float, cpu: float) -> dict[str, Any]:
    """What a script keeps of a comparison."""
    return {
        "name": "work",
        "figures": {"mediactl": {"seconds": seconds, "cpu": cpu}, "peer": {"seconds": 2.0, "cpu": 4.0}},
        "missing": {"other": "not installed"},
    }


@pytest.mark.parametrize(
    ("seconds", "cpu", "regressions"),
    [(1.0, 4.0, 0), (0.5, 1.0, 0), (1.2, 4.5, 0), (1.3, 4.0, 1), (1.0, 4.7, 1), (1.3, 4.7, 2)],
)
def test_a_ratio_beyond_its_tolerance_is_a_regression(
    comparisons: Any, seconds: float, cpu: float, regressions: int
) -> None:
    (skipped, before), (_, now) = (
        list(comparisons.figures_in("command", each)) for each in (line(1.0, 4.0), line(seconds, cpu))
    )
    assert skipped == comparisons.Skipped("work, other", "not installed")
    about = {"machine": "m", "date": "d", "commit": "c"}
    baseline = comparisons.merged({"figures": [], "skipped": []}, [before], [skipped], about)
    assert len(list(comparisons.regressions([now], baseline))) == regressions
    assert not list(comparisons.regressions([now], {"figures": []}))


def test_figures_take_the_place_of_earlier_ones(comparisons: Any) -> None:
    _, before = comparisons.figures_in("command", line(1.0, 4.0))
    _, now = comparisons.figures_in("command", line(1.5, 4.0))
    about = {"machine": "m", "date": "d", "commit": "c"}
    kept = before._replace(name="kept")
    baseline = comparisons.merged({"figures": [], "skipped": [["work, peer", "was away"]]}, [kept, before], [], about)
    baseline = comparisons.merged(baseline, [now], [], about)
    assert [(each["name"], each["ratio"]) for each in baseline["figures"]] == [("kept", 0.5), ("work", 0.75)]
    assert baseline["skipped"] == []


def test_the_table_in_docs_is_generated_from_the_baseline(comparisons: Any) -> None:
    baseline = json.loads(comparisons.BASELINE.read_text())
    assert comparisons.DOCUMENT.read_text() == comparisons.document(baseline)
