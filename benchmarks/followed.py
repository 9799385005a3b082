"""What it costs a run to be monitored: empty jobs and photos, with and without all that may be attached to a run.

Attached are a client of its event socket that reads 4 kB every 0.1 s, so that it soon misses events, a file of metrics
(--metrics-textfile) and statsd (--statsd), to a socket that nobody reads. Empty jobs are those of queue.py, photos
those of images.py in JPEG. Both in turns, in one go; a ratio is that of the medians without to those with, 1.00 where
monitoring costs nothing.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import contextlib
import hashlib
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import images, mediactl_queue
from benchmarks.measure import ROOT, Cost, Timed, json_option, keep, middle, stop_tidily, table, take_turns
from mediactl.commands.shared.monitoring import build, reader
from mediactl.control.address import runs_with_sockets, socket_file
from mediactl.control.server import Server
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.events import Event, JobDone, RunStarted
from mediactl.model.jobs import NewJob
from mediactl.monitor.exporters import TextFile
from mediactl.monitor.monitors import Monitor, Monitors
from mediactl.monitor.statsd_sender import StatsdSender
from mediactl.pipeline.clients.control import RunControl
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.pool_run import counted
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe import loader

WORKERS = 2
BYTES, PAUSE = 4096, 0.1
"""What the client reads at once, and the seconds between."""
WITH, WITHOUT = "mediactl", "mediactl without monitoring"
"""Names in results of ``measure.keep``: the ratio is that of the first to the other."""


def queue(jobs: int, *, attached: bool) -> Cost:
    """Return what empty jobs take: seconds from the first to the last one settled, CPU seconds of the supervisor."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mediactl-bench-"))
        journal = stack.enter_context(
            Journal.open(folder, clock=time.time, random=random.random, version="benchmark")
        )  # fmt: skip
        with journal.transaction():
            journal.add([
                NewJob(key=hashlib.sha256(b"%d" % number).hexdigest()[:32], kind="empty", payload=b"{}")
                for number in range(jobs)
            ])  # fmt: skip
        settled: list[float] = []

        def display(event: Event) -> None:
            if isinstance(event, JobDone):
                settled.append(time.perf_counter())

        server = Server(time.time)
        found: list[Monitor] = (
            [
                StatsdSender("127.0.0.1", stack.enter_context(statsd())),
                TextFile(os.path.join(folder, "mediactl.prom"), reader(folder), build),
            ]
            if attached
            else []
        )
        monitors = Monitors(found, display)
        tally, report = counted(monitors.take if attached else display, server)
        settings = Settings(sources=(), out=folder.encode(), state=folder)
        planner = Planner(settings, loader.load("web"), {}, journal)
        dispatcher = Dispatcher(
            journal, planner, mediactl_queue.Nothing(), folder.encode(), report, time.monotonic, attempt_events=attached
        )  # fmt: skip
        pool = Supervisor(
            mediactl_queue.EXECUTE, dispatcher, workers=WORKERS, token=journal.run,
            environment=worker_environment(os.environ), log=2, clients=server,
        )  # fmt: skip
        server.listen(folder, journal.run, RunControl(pool, dispatcher, journal, tally, WORKERS))
        report(RunStarted(run=journal.run, version="", recipe="", out="", workers=WORKERS, watching=False))
        if attached:
            stack.enter_context(slow_client(folder))
        cpu = time.process_time()
        pool.run()
        cpu = time.process_time() - cpu
        deadline = time.monotonic() + 10.0
        for each in found:
            each.close(deadline)
        server.close()
        troubles = [each.trouble for each in found if each.trouble]
        if troubles or len(settled) != jobs:
            raise RuntimeError(f"{len(settled)} of {jobs} jobs were done; {troubles}")
    return Cost(settled[-1] - settled[0], cpu, 0.0, "")


def photos(task: images.Task, work: Path, *, attached: bool) -> images.Result:
    """Return what photos take, as images.py does."""
    if not attached:
        return images.timed(images.mediactl, task, work)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(statsd())

        def start(task: images.Task, out: Path) -> tuple[Sequence[str], dict[str, str]]:
            stack.enter_context(slow_client(str(out / ".mediactl")))
            words, environment = images.mediactl(task, out)
            file = str(out.parent / "mediactl.prom")
            return [*words, "--metrics-textfile", file, "--statsd", f"127.0.0.1:{port}"], environment

        return images.timed(start, task, work)


@contextlib.contextmanager
def statsd() -> Iterator[int]:
    """A port whose packets nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


@contextlib.contextmanager
def slow_client(state: str) -> Iterator[None]:
    """A client that connects to the run in a directory as soon as it has a socket, and reads slowly."""
    over = threading.Event()

    def follow() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            while not (found := runs_with_sockets(state)):
                if over.wait(0.01):
                    return
            client.connect(socket_file(state, found[0]))
            while not over.wait(PAUSE) and client.recv(BYTES):
                pass

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def report(name: str, found: dict[str, list[Timed]]) -> str:
    """Return a table of both, with the ratios."""
    medians = {
        which: (middle([each.seconds for each in found[which]]), middle([each.cpu for each in found[which]]))
        for which in (WITHOUT, WITH)
    }
    rows = [[which, f"{seconds:.3f}", f"{cpu:.2f}"] for which, (seconds, cpu) in medians.items()]
    (seconds, cpu), (more, more_cpu) = medians.values()
    return f"{table([name, 'seconds', 'CPU s'], rows)}\nratio {seconds / more:.3f}, of CPU {cpu / more_cpu:.3f}\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=20_000, help="empty jobs, 0: none (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=120, help="photos, 0: none (default: %(default)s)")
    corpus = os.environ.get("MEDIACTL_CORPUS") or ROOT.parent / "shared" / "media"
    parser.add_argument("--corpus", type=Path, default=Path(corpus), help="directory with photos/")
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()

    def compare(name: str, measure: Callable[..., Timed]) -> None:
        tries = {WITHOUT: partial(measure, attached=False), WITH: partial(measure, attached=True)}
        results, failures = take_turns(tries, options.rounds)
        if failures:
            sys.exit("\n".join(f"{each}: {why}" for each, why in failures.items()))
        print(report(name, results), flush=True)
        keep(options.json, f"{name}, monitored", results, {})

    if options.jobs:
        compare(f"{options.jobs:,} empty jobs", partial(queue, options.jobs))
    if options.photos:
        with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
            work = Path(name)
            (work / "photos").mkdir()
            images.gather(options.corpus, work / "photos", options.photos)
            task = images.Task(work / "photos", "jpeg", 80, 4)
            compare(f"{options.photos} photos, jpeg", partial(photos, task, work))


if __name__ == "__main__":
    main()
