"""From what lies in the folders to jobs in the journal: scan, compare with what is known, add what is missing."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mediactl.assets.check import OutputCheck
from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import Known
from mediactl.model.events import Event
from mediactl.model.jobs import NewJob
from mediactl.model.media import UNREADABLE, Fingerprint, Kind, Source
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.planning.jobs import lacks_place, permitted
from mediactl.recipe.loader import Recipe
from mediactl.sources import scan, sniff

if TYPE_CHECKING:
    from mediactl.sources.watch import Watch

FEW = 16
"""Files of a folder that are looked up one by one: a watch finds few at a time, in folders of many."""

RECIPE_CHANGED, ENCODER_CHANGED = "recipe changed", "encoder changed"


class Intake:
    """Takes sources in, batch by batch. ``step`` until it says that nothing is left; a ``watch`` never says so.

    ``up_to_date`` counts sources that need nothing; ``settled`` those that ended before this run, by state. In a watch,
    which may meet a source many times, both are as ``recount`` left them.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        planner: Planner,
        batches: Iterator[scan.Batch | scan.Trouble | None],
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
        self._shipped: set[int] = set()
        """Sources with outputs to be uploaded that were not looked at yet."""
        self.wakeup: socket.socket | None = None if watch is None else watch.wakeup
        self.found = 0
        self.up_to_date = 0
        self.troubles = 0
        self.settled: Counter[str] = Counter()
        journal.confined = True
        self.reasons: Counter[str] = Counter()
        """Why work was planned: new, changed, recipe changed, encoder changed, missing output, to be uploaded."""

    def step(self) -> bool | None:
        """Take in one batch; False when all is taken in, None when it is for now."""
        batch = next(self._batches, None)
        self._journal.confined = batch is not None if self._watch is None else not self._watch.surveyed
        if batch is None:
            self._make_again(self._check.finish())
            return False if self._watch is None else None
        if isinstance(batch, scan.Trouble):
            self._trouble(batch)
            return True
        self.found += len(batch.files)
        self._take(batch)
        self._make_again(self._check.stale())
        return True

    def summary(self) -> dict[str, object]:
        """Fields of the event "plan"; none while a watch has not seen all that was there at its start."""
        found = self.found
        if self._watch is not None:
            if not self._watch.surveyed:
                return {}
            self.recount()
            found = self.up_to_date + self.settled.total() + sum(self._journal.sources.mine().values())
        return {
            "sources": found - self.settled["ignored"],
            "up_to_date": self.up_to_date,
            "ignored": self.settled["ignored"],
            "planned": sum(self.reasons.values()),
            "reasons": dict(sorted(self.reasons.items())),
        }

    @property
    def watched(self) -> bool:
        """Whether a watch has seen all that was there at its start."""
        return self._watch is not None and self._watch.surveyed

    def recount(self) -> None:
        """Count the sources that a watch found and had nothing to do for, each once."""
        if self._watch is not None:
            self.settled = Counter(self._journal.sources.met())
            self.up_to_date = self.settled.pop("done", 0)

    def _trouble(self, trouble: scan.Trouble) -> None:
        self.troubles += 1
        self._emit(Event("scan.trouble", {"path": shown(trouble.name), "reason": trouble.message}))

    def _take(self, batch: scan.Batch) -> None:
        sources = self._journal.sources
        recipe = self._planner.named(batch.recipe)
        plans = self._planner.plans(recipe)
        rows = self._rows(batch)
        new: list[tuple[scan.Entry, str]] = []
        again: dict[str, list[int]] = {RECIPE_CHANGED: [], ENCODER_CHANGED: []}
        met: list[int] = []
        for entry in batch.files:
            name = entry[0] if batch.rename is None else batch.rename
            row = rows.get(name)
            if row is None:
                new.append((entry, "new"))
            elif row[4:8] != entry[1:] or row[2] != batch.root:
                if not self._is_taken(Known(*row), batch, entry):
                    new.append((entry, "adopted" if not row[5] else "changed"))
            else:
                state, planned = row[8], plans.get(row[12], "")
                if state == "done" and row[9] == planned:
                    if not batch.fresh:
                        self._check.ask((row[0], os.path.join(batch.place, name), row[10], row[11]))
                    if self._is_there(Known(*row)):
                        self.up_to_date += 1  # taken back should the check find it stale
                        met.append(row[0])
                elif state == "done":
                    again[_difference(row[9], planned)].append(row[0])
                elif state == "pending" and row[9] in ("", planned):
                    if sources.has_live_job(row[0]):
                        if sources.mark_mine([row[0]]):
                            self._planned(row[3], row[12], row[4], "unfinished")
                    else:
                        new.append((entry, "unfinished"))
                elif state != "pending" and row[9] in ("", planned):
                    self.settled[state] += 1
                    met.append(row[0])
                else:
                    new.append((entry, _difference(row[9], planned)))
        if self._watch is not None:
            sources.mark_met(met)
            if batch.fresh:
                for entry, _ in new:
                    self._watch.hold(batch, entry)
                new.clear()
        if new:
            self._add_new(batch, recipe, plans, new, rows)
        for why, numbers in again.items():
            if numbers:
                self._make(numbers, recipe, why)

    def _is_there(self, row: Known) -> bool:
        """Whether a done source needs nothing; its outputs are sent to where they are to be uploaded, if they are not
        there."""
        if self._publisher is None:
            return True
        stands = row.upload_state if row.uploaded == self._publisher.destination else ""
        if stands == "conflict" and self._publisher.replaces:
            stands = ""
        if stands in ("conflict", "failed"):
            self.settled["rejected" if stands == "conflict" else "quarantined"] += 1
        elif stands != "done":
            self._shipped.add(row.id)
            with self._journal.transaction(durable=False):
                self._journal.sources.mark_mine([row.id])
                if stands != "pending" or not self._journal.sources.has_live_upload(row.id):
                    try:
                        self._emit(self._publisher.begin(row.id, self._settings.priority))
                    except FileNotFoundError:
                        return False  # the check will find it, and have it made again
            self._planned(row.path, row.kind, 0, "to be uploaded")
        return stands == "done"

    def _add_new(
        self,
        batch: scan.Batch,
        recipe: Recipe,
        plans: dict[str, str],
        new: list[tuple[scan.Entry, str]],
        rows: dict[bytes, tuple[Any, ...]],
    ) -> None:
        """Files that have to be read: a probe job each, unless they are no media.

        ``rows`` are those that this was decided by. What another run has changed since is looked at once more. Whatever
        waits of an earlier plan is given up; what runs of it ends in vain (``Completer``).
        """
        seen = [(self._source(batch, entry), reason) for entry, reason in new]
        for source, why_not in (pair for pair, _ in seen):
            if why_not is None:
                self._planner.require_encoders(source.kind, recipe)
        priority = self._settings.priority if batch.priority is None else batch.priority
        overtaken: list[scan.Entry] = []
        with self._journal.transaction(durable=False):
            sources = self._journal.sources
            digest = self._planner.keep(recipe)
            jobs: list[NewJob] = []
            now = self._rows(batch)
            for ((source, why_not), reason), (entry, _) in zip(seen, new, strict=True):
                name = os.path.basename(source.place)
                if now.get(name) != rows.get(name):
                    overtaken.append(entry)
                    continue
                if name in now:
                    sources.supersede(now[name][0])
                if why_not is None and not recipe.outputs(source.kind) and source.kind is not Kind.VIDEO:
                    why_not = f"recipe {recipe.name!r} makes nothing of {source.kind.value} files"
                    row = sources.put(source, digest, plans[source.kind.value], "ignored", why_not)
                elif why_not is not None:
                    row = sources.put_ignored(source, why_not)
                else:
                    row = sources.put(source, digest, plans[source.kind.value], "pending")
                    sources.mark_mine([row])
                    jobs.append(self._planner.probe_job(source, row, recipe, priority))
                    self._planned(source.path, source.kind.value, source.fingerprint.size, reason)
                    continue
                self.settled["ignored"] += 1
                if self._watch is not None:
                    sources.mark_met([row])
                self._emit(Event("source.ignored", {"path": shown(source.path), "reason": why_not}))
            self._journal.add(jobs)
        if overtaken:
            self._take(msgspec.structs.replace(batch, files=overtaken))

    def _rows(self, batch: scan.Batch) -> dict[bytes, tuple[Any, ...]]:
        """What the journal knows of a batch's files, by name; of a whole folder, or of a few files in it."""
        one = self._journal.sources.known_one
        if len(batch.files) == 1:
            return one(batch.place, batch.files[0][0] if batch.rename is None else batch.rename)
        if self._watch is not None and not batch.fresh and len(batch.files) <= FEW:
            return {name: row for entry in batch.files for name, row in one(batch.place, entry[0]).items()}
        return self._journal.sources.known(batch.place)

    def _make_again(self, rows: Iterable[int]) -> None:
        """Done sources whose outputs are not as they were left."""
        rows = list(rows)
        if rows:
            self.up_to_date -= sum(1 for row in rows if row not in self._shipped)
            self._make(rows, None, "missing output")

    def _make(self, rows: Iterable[int], recipe: Recipe | None, reason: str) -> None:
        """Sources that are known well enough to be made without reading them first."""
        with self._journal.transaction(durable=False):
            for number in rows:
                row = self._journal.sources.get(number)
                chosen = recipe or self._planner.with_digest(row.recipe)
                planned = self._planner.plans(chosen)[row.source.kind.value]
                if row.state != "done" or (recipe is not None and row.plan == planned):
                    # Another run was quicker: its job is ours to wait for, or it is done already.
                    self._journal.sources.mark_mine([number])
                    continue
                self._planner.require_encoders(row.source.kind, chosen)
                digest = self._planner.keep(chosen)
                self._journal.sources.put(row.source, digest, planned, "pending")
                self._journal.sources.mark_mine([number])
                assert row.digest is not None and row.info is not None  # CHECKed by the schema for done rows
                info = permitted(row.info, chosen)
                if info is not row.info:
                    self._journal.sources.probed(number, row.digest, info, planned)
                self._journal.sources.supersede(number)
                jobs: Iterable[NewJob] = ()
                if lacks_place(info, chosen):
                    jobs = [self._planner.probe_job(row.source, number, chosen, self._settings.priority)]
                elif work := self._planner.work(
                    number, row.source, row.digest, info, chosen, row.placeholder, self._settings.priority
                ):
                    jobs = work.first
                if not jobs:
                    self._journal.sources.set_state(number, "ignored", f"recipe {chosen.name!r} makes nothing of it")
                else:
                    self._journal.add(jobs)
                    source = row.source
                    self._planned(source.path, source.kind.value, source.fingerprint.size, reason)

    def _planned(self, path: bytes, kind: str, size: int, reason: str) -> None:
        self.reasons[reason] += 1
        self._emit(Event("source.planned", {"path": shown(path), "kind": kind, "reason": reason, "bytes": size}))

    def _source(self, batch: scan.Batch, entry: scan.Entry) -> tuple[Source, str | None]:
        """A file as a source by its first bytes; with the reason when it is none."""
        name = entry[0]
        source = Source(
            root=batch.root,
            path=os.path.join(batch.folder, name),
            place=os.path.join(batch.place, name if batch.rename is None else batch.rename),
            fingerprint=Fingerprint(*entry[1:]),
            kind=Kind.IMAGE,
            format="unknown",
        )
        try:
            head = sniff.head(source.file)
        except OSError:
            found = sniff.sniff(b"", name) or (Kind.IMAGE, "unknown")
            return msgspec.structs.replace(source, kind=found[0], format=UNREADABLE), None  # told by its probe
        named = sniff.sniff(head, name)
        if named is None:
            return source, "empty file" if not head else sniff.NO_MEDIA
        return msgspec.structs.replace(source, kind=named[0], format=named[1]), None

    def _is_taken(self, row: Known, batch: scan.Batch, entry: scan.Entry) -> bool:
        """One place, two living sources: one of them would overwrite the other's outputs. Raises UsageError, but not in
        a watch, which tells it once and goes on."""
        here = os.path.join(batch.root, batch.folder, entry[0])
        there = os.path.join(row.root, row.path)
        if not row.root or os.path.normpath(here) == os.path.normpath(there) or not os.path.lexists(there):
            return False
        message = (
            f"{shown(here)} and {shown(there)} would both be written to {shown(os.path.join(batch.place, row.name))};"
            " give each an --out of its own, or use --keep-root to put each folder's own name in front"
        )
        if self._watch is None:
            raise UsageError(message)
        if self._watch.tells(here):
            self._trouble(scan.Trouble(here, message))
        return True


def _difference(before: str, planned: str) -> str:
    """Why a source is planned anew whose plan was another one."""
    return ENCODER_CHANGED if before.partition(":")[0] == planned.partition(":")[0] else RECIPE_CHANGED
