"""Piece jobs: after the last piece of a long video comes the job that joins them."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from mediactl.jobs.claims import Claim
from mediactl.jobs.priority import successor_due
from mediactl.model.assets import Reuse
from mediactl.model.events import JobCancelled, JobDone, JobFields
from mediactl.model.jobs import Priority
from mediactl.model.media import MediaInfo
from mediactl.pipeline.handlers.source import SourceHandler
from mediactl.planning.cost import Pace
from mediactl.planning.jobs import ALL_AUDIO, cut_of
from mediactl.pool.contract import Ended


class _Piece(msgspec.Struct):
    """The part of a ``PieceTask`` that decides its pace; its targets may be of outputs that are not installed."""

    info: MediaInfo
    number: int
    frames: int


_piece = msgspec.json.Decoder(_Piece)


class PieceHandler(SourceHandler):
    """The pieces of a video stand and fall together."""

    obsolete_reason = "its video was replanned or cancelled"

    def reuse(self, claim: Claim) -> tuple[Reuse, ...]:
        """Return artefacts of sources with the same content."""
        row = self._row(claim)
        return self._journal.sources.twins(row.id, row.digest or "", self._context.out)

    def pace(self, claim: Claim) -> Pace:
        """Return a measure by the length of the piece; without a frame rate for audio."""
        piece = _piece.decode(claim.payload)
        video = piece.info.video
        rate = float(Fraction(video.rate)) if video and video.rate else 0.0
        if piece.number == ALL_AUDIO or not rate:
            return Pace(piece.info.duration or 0.0, 0.0)
        return Pace(piece.frames / rate, rate)

    def is_needed(self, claim: Claim) -> bool:
        """Return whether its source still needs this cut of this content."""
        row = self._row(claim)
        return (
            row.state == "pending"
            and row.digest is not None
            and claim.plan == row.plan
            and claim.cut == cut_of(row.digest, row.source.fingerprint)
        )

    def obsolete(self, claim: Claim) -> None:
        """Report that its video was replanned or cancelled."""
        self.report(JobCancelled(**self.head(claim), reason=self.obsolete_reason))

    def done(self, claim: Claim, end: Ended) -> None:
        """Add the job that joins the pieces when it was the last."""
        self.report(
            JobDone(
                **self.head(claim), seconds=round(end.usage.wall, 3), cpu_seconds=round(end.usage.cpu, 3),
                peak_memory=end.usage.peak_memory, peak_memory_bytes=end.usage.peak_memory, size=claim.size,
            )
        )  # fmt: skip
        row = self._row(claim)
        if not self.is_needed(claim) or self._journal.sources.has_live_piece(row.id, claim.plan, claim.cut):
            return
        planner = self._context.planner
        work = planner.work(row, planner.with_digest(row.recipe), Priority(claim.priority))
        if work is not None:
            self._journal.add([msgspec.structs.replace(work.make, due=successor_due(claim.due))])

    def rejected(self, claim: Claim, end: Ended) -> None:
        """No other piece is encoded any more."""
        self._cancel_others(claim, "another piece was rejected")
        super().rejected(claim, end)

    def quarantined(self, claim: Claim, end: Ended) -> None:
        """No other piece is encoded any more."""
        self._cancel_others(claim, "another piece was quarantined")
        super().quarantined(claim, end)

    def unreadable(self, claim: Claim, end: Ended) -> None:
        """The other pieces are encoded again with it."""
        self._cancel_others(claim, end.reason)
        super().unreadable(claim, end)

    def changed(self, claim: Claim, reason: str) -> None:
        """The other pieces would be of a video that is no longer there."""
        self._cancel_others(claim, reason)
        super().changed(claim, reason)

    def head(self, claim: Claim) -> JobFields:
        """Return the fields of its source, and which piece it is: 0 of 0 for audio."""
        return {**super().head(claim), "piece": claim.piece or 0, "pieces": claim.pieces or 0}

    def _cancel_others(self, claim: Claim, reason: str) -> None:
        self._journal.sources.cancel_pieces(self._row(claim).id, reason, claim.plan, claim.cut)
