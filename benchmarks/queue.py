"""Empty jobs a second, and how long one job waits when nothing else is there: mediactl against Celery with Redis.

Both with two workers by default, both so that a killed worker loses nothing: mediactl with its journal on disk
(synchronous), Celery with late acknowledgement, one task ahead, results ignored, and a Redis of its own that keeps
everything in memory. All jobs are put in the queue first; the time taken is the time to drain it.

  celery, redis  PyPI: pip install celery redis
  redis-server   Debian and Ubuntu: apt install redis-server

"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    ROOT,
    ContenderError,
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
from benchmarks.mediactl_queue import measure as mediactl

PATIENCE = 120.0


def until(true: Callable[[], bool], what: str, pause: float = 0.002) -> None:
    """Wait for something; raises ContenderError when it takes too long."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise ContenderError(f"gave up waiting for {what}")
        time.sleep(pause)


@contextlib.contextmanager
def started(command: list[str], folder: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs in the background, its output in the folder, and is ended with the block."""
    with (folder / f"{Path(command[0]).name}.log").open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, **(env or {})})
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class CeleryPeer:
    """A running worker, the queue that it reads and the Redis behind it."""

    def __init__(self, app: Any, tasks: Any, folder: Path) -> None:
        self.app, self.tasks, self.folder = app, tasks, folder
        self.redis = app.connection_for_write().default_channel.client

    def left(self) -> int:
        """Tasks that wait plus tasks handed out and not yet acknowledged."""
        waiting = sum(
            int(self.redis.llen(name)) for name in ("celery", "celery\x06\x169")
        )  # kombu's name for priority 9
        return waiting + int(self.redis.hlen("unacked"))

    def rate(self, jobs: int) -> dict[str, float]:
        """Fill the queue while the worker looks away, then time how long it takes to empty it."""
        self.app.control.cancel_consumer("celery", reply=True, limit=1, timeout=5)
        start = time.monotonic()
        with self.app.producer_pool.acquire(block=True) as producer:
            for _ in range(jobs):
                self.tasks.nothing.apply_async(producer=producer)
        filled = time.monotonic() - start
        if self.left() != jobs:
            raise ContenderError(f"{self.left()} of {jobs} tasks are in the queue")
        start = time.monotonic()
        self.app.control.add_consumer("celery", reply=False)
        until(lambda: self.left() == 0, "the queue to drain", 0.01)
        drained = time.monotonic() - start
        return {"rate": jobs / drained, "idle_ms": self.idle_ms(100), "add_rate": jobs / filled, "cpu_us": 0.0}

    def idle_ms(self, tries: int) -> float:
        """Median time from sending a task to an idle worker until it begins."""
        stamps = self.folder / "stamps"
        waits: list[float] = []
        for _ in range(tries):
            stamps.write_bytes(b"")
            time.sleep(0.01)
            self.tasks.stamp.delay(str(stamps), time.monotonic())
            until(lambda: stamps.read_bytes().endswith(b"\n"), "one task")
            waits.append(float(stamps.read_text()) * 1000)
        return middle(waits)


@contextlib.contextmanager
def celery_peer(workers: int) -> Iterator[CeleryPeer | str]:
    """A Redis on a free port of 127.0.0.1 and a worker that reads from it, or why that is not possible."""
    lacking = [name for name in ("celery", "redis") if importlib.util.find_spec(name) is None]
    if shutil.which("redis-server") is None:
        lacking.append("redis-server")
    if lacking:
        yield "not installed: " + ", ".join(lacking)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    broker = os.environ["MEDIACTL_BENCH_BROKER"] = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        options = ["--bind", "127.0.0.1", "--port", port, "--dir", name, "--save", "", "--appendonly", "no"]
        stack.enter_context(started(["redis-server", *options], folder))
        until(lambda: listening(int(port)), "redis-server", 0.05)

        from benchmarks import celery_peer as tasks  # reads the broker's address when it is imported

        words = ["--concurrency", str(workers), "--pool", "prefork", "--loglevel", "error"]
        worker = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_peer", "worker", *words]
        stack.enter_context(started(worker, folder, {"MEDIACTL_BENCH_BROKER": broker}))
        until(lambda: bool(tasks.app.control.ping(timeout=0.5)), "the Celery worker", 0.1)
        yield CeleryPeer(tasks.app, tasks, folder)


def listening(port: int) -> bool:
    """Whether anything accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Measure both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5000, help="empty jobs a round (default: 5000)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of each (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default: 5)")
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()
    contenders: dict[str, Callable[[], dict[str, float]]] = {}
    contenders["mediactl"] = partial(mediactl, options.jobs, options.workers, 100)
    missing: dict[str, str] = {}
    with celery_peer(options.workers) as peer:
        if isinstance(peer, str):
            missing["Celery and Redis"] = peer
        else:
            contenders["Celery and Redis"] = partial(peer.rate, options.jobs)
        results, failures = take_turns(contenders, options.rounds)
    figures = {
        name: [middle([result[key] for result in rounds]) for key in ("rate", "idle_ms", "add_rate", "cpu_us")]
        for name, rounds in results.items()
    }
    base = figures.get("Celery and Redis", [0.0])[0]
    rows = [
        [name, f"{rate:.0f}", ratio(rate, base), f"{idle:.2f}", f"{add:.0f}", f"{cpu:.0f}" if cpu else "-"]
        for name, (rate, idle, add, cpu) in figures.items()
    ]
    print(f"{options.jobs} empty jobs, {options.workers} workers, medians of {options.rounds} rounds\n")
    print(
        table(["", "jobs/s", "x Celery", "idle p50 ms", "added/s", "supervisor us/job"], rows)
        + absences({**missing, **failures})
    )
    drained = {
        name: [Cost(options.jobs / result["rate"], 0.0, 0.0, "") for result in rounds]
        for name, rounds in results.items()
    }
    keep(options.json, f"{options.jobs:,} empty jobs", drained, {**missing, **failures})


if __name__ == "__main__":
    main()
