"""What is right of the inputs made after public bug reports, and what this checkout, or another one, makes of them.

    python benchmarks/cases.py [--cases DIR] [--mediactl OTHER/.venv/bin/mediactl] [--only 25 --only E1] [--work DIR]

Processes the cases with a recipe that makes every kind of output, measures the outputs with PyAV, numpy and Pillow, and
prints a Markdown table: case, right value, measured value, verdict. Exit code 1 when anything is not right.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module
sys.path.insert(1, sys.path[0] + "/tests")

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from support.cases import made, outcomes, table, verdict
from support.cases.rows.base import Case

from benchmarks.measure import MEDIACTL, ROOT


def main() -> None:
    """Run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = os.environ.get("MEDIACTL_CASES", ROOT.parent / "shared" / "cases")
    parser.add_argument("--cases", type=Path, default=Path(given), help="folder of cases (default: MEDIACTL_CASES)")
    parser.add_argument("--mediactl", help="mediactl of another checkout")
    parser.add_argument("--only", action="append", help="number of a case; again for more")
    parser.add_argument("--work", type=Path, help="keep sources and outputs here")
    parser.add_argument("--failed", action="store_true", help="print only what is not right")
    parser.add_argument("--light", action="store_true", help="fewer outputs, as in the tests")
    arguments = parser.parse_args()
    wanted = [case for case in table.CASES if not arguments.only or case.number in arguments.only]
    with tempfile.TemporaryDirectory(prefix="mediactl-cases-") as temporary:
        work = arguments.work or Path(temporary)
        made.plant(work / "sources", arguments.cases, table.needed(wanted, arguments.light))
        command = [arguments.mediactl] if arguments.mediactl else MEDIACTL
        recipe = outcomes.LIGHT if arguments.light else outcomes.FULL
        found = outcomes.process(command, work / "sources", work, recipe, "-j2")
        sys.exit(report(wanted, found, arguments))


def report(wanted: Sequence[Case], found: dict[str, outcomes.Outcome], options: argparse.Namespace) -> int:
    """Print the table; 1 if anything is not right."""
    print("| case | right | measured | verdict |\n|---|---|---|---|")
    bad = 0
    for case in wanted:
        results = dict(verdict.of(case, found, options.light))
        ok = all(result.ok for result in results.values())
        bad += not ok
        lines = [f"{path.rpartition('/')[2]}: {result.text}" for path, result in results.items()]
        if not (options.failed and ok):
            text = "<br>".join(lines).replace("|", "/") or "left out of the light form"
            print(f"| {case.number} {case.about} | {case.right} | {text} | {'right' if ok else 'WRONG'} |", flush=True)
    if not options.failed:
        for each in table.ELSEWHERE:
            print(f"| {each.number} {each.about} | {each.right} | {', '.join(each.tests)} | by its tests |")
    print(f"\n{len(wanted) - bad} of {len(wanted)} right")
    return int(bad > 0)


if __name__ == "__main__":
    main()
