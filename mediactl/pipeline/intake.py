"""From files to jobs in the journal: scan, compare with the journal, add what is missing."""

from __future__ import annotations

import os
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from mediactl.assets.check import OutputCheck
from mediactl.core.errors import UsageError
from mediactl.core.faults import internal_error
from mediactl.core.files import LONGEST_NAME, LONGEST_OUTPUT_FOLDER, LONGEST_PATH, shown
from mediactl.core.settings import Settings
from mediactl.jobs.barrier import ENDS_THE_RUN, barrier
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import Known
from mediactl.model.events import (
    Event,
    LeftOutBy,
    Plan,
    Reason,
    ScanTrouble,
    SourceIgnored,
    SourceLeftOut,
    SourcePlanned,
)
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.media import UNREADABLE, Kind, Source
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.planning.jobs import lacks_position, permitted
from mediactl.recipe.loader import Recipe
from mediactl.sources import scan, sniff

if TYPE_CHECKING:
    from mediactl.sources.watch import Watch

FEW = 16
"""Up to so many files of a folder are looked up one by one: a watch finds few at a time, in folders of many."""


class _Needs:
    """What the files of a batch need."""

    def __init__(self) -> None:
        self.reading: list[tuple[scan.Entry, Reason]] = []
        """Files to be read."""
        self.making: defaultdict[Reason, list[int]] = defaultdict(list)
        """Probed sources whose outputs are to be made, by the reason for it."""
        self.nothing: list[int] = []
        """Sources that need nothing."""


