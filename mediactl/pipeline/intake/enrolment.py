"""Sources enter the journal, each with the jobs that begin with it; in the transaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mediactl.core.files import shown
from mediactl.jobs.journal import Journal
from mediactl.media import decoders
from mediactl.model.events import Reason, SourceIgnored, SourcePlanned
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.media import Kind, Source
from mediactl.pipeline.buckets.memory import Memory
from mediactl.pipeline.planner import Planner
from mediactl.planning.jobs import lacks_position, permitted
from mediactl.recipe.loader import Recipe


class Candidate(msgspec.Struct, frozen=True):
    """A file that was read and that is new or changed, or whose plan is another one now."""

    source: Source
    why: Reason
    unusable: str | None
    """Why it is ignored, if it is."""
    before: int | None
    """The source that has its output folder so far."""


class Entered(msgspec.Struct, frozen=True):
    """What has become of a source, with the event that reports it."""

    row: int
    event: SourcePlanned | SourceIgnored
    job: NewJob | None = None


class Enrolment:
    """Enters sources under this run's recipe, or a manifest row's."""

    def __init__(self, journal: Journal, planner: Planner, memory: Memory | None = None) -> None:
        self._journal = journal
        self._planner = planner
        self._memory = memory

    def enter(self, candidates: Iterable[Candidate], recipe: Recipe, priority: Priority) -> list[Entered]:
        """Enter sources, and the jobs that read them."""
        entered = [self._enter(each, recipe, priority) for each in candidates]
        self._journal.sources.mark_mine(each.row for each in entered if each.job is not None)
        self._journal.add(each.job for each in entered if each.job is not None)
        return entered

    def _enter(self, candidate: Candidate, recipe: Recipe, priority: Priority) -> Entered:
        """Enter a source, in place of what has its output folder, with the job that reads it.

        Jobs of an earlier plan that are pending are cancelled; what runs of it ends in vain (``Completer``).
        """
        source, sources = candidate.source, self._journal.sources
        if candidate.before is not None:
            sources.supersede(candidate.before)
        if candidate.unusable is not None:
            row = sources.put_ignored(source, candidate.unusable, decoders.digest(source.format))
            return Entered(row, _ignored(source, candidate.unusable))
        digest, plan = self._planner.digest(recipe), self._planner.plans(recipe)[source.kind.value]
        if source.kind is not Kind.VIDEO and not source.is_remote and not recipe.outputs(source.kind):
            unused = f"recipe {recipe.name!r} makes nothing of {source.kind.value} files"
            return Entered(sources.put(source, digest, plan, "ignored", unused), _ignored(source, unused))
        row = sources.put(source, digest, plan, "pending")
        event = source_planned(source.path, source.kind, source.fingerprint.size, candidate.why)
        return Entered(row, event, self._planner.first_job(source, row, recipe, priority))

    def remake(self, number: int, recipe: Recipe | None, priority: Priority, why: Reason) -> SourcePlanned | None:
        """Add the jobs of a done source that need not be read first: with another recipe, or with its own.

        Return the event that reports it; None if nothing is to be made of it, or another run has it.
        """
        sources, planner = self._journal.sources, self._planner
        row = sources.get(number)
        chosen = recipe or planner.with_digest(row.recipe)
        planned = planner.plans(chosen)[row.source.kind.value]
        if row.state != "done" or (recipe is not None and row.plan == planned):
            # Another run was quicker: its job is pending or running, or it is done already.
            sources.mark_mine([number])
            return None
        planner.require_encoders(row.source.kind, chosen)
        digest = planner.keep(chosen)
        sources.put(row.source, digest, planned, "pending")
        sources.mark_mine([number])
        assert row.digest is not None and row.info is not None  # CHECKed by the schema for done rows
        info = permitted(row.info, chosen)
        if info is not row.info:
            sources.probed(number, row.digest, info, planned)
            row = msgspec.structs.replace(row, info=info)
        sources.supersede(number)
        jobs: Iterable[NewJob] = ()
        if row.source.is_remote:
            jobs = [planner.fetch_job(row.source, number, priority, whole=True)]
        elif lacks_position(info, chosen):
            jobs = [planner.probe_job(row.source, number, chosen, priority)]
        elif work := planner.work(row, chosen, priority):
            asks = self._memory is not None and self._memory.asks and work.makes
            row = msgspec.structs.replace(row, plan=planned)
            jobs = [self._memory.recall_job(row, priority)] if self._memory is not None and asks else work.first
        if not jobs:
            sources.set_state(number, "ignored", f"recipe {chosen.name!r} makes nothing of it")
            return None
        self._journal.add(jobs)
        return source_planned(row.source.path, row.source.kind, row.source.fingerprint.size, why)


def source_planned(path: bytes, kind: Kind, size: int, why: Reason) -> SourcePlanned:
    """Return the event that reports that a source of so many bytes is to be processed."""
    return SourcePlanned(path=shown(path), kind=kind, reason=why, bytes=size)


def _ignored(source: Source, why: str) -> SourceIgnored:
    return SourceIgnored(path=shown(source.path), reason=why)
