"""Make jobs: what they made is the source's, and is uploaded where the run uploads."""

from __future__ import annotations

import msgspec

from mediactl.jobs.claims import Claim
from mediactl.jobs.priority import successor_due
from mediactl.model.assets import Reuse
from mediactl.model.events import JobDone
from mediactl.model.jobs import JobResult, Priority
from mediactl.model.media import Kind, MediaInfo
from mediactl.pipeline.handlers.source import SourceHandler
from mediactl.planning.cost import Pace
from mediactl.pool.contract import Ended

KINDS = tuple(kind.value for kind in Kind)
"""A make job is of the kind of its source."""

_result = msgspec.msgpack.Decoder(JobResult)


class _Transcode(msgspec.Struct):
    """The part of a ``MakeTask`` that decides its pace; its targets may be of outputs that are not installed."""

    info: MediaInfo


_transcode = msgspec.json.Decoder(_Transcode)


class MakeHandler(SourceHandler):
    """A job that makes all that is missing of one source."""

    def reuse(self, claim: Claim) -> tuple[Reuse, ...]:
        """Return artefacts of sources with the same content."""
        if claim.source is None or claim.content is None:
            return ()
        return self._journal.sources.twins(claim.source, claim.content, self._context.out)

    def is_needed(self, claim: Claim) -> bool:
        """Return whether its source still has the plan that it was made for."""
        return claim.plan in ("", self._row(claim).plan)

    def done(self, claim: Claim, end: Ended) -> None:
        """The source is done, unless it was replanned meanwhile: then that plan's job completes it."""
        result = _result.decode(end.result)
        row = self._row(claim)
        self._context.changes.pop(row.id, None)
        if row.plan == claim.plan:
            in_bucket = claim.destination if any(not file.mtime_ns for file in result.files) else ""
            self._journal.sources.done(row.id, result, claim.plan, in_bucket)
            if self._context.publisher is not None:
                priority, due = Priority(claim.priority), successor_due(claim.due)
                self.report(self._context.publisher.begin(row.id, priority, due))
        self._journal.count_made(row.source.fingerprint.size, result.bytes_made, result.roles)
        self.report(
            JobDone(
                **self.head(claim), seconds=round(end.usage.wall, 3), cpu_seconds=round(end.usage.cpu, 3),
                peak_memory=end.usage.peak_memory,
                peak_memory_bytes=end.usage.peak_memory, made=result.made, bytes_in=row.source.fingerprint.size,
                bytes_out=result.bytes_made, outputs=tuple(file.artefact.name for file in result.files),
                warnings=tuple(each.text for each in result.warnings), size=claim.size,
            )
        )  # fmt: skip
        if row.plan == claim.plan:
            self.check_budgets(row.id)


class TranscodeHandler(MakeHandler):
    """A job that encodes a whole video."""

    def pace(self, claim: Claim) -> Pace:
        """Return a measure by the length of the video."""
        info = _transcode.decode(claim.payload).info
        return Pace(info.duration or 0.0, (info.video.fps if info.video else None) or 0.0)


class JoinHandler(MakeHandler):
    """A job that joins the pieces of a long video."""

    frees_pieces = True
