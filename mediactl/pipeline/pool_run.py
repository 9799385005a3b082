"""What every run has around its pool: the journal, counted events, the log of its workers, and an end in order."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import msgspec

from mediactl import __version__
from mediactl.control import address
from mediactl.control.server import Server
from mediactl.core.errors import ExitCode, MachineBlocked
from mediactl.core.faults import internal_error
from mediactl.core.files import make_writable, shown
from mediactl.core.processes import dump_no_core
from mediactl.core.sandbox import workspace
from mediactl.core.settings import Destination, Settings
from mediactl.jobs.barrier import ENDS_THE_RUN, barrier
from mediactl.jobs.journal import Journal
from mediactl.jobs.owners import dead_locks, is_alive
from mediactl.jobs.runs import Counts
from mediactl.jobs.states import Patience
from mediactl.model.events import (
    AttemptEvent,
    Event,
    JournalDamaged,
    JournalRebuilt,
    RunStarted,
    RunStopped,
    ScanTrouble,
    SocketUnusable,
    Summary,
)
from mediactl.pipeline import drain
from mediactl.pipeline.clients.control import RunControl
from mediactl.pipeline.dispatcher import CAUSES, Dispatcher
from mediactl.pipeline.rebuild import adopt
from mediactl.pipeline.recovery import LOGS, sweep_logs, sweep_work, take_over
from mediactl.pipeline.workers import EXECUTE, environment_of
from mediactl.pool.contract import Stopped
from mediactl.pool.forkserver import ForkServer
from mediactl.pool.lanes import RemoteLanes
from mediactl.pool.network import Service
from mediactl.pool.process import network_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.ui.tally import Tally

UPLOAD = "mediactl.upload.service:service"
"""What makes the service of the network lane."""
REPORTED = (ExitCode.STOPPED_EARLY, ExitCode.USAGE, ExitCode.OURS)
"""Exit codes of runs that stopped early; others ended in order."""

Emit = Callable[[Event], None]


def counted(emit: Emit, clients: Server) -> tuple[Tally, Emit]:
    """Return a tally, and a function that counts an event there before it emits it, and sends it to ``clients``."""
    tally = Tally()

    def report_one(event: Event) -> None:
        if not isinstance(event, AttemptEvent):  # for monitors alone
            tally.take(event)
            clients.take(event)
        if tally.unheard:
            return
        try:
            emit(event)
        except OSError as error:
            tally.unheard = f"output cannot be written: {error.strerror}"

    def report(event: Event) -> None:
        try:
            report_one(event)
        except ENDS_THE_RUN:
            raise
        except Exception as error:  # noqa: BLE001 - as in ``barrier``, which takes longer
            fault(event, error)

    def fault(event: Event, error: Exception) -> None:
        """Say of what nothing could be reported; if that fails too, the exit code says that something was wrong."""
        tally.faults += 1
        with barrier(lambda _: None):
            report_one(ScanTrouble(path=getattr(event, "path", None) or event.name, reason=internal_error(error)))

    return tally, report


def run_pool(
    settings: Settings,
    journal: Journal,
    dispatcher: Dispatcher,
    report: Emit,
    tally: Tally,
    started: RunStarted,
    clients: Server,
    *,
    workers: int,
    network: Service | None,
    forks: ForkServer | None = None,
    remote: RemoteLanes | None = None,
    sum_up: Callable[[Stopped], Summary],
    begin: Callable[[], None] = lambda: None,
) -> Summary:
    """Run jobs until none is left that this run can do, then end the run in the journal; return its summary.

    ``remote``, where given, runs the media jobs. ``begin`` is called once the run has been reported. It is drained once
    its output cannot be written any more.
    """
    dump_no_core()
    draining = drain.watch(settings.drain_file, settings.drain_url)
    with worker_log(settings.state, journal.run) as log:
        pool = Supervisor(
            EXECUTE, dispatcher, workers=workers, token=journal.run,
            environment=environment_of(settings),
            network_environment=network_environment(settings.environment), log=log,
            grace=settings.grace, max_duration=settings.max_duration, limits=settings.limits,
            memory=settings.memory, network=network, forks=forks, drain=lambda: bool(tally.unheard) or draining(),
            hours=settings.hours, ends_with_hours=settings.watching is None, clients=clients, remote=remote,
        )  # fmt: skip
        unusable = listen(clients, settings.state, journal.run, RunControl(pool, dispatcher, journal, tally, workers))
        report(started)
        if unusable:
            report(SocketUnusable(reason=unusable))
        begin()
        try:
            stopped = pool.run()
        except MachineBlocked as error:  # the journal's own disk: what runs was given up, the next run takes it over
            stopped, pool.blocked_by = Stopped.BLOCKED, str(error)
        finally:
            clients.stop_listening()
            workspace.sweep(settings.out)
        summary = sum_up(stopped)
        if stopped is not Stopped.COMPLETE and summary.exit_code in REPORTED:
            report(RunStopped(reason=pool.blocked_by or stopped.value, cause=CAUSES.get(stopped)))
        try:
            counts = Counts(summary.done, tally.rejected, tally.quarantined, summary.unfinished)
            journal.end(summary.exit_code, counts)
            journal.prune(settings.history, compact=stopped is Stopped.COMPLETE)
        except MachineBlocked:
            pass  # reported already; a run without an end is recovered by the next one
    return summary


def listen(clients: Server, state: str, run: str, control: RunControl) -> str:
    """Have a run serve its events; return why it cannot, or ""."""
    try:
        clients.listen(state, run, control)
    except OSError as error:
        return str(error.strerror)
    return ""


def reported(summary: Summary, tally: Tally, report: Emit, clients: Server) -> Summary:
    """Report the summary and return it; a run whose output was lost has stopped early, however far it came."""
    report(summary)
    clients.close()
    return msgspec.structs.replace(summary, exit_code=ExitCode.STOPPED_EARLY) if tally.unheard else summary


def uploading(to: Destination | None) -> Service | None:
    """Return how the network lane's process is started, if there is one."""
    if to is None:
        return None
    return network_service(to.concurrency, to.memory, to.bandwidth)


