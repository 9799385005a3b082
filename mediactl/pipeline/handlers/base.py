"""The handler that all others refine: defaults for every kind of job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mediactl.core.files import shown
from mediactl.core.filesystem.mounts import Mounts
from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import Journal
from mediactl.model.assets import Reuse
from mediactl.model.events import (
    Event,
    JobCancelled,
    JobDone,
    JobFields,
    JobInternalError,
    JobInterrupted,
    JobProgress,
    JobQuarantined,
    JobRejected,
    JobRetry,
    JobUnreadable,
)
from mediactl.pipeline.buckets.memory import Memory
from mediactl.pipeline.handlers.budget_check import BudgetCheck
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.planning.cost import Measured, Pace
from mediactl.pool.contract import Ended


class Context:
    """What the handlers of a run share."""

    def __init__(
        self,
        journal: Journal,
        planner: Planner,
        out: bytes,
        publisher: Publisher | None,
        memory: Memory | None = None,
        *,
        budgets: BudgetCheck | None = None,
    ) -> None:
        self.memory = memory
        self.journal = journal
        self.planner = planner
        self.out = out
        self.publisher = publisher
        self.budgets = budgets
        """What checks each source as it is done; None: nothing does before the end."""
        self.changes: Counter[int] = Counter()
        """Source -> times that it changed under its job in this run."""
        self.events: list[Event] = []
        """To be reported once the transaction is on disk."""
        self.bucket_troubles: set[str] = set()
        """What was reported of the bucket as memory."""
        self.cache_reported = False
        """Whether it was reported that the cache cannot be used."""
        self.mounts = Mounts()
        self.lost_roots: set[bytes] = set()
        """SOURCE directories of which it was reported that they are gone."""

    @property
    def links(self) -> bool:
        """Whether links below SOURCE directories are followed."""
        return self.planner.links

    @contextmanager
    def part(self) -> Iterator[None]:
        """Everything inside is undone when it raises: in the journal, and what would have been reported."""
        changes, reported, cache_reported = self.changes.copy(), len(self.events), self.cache_reported
        try:
            with self.journal.part():
                yield
        except BaseException:
            self.changes, self.cache_reported = changes, cache_reported
            del self.events[reported:]
            raise


class Handler:
    """Every method but those that only ask is called inside the journal's transaction."""

    frees_pieces = False
    """Whether pieces of long videos may be of no more use once it has ended."""
    obsolete_reason = ""
    """Why a job is cancelled on which nothing depends any more."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._journal = context.journal

    # -- what it requires to run -----------------------------------------------------------------------------------

    def reuse(self, claim: Claim) -> tuple[Reuse, ...]:
        """Return artefacts of other sources that it may link instead of making them."""
        return ()

    def state(self, claim: Claim) -> bytes:
        """Return what notes of earlier attempts came to."""
        return b""

    def pace(self, claim: Claim) -> Pace | None:
        """Return what measures how fast it goes on; None: nothing does."""
        return None

    # -- while it runs ---------------------------------------------------------------------------------------------

    def note(self, claim: Claim, body: bytes) -> None:
        """Write a step that has to be on disk before the job goes on."""
        raise NotImplementedError(f"{claim.kind} jobs keep no notes")

    def progress(self, claim: Claim, pace: Pace | None, fraction: float, sent: int, now: float) -> Event:
        """Return the event that reports how far along it is; ``sent`` is in bytes, ``now`` in seconds."""
        measured: Measured = {} if pace is None else pace.progress(fraction, now)
        return JobProgress(**self.head(claim), fraction=round(fraction, 4), **measured)

    # -- how it ends -----------------------------------------------------------------------------------------------

    def died(self, claim: Claim) -> None:
        """Clean up after a worker that was killed."""

    def is_needed(self, claim: Claim) -> bool:
        """Return whether anything still depends on it."""
        return True

    def obsolete(self, claim: Claim) -> None:
        """Nothing depended on it any more when it ended, and it is cancelled."""

    def done(self, claim: Claim, end: Ended) -> None:
        """It is done: keep what it made, add its successors."""
        self.report(JobDone(**self.head(claim), seconds=round(end.usage.wall, 3)))

    def rejected(self, claim: Claim, end: Ended) -> None:
        """Its input is invalid, for good."""
        self.report(JobRejected(**self.head(claim), reason=end.reason, bytes_sent=self.bytes_sent(end)))

    def quarantined(self, claim: Claim, end: Ended) -> None:
        """It failed, crashed or was interrupted too often."""
        self.report(JobQuarantined(**self.head(claim), reason=end.reason, bytes_sent=self.bytes_sent(end)))

    def retried(self, claim: Claim, end: Ended) -> None:
        """It failed or crashed, and will be tried again."""
        self.report(
            JobRetry(
                **self.head(claim), reason=end.reason, attempt=claim.attempt, bytes_sent=self.bytes_sent(end)
            )
        )  # fmt: skip

    def internal_error(self, claim: Claim, end: Ended) -> None:
        """An internal error at every attempt says nothing about its input: the next run tries again."""
        self.report(JobInternalError(**self.head(claim), reason=end.reason, bytes_sent=self.bytes_sent(end)))

    def unreadable(self, claim: Claim, end: Ended) -> None:
        """The machine failed to read its input at every attempt: the next run tries again."""
        self.report(JobUnreadable(**self.head(claim), reason=end.reason))

    def interrupted(self, claim: Claim, end: Ended) -> None:
        """It was stopped from outside, at no cost, and will be tried again."""
        self.report(JobInterrupted(**self.head(claim), reason=end.reason, bytes_sent=self.bytes_sent(end)))

    def changed(self, claim: Claim, reason: str) -> None:
        """Its source changed under it, and it is cancelled."""
        self.report(JobCancelled(**self.head(claim), reason=reason))

    # -- what is reported ------------------------------------------------------------------------------------------

    def head(self, claim: Claim) -> JobFields:
        """Return the fields that every event of a job begins with."""
        head: JobFields = {"job": claim.key, "kind": claim.kind}
        if claim.source is not None:
            source = self._journal.sources.get(claim.source).source
            head["path"] = shown(source.path)
            head["source_kind"] = source.kind
            head["bytes"] = source.fingerprint.size
        return head

    def bytes_sent(self, end: Ended) -> int | None:
        """Return the bytes that an attempt has sent, if it is reported."""
        return None

    def report(self, event: Event) -> None:
        """Have an event reported once the transaction is on disk."""
        self._context.events.append(event)
