"""Probing each file of a directory, in this checkout and in another one: did a change make it slower?

    python benchmarks/probe.py --before OTHER DIR        # OTHER: a checkout with its own .venv

Both probe every file (digest and MediaInfo, no cache) in turns, a process for each round. Of each file the medians are
compared; the ratio of their sums, and the files that got slower most, are printed. Ratios above 1 mean that this
checkout is slower. CPU time is of all threads.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import ROOT, middle, ratio, run, stop_tidily, table, take_turns

PROBE = """
import json, os, sys, time
import msgspec
from mediactl.core.errors import MediactlError
from mediactl.core.files import fingerprint
from mediactl.media import probe
from mediactl.model.jobs import ProbeTask
from mediactl.sources import sniff

def task(path):
    kind = sniff.sniff(sniff.head(path), os.path.basename(path))
    if kind is None:
        return None
    folder, name = os.path.split(path)
    mark = msgspec.to_builtins(fingerprint(os.stat(path)))
    source = dict(root=folder, path=name, place=b"x", fingerprint=mark, kind=kind[0].value, format=kind[1])
    return msgspec.convert({"source": source, "limits": {}}, ProbeTask, builtin_types=(bytes,))

def timed(one):
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        probe.probe(one)
    except MediactlError:
        return None
    return time.perf_counter() - wall, time.process_time() - cpu

files = [os.path.join(top, name) for top, _, names in os.walk(os.fsencode(sys.argv[1])) for name in names]
found = {os.fsdecode(each): task(each) for each in sorted(files)}
found = {name: one for name, one in found.items() if one}
for one in found.values():
    timed(one)  # libraries are loaded, files are in the page cache
measured = {name: min(filter(None, (timed(one) for _ in range(int(sys.argv[2])))), default=None)
            for name, one in found.items()}
with open(sys.argv[3], "w") as file:
    json.dump({name: value for name, value in measured.items() if value}, file)
"""
Times = dict[str, tuple[float, float]]
"""File -> seconds of wall and of CPU time."""


def probed(checkout: Path, directory: Path, times: int) -> Times:
    """Return the best of so many probes of each file that is not rejected, in one process of a checkout."""
    python = str(checkout / ".venv/bin/python")
    with tempfile.NamedTemporaryFile("r") as file:
        command = [python, "-P", "-c", PROBE, str(directory), str(times), file.name]
        run(command, env={"PYTHONPATH": str(checkout)})
        measured: Times = json.load(file)
    return measured


def medians(rounds: list[Times], column: int) -> dict[str, float]:
    """Return the median of each file that was probed in every round."""
    names = set.intersection(*(set(each) for each in rounds))
    return {name: middle([each[name][column] for each in rounds]) for name in sorted(names)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=3, help="probes of a file in a round, of which the best counts")
    parser.add_argument("--worst", type=int, default=10, help="files to list")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    stop_tidily()
    checkouts = {"before": arguments.before.resolve(), "now": ROOT}
    results, failures = take_turns(
        {
            name: partial(probed, root, arguments.directory.resolve(), arguments.times)
            for name, root in checkouts.items()
        },
        arguments.rounds,
    )
    if failures:
        raise SystemExit("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
    for column, title in enumerate(("wall", "cpu")):
        before, now = medians(results["before"], column), medians(results["now"], column)
        both = sorted(before.keys() & now.keys(), key=lambda name: now[name] / before[name], reverse=True)
        sums = sum(before[name] for name in both), sum(now[name] for name in both)
        print(f"{title}: {len(both)} files, {sums[0] * 1e3:.1f} ms before, {sums[1] * 1e3:.1f} ms now,", end=" ")
        print(f"ratio of sums {ratio(sums[1], sums[0])}, median ratio {middle([now[n] / before[n] for n in both]):.3f}")
        rows = [
            [
                name.rpartition("/")[2],
                f"{before[name] * 1e3:.2f}",
                f"{now[name] * 1e3:.2f}",
                ratio(now[name], before[name]),
            ]
            for name in both[: arguments.worst]
        ]
        print(table(["slower most (ms)", "before", "now", "ratio"], rows))


if __name__ == "__main__":
    main()
