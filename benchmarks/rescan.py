"""A run with nothing to do, over 100,000 sources: mediactl against ``rclone sync`` with nothing to copy.

Each program runs in turn and finds that all is done: rclone compares the tree with an equal copy by size and time,
mediactl compares it with its journal and looks whether the outputs are there. Medians are printed. The tree is made by
benchmarks/grown.py; ``--work FOLDER`` keeps it for the next time.

  rclone  Debian and Ubuntu: apt install rclone
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import grown
from benchmarks.measure import (
    MEDIACTL,
    ContenderError,
    Cost,
    absences,
    json_option,
    keep,
    middle,
    ratio,
    run,
    stop_tidily,
    table,
    take_turns,
)


class Result(NamedTuple):
    """One contender's one round; jobs is what mediactl says that it ran."""

    cost: Cost
    jobs: str


def summary(stdout: str) -> dict[str, Any]:
    """The last event of a --json run."""
    lines = stdout.strip().splitlines()
    try:
        last = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise ContenderError("it printed no summary") from None
    return last if isinstance(last, dict) else {}


def mediactl(work: Path) -> Result:
    """mediactl over the tree, as it stands. Raises ContenderError if it had anything to do."""
    cost = run([*MEDIACTL, "process", *grown.places(work), "--json"], env=grown.environment(work))
    jobs = str(summary(cost.stdout).get("jobs", "?"))
    if jobs != "0":
        raise ContenderError(f"it ran {jobs} jobs")
    return Result(cost, jobs)


def rclone(work: Path) -> Result:
    """rclone sync from the tree to its copy."""
    words = ["rclone", "sync", str(work / "tree"), str(work / "mirror"), "--config", "/dev/null"]
    return Result(run(words), "-")


def prepare(work: Path, count: int) -> None:
    """Make tree, outputs and the tree's copy, unless an earlier run did."""
    grown.grow(work, count)
    if not (work / "mirror").exists():
        shutil.copytree(work / "tree", work / "mirror")
    mediactl(work)  # and let the kernel know the files


def report(count: int, results: dict[str, list[Result]], missing: dict[str, str]) -> str:
    """The table; ratios are of time to rclone's."""
    times = {name: middle([result.cost.seconds for result in rounds]) for name, rounds in results.items()}
    rows = []
    for name, rounds in results.items():
        cpu = middle([result.cost.cpu for result in rounds])
        peak = middle([result.cost.peak_mib for result in rounds])
        rate = f"{count / times[name]:.0f}"
        row = [name, f"{times[name]:.2f}", rate, f"{cpu:.2f}", f"{peak:.0f}", rounds[-1].jobs]
        rows.append([*row, ratio(times[name], times.get("rclone sync"))])
    head = ["", "seconds", "sources/s", "CPU s", "peak MiB", "jobs run", "x rclone"]
    return table(head, rows) + absences(missing)


def main() -> None:
    """Prepare once, then measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=100_000, help="how many sources, in thousands (default: 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default: 5)")
    parser.add_argument("--work", type=Path, help="folder to keep tree and outputs in (default: a temporary one)")
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()
    contenders: dict[str, Callable[[], Result]] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        work = (options.work or Path(name)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        prepare(work, options.sources)
        contenders["mediactl"] = partial(mediactl, work)
        if shutil.which("rclone"):
            contenders["rclone sync"] = partial(rclone, work)
        else:
            missing["rclone sync"] = "not on the PATH; Debian: rclone"
        results, failures = take_turns(contenders, options.rounds)
        print(f"{options.sources} sources, nothing to do, medians of {options.rounds} rounds\n")
        print(report(options.sources, results, {**missing, **failures}))
        costs = {name: [result.cost for result in rounds] for name, rounds in results.items()}
        keep(options.json, f"{options.sources:,} sources, nothing to do", costs, {**missing, **failures})


if __name__ == "__main__":
    main()
