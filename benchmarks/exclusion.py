"""Files that are left out against the scan of a tree alone: 100,000 of them should cost no more than that.

    python benchmarks/exclusion.py

Each way of leaving all of them out is measured in turn with the others: by name (default rules), by patterns of
--exclude, by a .mediactlignore at the top, and as whole directories. ``scandir`` is what any scan does: entries with
their stat, in folders of 1,000.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import (
    Cost,
    absences,
    json_option,
    keep,
    middle,
    ratio,
    stop_tidily,
    table,
    take_turns,
)
from mediactl.sources import scan
from mediactl.sources.filters import Filter

FOLDER = 1_000
"""Files in one directory."""
PATTERNS = (b"*.jpg", b"!keep-*.jpg", b"/raw/**", b"[0-9]*.png")


def plant(top: Path, files: int, suffix: str) -> Path:
    """Make a tree of empty files."""
    for number in range(files):
        folder = top / f"d{number // FOLDER:04}"
        if number % FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}{suffix}").touch()
    return top


def bare(top: Path) -> float:
    """Return the CPU seconds of listing a tree with the stat of each file."""
    began = time.process_time()
    folders = [os.fsencode(top)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
    return time.process_time() - began


def walked(top: Path, rules: Filter, found: int) -> float:
    """Return the CPU seconds of a scan that finds so many files."""
    began = time.process_time()
    batches = scan.folder(os.fsencode(top), prefix=b"", never=frozenset(), follow=False, rules=rules)
    files = sum(len(each.files) for each in batches if isinstance(each, scan.Batch))
    spent = time.process_time() - began
    if files != found:
        raise RuntimeError(f"{files} files were found, not {found}")
    return spent


def main() -> None:
    """Prepare, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000, help="files in the tree (default: 100000)")
    parser.add_argument("--rounds", type=int, default=7, help="how many rounds (default: 7)")
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        tree = plant(Path(name) / "photos", options.files, ".jpg")
        unfinished = plant(Path(name) / "unfinished", options.files, ".jpg.part")
        ignoring = plant(Path(name) / "ignoring", options.files, ".jpg")
        (ignoring / ".mediactlignore").write_bytes(b"\n".join(PATTERNS))
        ways: dict[str, Callable[[], float]] = {
            "scandir and stat alone": partial(bare, tree),
            "scan, all taken": partial(walked, tree, Filter.of(), options.files),
            "all left out by default": partial(walked, unfinished, Filter.of(), 0),
            "all left out by 4 of --exclude": partial(walked, tree, Filter.of(exclude=PATTERNS), 0),
            "all left out by 4 in .mediactlignore": partial(walked, ignoring, Filter.of(), 0),
            "all left out by --include": partial(walked, tree, Filter.of(include=[b"*.png"]), 0),
            "all left out as directories": partial(walked, tree, Filter.of(exclude=[b"d*/"]), 0),
        }
        results, missing = take_turns(ways, options.rounds)
        if missing:
            print(absences(missing))
        seconds = {way: middle(each) for way, each in results.items()}
        taken = seconds["scan, all taken"]
        rows = [[way, f"{each:.3f}", ratio(each, taken)] for way, each in seconds.items()]
        print(table([f"{options.files:,} files", "CPU s", "x of a scan"], rows))
        names = {"scan, all taken": "mediactl", "scandir and stat alone": "os.scandir"}
        costs = {name: [Cost(each, 0.0, 0.0, "") for each in results[way]] for way, name in names.items()}
        keep(options.json, f"scan of {options.files:,} files, CPU", costs, missing)


if __name__ == "__main__":
    main()
