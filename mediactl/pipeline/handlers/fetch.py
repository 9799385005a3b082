"""Fetch jobs: an object that is there as a file is what its first bytes say, and is probed as any other."""

from __future__ import annotations

import msgspec

from mediactl.core import files
from mediactl.jobs.claims import Claim
from mediactl.jobs.priority import successor_due
from mediactl.media import decoders
from mediactl.model.events import JobCancelled, JobFetched, JobRejected, SourceIgnored
from mediactl.model.fetches import Fetched, FetchStatus
from mediactl.model.jobs import Priority
from mediactl.model.media import Kind, Source
from mediactl.pipeline.fetching import scratch
from mediactl.pipeline.handlers.source import SourceHandler
from mediactl.pool.contract import Ended
from mediactl.sources import sniff

_fetched = msgspec.msgpack.Decoder(Fetched)


class FetchHandler(SourceHandler):
    """What follows is decided by what was fetched: nothing of it was known but its name."""

    def died(self, claim: Claim) -> None:
        """Nothing lies beside the outputs yet."""

    def is_needed(self, claim: Claim) -> bool:
        """Return whether its source is still to be read."""
        return self._row(claim).state == "pending"

    def done(self, claim: Claim, end: Ended) -> None:
        """Add the job that reads the file, unless there is none, or it is no media."""
        fetched, row = _fetched.decode(end.result), self._row(claim)
        if not self.is_needed(claim):
            self.obsolete(claim)
            return
        match fetched.status:
            case FetchStatus.GONE:
                self._close(claim, "cancelled", "was removed before it was fetched")
                self.report(JobCancelled(**self.head(claim), reason="its object was removed"))
            case FetchStatus.DENIED:
                reject = msgspec.structs.replace(row.source, fingerprint=scratch.NEVER)
                self._journal.sources.put(reject, row.recipe, row.plan, "rejected", fetched.reason)
                self.report(JobRejected(**self.head(claim), reason=fetched.reason))
            case FetchStatus.CHANGED:
                self._fetch_again(claim, msgspec.structs.replace(row.source, fingerprint=fetched.fingerprint),
                                  "another object is there than was listed")  # fmt: skip
            case FetchStatus.HEAD:
                self._take(claim, row.source, fetched.head, whole=False)
            case FetchStatus.FETCHED | FetchStatus.PRESENT:
                self.report(JobFetched(**self.head(claim), received=fetched.received, seconds=round(end.usage.wall, 3)))
                here = scratch.with_copy(row.source, self._journal.state).copy
                assert here is not None
                try:
                    head = sniff.head(here.root, here.path)
                except OSError:
                    self._fetch_again(claim, row.source, "its file was removed")
                else:
                    self._take(claim, row.source, head, whole=True)

    def _take(self, claim: Claim, source: Source, head: bytes, *, whole: bool) -> None:
        """Add what follows the first bytes of an object."""
        named = sniff.sniff(head, source.path)
        row, sources, planner = self._row(claim), self._journal.sources, self._context.planner
        if named is None:
            reason = sniff.NO_MEDIA if head else "empty file"
            sources.put_ignored(source, reason, decoders.digest(source.format))
            self.report(SourceIgnored(path=files.shown(source.path), reason=reason))
            return
        source = msgspec.structs.replace(source, kind=named[0], format=named[1])
        recipe, priority = planner.with_digest(row.recipe), Priority(claim.priority)
        plan = planner.plans(recipe)[source.kind.value]
        if source.kind is not Kind.VIDEO and not recipe.outputs(source.kind):
            unused = f"recipe {recipe.name!r} makes nothing of {source.kind.value} files"
            sources.put(source, row.recipe, plan, "ignored", unused)
            self.report(SourceIgnored(path=files.shown(source.path), reason=unused))
            return
        planner.require_encoders(source.kind, recipe)
        sources.put(source, row.recipe, plan, "pending")
        if whole:
            job = planner.probe_job(source, row.id, recipe, priority)
        else:
            job = planner.fetch_job(source, row.id, priority, whole=True)
        self._journal.add([msgspec.structs.replace(job, due=successor_due(claim.due))])

    def changed(self, claim: Claim, reason: str) -> None:
        """Fetch it again."""
        self._fetch_again(claim, self._row(claim).source, reason)
