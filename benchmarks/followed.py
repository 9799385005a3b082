"""What the event socket costs a run: empty jobs and images, alone and with a client that is connected and never reads.

Both in turns, in one go; the ratio is that of the medians, 1.00 where the socket costs nothing.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import hashlib
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import images, mediactl_queue
from benchmarks.measure import MEDIACTL, ROOT, middle, run, table, take_turns
from mediactl.control.address import runs_with_sockets, socket_file
from mediactl.control.server import Server
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.events import Event, JobDone, RunStarted
from mediactl.model.jobs import NewJob
from mediactl.pipeline.clients.control import RunControl
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe import loader
from mediactl.ui.tally import Tally


class Rate(NamedTuple):
    """Things a second, and CPU seconds of the supervisor or, of images, of all processes."""

    rate: float
    cpu: float


def queue(jobs: int, workers: int, *, followed: bool) -> Rate:
    """Return empty jobs a second."""
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as folder:
        with Journal.open(folder, clock=time.time, random=random.random, version="benchmark") as journal:
            with journal.transaction():
                journal.add([
                    NewJob(key=hashlib.sha256(b"%d" % number).hexdigest()[:32], kind="empty", payload=b"{}")
                    for number in range(jobs)
                ])  # fmt: skip
            settled: list[float] = []
            tally, server = Tally(), Server(time.time)

            def take(event: Event) -> None:
                tally.take(event)
                server.take(event)
                if isinstance(event, JobDone):
                    settled.append(time.perf_counter())

            settings = Settings(sources=(), out=folder.encode(), state=folder)
            planner = Planner(settings, loader.load("web"), {}, journal)
            dispatcher = Dispatcher(
                journal, planner, mediactl_queue.Nothing(), folder.encode(), take, time.monotonic
            )  # fmt: skip
            pool = Supervisor(
                mediactl_queue.EXECUTE, dispatcher, workers=workers, token=journal.run,
                environment=worker_environment(os.environ), log=2, clients=server if followed else None,
            )  # fmt: skip
            with socket.socket(socket.AF_UNIX) as idle:
                if followed:
                    server.listen(folder, journal.run, RunControl(pool, dispatcher, journal, tally, workers))
                    server.take(RunStarted(run=journal.run, version="", recipe="", out="", workers=2, watching=False))
                    idle.connect(socket_file(folder, journal.run))
                cpu = time.process_time()
                pool.run()
                cpu = time.process_time() - cpu
            server.close()
    first = settled.count(settled[0])
    return Rate((jobs - first) / (settled[-1] - settled[0]), cpu)


def photos(folder: Path, number: int, work: Path, *, followed: bool) -> Rate:
    """Return photos a second."""
    with tempfile.TemporaryDirectory(dir=work) as out:
        over = threading.Event()
        thread = threading.Thread(target=_follow, args=(os.path.join(out, ".mediactl"), over))
        if followed:
            thread.start()
        cost = run(
            [*MEDIACTL, "process", str(folder), "-o", out, "--recipe", "thumbnails", "--quiet"],
            env={"MEDIACTL_CACHE": "none"},
        )
        over.set()
        if followed:
            thread.join()
    return Rate(number / cost.seconds, cost.cpu)


def _follow(state: str, over: threading.Event) -> None:
    """Connect to the run in a directory as soon as it has a socket, and read nothing until it is over."""
    with socket.socket(socket.AF_UNIX) as idle:
        while not over.wait(0.01):
            if found := runs_with_sockets(state):
                idle.connect(socket_file(state, found[0]))
                over.wait()


def report(name: str, found: dict[str, list[Rate]]) -> str:
    """Return a table of both, with the ratio."""
    alone, followed = (middle([each.rate for each in found[which]]) for which in ("alone", "followed"))
    rows = [
        [which, f"{middle([each.rate for each in found[which]]):,.1f}", f"{middle([e.cpu for e in found[which]]):.2f}"]
        for which in ("alone", "followed")
    ]
    return f"{table([name, 'a second', 'CPU s'], rows)}\nratio {followed / alone:.3f}\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=10_000, help="empty jobs, 0: none (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=200, help="photos, 0: none (default: %(default)s)")
    corpus = os.environ.get("MEDIACTL_CORPUS", ROOT.parent / "shared" / "media")
    parser.add_argument("--corpus", type=Path, default=Path(corpus), help="directory with photos/")
    options = parser.parse_args()
    both: tuple[tuple[str, bool], ...] = (("alone", False), ("followed", True))
    if options.jobs:
        tries: dict[str, Callable[[], Rate]] = {
            name: partial(queue, options.jobs, 2, followed=followed) for name, followed in both
        }
        print(report("empty jobs", take_turns(tries, options.rounds)[0]))
    if options.photos:
        with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as work:
            folder = Path(work) / "photos"
            folder.mkdir()
            images.gather(options.corpus, folder, options.photos)
            tries = {
                name: partial(photos, folder, options.photos, Path(work), followed=followed) for name, followed in both
            }
            print(report("photos", take_turns(tries, options.rounds)[0]))


if __name__ == "__main__":
    main()
