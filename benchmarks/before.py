"""This checkout against another one, on the same work in turns: did a change make anything slower?

    python benchmarks/before.py --before OTHER        # OTHER: a checkout with its own .venv

start: ``--version``, and ``process`` where nothing is to be done. queue: empty jobs through journal and pool (in
benchmarks/mediactl_queue.py of each checkout). images: photos to JPEG and WebP. rescan: a large tree, nothing to do.
Medians of wall and CPU time of all processes; ratios above 1 mean that this checkout is slower.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import grown
from benchmarks.measure import ROOT, Cost, absences, middle, ratio, run, stop_tidily, table, take_turns

QUEUE = "import json; from benchmarks.mediactl_queue import measure; print(json.dumps(measure({jobs}, 2, 1)))"
RECIPE = """name = "bench"
[[image]]
name = "w320"
format = "jpeg"
width = 320
[[image]]
name = "w800"
format = "webp"
width = 800
"""
TILES = 20
"""Runs of a command that takes milliseconds are measured together, so many at a time."""


class Checkout:
    """One checkout with its environment, and what it works on."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root.resolve()
        self.work = work
        self._python = str(self.root / ".venv/bin/python")
        self._program = [self._python, "-P", "-c", "from mediactl.cli import main; main()"]
        self._environment = {"PYTHONPATH": str(self.root), "MEDIACTL_CACHE": str(work / "cache")}

    def python(self, code: str, *arguments: str) -> Cost:
        """Run a program of this checkout."""
        return run([self._python, "-P", "-c", code, *arguments], env=self._environment, good=(0, 1))

    def mediactl(self, *arguments: str) -> Cost:
        """Run its mediactl."""
        return self.python("from mediactl.cli import main; main()", *arguments)

    def many(self, *arguments: str) -> Cost:
        """Run its mediactl several times."""
        costs = [self.mediactl(*arguments) for _ in range(TILES)]
        return Cost(sum(c.seconds for c in costs), sum(c.cpu for c in costs), costs[0].peak_mib, "")

    def queue(self, jobs: int) -> Cost:
        """Drain a queue of empty jobs; the seconds are those of draining alone."""
        cost = self.python(QUEUE.format(jobs=jobs))
        measured = json.loads(cost.stdout.splitlines()[-1])
        return cost._replace(seconds=jobs / measured["rate"])

    def fresh(self, source: Path) -> Cost:
        """Process photos into a new directory."""
        with tempfile.TemporaryDirectory(dir=self.work) as out:
            environment = {"MEDIACTL_CACHE": str(Path(out) / "cache")}
            command = [*self._program, "process", str(source)]
            command += ["--recipe", str(self.work / "bench.toml"), "--out", str(Path(out) / "out"), "--json"]
            return run(command, env={**self._environment, **environment}, good=(0, 1))

    def grow(self, count: int) -> None:
        """Make a tree of which all is done."""
        place = self.work / "large"
        place.mkdir()
        grown.grow(place, count, program=self._program, variables=self._environment)

    def rescan(self) -> Cost:
        """Process that tree."""
        return self.mediactl("process", *grown.places(self.work / "large"), "--json")


def main() -> None:
    """Prepare, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="the other checkout, with its .venv")
    parser.add_argument("--photos", type=Path, help="directory of photos (default: photos/ of MEDIACTL_CORPUS)")
    parser.add_argument(
        "--sources", type=int, default=30_000, help="sources of the rescan, in thousands (default: 30000)"
    )
    parser.add_argument("--jobs", type=int, default=20_000, help="empty jobs a round (default: 20000)")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default: 5)")
    options = parser.parse_args()
    corpus = Path(os.environ.get("MEDIACTL_CORPUS", ROOT.parent / "shared" / "media"))
    photos = (options.photos or corpus / "photos").resolve()
    stop_tidily()
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        top = Path(name)
        both = {}
        for label, root in (("before", options.before), ("now", ROOT)):
            (top / label).mkdir()
            (top / label / "bench.toml").write_text(RECIPE)
            both[label] = Checkout(root, top / label)
            both[label].grow(options.sources)
            both[label].mediactl("process", str(photos), "--out", str(top / label / "small"), "--recipe", "thumbnails")
        works: dict[str, Callable[[Checkout], Cost]] = {
            f"--version, {TILES} times": lambda each: each.many("--version"),
            f"process, nothing to do, {TILES} times": lambda each: each.many(
                "process", str(photos), "--out", str(each.work / "small"), "--recipe", "thumbnails"
            ),
            f"queue, {options.jobs} empty jobs": lambda each: each.queue(options.jobs),
            "images, photos": lambda each: each.fresh(photos),
            f"rescan, {options.sources} sources": lambda each: each.rescan(),
        }
        for work, measure in works.items():
            results, missing = take_turns(
                {label: partial(measure, each) for label, each in both.items()}, options.rounds
            )
            if missing:
                print(work + absences(missing))
                continue
            seconds = {label: middle([cost.seconds for cost in costs]) for label, costs in results.items()}
            cpu = {label: middle([cost.cpu for cost in costs]) for label, costs in results.items()}
            row = [
                work, f"{seconds['before']:.3f}", f"{seconds['now']:.3f}", ratio(seconds["now"], seconds["before"]),
                f"{cpu['before']:.2f}", f"{cpu['now']:.2f}", ratio(cpu["now"], cpu["before"]),
            ]  # fmt: skip
            print(table(["", "s before", "s now", "x", "CPU s before", "CPU s now", "x"], [row]), "\n", flush=True)


if __name__ == "__main__":
    main()
