"""A million sources against ten thousand: does time grow no faster than their number, and memory hardly at all?

    python benchmarks/large_trees.py --work FOLDER       # FOLDER keeps the trees; that of a million takes 9 GB
    python benchmarks/large_trees.py --sources 10000 100000

Trees are made by benchmarks/grown.py, of hard links of a thousand sources and their outputs. *per source* is the CPU
time that a source takes in the larger tree by that of one in the smaller: 1 is linear. *peak MiB* is the largest
process.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

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

CALL = [
    sys.executable,
    "-P",
    "-c",
    "import sys; from benchmarks import large_trees as l; getattr(l, sys.argv[1])(*sys.argv[2:])",
]


def take_in(source: str, out: str) -> None:
    """Scan, plan and enter everything into a new journal, as a run does; no worker is started."""
    from io import BytesIO

    from mediactl.assets.check import OutputCheck
    from mediactl.core.settings import Settings
    from mediactl.jobs.journal import Journal
    from mediactl.pipeline.intake.batches import Intake
    from mediactl.pipeline.planner import Planner
    from mediactl.pipeline.run import found_sources
    from mediactl.recipe import loader

    os.makedirs(out)
    settings = Settings(sources=(os.fsencode(source),), out=os.fsencode(out), state=out)
    check = OutputCheck(settings.out)
    with Journal.open(out, clock=time.time, random=random.random, version="benchmark") as journal:
        planner = Planner(settings, loader.load("web"), {}, journal)
        intake = Intake(settings, journal, planner, found_sources(settings, BytesIO), check, lambda _: None)
        while intake.step():
            pass
        print(intake.reasons.total())
    check.close()


def watch_start(tree: str, out: str) -> None:
    """Run watch mode until it has surveyed the tree, then stop it."""
    command = [*MEDIACTL, "watch", tree, "--out", out, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        for line in watch.stdout:
            if line.startswith(b'{"event":"plan"'):
                watch.send_signal(signal.SIGTERM)
        if watch.wait():
            sys.exit(watch.returncode)


class Tree:
    """A tree whose sources are all done, and what is measured of it."""

    def __init__(self, work: Path, count: int) -> None:
        self.work = work
        self.count = count
        work.mkdir(parents=True, exist_ok=True)
        grown.grow(work, count, links=True)
        self.list = work / "list.txt"
        if not self.list.exists():
            folders = sorted(os.listdir(work / "tree"))
            names = (
                f"tree/{folder}/{name}\n" for folder in folders for name in sorted(os.listdir(work / "tree" / folder))
            )
            with self.list.open("w") as lines:
                lines.writelines(names)

    def done(self, *arguments: str) -> Cost:
        """Run a command on what is done."""
        return run([*MEDIACTL, *arguments], env=grown.environment(self.work))

    def new(self, command: list[str], source: Path, *options: str, expected: str = "") -> Cost:
        """Run a command that ends with a source and a new output directory."""
        out = Path(tempfile.mkdtemp(prefix="new-", dir=self.work))
        try:
            cost = run([*command, str(source), *options, str(out / "out")], env=grown.environment(self.work))
        finally:
            shutil.rmtree(out)
        if expected not in cost.stdout:
            raise ContenderError(f"it printed {cost.stdout[-80:]!r}, not {expected!r}")
        return cost

    def measures(self) -> dict[str, Callable[[], Cost]]:
        """What is measured, by its name."""
        tree, places = self.work / "tree", grown.places(self.work)
        out = ["-o", str(self.work / "out")]
        every = f"{self.count:,}"
        return {
            "process, nothing to do": partial(self.done, "process", *places, "--quiet"),
            "dry run, nothing to do": partial(self.done, "process", *places, "--dry-run"),
            "dry run, all new": partial(
                self.new, [*MEDIACTL, "process"], tree, "--dry-run", "--out", expected=f"would process {every}"
            ),
            "scan, plan and journal, all new": partial(self.new, [*CALL, "take_in"], tree, expected=str(self.count)),
            "the same from a manifest": partial(self.new, [*CALL, "take_in"], self.list, expected=str(self.count)),
            "watch, until all is surveyed": lambda: run(
                [*CALL, "watch_start", str(tree), str(self.work / "out")], env=grown.environment(self.work)
            ),
            "status": partial(self.done, "status", *out),
            "jobs --limit 10": partial(self.done, "jobs", "--limit", "10", *out),
            "prune, nothing deleted": partial(self.done, "prune", *out),
        }


def main() -> None:
    """Prepare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, nargs=2, default=[10_000, 1_000_000], help="default: 10000 1000000")
    parser.add_argument("--rounds", type=int, default=1, help="how many rounds (default: 1)")
    parser.add_argument("--only", action="append", metavar="TEXT", help="only what has this in its name")
    parser.add_argument("--work", type=Path, help="folder to keep the trees in (default: a temporary one)")
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        work = (options.work or Path(name)).resolve()
        small, large = (Tree(work / str(count), count) for count in options.sources)
        rows = []
        for what, measure in large.measures().items():
            if options.only and not any(text in what for text in options.only):
                continue
            turns = {"small": small.measures()[what], "mediactl": measure}
            results, missing = take_turns(turns, options.rounds)
            if missing:
                print(what + absences(missing))
                continue
            seconds, cpu, peaks = (
                {key: middle([getattr(cost, field) for cost in costs]) for key, costs in results.items()}
                for field in ("seconds", "cpu", "peak_mib")
            )
            scale = large.count / small.count
            row = [f"{each[key]:.2f}" for key in turns for each in (seconds, cpu)]
            row.append(ratio(cpu["mediactl"], cpu["small"] * scale))
            rows.append([what, *row, *(f"{peaks[key]:.0f}" for key in turns)])
            scaled = [cost._replace(seconds=cost.seconds * scale, cpu=cost.cpu * scale) for cost in results["small"]]
            compared = {"mediactl": results["mediactl"], f"{small.count:,} sources, {scale:.0f} times": scaled}
            keep(options.json, f"{large.count:,} sources: {what}", compared, {})
        head = [
            f"{small.count:,} and {large.count:,}",
            "s",
            "CPU s",
            "s",
            "CPU s",
            "per source",
            "peak MiB",
            "peak MiB",
        ]
        print(table(head, rows))


if __name__ == "__main__":
    main()
