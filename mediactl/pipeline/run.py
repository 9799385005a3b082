"""The whole story of one ``mediactl process``, or ``watch``. Read this file first.

scan -> plan -> journal.add -> claim -> pool -> media operation -> artefacts -> journal.settle -> asset.json -> summary

``intake`` takes sources in (scan, plan, add), ``dispatcher`` lets the pool claim and settle jobs, ``media.execute``
runs them in worker processes. This module wires them and judges the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import chain
from typing import IO, TYPE_CHECKING, Protocol

from mediactl import __version__
from mediactl.assets.check import OutputCheck
from mediactl.control.server import Server
from mediactl.core.errors import ExitCode, UsageError
from mediactl.core.files import LONGEST_OUT, LONGEST_PATH, make_writable, shown
from mediactl.core.sandbox import layers
from mediactl.core.sandbox.mode import Mode
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.media import decoders
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.model.events import RunStarted, SandboxIncomplete, Summary
from mediactl.model.verdict import Verdict
from mediactl.pipeline import output_lock
from mediactl.pipeline.buckets.memory import Memory, remove_released
from mediactl.pipeline.dispatcher import LANES, Dispatcher
from mediactl.pipeline.fetching.scratch import Scratch
from mediactl.pipeline.handlers.budget_check import BudgetCheck
from mediactl.pipeline.intake import objects
from mediactl.pipeline.intake.batches import Intake
from mediactl.pipeline.intake.feed import Feed
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.pool_run import Emit, counted, fetching, open_journal, reported, run_pool, uploading
from mediactl.pipeline.publish import Publisher
from mediactl.pool.contract import Stopped
from mediactl.pool.forkserver import ForkServer
from mediactl.pool.lanes import RemoteLanes
from mediactl.pool.network import NETWORK
from mediactl.recipe import loader
from mediactl.sources import filters, manifest, scan, shards
from mediactl.sources.distinct import without_repeats
from mediactl.sources.filters import Filter
from mediactl.ui.tally import Tally

if TYPE_CHECKING:
    from mediactl.sources.watch import Watch


class Engine(Protocol):
    """Runs media jobs on other machines."""

    def connected(self, settings: Settings, run: str, report: Emit) -> AbstractContextManager[RemoteLanes]:
        """Do so for the run of this id inside the block."""


def process(
    settings: Settings,
    emit: Emit,
    stdin: Callable[[], IO[bytes]],
    forks: ForkServer | None = None,
    feed: Feed | None = None,
    engine: Engine | None = None,
) -> Summary:
    """Make the outputs of all sources complete and return the summary; ``emit`` gets every event, in order.

    ``forks``, where given, forks the workers; the caller closes it. Sources come from ``feed``, where that is given.
    With ``engine``, other machines run the media jobs.
    Raises UsageError before anything is started where the settings are invalid.
    """
    began = time.monotonic()
    clients = Server(time.time)
    tally, report = counted(emit, clients)
    missing = check_sandbox(settings.sandbox)
    with ExitStack() as stack:
        chosen = loader.load(settings.recipe).at_speed(settings.speed)
        watch = feed if settings.watching is None else open_watch(settings, report)
        batches = found_sources(settings, stdin) if watch is None else watch
        make_out(settings.out)
        stack.enter_context(output_lock.held(settings.out, settings.state))
        check = OutputCheck(settings.out)
        stack.callback(check.close)
        command = "process" if settings.watching is None else "watch"
        journal = stack.enter_context(open_journal(settings, report, command, settings.jobs))
        journal.traces.parent = settings.traceparent
        if watch is not None:
            watch.follow(journal)
        planner = Planner(settings, chosen, encoder_versions(settings.environment.get("MEDIACTL_FFMPEG")), journal)
        publisher = None if settings.to is None else Publisher(journal, settings.to, settings.out)
        memory = None
        if settings.to is not None:
            memory = Memory(journal, planner, settings.to, settings.out, keeps_local=not settings.no_local)
        journal.destination = planner.destination
        remove_released(journal, settings.out)
        budgets = BudgetCheck(journal, planner)
        intake = Intake(settings, journal, planner, batches, check, report, watch, publisher, memory)
        fetches = watch is None and any(map(may_name_objects, settings.sources))
        scratch = Scratch(journal, settings.fetching.scratch) if fetches else None
        lanes = LANES if publisher is None and scratch is None else (*LANES, NETWORK)
        remote = None if engine is None else stack.enter_context(engine.connected(settings, journal.run, report))
        dispatcher = Dispatcher(
            journal,
            planner,
            intake,
            settings.out,
            report,
            time.monotonic,
            publisher,
            lanes,
            attempt_events=settings.attempt_events,
            memory=memory,
            scratch=scratch,
            budgets=None if watch is None else budgets,
            machines=None if remote is None else remote.heartbeats,
        )

        def begin() -> None:
            if missing:
                report(SandboxIncomplete(missing=missing))
            if watch is not None:
                stack.callback(watch.close)
                watch.start()  # its threads; every fork is over

        started = RunStarted(
            run=journal.run, version=__version__, recipe=chosen.name, out=shown(settings.out), workers=settings.jobs,
            watching=settings.watching is not None,
        )  # fmt: skip
        summary = run_pool(
            settings, journal, dispatcher, report, tally, started, clients,
            workers=settings.jobs, network=uploading(settings.to) or (fetching(settings) if fetches else None),
            forks=forks, remote=remote, begin=begin,
            sum_up=lambda stopped: sum_up(
                stopped, intake, dispatcher, journal, tally, time.monotonic() - began, settings,
                over_budget=check_budgets(budgets, report),
            ),
        )  # fmt: skip
    for extra, sources in sorted(tally.required.items()):
        report(decoders.required(extra, sources))
    return reported(summary, tally, report, clients)


def may_name_objects(source: bytes) -> bool:
    """Return whether a SOURCE is in a bucket, or a list that may name what is."""
    return source == b"-" or objects.is_remote(source) or source.endswith(manifest.EXTENSIONS)


def check_sandbox(mode: Mode) -> dict[str, str]:
    """Return the layers of the sandbox that are to be reported as missing. Raises UsageError where all are required."""
    if mode is Mode.OFF:
        return {}
    missing = layers.missing()
    if missing and mode is Mode.REQUIRE:
        reasons = "; ".join(f"{layer}: {why}" for layer, why in missing.items())
        raise UsageError(f"--sandbox require: {reasons}; use another kernel, or --sandbox auto")
    return missing


def sum_up(
    stopped: Stopped,
    intake: Intake,
    dispatcher: Dispatcher,
    journal: Journal,
    tally: Tally,
    elapsed: float,
    settings: Settings,
    *,
    over_budget: int = 0,
) -> Summary:
    """Return how the sources stand now, with the exit code: a watch that is stopped is complete unless it leaves
    something unfinished, or over budget."""
    intake.recount()
    mine = journal.sources.mine(uploads=settings.to is not None)
    done, rejected, quarantined = (
        mine.get(state, 0) + intake.settled[state] for state in ("done", "rejected", "quarantined")
    )
    pending, cancelled = (mine.get(state, 0) + intake.settled[state] for state in ("pending", "cancelled"))
    bad = mine.get("rejected", 0) + mine.get("quarantined", 0)
    if settings.strict or tally.rejected + tally.quarantined:  # else: earlier runs have reported theirs (decision 6)
        bad = rejected + quarantined
    in_order = stopped is Stopped.COMPLETE or (intake.watched and stopped not in (Stopped.BLOCKED, Stopped.FORBIDDEN))
    if tally.internal_errors:
        code = ExitCode.OURS
    elif in_order and dispatcher.refused is not None:
        code = ExitCode.USAGE if dispatcher.refused[0] is Verdict.REFUSED else ExitCode.STOPPED_EARLY
    elif stopped is Stopped.FORBIDDEN or (in_order and dispatcher.forbidden):
        code = ExitCode.USAGE
    elif not in_order or mine.get("pending", 0) or intake.unmounted or intake.unread:
        code = ExitCode.STOPPED_EARLY
    elif over_budget or (not intake.watched and (intake.troubles or tally.faults or bad)):
        code = ExitCode.BAD_SOURCES
    else:
        code = ExitCode.COMPLETE  # also when nothing was to be done, though bad sources of old are still there
    return Summary(
        sources=intake.up_to_date + done + rejected + quarantined + pending + cancelled,
        up_to_date=intake.up_to_date,
        done=done,
        rejected=rejected,
        quarantined=quarantined,
        unfinished=pending + cancelled,
        cancelled=cancelled,
        ignored=intake.settled["ignored"] + mine.get("ignored", 0),
        troubles=intake.troubles,
        jobs=tally.jobs,
        artefacts=tally.artefacts,
        uploaded=tally.uploaded,
        bytes_in=tally.bytes_in,
        bytes_out=tally.bytes_out,
        bytes_sent=tally.bytes_sent,
        elapsed_s=round(elapsed, 3),
        exit_code=code,
        internal_errors=tally.internal_errors,
        internal_error=tally.internal_error,
        left_out=dict(intake.left_out) or None,
        over_budget=over_budget,
        recalled=tally.recalled,
    )


def check_budgets(check: BudgetCheck, report: Emit) -> int:
    """Report every artefact in OUT that is over budget and was not reported yet; return how many are over budget."""
    for broken in check.everything():
        report(broken)
    return check.broken


def found_sources(settings: Settings, stdin: Callable[[], IO[bytes]]) -> Iterator[scan.Found]:
    """Return everything that the SOURCE arguments name, in their order, or the shard's part. Raises UsageError."""
    found = _all_sources(settings, stdin)
    return found if settings.shard is None else shards.only(found, settings.shard)