class Intake:
    """Takes sources in, batch by batch. ``step`` until nothing is left, which is never so with a ``watch``.

    ``up_to_date`` counts sources that need nothing; ``settled`` those that ended before this run, by state. In a watch,
    which may meet a source many times, both are as ``recount`` left them.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        planner: Planner,
        batches: Iterator[scan.Found | None],
        check: OutputCheck,
        emit: Callable[[Event], None],
        watch: Watch | None = None,
        shipping: Publisher | None = None,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._planner = planner
        self._batches = batches
        self._check = check
        self._emit = emit
        self._watch = watch
        self._publisher = shipping
        self._unchecked: set[int] = set()
        """Sources with outputs to be uploaded, whose outputs were not checked yet."""
        self.wakeup: socket.socket | None = None if watch is None else watch.wakeup
        self.found = 0
        self.up_to_date = 0
        self.troubles = 0
        self.left_out: Counter[LeftOutBy] = Counter()
        self.settled: Counter[str] = Counter()
        journal.confined = True
        self.reasons: Counter[Reason] = Counter()
        """How many sources were planned for which reason."""

    def step(self) -> bool | None:
        """Take in one batch; return False when all is taken in, None when there is nothing for now."""
        batch = next(self._batches, None)
        self._journal.confined = batch is not None if self._watch is None else not self._watch.surveyed
        if batch is None:
            self._remake(self._check.finish())
            return False if self._watch is None else None
        if isinstance(batch, scan.Trouble):
            self._trouble(batch)
            return True
        if isinstance(batch, scan.LeftOut):
            self._leave_out(batch)
            return True
        self.found += len(batch.files)
        self._take(batch)
        self._remake(self._check.stale())
        return True

    def summary(self) -> Plan | None:
        """Return what was planned; None while a watch has not seen all that was there at its start."""
        found = self.found
        if self._watch is not None:
            if not self._watch.surveyed:
                return None
            self.recount()
            found = self.up_to_date + self.settled.total() + sum(self._journal.sources.mine().values())
        return Plan(
            sources=found - self.settled["ignored"],
            up_to_date=self.up_to_date,
            ignored=self.settled["ignored"],
            planned=self.reasons.total(),
            reasons=dict(sorted(self.reasons.items())),
            left_out=dict(self.left_out) or None,
        )

    @property
    def watched(self) -> bool:
        """Return whether a watch has seen all that was there at its start."""
        return self._watch is not None and self._watch.surveyed

    def recount(self) -> None:
        """Count the sources that a watch found and that needed nothing, each once."""
        if self._watch is not None:
            self.settled = Counter(self._journal.sources.met())
            self.up_to_date = self.settled.pop("done", 0)

    def _trouble(self, trouble: scan.Trouble) -> None:
        self.troubles += 1
        self._emit(ScanTrouble(path=shown(trouble.name), reason=trouble.message))

    def _fault(self, path: bytes, error: Exception) -> None:
        """Report a file that was not taken in for a fault of mediactl's; the next run looks at it again."""
        if self._watch is None or self._watch.reports(path):
            self._trouble(scan.Trouble(path, internal_error(error)))

    def _leave_out(self, found: scan.LeftOut) -> None:
        self.left_out.update(rule.by for _, rule in found.names)
        for event in left_out_events(found):
            self._emit(event)

    def _take(self, batch: scan.Batch) -> None:
        """Take in the files of a batch: each is read, has its outputs made, or needs nothing."""
        with barrier(lambda error: self._take_singly(batch, error)):
            recipe = self._planner.named(batch.recipe)
            plans = self._planner.plans(recipe)
            self._take_known(batch, recipe, plans, self._known(batch))

    def _take_singly(self, batch: scan.Batch, error: Exception) -> None:
        """Take in one by one the files of a batch that cannot be looked up together; one alone is given up."""
        if len(batch.files) == 1:
            self._fault(batch.path_of(batch.files[0]), error)
            return
        for entry in batch.files:
            self._take(msgspec.structs.replace(batch, files=[entry]))

    def _take_known(self, batch: scan.Batch, recipe: Recipe, plans: dict[str, str], known: dict[bytes, Known]) -> None:
        needs = _Needs()
        for entry in self._within_limits(batch):
            try:  # not ``barrier``, which takes as long as all the rest: there may be very many that need nothing
                row = known.get(batch.output_name(entry))
                if row is None:
                    needs.reading.append((entry, Reason.NEW))
                elif _is_unchanged(row, batch.root, entry):
                    self._judge(row, plans.get(row.kind, ""), batch, entry, needs)
                elif not self._is_taken(row, batch, entry):
                    needs.reading.append((entry, Reason.CHANGED if row.mtime_ns else Reason.ADOPTED))
            except ENDS_THE_RUN:
                raise
            except Exception as error:  # noqa: BLE001 - as in ``barrier``
                self._fault(batch.path_of(entry), error)
        if self._watch is not None:
            self._journal.sources.mark_met(needs.nothing)
        if self._watch is not None and batch.fresh:
            for entry, _ in needs.reading:
                self._watch.hold(batch, entry)
        elif needs.reading:
            self._read(batch, recipe, plans, needs.reading, known)
        for reason, sources in needs.making.items():
            self._make(sources, recipe, reason)

    def _within_limits(self, batch: scan.Batch) -> list[scan.Entry]:
        """Return the files of a batch whose outputs have paths that Linux takes; the others are reported."""
        room = LONGEST_OUTPUT_FOLDER - len(self._settings.out) - len(batch.directory) - 2
        if room >= LONGEST_NAME:
            return batch.files
        fitting = [entry for entry in batch.files if len(batch.output_name(entry)) <= room]
        for entry in batch.files:
            path = batch.path_of(entry)
            if len(batch.output_name(entry)) > room and (self._watch is None or self._watch.reports(path)):
                reason = f"paths of its outputs would be longer than {LONGEST_PATH:,} bytes: use a shorter --out"
                self._trouble(scan.Trouble(path, reason))
        return fitting

    def _judge(self, row: Known, plan: str, batch: scan.Batch, entry: scan.Entry, needs: _Needs) -> None:
        """Add an unchanged file to what is needed, by the state of its source and the plan that it should have now."""
        if row.state == "done" and row.plan == plan:
            self._judge_done(row, batch, entry, needs)
        elif row.state == "done":
            needs.making[_difference(row.plan, plan)].append(row.id)
        elif row.plan not in ("", plan):
            needs.reading.append((entry, _difference(row.plan, plan)))
        elif row.state != "pending":
            self.settled[row.state] += 1
            needs.nothing.append(row.id)
        elif not self._journal.sources.has_live_job(row.id):
            needs.reading.append((entry, Reason.UNFINISHED))
        elif self._journal.sources.mark_mine([row.id]):
            self._planned(row.path, Kind(row.kind), row.size, Reason.UNFINISHED)

    def _judge_done(self, row: Known, batch: scan.Batch, entry: scan.Entry, needs: _Needs) -> None:
        """The same for a source that is done: up to date, unless its outputs or uploads are found missing."""
        assert row.outputs is not None  # CHECKed by the schema for done rows
        if not batch.fresh:
            self._check.ask((row.id, batch.output_of(entry), row.folder_mtime_ns, row.outputs))
        if self._is_uploaded(row):
            self.up_to_date += 1  # taken back should the check find it stale
            needs.nothing.append(row.id)

    def _is_uploaded(self, row: Known) -> bool:
        """Return whether a done source needs nothing; uploads that are missing are planned."""
        if self._publisher is None:
            return True
        state = row.upload_state if row.uploaded == self._publisher.destination else ""
        if state == "conflict" and self._publisher.replaces:
            state = ""
        if state in ("conflict", "failed"):
            self.settled["rejected" if state == "conflict" else "quarantined"] += 1
        elif state != "done":
            self._unchecked.add(row.id)
            with self._journal.transaction(durable=False):
                self._journal.sources.mark_mine([row.id])
                if state != "pending" or not self._journal.sources.has_live_upload(row.id):
                    try:
                        self._emit(self._publisher.begin(row.id, self._settings.priority))
                    except FileNotFoundError:
                        return False  # the check will find it, and have it remade
            self._planned(row.path, Kind(row.kind), 0, Reason.NOT_UPLOADED)
        return state == "done"

    def _read(
        self,
        batch: scan.Batch,
        recipe: Recipe,
        plans: dict[str, str],
        reading: list[tuple[scan.Entry, Reason]],
        known: dict[bytes, Known],
    ) -> None:
        """Add a probe job for each of these files, unless it is no media or the recipe makes nothing of it.

        This was decided by the rows ``known``; a file whose row another run has changed since is taken in once more.
        Jobs of an earlier plan that are pending are cancelled; what runs of it ends in vain (``Completer``).
        """
        files: list[tuple[scan.Entry, Reason, Source, str | None]] = []
        for entry, reason in reading:
            try:  # as above
                source, unusable = self._source(batch, entry)
                if unusable is None:
                    self._planner.require_encoders(source.kind, recipe)
                files.append((entry, reason, source, unusable))
            except ENDS_THE_RUN:
                raise
            except Exception as error:  # noqa: BLE001 - as in ``barrier``
                self._fault(batch.path_of(entry), error)
        priority = self._settings.priority if batch.priority is None else batch.priority
        overtaken: list[scan.Entry] = []
        with self._journal.transaction(durable=False):
            digest = self._planner.keep(recipe)
            now = self._known(batch)
            for entry, reason, source, unusable in files:
                name = batch.output_name(entry)
                if now.get(name) != known.get(name):
                    overtaken.append(entry)
                    continue
                before = now[name].id if name in now else None
                try:
                    if unusable is not None:
                        self._ignore(source, self._put_ignored(source, before, unusable), unusable)
                    else:
                        with self._journal.part():
                            self._put(source, before, recipe, digest, plans[source.kind.value], priority, reason)
                except ENDS_THE_RUN:
                    raise
                except Exception as error:  # noqa: BLE001 - as in ``barrier``
                    self._fault(source.file, error)
        if overtaken:
            self._take(msgspec.structs.replace(batch, files=overtaken))

    def _put_ignored(self, source: Source, before: int | None, reason: str) -> int:
        if before is None:
            return self._journal.sources.put_ignored(source, reason)
        with self._journal.part():
            self._journal.sources.supersede(before)
            return self._journal.sources.put_ignored(source, reason)

    def _put(
        self,
        source: Source,
        before: int | None,
        recipe: Recipe,
        digest: str,
        plan: str,
        priority: Priority,
        reason: Reason,
    ) -> None:
        """Enter a source, in place of what stands at its place, with the job that reads it."""
        sources = self._journal.sources
        if before is not None:
            sources.supersede(before)
        if source.kind is not Kind.VIDEO and not recipe.outputs(source.kind):
            unused = f"recipe {recipe.name!r} makes nothing of {source.kind.value} files"
            self._ignore(source, sources.put(source, digest, plan, "ignored", unused), unused)
            return
        row = sources.put(source, digest, plan, "pending")
        sources.mark_mine([row])
        self._journal.add([self._planner.probe_job(source, row, recipe, priority)])
        self._planned(source.path, source.kind, source.fingerprint.size, reason)

    def _ignore(self, source: Source, row: int, reason: str) -> None:
        self.settled["ignored"] += 1
        if self._watch is not None:
            self._journal.sources.mark_met([row])
        self._emit(SourceIgnored(path=shown(source.path), reason=reason))

    def _known(self, batch: scan.Batch) -> dict[bytes, Known]:
        """Return what the journal has of a batch's files, by the name of their output folder: of all in that folder,
        or of a few."""
        sources = self._journal.sources
        few = self._watch is not None and not batch.fresh and len(batch.files) <= FEW
        if len(batch.files) > 1 and not few:
            return sources.known(batch.directory)
        rows = (sources.known_one(batch.directory, batch.output_name(entry)) for entry in batch.files)
        return {row.name: row for row in rows if row is not None}

    def _remake(self, rows: Iterable[int]) -> None:
        """Plan done sources whose outputs are not as they were left."""
        rows = list(rows)
        if rows:
            self.up_to_date -= sum(1 for row in rows if row not in self._unchecked)
            self._make(rows, None, Reason.MISSING_OUTPUT)

    def _make(self, rows: Iterable[int], recipe: Recipe | None, reason: Reason) -> None:
        """Add the jobs of sources that need not be read first."""
        with self._journal.transaction(durable=False):
            for number in rows:
                with barrier(partial(self._fault_of, number)), self._journal.part():
                    self._make_one(number, recipe, reason)

    def _fault_of(self, number: int, error: Exception) -> None:
        self._fault(self._journal.path_of(number), error)

    def _make_one(self, number: int, recipe: Recipe | None, reason: Reason) -> None:
        row = self._journal.sources.get(number)
        chosen = recipe or self._planner.with_digest(row.recipe)
        planned = self._planner.plans(chosen)[row.source.kind.value]
        if row.state != "done" or (recipe is not None and row.plan == planned):
            # Another run was quicker: its job is pending or running, or it is done already.
            self._journal.sources.mark_mine([number])
            return
        self._planner.require_encoders(row.source.kind, chosen)
        digest = self._planner.keep(chosen)
        self._journal.sources.put(row.source, digest, planned, "pending")
        self._journal.sources.mark_mine([number])
        assert row.digest is not None and row.info is not None  # CHECKed by the schema for done rows
        info = permitted(row.info, chosen)
        if info is not row.info:
            self._journal.sources.probed(number, row.digest, info, planned)
            row = msgspec.structs.replace(row, info=info)
        self._journal.sources.supersede(number)
        jobs: Iterable[NewJob] = ()
        if lacks_position(info, chosen):
            jobs = [self._planner.probe_job(row.source, number, chosen, self._settings.priority)]
        elif work := self._planner.work(row, chosen, self._settings.priority):
            jobs = work.first
        if not jobs:
            self._journal.sources.set_state(number, "ignored", f"recipe {chosen.name!r} makes nothing of it")
        else:
            self._journal.add(jobs)
            source = row.source
            self._planned(source.path, source.kind, source.fingerprint.size, reason)

    def _planned(self, path: bytes, kind: Kind, size: int, reason: Reason) -> None:
        self.reasons[reason] += 1
        self._emit(SourcePlanned(path=shown(path), kind=kind, reason=reason, bytes=size))

    def _source(self, batch: scan.Batch, entry: scan.Entry) -> tuple[Source, str | None]:
        """Return a file as a source, by its first bytes, and why it is ignored if it is none."""
        source = Source(
            root=batch.root,
            path=os.path.join(batch.folder, entry.name),
            directory=batch.output_of(entry),
            fingerprint=entry.fingerprint,
            kind=Kind.IMAGE,
            format="unknown",
        )
        try:
            head = sniff.head(source.file)
        except OSError:
            found = sniff.sniff(b"", entry.name) or (Kind.IMAGE, "unknown")
            return msgspec.structs.replace(source, kind=found[0], format=UNREADABLE), None  # its probe says why
        named = sniff.sniff(head, entry.name)
        if named is None:
            return source, "empty file" if not head else sniff.NO_MEDIA
        return msgspec.structs.replace(source, kind=named[0], format=named[1]), None

    def _is_taken(self, row: Known, batch: scan.Batch, entry: scan.Entry) -> bool:
        """Return whether a file would overwrite the outputs of another one. Raises UsageError, except in watch mode,
        which reports it once and continues."""
        here = batch.path_of(entry)
        there = os.path.join(row.root, row.path)
        if not row.root or os.path.normpath(here) == os.path.normpath(there) or not os.path.lexists(there):
            return False
        message = (
            f"{shown(here)} and {shown(there)} would both be written to {shown(batch.output_of(entry))};"
            " give each an --out of its own, or use --keep-root to put each folder's own name in front"
        )
        if self._watch is None:
            raise UsageError(message)
        if self._watch.reports(here):
            self._trouble(scan.Trouble(here, message))
        return True


def left_out_events(found: scan.LeftOut) -> Iterator[SourceLeftOut]:
    """Yield an event for each file and directory that is left out."""
    above = shown(os.path.join(found.folder, b"")) if found.folder else ""
    for name, rule in found.names:
        yield SourceLeftOut(path=above + shown(name), reason=rule.by, rule=rule.text)


def _is_unchanged(row: Known, root: bytes, entry: scan.Entry) -> bool:
    """Return whether a file is the one in the journal, unchanged."""
    return (
        row.mtime_ns == entry.mtime_ns
        and row.size == entry.size
        and row.ctime_ns == entry.ctime_ns
        and row.inode == entry.inode
        and row.root == root
    )


def _difference(before: str, plan: str) -> Reason:
    """Return why a source needs another plan: its recipe's part differs, or only that of the encoders' versions."""
    return Reason.ENCODER_CHANGED if before.partition(":")[0] == plan.partition(":")[0] else Reason.RECIPE_CHANGED
