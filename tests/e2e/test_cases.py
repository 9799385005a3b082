"""The inputs made after public bug reports: what is right of each, measured from the outputs of a few shared runs.

The light form leaves out files that take long, and outputs in which no other fault shows; ``-m sweep`` runs them all.
``python benchmarks/cases.py`` prints the table.
"""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path

import pytest
from conftest import CASES
from support.cases import made, outcomes, table, verdict
from support.cases.rows.base import Case

LIGHT = [case for case in table.CASES if any(not path.startswith(table.HEAVY) for path in case.files)]
GROUP = {case.number: name for name, group in table.GROUPS.items() for case in group}
COMMAND = [sys.executable, "-P", "-c", "from mediactl.cli import main; main()"]

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")


def _run(folder: Path, group: str, light: bool) -> dict[str, outcomes.Outcome]:
    """Process the files of a group, once for all test workers: the first does it, and the others read its events."""
    work = folder / f"cases-{group}-{'light' if light else 'full'}"
    work.mkdir(exist_ok=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (work / "complete").exists():
            made.plant(work / "sources", CASES, table.needed(table.GROUPS[group], light))
            (work / "complete").touch()  # a run that fails is not repeated for each case
            outcomes.process(COMMAND, work / "sources", work, outcomes.LIGHT if light else outcomes.FULL, "-j2")
    return outcomes.outcomes((work / "events.jsonl").read_text(), work / "out")


def _shared(factory: pytest.TempPathFactory, worker: str) -> Path:
    base = factory.getbasetemp()
    return base if worker == "master" else base.parent


def _check(case: Case, found: dict[str, outcomes.Outcome], light: bool) -> None:
    wrong = {path: result.text for path, result in verdict.of(case, found, light) if not result.ok}
    assert not wrong, f"right: {case.right}\n" + "\n".join(f"{path}: {text}" for path, text in wrong.items())


@pytest.mark.long
@pytest.mark.parametrize("case", LIGHT, ids=lambda case: f"{case.number} {case.about}")
def test_the_outputs_of_a_case_are_right(case: Case, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    folder = _shared(tmp_path_factory, worker_id)
    _check(case, _run(folder, GROUP[case.number], light=True), light=True)


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", table.CASES, ids=lambda case: f"{case.number} {case.about}")
def test_all_outputs_of_a_case_are_right(case: Case, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    folder = _shared(tmp_path_factory, worker_id)
    _check(case, _run(folder, GROUP[case.number], light=False), light=False)


def test_every_test_that_the_table_names_exists() -> None:
    tests = Path(__file__).parents[1]
    named = [name for each in table.ELSEWHERE for name in each.tests]
    assert [name for name in named if not (tests.parent / name).is_file()] == []