def _all_sources(settings: Settings, stdin: Callable[[], IO[bytes]]) -> Iterator[scan.Found]:
    """Return everything that the SOURCE arguments name. Raises UsageError.

    One folder is walked while its files are processed. Several SOURCEs, and manifests, are read to the end first:
    shared output folders, and bad rows under --strict, must be reported before anything is started.
    """
    listed = [_open_source(settings, source, stdin) for source in settings.sources]
    if len(listed) == 1 and (objects.is_remote(settings.sources[0]) or os.path.isdir(settings.sources[0])):
        return listed[0]
    found: Iterable[scan.Found] = chain.from_iterable(listed)
    return without_repeats(map(_untroubled, found) if settings.strict else found)


def _untroubled(found: scan.Found) -> scan.Found:
    """Return what was found. Raises UsageError where it could not be read."""
    if isinstance(found, scan.Trouble):
        raise UsageError(f"{shown(found.name)}: {found.message} (--strict: nothing was started)")
    return found


def open_watch(settings: Settings, report: Emit) -> Watch:
    """Return a watch on the SOURCE folders that is not started yet. Raises UsageError."""
    from mediactl.sources.watch import Watch  # loads watchfiles

    found: dict[bytes, bytes] = {}
    for source in settings.sources:
        path = os.path.abspath(source)
        if not os.path.isdir(path):
            raise UsageError(f"{shown(source)}: not a folder; only folders can be watched")
        _refuse_inside_out(path, source, settings)
        found[path] = os.path.basename(path) if settings.keep_root else b""
    return Watch(settings, found, report, time.monotonic, time.time)


