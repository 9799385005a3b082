"""What another checkout makes of every file of a corpus, and what this one does: states, reasons, time of probing.

    python benchmarks/media_before.py --before OTHER ../shared/media/videos ../shared/media/hostile

Both process the same directories. Printed are the files whose state, reason or warnings differ, and the CPU time of
probing each file: the least of several rounds, in turns, of both checkouts. Exit code 1 when a file that the other
checkout did is not done now.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import json
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import IO, NamedTuple

from benchmarks.measure import ROOT, table

PROBER = """
import json, os, resource, sys
from mediactl.media.image import render
from mediactl.media.inspect import streams
from mediactl.model.media import Kind, Limits
from mediactl.sources import sniff

def used():
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)

for line in sys.stdin:
    path = os.fsencode(json.loads(line))
    begun = used()
    found = sniff.sniff(sniff.head(path), os.path.basename(path))
    if found and found[1] != "unknown":
        fd = os.open(path, os.O_RDONLY)
        try:
            (render if found[0] is Kind.IMAGE else streams).probe(fd, found[1], Limits())
        except Exception:
            pass
        finally:
            os.close(fd)
    print(used() - begun, flush=True)
"""
SMALL = 0.02
"""Seconds of CPU below which a ratio says nothing: a probe has ticks of a millisecond, and noise of several."""


class Outcome(NamedTuple):
    """How a source ended."""

    state: str
    reason: str
    """Of one that was not done."""
    warnings: tuple[str, ...]


class Prober:
    """A process of a checkout that probes one file after the other."""

    def __init__(self, root: Path) -> None:
        self._child = subprocess.Popen(
            [str(root / ".venv/bin/python"), "-P", "-c", PROBER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def probe(self, file: Path) -> float:
        """Return the seconds of CPU that one file takes, ffmpeg included."""
        print(json.dumps(str(file)), file=_pipe(self._child.stdin), flush=True)
        return float(_pipe(self._child.stdout).readline())

    def close(self) -> None:
        """End it."""
        _pipe(self._child.stdin).close()
        self._child.wait()


def _pipe(given: IO[str] | None) -> IO[str]:
    assert given is not None
    return given


def main() -> None:
    """Run both, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="the other checkout, with its .venv")
    parser.add_argument("--now", type=Path, default=ROOT, help="this one (default: where the script lies)")
    parser.add_argument("--recipe", default="web", help="name or file")
    parser.add_argument("--rounds", type=int, default=5, help="probes of each file (0: none)")
    parser.add_argument("sources", nargs="+", type=Path)
    options = parser.parse_args()
    lost = 0
    for source in options.sources:
        print(f"\n## {source.name}\n")
        before, now = (outcomes(root, source, options.recipe) for root in (options.before, options.now))
        lost += compare(before, now)
        if options.rounds:
            probes(options.before, options.now, sorted(f for f in source.rglob("*") if f.is_file()), options.rounds)
    sys.exit(1 if lost else 0)


def outcomes(root: Path, source: Path, recipe: str) -> dict[str, Outcome]:
    """Process a directory with a checkout, and return how each file ended."""
    with tempfile.TemporaryDirectory(prefix="mediactl-before-") as work:
        command = [str(root / ".venv/bin/mediactl"), "process", str(source), "--recipe", recipe, "--json", "-j2"]
        words = {**os.environ, "MEDIACTL_CACHE": f"{work}/cache", "XDG_CONFIG_HOME": f"{work}/config"}
        done = subprocess.run(
            [*command, "--out", f"{work}/out"], capture_output=True, text=True, env=words, check=False
        )
    if done.returncode not in (0, 1):
        sys.exit(f"{root}: exit code {done.returncode}: {done.stderr[-500:]}")
    found: dict[str, Outcome] = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        name, _, what = event["event"].partition(".")
        if name == "job" and what in ("done", "rejected", "quarantined") and event["kind"] != "piece":
            found[event["path"]] = Outcome(what, event.get("reason", ""), tuple(event.get("warnings", ())))
        elif name in ("source", "scan") and what in ("ignored", "left_out", "trouble"):
            found[event["path"]] = Outcome(what.replace("_", " "), event["reason"], ())
    return found


def compare(before: dict[str, Outcome], now: dict[str, Outcome]) -> int:
    """Print what differs; return the number of files that were done and are not any more."""
    nothing = Outcome("absent", "", ())
    rows, lost = [], 0
    for path in sorted(before.keys() | now.keys()):
        old, new = before.get(path, nothing), now.get(path, nothing)
        gone = old.state == "done" != new.state
        lost += gone
        if old != new:
            rows.append(f"| {path} | {_told(old)} | {_told(new)} | {'**LOST**' if gone else ''} |")
    for label, each in (("before", before), ("now", now)):
        print(
            f"{label}: "
            + ", ".join(f"{n} {state}" for state, n in sorted(Counter(o.state for o in each.values()).items()))
        )
    print(f"different: {len(rows)} of {len(before.keys() | now.keys())}; done before and not now: {lost}\n")
    if rows:
        print("\n".join(["| file | before | now | |", "|---|---|---|---|", *rows]))
    return lost


def _told(outcome: Outcome) -> str:
    return f"{outcome.state}: {outcome.reason or '; '.join(outcome.warnings) or '-'}".replace("|", "/")


def probes(before: Path, now: Path, files: list[Path], rounds: int) -> None:
    """Print the least CPU time of probing each file, where it is long enough to be compared."""
    both = {"before": Prober(before), "now": Prober(now)}
    rows, totals = [], {"before": 0.0, "now": 0.0}
    for file in files:
        least = dict.fromkeys(both, float("inf"))
        for number in range(rounds + 1):
            for label in sorted(both, reverse=bool(number % 2)):
                seconds = both[label].probe(file)
                if number:  # the first warms up
                    least[label] = min(least[label], seconds)
        for label in totals:
            totals[label] += least[label]
        if max(least.values()) >= SMALL:
            ratio = f"{least['now'] / max(least['before'], 1e-4):.2f}"
            rows.append([file.name[:60], *(f"{1000 * least[label]:.1f}" for label in ("before", "now")), ratio])
    for each in both.values():
        each.close()
    rows.append(["all files", *(f"{1000 * totals[label]:.1f}" for label in ("before", "now")), ""])
    rows[-1][3] = f"{totals['now'] / max(totals['before'], 1e-4):.2f}"
    print("\n" + table(["probing", "CPU ms before", "now", "x"], rows))


if __name__ == "__main__":
    main()
