"""What a claim and a settle cost in a journal of ten thousand jobs and in one of a million.

Each journal is filled, then jobs are claimed and settled 64 at a time, as the pool does it with short ones; told is the
middle of rounds of up to 6,400 jobs, alternating between the two, and the memory of each process at its start and its
end.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import hashlib
import multiprocessing
import random
import tempfile
import time
from multiprocessing.connection import Connection

import psutil

from benchmarks.measure import middle, stop_tidily, table
from mediactl.jobs.journal import Journal
from mediactl.model.jobs import NewJob, Usage
from mediactl.model.verdict import Verdict

BATCH = 64
PIECE = 20_000
"""Jobs added in one transaction."""


def fill(journal: Journal, jobs: int) -> None:
    """Add so many jobs."""
    for first in range(0, jobs, PIECE):
        with journal.transaction():
            journal.add(
                NewJob(key=hashlib.sha256(b"%d" % number).hexdigest()[:32], kind="empty", payload=b"{}" * 100)
                for number in range(first, min(first + PIECE, jobs))
            )


def work(journal: Journal, jobs: int) -> float:
    """Microseconds of a claim and a settle."""
    start = time.perf_counter()
    done = 0
    while done < jobs:
        with journal.transaction(durable=False):
            claims = journal.claim(("quick",), BATCH)
        with journal.transaction():
            journal.finish_done((claim.id, claim.attempt) for claim in claims)
            for claim in claims:
                journal.record(claim, Verdict.DONE, "", Usage(0.001, 0.001, 1), 1)
        done += len(claims)
    return (time.perf_counter() - start) / done * 1e6


def serve(jobs: int, pipe: Connection) -> None:
    """A journal of so many jobs, worked on when told to."""
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as folder:
        with Journal.open(folder, clock=time.time, random=random.random, version="benchmark") as journal:
            fill(journal, jobs)
            work(journal, BATCH)
            pipe.send(psutil.Process().memory_info().rss)
            while number := pipe.recv():
                pipe.send(work(journal, number))
            pipe.send(psutil.Process().memory_info().rss)


def main() -> None:
    """Measure both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs=2, default=[10_000, 1_000_000], help="sizes of the two journals")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default: 5)")
    options = parser.parse_args()
    stop_tidily()
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    for jobs in options.jobs:
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(jobs, theirs), daemon=True).start()
        pipes.append(ours)
    before = [pipe.recv() for pipe in pipes]
    costs: list[list[float]] = [[] for _ in pipes]
    piece = min(6_400, min(options.jobs) // (options.rounds + 1) // BATCH * BATCH)
    for _ in range(options.rounds):
        for pipe, found in zip(pipes, costs, strict=True):
            pipe.send(piece)
            found.append(pipe.recv())
    for pipe in pipes:
        pipe.send(0)
    after = [pipe.recv() for pipe in pipes]
    rows = [
        [
            f"{jobs:,}",
            f"{middle(cost):.1f}",
            f"{middle(cost) / middle(costs[0]):.2f}",
            f"{first / 1e6:.0f}",
            f"{last / 1e6:.0f}",
        ]
        for jobs, cost, first, last in zip(options.jobs, costs, before, after, strict=True)
    ]
    print(f"{options.rounds} rounds of {piece} jobs, {BATCH} at a time\n")
    print(table(["jobs in the journal", "us a job", "ratio", "MB at first", "MB at last"], rows))


if __name__ == "__main__":
    main()
