"""selftest: synthetic jobs through the real journal and pool of this machine, and the invariants that must hold.

Some of the jobs crash their worker, hang, stall or exhaust their memory. Their neighbours must not be affected.
"""

from __future__ import annotations

import json
import os
import random
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable

import msgspec
import psutil

from mediactl import __version__
from mediactl.admin import invariants
from mediactl.core.settings import Settings
from mediactl.jobs import report
from mediactl.jobs.journal import Journal
from mediactl.jobs.states import PATIENCE
from mediactl.model.events import Event, Invariants, Selftest
from mediactl.model.jobs import NewJob, Priority
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pool import synthetic
from mediactl.pool.contract import Stopped
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe import loader

JOBS_A_SECOND = 200
"""Jobs generated for each requested second: about the throughput of the mix below on two cores."""
MIX = (("crash", 0.02), ("hang", 0.005), ("stall", 0.005), ("hog", 0.01), ("fail", 0.01), ("reject", 0.01),
       ("cpu", 0.1), ("sleep", 0.2))  # fmt: skip
"""Kind -> share of the jobs; the others are empty."""
ENDS = {"crash": "quarantined", "hang": "quarantined", "stall": "quarantined", "hog": "quarantined",
        "fail": "quarantined", "reject": "rejected"}  # fmt: skip
"""Kind -> final state; the others end as done."""
LIMIT = 0.25
"""Time or stall limit of hanging and stalling jobs, in seconds."""
HOG_LIMIT = 192 << 20
"""Memory limit of a hog, in bytes."""


class _NoIntake:
    wakeup: socket.socket | None = None

    def step(self) -> bool:
        return False

    def summary(self) -> None:
        return None


def run(number: int, seed: int, workers: int, print_line: Callable[[str], None]) -> Selftest:
    """Run so many jobs in a temporary directory, check the invariants, return the result."""
    dice = random.Random(seed)
    jobs = [_job(index, dice) for index in range(number)]
    kinds = Counter(job.kind for job in jobs)
    print_line(
        f"seed {seed}: {number:,} jobs: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    )
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    with tempfile.TemporaryDirectory(prefix="mediactl-selftest-") as folder:
        # No backoff: a test of an hour's retries would take an hour.
        with Journal.open(folder, clock=time.time, random=lambda: 0.0, version=__version__) as journal:
            with journal.transaction():
                journal.add(jobs)
            settings = Settings(sources=(), out=os.fsencode(folder), state=folder)
            planner = Planner(settings, loader.load("web"), {}, journal)
            events: Counter[str] = Counter()

            def count(event: Event) -> None:
                events[event.name] += 1

            dispatcher = Dispatcher(journal, planner, _NoIntake(), settings.out, count, time.monotonic)
            with open(os.devnull, "wb") as log:
                pool = Supervisor(
                    synthetic.EXECUTE, dispatcher, workers=workers, token=journal.run,
                    environment=worker_environment(os.environ), log=log.fileno(),
                )  # fmt: skip
                started, cpu = time.perf_counter(), time.process_time()
                stopped = pool.run()
                elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
        left = {child.pid for child in psutil.Process().children(recursive=True)} - children
        with report.read(folder) as rows:
            violated = _violated(rows, jobs, stopped, events, left, folder)
            return Selftest(
                jobs=number,
                jobs_per_s=round(number / elapsed, 1),
                cpu_us_per_job=round(cpu / number * 1e6, 1),
                wait_ms=_quantiles(rows.waits()),
                run_ms=_quantiles(rows.run_times()),
                states=rows.jobs(),
                invariants=Invariants(5 + number, violated),
                seed=seed,
            )


def _job(index: int, dice: random.Random) -> NewJob:
    at = dice.random()
    kind = "empty"
    for name, share in MIX:
        if at < share:
            kind = name
            break
        at -= share
    return NewJob(
        key=f"{index:032x}",
        kind=kind,
        format=kind,
        payload=json.dumps({"seconds": dice.uniform(0.001, 0.01)}).encode(),
        priority=dice.choice(list(Priority)),
        time_limit=LIMIT if kind == "hang" else 60.0,
        stall_limit=LIMIT if kind == "stall" else None,
        memory_limit=HOG_LIMIT if kind == "hog" else None,
    )


def _violated(
    rows: report.Report, jobs: list[NewJob], stopped: Stopped, events: Counter[str], left: set[int], folder: str
) -> list[str]:
    found = []
    if stopped is not Stopped.COMPLETE:
        found.append(f"the run ended {stopped.value}, not complete")
    if left:
        found.append(f"{len(left)} processes left running")
    found += [each.line for each in invariants.of_journal(folder, os.fsencode(folder))]
    stood = {job.key: job for job in rows.listed(None, -1)}
    if len(stood) != len(jobs):
        found.append(f"{len(jobs)} jobs added, {len(stood)} in the journal")
    for job in jobs:
        row, expected = stood[job.key], ENDS.get(job.kind, "done")
        if row.state != expected:
            found.append(f"{job.kind} job {job.key} is {row.state}, expected {expected}")
        elif expected == "done" and (row.failures or row.crashes):
            found.append(f"{job.kind} job {job.key} is done with {row.failures} failures and {row.crashes} crashes")
        elif expected == "quarantined" and row.failures != PATIENCE.failures and row.crashes != PATIENCE.crashes:
            found.append(f"{job.kind} job {job.key} quarantined after {row.failures} failures, {row.crashes} crashes")
    if events["job.done"] != sum(1 for job in jobs if job.kind not in ENDS):
        found.append("a job was reported done twice, or never")
    return found


def _quantiles(groups: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    found = {}
    for name, seconds in sorted(groups.items()):
        ordered = sorted(seconds)
        at = {"p50": len(ordered) // 2, "p99": min(len(ordered) - 1, len(ordered) * 99 // 100), "max": -1}
        found[name] = {key: round(ordered[index] * 1000, 2) for key, index in at.items()}
    return found


def lines(result: Selftest, *, as_json: bool) -> list[str]:
    """Return the result as text, or as one JSON event."""
    if as_json:
        return [msgspec.json.encode(result).decode()]
    head = " ".join(f"{word:>10}" for word in ("wait p50", "p99", "max", "  run p50", "p99", "max"))
    text = [
        f"{result.jobs_per_s:,.0f} jobs/s, {result.cpu_us_per_job:.0f} us of supervisor CPU per job",
        f"{'priority/lane':<18} {head}  (ms)",
    ]
    for name, wait in result.wait_ms.items():
        ran = result.run_ms.get(name, {"p50": 0.0, "p99": 0.0, "max": 0.0})
        text.append(
            f"{name:<18} {wait['p50']:>10,.1f} {wait['p99']:>10,.1f} {wait['max']:>10,.1f} "
            f"{ran['p50']:>10,.1f} {ran['p99']:>10,.1f} {ran['max']:>10,.1f}"
        )
    text.append("states: " + ", ".join(f"{number:,} {state}" for state, number in sorted(result.states.items())))
    violated = result.invariants.violated
    text.append(f"{result.invariants.checked:,} invariants checked, {len(violated)} violated")
    return text + violated[:20]
