"""Runs of the network lane alone: ``mediactl upload``, and what finishes uploads that an earlier run left."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from mediactl import __version__
from mediactl.control.server import Server
from mediactl.core.errors import ExitCode
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.events import LeftOutBy, Plan, Reason, RunStarted, Summary, UploadPlanned
from mediactl.model.verdict import Verdict
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.intake.uploads import Sending, must_exist
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.pool_run import Emit, counted, open_journal, reported, run_pool, uploading
from mediactl.pool.contract import Stopped
from mediactl.pool.network import NETWORK, Service
from mediactl.recipe.loader import load
from mediactl.sources import filters
from mediactl.ui.tally import Tally


def upload(settings: Settings, emit: Emit) -> Summary:
    """Put the files that ``settings.sources`` names where ``settings.to`` says. Raises UsageError."""
    must_exist(settings.sources)
    rules = filters.of(settings)
    to = settings.to
    assert to is not None

    def sending(journal: Journal, emit: Emit) -> Sending:
        follow = settings.follow_symlinks
        return Sending(settings.sources, to, journal, settings.priority, emit, rules, follow=follow)

    return network_run(settings, emit, sending, uploading(to))


def resume(settings: Settings, emit: Emit, service: Service) -> Summary:
    """Run the pending uploads of earlier runs, whatever they are of."""
    return network_run(settings, emit, Waiting, service, everything=True)


class Waiting:
    """The intake of a run that takes nothing in: only what is pending already is done."""

    wakeup: socket.socket | None = None
    up_to_date = 0
    troubles = 0
    left_out: Mapping[LeftOutBy, int] = {}

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
    began = time.monotonic()
    clients = Server(time.time)
    tally, report = counted(emit, clients)
    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(settings, report, "resume" if everything else "upload", 0))
        journal.traces.parent = settings.traceparent
        planner = Planner(settings, load("web"), {}, journal)
        intake = open_intake(journal, report)
        dispatcher = Dispatcher(
            journal, planner, intake, settings.out, report, time.monotonic, lanes=(NETWORK,),
            attempt_events=settings.attempt_events,
        )  # fmt: skip
        location = "" if settings.to is None else f"s3://{settings.to.location.bucket}/{settings.to.location.prefix}"
        started = RunStarted(
            run=journal.run, version=__version__, recipe="", out=shown(location), workers=0, watching=False
        )  # fmt: skip

        def sum_up(stopped: Stopped) -> Summary:
            mine = journal.uploads.mine(journal.run if everything else "")
            return _sum_up(stopped, intake, dispatcher, mine, tally, time.monotonic() - began)

        summary = run_pool(
            settings, journal, dispatcher, report, tally, started, clients, workers=1, network=service, sum_up=sum_up
        )  # fmt: skip
    return reported(summary, tally, report, clients)


def _sum_up(
    stopped: Stopped,
    intake: Sending | Waiting,
    dispatcher: Dispatcher,
    mine: dict[str, int],
    tally: Tally,
    elapsed: float,
) -> Summary:
    done, rejected, quarantined = (mine.get(state, 0) for state in ("done", "rejected", "quarantined"))
    unfinished = sum(mine.get(state, 0) for state in ("ready", "running", "cancelled"))
    if tally.internal_errors:
        code = ExitCode.OURS
    elif stopped is Stopped.COMPLETE and dispatcher.refused is not None:
        code = ExitCode.USAGE if dispatcher.refused[0] is Verdict.REFUSED else ExitCode.STOPPED_EARLY
    elif stopped is not Stopped.COMPLETE or unfinished:
        code = ExitCode.STOPPED_EARLY
    else:
        code = ExitCode.BAD_SOURCES if intake.troubles or tally.faults or rejected + quarantined else ExitCode.COMPLETE
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
        left_out=dict(intake.left_out) or None,
    )
