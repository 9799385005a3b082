"""Runs of the network lane alone: ``mediactl upload``, and what finishes uploads that an earlier run left."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from mediactl import __version__
from mediactl.core.errors import ExitCode, MachineBlocked
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.events import Event, Plan, Reason, RunStarted, RunStopped, Summary, UploadPlanned
from mediactl.model.verdict import Verdict
from mediactl.pipeline import drain
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.run import EXECUTE, Emit, open_journal, uploading, worker_log
from mediactl.pipeline.upload_intake import Sending, must_exist
from mediactl.pool.contract import Stopped
from mediactl.pool.network import NETWORK, Service
from mediactl.pool.process import worker_environment
from mediactl.pool.supervisor import Supervisor
from mediactl.recipe.loader import load
from mediactl.ui.tally import Tally


def upload(settings: Settings, emit: Emit) -> Summary:
    """Put the files that ``settings.sources`` names where ``settings.to`` says. Raises UsageError."""
    must_exist(settings.sources)
    to = settings.to
    assert to is not None

    def sending(journal: Journal, tell: Emit) -> Sending:
        follow = settings.follow_symlinks
        return Sending(settings.sources, to, journal, settings.priority, tell, follow=follow)

    return network_run(settings, emit, sending, uploading(to))


def resume(settings: Settings, emit: Emit, service: Service) -> Summary:
    """Run the uploads that wait since an earlier run, whatever they are of."""
    return network_run(settings, emit, Waiting, service, everything=True)


class Waiting:
    """The intake of a run that takes nothing in: what waits already is all that it has to do."""

    wakeup: socket.socket | None = None
    up_to_date = 0
    troubles = 0

    def __init__(self, journal: Journal, emit: Emit) -> None:
        self._jobs, size = journal.uploads.mark_waiting()
        if self._jobs:
            emit(UploadPlanned(jobs=self._jobs, bytes=size))

    def step(self) -> bool:
        """False: all is taken in."""
        return False

    def summary(self) -> Plan:
        """Return the event "plan"."""
        reasons = {Reason.UNFINISHED: self._jobs} if self._jobs else {}
        return Plan(sources=self._jobs, up_to_date=0, ignored=0, planned=self._jobs, reasons=reasons)


def network_run(
    settings: Settings,
    emit: Emit,
    open_intake: Callable[[Journal, Emit], Sending | Waiting],
    service: Service | None,
    *,
    everything: bool = False,
) -> Summary:
    """Run uploads, and nothing else, until none is left that this run can do.

    ``everything``: it is judged by all that it ran, not only by what its intake asked for.
    """
    started = time.monotonic()
    tally = Tally()

    def tell(event: Event) -> None:
        tally.take(event)
        emit(event)

    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(settings, tell))
        planner = Planner(settings, load("web"), {}, journal)
        intake = open_intake(journal, tell)
        backlog = Dispatcher(journal, planner, intake, settings.out, tell, time.monotonic, lanes=(NETWORK,))
        log = stack.enter_context(worker_log(settings.state, journal.run))
        pool = Supervisor(
            EXECUTE, backlog, workers=1, token=journal.run,
            environment=worker_environment(settings.environment), log=log,
            grace=settings.grace, max_duration=settings.max_duration, network=service,
            drain=drain.watch(settings.drain_file, settings.drain_url),
        )  # fmt: skip
        place = "" if settings.to is None else f"s3://{settings.to.place.bucket}/{settings.to.place.prefix}"
        tell(RunStarted(run=journal.run, version=__version__, recipe="", out=shown(place), workers=0, watching=False))
        try:
            stopped = pool.run()
        except MachineBlocked as error:
            stopped, pool.blocked_by = Stopped.BLOCKED, str(error)
        mine = journal.uploads.mine(journal.run if everything else "")
        summary = _sum_up(stopped, intake, backlog, mine, tally, time.monotonic() - started)
        if stopped is not Stopped.COMPLETE:
            tell(RunStopped(reason=pool.blocked_by or stopped.value))
        try:
            journal.end(summary.exit_code)
        except MachineBlocked:
            pass  # told already; a run without an end is looked at by the next one
    tell(summary)
    return summary


def _sum_up(
    stopped: Stopped,
    intake: Sending | Waiting,
    backlog: Dispatcher,
    mine: dict[str, int],
    tally: Tally,
    elapsed: float,
) -> Summary:
    done, rejected, quarantined = (mine.get(state, 0) for state in ("done", "rejected", "quarantined"))
    unfinished = sum(mine.get(state, 0) for state in ("ready", "running", "cancelled"))
    if tally.internal_errors:
        code = ExitCode.OURS
    elif stopped is Stopped.COMPLETE and backlog.refused is not None:
        code = ExitCode.USAGE if backlog.refused[0] is Verdict.REFUSED else ExitCode.STOPPED_EARLY
    elif stopped is not Stopped.COMPLETE or unfinished:
        code = ExitCode.STOPPED_EARLY
    else:
        code = ExitCode.BAD_SOURCES if intake.troubles or rejected + quarantined else ExitCode.COMPLETE
    return Summary(
        sources=intake.up_to_date + done + rejected + quarantined + unfinished,
        up_to_date=intake.up_to_date,
        done=done,
        rejected=rejected,
        quarantined=quarantined,
        unfinished=unfinished,
        ignored=0,
        troubles=intake.troubles,
        jobs=tally.jobs,
        artefacts=0,
        uploaded=tally.uploaded,
        bytes_in=0,
        bytes_out=0,
        bytes_sent=tally.bytes_sent,
        elapsed_s=round(elapsed, 3),
        exit_code=code,
        internal_errors=tally.internal_errors,
        internal_error=tally.internal_error,
    )
