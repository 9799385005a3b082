"""Slow jobs among fast: how long the fast ones wait, from a cold history and from a warm one.

Jobs arrive at random moments, twenty a second on average: nine of ten take 10 ms, one of ten 5 s, which is five times
more slow work than two workers can do. No job says which it is but for its format, as photos and films do.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import hashlib
import random
from pathlib import Path

import msgspec

from benchmarks import arrivals
from benchmarks.arrivals import Task, quantile
from benchmarks.measure import stop_tidily, table
from mediactl.model.jobs import NewJob

FAST, SLOW = 0.010, 5.0
PAUSE = 0.05
LEARNING = 200
"""Jobs from a cold history after which the fast ones are no longer to wait."""


def mixture(number: int, notes: Path, seed: int) -> list[NewJob]:
    """Jobs in the order in which they arrive."""
    dice = random.Random(seed)
    found = []
    for at in range(number):
        slow = dice.random() < 0.1
        task = Task(SLOW if slow else FAST, "" if slow else f"{at}", str(notes))
        found.append(
            NewJob(
                key=hashlib.sha256(f"{notes} {at}".encode()).hexdigest()[:32],
                kind="task",
                format="slow" if slow else "fast",
                payload=msgspec.json.encode(task),
            )
        )
    return found


def measure(state: str, name: str, number: int, workers: int, seed: int) -> dict[int, float]:
    """Place in the order of arrival -> seconds waited, of the fast jobs."""
    notes = Path(state) / name
    jobs = mixture(number, notes, seed)
    fast = {str(at) for at, job in enumerate(jobs) if job.format == "fast"}
    ready = NewJob(key=f"ready {name}", kind="task", payload=msgspec.json.encode(Task(0.0)))
    waits = arrivals.run([ready], jobs, arrivals.exponential(number, PAUSE, seed), notes, fast, workers, state)
    return {int(at): waited for at, waited in waits.items()}


def main() -> None:
    """Two runs on one journal: the second knows what the first has learnt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000, help="jobs a run (default: 1000)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--seed", type=int, default=20261120, help="of the mixture and the moments")
    options = parser.parse_args()
    stop_tidily()
    rows = []
    with arrivals.folder() as state:
        cold = measure(state, "cold", options.jobs, options.workers, options.seed)
        warm = measure(state, "warm", options.jobs, options.workers, options.seed + 1)
    for name, waits in (
        (f"cold, the first {LEARNING}", [waited for at, waited in cold.items() if at < LEARNING]),
        ("cold, the others", [waited for at, waited in cold.items() if at >= LEARNING]),
        ("warm", list(warm.values())),
    ):
        figures = (quantile(waits, 0.5), quantile(waits, 0.99), max(waits))
        rows.append([name, str(len(waits)), *(f"{each * 1000:.1f}" for each in figures)])
    print(f"{options.jobs} jobs, 10 % of 5 s, 90 % of 10 ms, {options.workers} workers, seed {options.seed}\n")
    print(table(["fast jobs", "number", "wait p50 ms", "p99 ms", "max ms"], rows))


if __name__ == "__main__":
    main()
