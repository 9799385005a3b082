"""How long urgent jobs wait while a backfill of short ones is waiting: mediactl against Celery with Redis priorities.

20,000 jobs of 5 ms wait, two workers; urgent ones of 5 ms arrive at random moments, ten a second on average, the same
moments for both. Celery: late acknowledgement, one task ahead, Redis with two priority steps.

  celery, redis  PyPI: pip install celery redis
  redis-server   Debian and Ubuntu: apt install redis-server

"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import hashlib
import time
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import arrivals
from benchmarks.arrivals import Task, quantile
from benchmarks.measure import absences, middle, stop_tidily, table, take_turns
from benchmarks.queue import CeleryPeer, celery_peer, until
from mediactl.model.jobs import NewJob, Priority

SECONDS = 0.005
PAUSE = 0.1


def job(name: str, priority: Priority, notes: str) -> NewJob:
    """A job of 5 ms."""
    task = Task(SECONDS, name if priority is Priority.URGENT else "", notes)
    key = hashlib.sha256(name.encode()).hexdigest()[:32]
    return NewJob(key=key, kind="task", payload=msgspec.json.encode(task), priority=priority)


def mediactl(waiting: int, urgent: int, workers: int, seed: int) -> dict[str, float]:
    """Milliseconds that urgent jobs waited."""
    with arrivals.folder() as state:
        notes = Path(state) / "notes"
        backfill = [job(f"b{number}", Priority.BACKFILL, str(notes)) for number in range(waiting)]
        arriving = [job(f"u{number}", Priority.URGENT, str(notes)) for number in range(urgent)]
        pauses = arrivals.exponential(urgent, PAUSE, seed)
        names = {f"u{number}" for number in range(urgent)}
        return figures(list(arrivals.run(backfill, arriving, pauses, notes, names, workers, state).values()))


def celery(peer: CeleryPeer, waiting: int, urgent: int, seed: int) -> dict[str, float]:
    """The same."""
    notes = peer.folder / f"notes-{time.monotonic_ns()}"
    peer.app.control.cancel_consumer("celery", reply=True, limit=1, timeout=5)
    with peer.app.producer_pool.acquire(block=True) as producer:
        for _ in range(waiting):
            peer.tasks.nap.apply_async((SECONDS, "", str(notes), 0.0), producer=producer, priority=9)
        peer.app.control.add_consumer("celery", reply=False)
        time.sleep(2.0)  # until it is at work on them
        for number, pause in enumerate(arrivals.exponential(urgent, PAUSE, seed)):
            time.sleep(pause)
            arguments = (SECONDS, f"u{number}", str(notes), time.monotonic())
            peer.tasks.nap.apply_async(arguments, producer=producer, priority=0)
    until(lambda: len(arrivals.noted(notes)) == urgent, "the urgent tasks", 0.05)
    if not peer.left():
        raise RuntimeError("the backfill was too small: it is done")
    peer.app.control.purge()
    until(lambda: peer.left() == 0, "the queue to be empty", 0.05)
    return figures(list(arrivals.noted(notes).values()))


def figures(waits: list[float]) -> dict[str, float]:
    """P50, P99 and the longest, in milliseconds."""
    return {"p50": quantile(waits, 0.5) * 1000, "p99": quantile(waits, 0.99) * 1000, "max": max(waits) * 1000}


def main() -> None:
    """Measure both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=20_000, help="backfill jobs (default: 20000)")
    parser.add_argument("--urgent", type=int, default=200, help="urgent jobs (default: 200)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of each (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds (default: 3)")
    parser.add_argument("--seed", type=int, default=20261120, help="of the moments at which jobs arrive")
    options = parser.parse_args()
    stop_tidily()
    contenders = {"mediactl": partial(mediactl, options.waiting, options.urgent, options.workers, options.seed)}
    missing: dict[str, str] = {}
    with celery_peer(options.workers) as peer:
        if isinstance(peer, str):
            missing["Celery and Redis"] = peer
        else:
            contenders["Celery and Redis"] = partial(celery, peer, options.waiting, options.urgent, options.seed)
        results, failures = take_turns(contenders, options.rounds)
    print(
        f"{options.urgent} urgent jobs, {options.waiting} others of {SECONDS * 1000:.0f} ms waiting,"
        f" {options.workers} workers, seed {options.seed}, medians of {options.rounds} rounds\n"
    )
    rows = [
        [name, *(f"{middle([result[key] for result in rounds]):.2f}" for key in ("p50", "p99", "max"))]
        for name, rounds in results.items()
    ]
    print(table(["", "wait p50 ms", "p99 ms", "max ms"], rows) + absences({**missing, **failures}))


if __name__ == "__main__":
    main()