def fetching(settings: Settings) -> Service:
    """Return how the network lane's process is started where sources are fetched and nothing is uploaded."""
    by = settings.fetching
    return network_service(by.concurrency, by.memory, by.bandwidth)


def network_service(concurrency: int, memory: int, bandwidth: float | None) -> Service:
    """Return a process with so many requests at once, bytes of bodies, and bytes a second."""
    tuning = {"concurrency": concurrency, "budget": memory, "bandwidth": bandwidth}
    return Service(UPLOAD, msgspec.json.encode({"tuning": tuning}).decode())


@contextmanager
def open_journal(settings: Settings, report: Emit, command: str, workers: int = 0) -> Iterator[Journal]:
    """Open the journal for a run of ``command`` with so many worker processes.

    It is rebuilt from OUT where it was lost, and the jobs of dead runs are pending again.
    """
    adopted = 0

    def rebuild(journal: Journal) -> None:
        nonlocal adopted
        adopted = adopt(journal, settings.out)

    with Journal.open(
        settings.state,
        clock=time.time,
        random=random.random,
        version=__version__,
        rebuild=rebuild,
        command=command,
        workers=workers,
        patience=Patience(failures=settings.attempts, base=settings.retry_delay, cap=max(60.0, settings.retry_delay)),
    ) as journal:
        if journal.set_aside:
            report(JournalDamaged(set_aside=shown(journal.set_aside), adopted=adopted))
        elif adopted:
            report(JournalRebuilt(adopted=adopted))
        take_over(journal, settings.out, report)
        dead_locks(settings.state)
        address.sweep(settings.state, partial(is_alive, settings.state))
        sweep_logs(settings.state)
        workspace.sweep(settings.out)
        if not journal.fresh:  # what a lost journal knew of, its successor has yet to find
            sweep_work(journal)
        yield journal


@contextmanager
def worker_log(state: str, run: str) -> Iterator[int]:
    """Open a file for whatever workers and native libraries print; removed if that was nothing."""
    folder = os.path.join(state, LOGS)
    make_writable(folder, "directory of logs", "--state", mode=0o700)
    path = os.path.join(folder, f"{run}.log")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        with suppress(OSError):  # an empty log does no harm
            if not os.fstat(fd).st_size:
                os.unlink(path)
        os.close(fd)
