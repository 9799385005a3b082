"""Upload jobs: asset.json follows the last of a source's outputs, so that all it names is there."""

from __future__ import annotations

import msgspec

from mediactl.core.files import shown
from mediactl.jobs.claims import Claim
from mediactl.model.events import JobFields, JobProgress, UploadDone
from mediactl.model.uploads import Change, Sent, Settled, UploadState, UploadStatus, UploadTask
from mediactl.pipeline import publish
from mediactl.pipeline.handlers.base import Handler
from mediactl.planning.cost import Pace
from mediactl.pool.contract import Ended

_task = msgspec.json.Decoder(UploadTask)
_sent = msgspec.msgpack.Decoder(Sent)
_change: msgspec.msgpack.Decoder[Change] = msgspec.msgpack.Decoder(Change)


class UploadHandler(Handler):
    """A job that sends one object; how a source's uploads stand follows its jobs."""

    def state(self, claim: Claim) -> bytes:
        """Return which parts the store has acknowledged."""
        remembered = self._journal.uploads.state(_task.decode(claim.payload))
        return b"" if remembered == UploadState() else msgspec.json.encode(remembered)

    def note(self, claim: Claim, body: bytes) -> None:
        """Write that parts were acknowledged, or how far the upload is."""
        self._journal.uploads.note(_task.decode(claim.payload), _change.decode(body))

    def progress(self, claim: Claim, pace: Pace | None, fraction: float, sent: int, now: float) -> JobProgress:
        """Return the event with the bytes that were sent, of how many."""
        return JobProgress(
            **self.head(claim), fraction=round(fraction, 4), bytes_sent=sent, size=claim.size, size_bytes=claim.size
        )

    def done(self, claim: Claim, end: Ended) -> None:
        """The object is there; what is to be sent after it follows."""
        task, sent = _task.decode(claim.payload), _sent.decode(end.result)
        self._journal.uploads.note(task, sent.settled)
        self._follow(claim, task)
        self.report(
            UploadDone(
                **self.head(claim), url=task.url, status=sent.status, size=sent.bytes, size_bytes=sent.bytes,
                bytes_sent=end.usage.sent,
                parts_sent=sent.parts_sent, parts_kept=sent.parts_kept, seconds=round(end.usage.wall, 3),
            )
        )  # fmt: skip

    def _follow(self, claim: Claim, task: UploadTask) -> None:
        """Send the source's asset.json when this was the last of its outputs."""
        planned = publish.publish_after(self._journal, claim, task, self._context.out)
        if planned is not None:
            self.report(planned)

    def rejected(self, claim: Claim, end: Ended) -> None:
        """Another object has its key, and is left there."""
        self._journal.uploads.note(_task.decode(claim.payload), Settled(UploadStatus.CONFLICT))
        publish.gave_up(self._journal, claim, "conflict")
        super().rejected(claim, end)

    def quarantined(self, claim: Claim, end: Ended) -> None:
        """The source's outputs are not all uploaded."""
        publish.gave_up(self._journal, claim, "failed")
        super().quarantined(claim, end)

    def internal_error(self, claim: Claim, end: Ended) -> None:
        """The next run plans the source's uploads again."""
        publish.gave_up(self._journal, claim, "")
        super().internal_error(claim, end)

    def changed(self, claim: Claim, reason: str) -> None:
        """The next run plans the source's uploads again."""
        publish.gave_up(self._journal, claim, "")
        super().changed(claim, reason)

    def head(self, claim: Claim) -> JobFields:
        """Return the fields of its source; those of its file where there is none."""
        head = super().head(claim)
        if claim.source is None:
            head["path"] = shown(_task.decode(claim.payload).file)
        return head

    def bytes_sent(self, end: Ended) -> int:
        """Return the bytes that left for the network."""
        return end.usage.sent


class PublishHandler(UploadHandler):
    """A job that sends an asset.json, after which its source is uploaded."""

    def _follow(self, claim: Claim, task: UploadTask) -> None:
        """The source is uploaded, unless its outputs were rebuilt meanwhile."""
        assert claim.source is not None
        if publish.is_outdated(self._journal.sources.get(claim.source), task, self._context.out):
            super()._follow(claim, task)
        else:
            self._journal.sources.upload_state(claim.source, "done", claim.destination)
            if self._context.memory is not None and self._context.memory.destination == claim.destination:
                self._context.memory.release(claim.source)
