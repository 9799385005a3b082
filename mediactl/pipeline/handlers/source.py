"""Jobs that read a source: what becomes of the source when they end, and when it is no longer what was planned."""

from __future__ import annotations

import errno
import os

import msgspec

from mediactl.core import files
from mediactl.jobs.claims import Claim
from mediactl.jobs.sources import SourceRow
from mediactl.media import decoders
from mediactl.model.events import JobCancelled, JobChanged, JobInterrupted, JobRejected, ScanTrouble, SourceIgnored
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.media import UNREADABLE, Source
from mediactl.pipeline.handlers.base import Handler
from mediactl.pipeline.recovery import sweep_temporaries
from mediactl.pool.contract import Ended
from mediactl.sources import sniff

MAX_CHANGES = 3
"""Times in one run that a source may change under its job; then it is left to the next run."""
NO_MEDIA = "none"
"""Instead of a format: the file is no image, video or audio."""


class SourceHandler(Handler):
    """A source is pending while a job of its plan is; its state follows that of its job."""

    obsolete_reason = "its source was replanned"

    def died(self, claim: Claim) -> None:
        """Remove what the dead worker left half done beside the outputs."""
        sweep_temporaries(os.path.join(self._context.out, self._row(claim).source.directory), self._journal.run)

    def obsolete(self, claim: Claim) -> None:
        """Report that a newer plan supersedes it."""
        self.report(JobChanged(**self.head(claim), reason=self.obsolete_reason))

    def rejected(self, claim: Claim, end: Ended) -> None:
        """The source is rejected."""
        row = self._row(claim)
        self._context.changes.pop(row.id, None)
        extra = decoders.missing_extra(row.source.format)
        self._journal.sources.reject(row.id, end.reason, decoders.digest(row.source.format), extra)
        self.report(JobRejected(**self.head(claim), reason=end.reason, requires=extra or None))

    def quarantined(self, claim: Claim, end: Ended) -> None:
        """The source is quarantined."""
        self._close(claim, "quarantined", end.reason)
        super().quarantined(claim, end)

    def internal_error(self, claim: Claim, end: Ended) -> None:
        """The source stays pending without a job, so the next run plans it again."""
        self._close(claim, "pending", end.reason)
        super().internal_error(claim, end)

    def unreadable(self, claim: Claim, end: Ended) -> None:
        """The source stays pending without a job, so the next run reads it again."""
        self._close(claim, "pending", end.reason)
        super().unreadable(claim, end)

    def changed(self, claim: Claim, reason: str) -> None:
        """Probe the source again as it is now; cancel it when it is gone."""
        row = self._row(claim)
        if row.source.is_remote:
            self._fetch_again(claim, row.source, reason)
            return
        self._context.changes[row.id] += 1
        found = _as_it_is(row.source, links=self._context.links)
        if found is None and (lost := self._context.mounts.lost(row.source.root, row.source.path)):
            self._leave_all(claim, row.source.root, lost)
            return
        if found is None:
            self._close(claim, "cancelled", "was removed before it was done")
            self.report(JobCancelled(**self.head(claim), reason="its source was removed"))
            return
        if found.format == NO_MEDIA:
            self._ignore(claim, msgspec.structs.replace(found, format=row.source.format))
            return
        known = row.source.fingerprint == found.fingerprint
        replanned = known and (row.state != "pending" or self._journal.sources.has_live_job(row.id))
        if not replanned:  # otherwise a watch has taken it in again already
            self._journal.sources.put(found, row.recipe, row.plan, "pending", reason)
            if self._context.changes[row.id] < MAX_CHANGES:
                self._journal.add([self._probe_job(claim, row, found)])
            else:
                del self._context.changes[row.id]  # a watch takes it in again should it change once more
        self.report(JobChanged(**self.head(claim), reason=reason))

    def check_budgets(self, source: int) -> None:
        """Report what a source that is done has over budget, where that is reported before the end."""
        if self._context.budgets is not None:
            for broken in self._context.budgets.settled(source):
                self.report(broken)

    def _fetch_again(self, claim: Claim, source: Source, reason: str) -> None:
        """Fetch an object, as it is known now, unless that was done often enough: then it is left to the next run."""
        row, changes = self._row(claim), self._context.changes
        changes[row.id] += 1
        if row.state == "pending" and not self._journal.sources.has_live_job(row.id, claim.id):
            self._journal.sources.put(source, row.recipe, row.plan, "pending", reason)
            if changes[row.id] < MAX_CHANGES:
                planner = self._context.planner
                self._journal.add([planner.fetch_job(source, row.id, Priority(claim.priority), whole=True)])
            else:
                del changes[row.id]
        self.report(JobChanged(**self.head(claim), reason=reason))

    def _leave_all(self, claim: Claim, root: bytes, lost: str) -> None:
        """Nothing below a SOURCE directory can be found, which is reported once: all that is left waits for the next
        run."""
        self._close(claim, "pending", lost)
        if root not in self._context.lost_roots:
            self._context.lost_roots.add(root)
            self.report(ScanTrouble(path=files.shown(root), reason=f"{lost}; its sources are left for the next run"))
        self.report(JobInterrupted(**self.head(claim), reason=lost))

    def _ignore(self, claim: Claim, source: Source) -> None:
        """A file that could not be read when it was found turns out to be none that is processed."""
        self.report(JobChanged(**self.head(claim), reason=sniff.NO_MEDIA))
        self._journal.sources.put_ignored(source, sniff.NO_MEDIA, decoders.digest(source.format))
        self.report(SourceIgnored(path=files.shown(source.path), reason=sniff.NO_MEDIA))

    def _close(self, claim: Claim, state: str, reason: str) -> None:
        """Nothing more is done for the source, unless somebody asks."""
        row = self._row(claim)
        self._context.changes.pop(row.id, None)
        self._journal.sources.set_state(row.id, state, reason)

    def _probe_job(self, claim: Claim, row: SourceRow, source: Source) -> NewJob:
        """Return the job that reads a source under the recipe that it was planned with."""
        planner = self._context.planner
        return planner.probe_job(source, row.id, planner.with_digest(row.recipe), Priority(claim.priority))

    def _row(self, claim: Claim) -> SourceRow:
        assert claim.source is not None
        return self._journal.sources.get(claim.source)


def _as_it_is(source: Source, *, links: bool) -> Source | None:
    """Return a source with the fingerprint, kind and format of its file now; None: the file was removed.

    So it was where a link is in its place, unless ``links`` are followed.

    The format is UNREADABLE when the machine fails to read it, which the next probe reports, and NO_MEDIA when it could
    not be read before and turns out to be none that is processed.
    """
    try:
        status = os.stat(source.file, follow_symlinks=links)
        source = msgspec.structs.replace(source, fingerprint=files.fingerprint(status))
        named = sniff.sniff(sniff.head(source.root, source.path, links=links), source.path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP and not links:
            return None
        return msgspec.structs.replace(source, format=UNREADABLE)
    if named is None:
        format_ = NO_MEDIA if source.format == UNREADABLE else "unknown"
        return msgspec.structs.replace(source, format=format_)
    return msgspec.structs.replace(source, kind=named[0], format=named[1])
