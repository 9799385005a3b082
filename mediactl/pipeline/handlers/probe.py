"""Probe jobs: a source that was read is followed by the job that makes its outputs, or by its pieces."""

from __future__ import annotations

import msgspec

from mediactl.jobs.claims import Claim
from mediactl.jobs.priority import successor_due
from mediactl.model.events import CacheUnusable, JobProbed, PiecePlan
from mediactl.model.jobs import JobResult, Priority
from mediactl.pipeline.handlers.source import SourceHandler
from mediactl.planning.jobs import permitted
from mediactl.pool.contract import Ended

KIND = "probe"

_result = msgspec.msgpack.Decoder(JobResult)


class ProbeHandler(SourceHandler):
    """Its plan is looked up again when it has ended: the same probe does for any recipe with its limits."""

    def is_needed(self, claim: Claim) -> bool:
        """Return whether it read what the plan of today would have it read, or nothing else will."""
        row = self._row(claim)
        return claim.key == self._probe_job(claim, row, row.source).key or (
            row.state == "pending" and not self._journal.sources.has_live_job(row.id, claim.id)
        )

    def done(self, claim: Claim, end: Ended) -> None:
        """Add the jobs that can be begun."""
        result = _result.decode(end.result)
        self._report_cache(result.cache_trouble)
        if not self.is_needed(claim):
            self.obsolete(claim)
            return
        sources, planner = self._journal.sources, self._context.planner
        assert result.info is not None
        before = self._row(claim)
        recipe = planner.with_digest(before.recipe)
        plan = planner.plans(recipe)[before.source.kind.value]
        info = permitted(result.info, recipe)
        sources.probed(before.id, result.digest, info, plan)
        sources.cancel_pieces(before.id, "replanned")
        row = self._row(claim)
        work = planner.work(row, recipe, Priority(claim.priority))
        if work is None:
            self._close(claim, "ignored", f"recipe {recipe.name!r} makes nothing of it")
            return
        memory = self._context.memory
        if memory is not None and memory.asks and work.makes:
            asking = msgspec.structs.replace(
                memory.recall_job(row, Priority(claim.priority)), due=successor_due(claim.due)
            )
            self._journal.add([asking])
            self.report(JobProbed(**self.head(claim), next=asking.key, next_kind=asking.kind, size=asking.size))
            return
        self._journal.add([msgspec.structs.replace(job, due=successor_due(claim.due)) for job in work.first])
        self.report(
            JobProbed(
                **self.head(claim), next=work.make.key, next_kind=work.make.kind, size=work.make.size,
                parts=tuple(PiecePlan(job.key, job.size) for job in work.pieces) or None,
            )
        )  # fmt: skip

    def _report_cache(self, trouble: str) -> None:
        """Each worker finds out for itself that the cache cannot be used; it is reported once."""
        if trouble and not self._context.cache_reported:
            self._context.cache_reported = True
            self.report(CacheUnusable(reason=trouble))