def _open_source(settings: Settings, source: bytes, stdin: Callable[[], IO[bytes]]) -> Iterator[scan.Found]:
    rules = filters.of(settings)
    if source == b"-":
        # Whoever writes to standard input could name the same files as SOURCE; only manifest files may be others'.
        walk = partial(_listed_folder, settings, rules)
        rows = manifest.read(stdin(), b"-", os.getcwdb(), allow_outside=True, walk=walk)
        return scan.in_folders(map(partial(_without_outputs, _Outputs(settings.out)), rows))
    if objects.is_remote(source):
        _refuse_originals(settings)
        return objects.found(settings, source, rules)
    path = os.path.abspath(source)
    _refuse_inside_out(path, source, settings)
    if os.path.isdir(path):
        prefix = os.path.basename(path) if settings.keep_root else b""
        return _walk(path, prefix, settings, rules)
    if path.endswith(manifest.EXTENSIONS) and os.path.isfile(path):
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed by who reads it
        except OSError as error:
            raise UsageError(f"manifest {shown(source)}: cannot be read: {error.strerror}") from None
        walk = partial(_listed_folder, settings, rules)
        folder = os.path.dirname(path)
        rows = manifest.read(file, source, folder, allow_outside=settings.allow_outside, walk=walk)
        return scan.in_folders(map(partial(_outside_out, os.path.realpath(settings.out)), rows))
    prefix = os.path.basename(os.path.dirname(path)) if settings.keep_root else b""
    return iter([scan.single(path, prefix=prefix)])


