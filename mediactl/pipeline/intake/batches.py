"""From files to jobs in the journal: scan, compare with the journal, add what is missing."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import msgspec

from mediactl.assets.check import OutputCheck, Question
from mediactl.core.errors import UsageError
from mediactl.core.faults import internal_error
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.jobs.barrier import ENDS_THE_RUN, barrier, together_or_singly
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import Known
from mediactl.media import decoders
from mediactl.model.events import (
    Event,
    LeftOutBy,
    Plan,
    Reason,
    ScanTrouble,
    SourceIgnored,
    SourcePlanned,
    SourceSettled,
)
from mediactl.model.media import Kind, Source
from mediactl.pipeline.buckets.memory import Memory
from mediactl.pipeline.intake import source_files
from mediactl.pipeline.intake.enrolment import Candidate, Enrolment, Entered, source_planned
from mediactl.pipeline.intake.feed import Feed
from mediactl.pipeline.intake.roots import Roots
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.recipe.loader import Recipe
from mediactl.sources import scan

FEW = 16
"""Up to so many files of a folder are looked up one by one: a watch, as a manifest, may name few in folders of many."""


class _Needs:
    """What the files of a batch need."""

    def __init__(self) -> None:
        self.reading: dict[scan.Entry, Reason] = {}
        """Files to be read, and why."""
        self.making: defaultdict[Reason, list[int]] = defaultdict(list)
        """Probed sources whose outputs are to be made, by the reason for it."""
        self.nothing: list[int] = []
        """Sources that need nothing, for a watch."""


class Intake:
    """Takes sources in, batch by batch. ``step`` until nothing is left; a ``watch`` says when that is, if ever.

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
        watch: Feed | None = None,
        shipping: Publisher | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._planner = planner
        self._batches = batches
        self._check = check
        self._emit = emit
        self._watch = watch
        self._publisher = shipping
        self._enrolment = Enrolment(journal, planner, memory)
        self._roots = Roots(journal, settings.sources)
        self._found_roots: set[bytes] = set()
        """Of the files found so far."""
        self._unchecked: set[int] = set()
        """Sources with outputs to be uploaded, whose outputs were not checked yet."""
        self._unpublishable: set[int] = set()
        """Those of them of which an output is gone."""
        self.wakeup: socket.socket | None = None if watch is None else watch.wakeup
        self.found = 0
        self.up_to_date = 0
        self.troubles = 0
        self.unread = 0
        """Directories and files that the next run may read: the machine is to blame."""
        self.unmounted = 0
        """SOURCE directories that are empty because their file system is not mounted."""
        self.left_out: Counter[LeftOutBy] = Counter()
        self.settled: Counter[str] = Counter()
        journal.confined = True
        self.reasons: Counter[Reason] = Counter()
        """How many sources were planned for which reason."""

    def step(self) -> bool | None:
        """Take in one batch; return False when all is taken in, None when there is nothing for now."""
        batch = self._next()
        self._journal.confined = batch is not None if self._watch is None else not self._watch.surveyed
        if batch is None:
            self._remake(self._check.finish())
            if self._watch is not None and not self._watch.ended:
                return None
            for emptied in self._roots.emptied():
                self.unmounted += emptied.unmounted is not None
                self._emit(emptied)
            return False
        if isinstance(batch, scan.Trouble):
            self._trouble(batch)
            return True
        if isinstance(batch, scan.LeftOut):
            self._leave_out(batch)
            return True
        self.found += len(batch.files)
        if batch.files or self._watch is None:  # the files may be in other shards
            self._roots.met(batch.root)
        self._take(batch)
        self._remake(self._check.stale())
        return True

    def _next(self) -> scan.Found | None:
        """Return what is found next; what raises on the way to it is reported, and a watch goes on behind it."""
        with barrier(lambda error: self._fault(b" ".join(self._settings.sources), error)):
            return next(self._batches, None)
        return None

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
        self.unread += trouble.passes
        self._emit(ScanTrouble(path=shown(trouble.name), reason=trouble.message))

    def _fault(self, path: bytes, error: Exception) -> None:
        """Report a file that was not taken in for a fault of mediactl's; the next run looks at it again."""
        self._report(scan.Trouble(path, internal_error(error)))

    def _report(self, trouble: scan.Trouble) -> None:
        """Report that a file was not taken in; a watch, which may find it many times, does so once."""
        if self._watch is None or self._watch.reports(trouble.name):
            self._trouble(trouble)

    def _leave_out(self, found: scan.LeftOut) -> None:
        self.left_out.update(rule.by for _, rule in found.names)
        for event in source_files.left_out_events(found):
            self._emit(event)

    def _take(self, batch: scan.Batch) -> None:
        """Take in the files of a batch: each is read, has its outputs made, or needs nothing."""
        self._found_roots.add(batch.root)
        try:
            recipe, needs = self._planner.named(batch.recipe), _Needs()
            plans = self._planner.plans(recipe)
            files, too_long = source_files.without_long_paths(batch, self._settings.out)
            others = self._incomplete(batch, files, plans, needs)
            batch = msgspec.structs.replace(batch, files=others)
            known = self._known(batch)
        except ENDS_THE_RUN:
            raise
        except Exception as error:  # noqa: BLE001 - as in ``barrier``
            self._singly(batch, batch.files, error, self._take)
            return
        for trouble in too_long:
            self._report(trouble)
        self._judge_all(batch, plans, known, needs)
        if self._watch is not None:
            together_or_singly(needs.nothing, self._journal.part, self._journal.sources.mark_met, self._fault_of)
        if self._watch is not None and batch.fresh:
            self._watch.hold(batch, needs.reading)
        elif needs.reading:
            self._read(msgspec.structs.replace(batch, files=list(needs.reading)), recipe, needs.reading, known)
        for reason, sources in needs.making.items():
            self._make(sources, None if reason is Reason.MISSING_OUTPUT else recipe, reason)

    def _singly(
        self, batch: scan.Batch, files: list[scan.Entry], error: Exception, take: Callable[[scan.Batch], None]
    ) -> None:
        """Take in one by one files that could not be taken together; one alone is given up."""
        if len(files) == 1:
            self._fault(batch.path_of(files[0]), error)
            return
        for entry in files:
            take(msgspec.structs.replace(batch, files=[entry]))

    def _incomplete(
        self, batch: scan.Batch, files: list[scan.Entry], plans: dict[str, str], needs: _Needs
    ) -> list[scan.Entry]:
        """Return those of a batch's files that may need something. Of the others, which are as they were when their
        sources were done, nothing but that is looked up, and their outputs are checked: there may be very many."""
        if len(files) <= FEW and self._may_be_few_of_many(batch):
            return files
        destination = None if self._publisher is None else self._publisher.destination
        complete = self._journal.sources.complete(batch.directory, batch.root, plans, destination)
        if not complete:
            return files
        others: list[scan.Entry] = []
        questions: list[Question] = []
        elsewhere: list[int] = []
        for entry in files:
            row = complete.get(entry.name)
            if (  # not ``source_files.is_unchanged``: a call is a tenth of what a source takes here
                row is not None
                and row.mtime_ns == entry.mtime_ns
                and row.size == entry.size
                and row.ctime_ns == entry.ctime_ns
                and row.inode == entry.inode
            ):
                if row.in_bucket:
                    elsewhere.append(row.id)
                else:
                    questions.append((row.id, row.name, row.folder_mtime_ns, row.outputs))
            else:
                others.append(entry)
        if not batch.fresh:
            self._check.ask(batch.directory, questions)
        self.up_to_date += len(questions) + len(elsewhere)  # those that the check finds stale are taken back
        if self._watch is not None:
            needs.nothing.extend((*(source for source, *_ in questions), *elsewhere))
        return others

    def _may_be_few_of_many(self, batch: scan.Batch) -> bool:
        """Return whether a batch may be a part of what is in its folder: of what changed there, or of a manifest."""
        return not batch.folder or (self._watch is not None and not batch.fresh)

    def _judge_all(self, batch: scan.Batch, plans: dict[str, str], known: dict[bytes, Known], needs: _Needs) -> None:
        """Add the files of a batch to what is needed, by the rows ``known``."""
        for entry in batch.files:
            try:  # not ``barrier``, which takes as long as all the rest: there may be very many that need nothing
                row = known.get(batch.output_name(entry))
                if row is None:
                    needs.reading[entry] = Reason.NEW
                elif source_files.is_unchanged(row, batch.root, entry):
                    self._judge(row, plans.get(row.kind, ""), batch, entry, needs)
                elif not self._is_taken(row, batch, entry):
                    needs.reading[entry] = Reason.CHANGED if row.mtime_ns else Reason.ADOPTED
            except ENDS_THE_RUN:
                raise
            except Exception as error:  # noqa: BLE001 - as in ``barrier``
                self._fault(batch.path_of(entry), error)

    def _judge(self, row: Known, plan: str, batch: scan.Batch, entry: scan.Entry, needs: _Needs) -> None:
        """Add an unchanged file to what is needed, by the state of its source and the plan that it should have now."""
        if row.state == "done" and row.plan == plan:
            self._judge_done(row, batch, entry, needs)
        elif row.state == "done":
            needs.making[source_files.difference(row.plan, plan)].append(row.id)
        elif row.plan not in ("", plan):
            needs.reading[entry] = source_files.difference(row.plan, plan)
        elif (row.state == "rejected" or row.kind == "none") and row.decoders != decoders.digest(row.format):
            needs.reading[entry] = Reason.DECODER_CHANGED
        elif row.state != "pending":
            self._settled(row, row.state)
            needs.nothing.append(row.id)
        elif not self._has_live_job(row.id):
            needs.reading[entry] = Reason.UNFINISHED
        elif self._journal.sources.mark_mine([row.id]):
            self._planned(source_planned(row.path, Kind(row.kind), row.size, Reason.UNFINISHED))

    def _has_live_job(self, source: int) -> bool:
        """Return whether a job that this run can run, or another is running, makes or reads a source."""
        journal = self._journal
        if journal.destination is not None and journal.buckets.has_job_for_others(source, journal.destination):
            with journal.transaction(durable=False):
                journal.buckets.cancel_for_others(source, journal.destination)
        return journal.sources.has_live_job(source)

    def _settled(self, row: Known, state: str) -> None:
        """Count a source that ended before this run, and report it; a watch, which may meet it many times, does not."""
        self.settled[state] += 1
        if self._watch is not None or (state == "ignored" and not self._settings.list_ignored):
            return
        path, reason = shown(row.path), self._journal.sources.reason(row.id)
        if state == "ignored":
            self._emit(SourceIgnored(path=path, reason=reason))
        else:
            fails = self._settings.strict and state != "cancelled"
            self._emit(SourceSettled(path=path, state=state, reason=reason, fails=fails))

    def _judge_done(self, row: Known, batch: scan.Batch, entry: scan.Entry, needs: _Needs) -> None:
        """The same for a source that is done: up to date, unless its outputs or uploads are found missing."""
        assert row.outputs is not None  # CHECKed by the schema for done rows
        if row.in_bucket and (self._publisher is None or row.in_bucket != self._publisher.destination):
            needs.making[Reason.MISSING_OUTPUT].append(row.id)  # in OUT, and in the bucket of this run if it has one
            return
        if not batch.fresh and not row.in_bucket:
            question = (row.id, batch.output_name(entry), row.folder_mtime_ns, row.outputs)
            self._check.ask(batch.directory, [question])
        if self._is_uploaded(row):
            self.up_to_date += 1  # taken back should the check find it stale
            needs.nothing.append(row.id)
        elif row.in_bucket and row.id in self._unpublishable:
            self._unchecked.discard(row.id)
            needs.making[Reason.MISSING_OUTPUT].append(row.id)

    def _is_uploaded(self, row: Known) -> bool:
        """Return whether a done source needs nothing; uploads that are missing are planned."""
        if self._publisher is None:
            return True
        state = row.upload_state if row.uploaded == self._publisher.destination else ""
        if state == "conflict" and self._publisher.replaces:
            state = ""
        if state in ("conflict", "failed"):
            self._settled(row, "rejected" if state == "conflict" else "quarantined")
        elif state != "done":
            self._unchecked.add(row.id)
            with self._journal.transaction(durable=False):
                self._journal.sources.mark_mine([row.id])
                if state != "pending" or not self._journal.sources.has_live_upload(row.id):
                    try:
                        self._emit(self._publisher.begin(row.id, self._settings.priority))
                    except FileNotFoundError:
                        self._unpublishable.add(row.id)
                        return False  # the check will find it, and have it remade
            self._planned(source_planned(row.path, Kind(row.kind), 0, Reason.NOT_UPLOADED))
        return state == "done"

    def _read(
        self, batch: scan.Batch, recipe: Recipe, why: dict[scan.Entry, Reason], known: dict[bytes, Known]
    ) -> None:
        """Add a probe job for each file of a batch, unless it is no media or the recipe makes nothing of it.

        This was decided by the rows ``known``; a file whose row another run has changed since is taken in once more.
        """
        read = self._files_read(batch, recipe)
        again = partial(self._read, recipe=recipe, why=why, known=known)
        with barrier(lambda error: self._singly(batch, list(read), error, again)):
            entered, overtaken = self._enter(batch, recipe, why, known, read)
            for each in entered:
                if isinstance(each.event, SourcePlanned):
                    self._planned(each.event)
                else:
                    self.settled["ignored"] += 1
                    self._emit(each.event)
            if overtaken:
                self._take(msgspec.structs.replace(batch, files=overtaken))

    def _files_read(self, batch: scan.Batch, recipe: Recipe) -> dict[scan.Entry, tuple[Source, str | None]]:
        """Return what the files of a batch are; those for which that fails are given up."""
        read: dict[scan.Entry, tuple[Source, str | None]] = {}
        for entry in batch.files:
            try:  # as above
                source, unusable = source_files.read(batch, entry, links=self._settings.follow_symlinks)
                if unusable is None:
                    self._planner.require_encoders(source.kind, recipe)
                read[entry] = source, unusable
            except ENDS_THE_RUN:
                raise
            except Exception as error:  # noqa: BLE001 - as in ``barrier``
                self._fault(batch.path_of(entry), error)
        return read

    def _enter(
        self,
        batch: scan.Batch,
        recipe: Recipe,
        why: dict[scan.Entry, Reason],
        known: dict[bytes, Known],
        read: dict[scan.Entry, tuple[Source, str | None]],
    ) -> tuple[list[Entered], list[scan.Entry]]:
        """Enter files that were read in one transaction; return what was entered, and what another run was quicker
        with."""
        priority = self._settings.priority if batch.priority is None else batch.priority

        def enter(candidates: Sequence[Candidate]) -> list[Entered]:
            entered = self._enrolment.enter(candidates, recipe, priority)
            if self._watch is not None:
                self._journal.sources.mark_met([each.row for each in entered if isinstance(each.event, SourceIgnored)])
            return entered

        with self._journal.transaction(durable=False):
            self._planner.keep(recipe)
            now = self._known(batch)
            candidates: list[Candidate] = []
            overtaken: list[scan.Entry] = []
            for entry, (source, unusable) in read.items():
                row = now.get(batch.output_name(entry))
                if row != known.get(batch.output_name(entry)):
                    overtaken.append(entry)
                else:
                    candidates.append(Candidate(source, why[entry], unusable, None if row is None else row.id))
            entered = together_or_singly(
                candidates, self._journal.part, enter, lambda each, error: self._fault(each.source.file, error)
            )
        return list(chain.from_iterable(entered)), overtaken

    def _known(self, batch: scan.Batch) -> dict[bytes, Known]:
        """Return what the journal has of a batch's files, by the name of their output folder: of all in that folder,
        or of a few."""
        sources = self._journal.sources
        if len(batch.files) > FEW or not self._may_be_few_of_many(batch):
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

        def remake(numbers: Sequence[int]) -> list[SourcePlanned | None]:
            return [self._enrolment.remake(number, recipe, self._settings.priority, reason) for number in numbers]

        with self._journal.transaction(durable=False):
            remade = together_or_singly(list(rows), self._journal.part, remake, self._fault_of)
        for event in chain.from_iterable(remade):
            if event is not None:
                self._planned(event)

    def _fault_of(self, number: int, error: Exception) -> None:
        self._fault(self._journal.path_of(number), error)

    def _planned(self, event: SourcePlanned) -> None:
        self.reasons[event.reason] += 1
        self._emit(event)

    def _is_taken(self, row: Known, batch: scan.Batch, entry: scan.Entry) -> bool:
        """Return whether a file would overwrite the outputs of another one. Raises UsageError, except in watch mode,
        which reports it once and continues.

        A copy at another root takes the outputs over, unless this run has found the other one, too: of two checkouts,
        the one that is processed last has them.
        """
        message = source_files.collision(row, batch, entry)
        if message is not None and row.root not in self._found_roots:
            digest = self._journal.sources.digest_of(row.id)
            message = None if source_files.is_copy(digest, row, batch, entry) else message
        if message is not None and self._watch is None:
            raise UsageError(message)
        if message is not None:
            self._report(scan.Trouble(batch.path_of(entry), message))
        return message is not None
