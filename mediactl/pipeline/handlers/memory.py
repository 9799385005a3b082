"""Jobs on the bucket as memory: what it has of a source before anything is made, and what its index is to have."""

from __future__ import annotations

import msgspec

from mediactl.jobs.buckets.rows import Uploaded
from mediactl.jobs.claims import Claim
from mediactl.jobs.priority import successor_due
from mediactl.model.buckets.memory import Recalled, Remembered
from mediactl.model.events import BucketTrouble, JobRecalled, PiecePlan
from mediactl.model.jobs import Priority
from mediactl.pipeline.handlers.base import Context, Handler
from mediactl.pipeline.handlers.source import SourceHandler
from mediactl.pool.contract import Ended

_recalled = msgspec.msgpack.Decoder(Recalled)
_remembered = msgspec.msgpack.Decoder(Remembered)


class RecallHandler(SourceHandler):
    """A job that asks what the bucket has of a source; what it lacks is made."""

    def is_needed(self, claim: Claim) -> bool:
        """Return whether its source still has the plan that it was asked for."""
        row = self._row(claim)
        return row.state == "pending" and claim.plan == row.plan

    def done(self, claim: Claim, end: Ended) -> None:
        """The source is done if the bucket has everything; otherwise add the jobs that make what it lacks."""
        recalled, memory = _recalled.decode(end.result), self._context.memory
        if recalled.trouble:
            report_trouble(self._context, recalled.trouble)
        if not self.is_needed(claim) or memory is None or claim.destination != memory.destination:
            self.obsolete(claim)
            return
        row = self._row(claim)
        entry = recalled.entry if recalled.entry is not None and recalled.entry.digest == row.digest else None
        if entry is not None:
            row = memory.take_in(row, entry)
            if memory.complete(row, entry, claim.plan, indexed=recalled.indexed):
                self._context.changes.pop(row.id, None)
                self.report(
                    JobRecalled(**self.head(claim), found=len(entry.artefacts), seconds=round(end.usage.wall, 3))
                )
                self.check_budgets(row.id)
                return
        planner = self._context.planner
        work = planner.work(row, planner.with_digest(row.recipe), Priority(claim.priority), entry)
        assert work is not None  # or nothing would have been asked
        self._journal.add([msgspec.structs.replace(job, due=successor_due(claim.due)) for job in work.first])
        self.report(
            JobRecalled(
                **self.head(claim), found=0 if entry is None else len(entry.artefacts),
                seconds=round(end.usage.wall, 3), next=work.make.key, next_kind=work.make.kind, size=work.make.size,
                parts=tuple(PiecePlan(job.key, job.size) for job in work.pieces) or None,
            )
        )  # fmt: skip

    def interrupted(self, claim: Claim, end: Ended) -> None:
        """It is asked again, unless nothing is asked any more."""
        super().interrupted(claim, end)
        memory = self._context.memory
        if memory is not None and not memory.is_open:
            memory.pass_over()


class RememberHandler(Handler):
    """A job that writes what was uploaded into the index of its bucket."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._written: dict[tuple[int, int], list[Uploaded]] = {}
        """By job and attempt."""

    def state(self, claim: Claim) -> bytes:
        """Return the entries to be written."""
        memory = self._context.memory
        if memory is None or memory.destination != claim.destination:
            return msgspec.msgpack.encode(())
        self._written[claim.id, claim.attempt], entries = memory.unindexed()
        return msgspec.msgpack.encode(entries)

    def done(self, claim: Claim, end: Ended) -> None:
        """They are in the index, unless it cannot be written."""
        written = self._written.pop((claim.id, claim.attempt), [])
        trouble = _remembered.decode(end.result).trouble
        memory = self._context.memory
        if trouble:
            report_trouble(self._context, trouble)
            if memory is not None:
                memory.is_written = False
        else:
            self._journal.buckets.indexed(written, claim.destination)

    def interrupted(self, claim: Claim, end: Ended) -> None:
        """It is written later."""
        self._forget(claim)

    def retried(self, claim: Claim, end: Ended) -> None:
        """It is written later."""
        self._forget(claim)
        super().retried(claim, end)

    def rejected(self, claim: Claim, end: Ended) -> None:
        """The next run tries again."""
        self._stop(claim)
        super().rejected(claim, end)

    def quarantined(self, claim: Claim, end: Ended) -> None:
        """The next run tries again."""
        self._stop(claim)
        super().quarantined(claim, end)

    def internal_error(self, claim: Claim, end: Ended) -> None:
        """The next run tries again."""
        self._stop(claim)
        super().internal_error(claim, end)

    def unreadable(self, claim: Claim, end: Ended) -> None:
        """The next run tries again."""
        self._stop(claim)
        super().unreadable(claim, end)

    def _stop(self, claim: Claim) -> None:
        """Write nothing more in this run, which would never end otherwise."""
        self._forget(claim)
        if self._context.memory is not None:
            self._context.memory.is_written = False

    def _forget(self, claim: Claim) -> None:
        self._written.pop((claim.id, claim.attempt), None)


def report_trouble(context: Context, trouble: str) -> None:
    """Report what is the matter with a bucket as memory, each once."""
    if trouble not in context.bucket_troubles:
        context.bucket_troubles.add(trouble)
        context.events.append(BucketTrouble(reason=trouble))
