"""A second run with nothing to do, over 100,000 sources: mediactl against ``rclone sync`` with nothing to copy.

The first time, mediactl makes every output (minutes; ``--work FOLDER`` keeps tree and outputs for the next time).
Then each program runs in turn and finds that all is done: rclone compares the tree with an equal copy by size and
time, mediactl compares it with its journal and looks whether the outputs are there. Medians are printed.

  rclone  Debian and Ubuntu: apt install rclone
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import json
import random
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import (
    MEDIACTL,
    ContenderError,
    Cost,
    absences,
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


def png(pixels: bytes) -> bytes:
    """An 8 x 8 RGB picture; 192 bytes of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[row * 24 : row * 24 + 24] for row in range(8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def plant(tree: Path, count: int) -> None:
    """Write `count` different pictures, a thousand to a folder."""
    dice = random.Random(20)
    for number in range(count):
        folder = tree / f"{number // 1000:03d}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number % 1000:04d}.png").write_bytes(png(dice.randbytes(192)))


def summary(stdout: str) -> dict[str, Any]:
    """The last event of a --json run."""
    lines = stdout.strip().splitlines()
    try:
        last = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise ContenderError("it printed no summary") from None
    return last if isinstance(last, dict) else {}


def mediactl(work: Path) -> Result:
    """mediactl over the tree, as it stands."""
    words = [*MEDIACTL, "process", str(work / "tree"), "--out", str(work / "out"), "--json"]
    cost = run(words, env={"XDG_CACHE_HOME": str(work / "cache")})
    return Result(cost, str(summary(cost.stdout).get("jobs", "?")))


def rclone(work: Path) -> Result:
    """rclone sync from the tree to its copy."""
    words = ["rclone", "sync", str(work / "tree"), str(work / "mirror"), "--config", "/dev/null"]
    return Result(run(words), "-")


def prepare(work: Path, count: int) -> str:
    """Make tree, copy and outputs unless an earlier run left them complete; returns what is wrong, if anything."""
    made = work / "made"
    if not (made.exists() and made.read_text() == str(count)):
        if any(work.iterdir()):
            sys.exit(f"{work} holds something else, or a tree of another size: name an empty folder with --work.")
        print(f"writing {count} pictures ...", file=sys.stderr, flush=True)
        plant(work / "tree", count)
        shutil.copytree(work / "tree", work / "mirror")
        made.write_text(str(count))
    print("making sure that mediactl's outputs are complete ...", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        jobs = mediactl(work).jobs
    except ContenderError as problem:
        return str(problem)
    if jobs != "0":
        seconds = time.perf_counter() - start
        print(f"first run: {jobs} jobs in {seconds:.1f} s, {count / seconds:.0f} sources/s", flush=True)
    return ""


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
    parser.add_argument("--sources", type=int, default=100_000, help="how many sources (default: 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default: 5)")
    parser.add_argument("--work", type=Path, help="folder to keep tree and outputs in (default: a temporary one)")
    options = parser.parse_args()
    stop_tidily()
    contenders: dict[str, Callable[[], Result]] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        work = (options.work or Path(name)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        problem = prepare(work, options.sources)
        if problem:
            missing["mediactl"] = problem
        else:
            contenders["mediactl"] = partial(mediactl, work)
        if shutil.which("rclone"):
            contenders["rclone sync"] = partial(rclone, work)
        else:
            missing["rclone sync"] = "not on the PATH; Debian: rclone"
        results, failures = take_turns(contenders, options.rounds)
        print(f"{options.sources} sources, nothing to do, medians of {options.rounds} rounds\n")
        print(report(options.sources, results, {**missing, **failures}))


if __name__ == "__main__":
    main()