def _refuse_originals(settings: Settings) -> None:
    if settings.to is not None and settings.to.include_originals:
        raise UsageError("--include-originals: s3:// sources are in a bucket already; omit it")


def _walk(path: bytes, prefix: bytes, settings: Settings, rules: Filter) -> Iterator[scan.Found]:
    """Walk a folder without OUT and the journal; they are looked up at its start, for OUT may not be there before."""
    folders = (settings.out, os.fsencode(settings.state))
    never = frozenset(_mark(folder) for folder in folders if os.path.isdir(folder))
    yield from scan.folder(path, prefix=prefix, never=never, follow=settings.follow_symlinks, rules=rules)


def _listed_folder(settings: Settings, rules: Filter, path: bytes, prefix: bytes) -> Iterator[scan.Found]:
    """Walk a directory that a row names, unless it is, or is in, an output directory."""
    if _Outputs(settings.out).contain(path):
        above, name = os.path.split(path)
        return iter([scan.LeftOut(above, b"", [(name + b"/", filters.OUTPUTS)])])
    return _walk(path, prefix, settings, rules)


class _Outputs:
    """Output directories: OUT, and those of other runs, which hold a journal."""

    def __init__(self, out: bytes) -> None:
        self._known = {os.path.realpath(out): True, b"/": False}

    def contain(self, path: bytes) -> bool:
        """Return whether a directory is one, or is in one; by its real path."""
        known = self._known.get(path)
        if known is None:
            here = os.path.lexists(os.path.join(path, b".mediactl"))
            known = self._known[path] = here or self.contain(os.path.dirname(path))
        return known


def _without_outputs(outputs: _Outputs, found: scan.Found) -> scan.Found:
    """Leave out a file in an output directory: `find` lists them with all others, and outputs are never sources."""
    match found:
        case scan.Batch(files=[file]) if outputs.contain(found.root):
            return scan.LeftOut(found.root, found.folder, [(file.name, filters.OUTPUTS)])
    return found


def _outside_out(out: bytes, found: scan.Found) -> scan.Found:
    """A manifest's row may name a file in OUT, given by its real path; outputs are never sources."""
    if isinstance(found, scan.Batch) and len(found.files) == 1:
        file = found.path_of(found.files[0])
        real = os.path.realpath(file) if found.folder else file  # that of a row is real already
        if real.startswith(out + b"/"):
            return scan.Trouble(file, "inside the output directory; outputs are never sources")
    return found


def _refuse_inside_out(path: bytes, source: bytes, settings: Settings) -> None:
    real, out = os.path.realpath(path), os.path.realpath(settings.out)
    if real == out or real.startswith(out + b"/"):
        raise UsageError(
            f"{shown(source)}: inside the output directory {shown(settings.out)}; outputs are never sources:"
            " use another --out"
        )


def make_out(out: bytes) -> None:
    """Create OUT if it is not there. Raises UsageError or MachineBlocked."""
    if len(out) > LONGEST_OUT:
        raise UsageError(
            f"--out {shown(out[:60])}...: its path has {len(out):,} bytes; at most {LONGEST_OUT:,} leave room"
            f" for file names, since Linux limits paths to {LONGEST_PATH:,}: use a shorter one"
        )
    make_writable(out, "output directory", "--out")


def _mark(folder: bytes | str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
