"""Counting: what happened so far, from events alone. Drawing reads it, the summary is made of it."""

from __future__ import annotations

from collections import Counter

from mediactl.model.events import (
    Event,
    JobCancelled,
    JobChanged,
    JobDone,
    JobEvent,
    JobFetched,
    JobInternalError,
    JobInterrupted,
    JobProbed,
    JobProgress,
    JobQuarantined,
    JobRecalled,
    JobRejected,
    JobRetry,
    JobUnreadable,
    PiecePlan,
    Plan,
    SourceIgnored,
    SourceLeftOut,
    SourcePlanned,
    UploadDone,
    UploadPlanned,
)
from mediactl.model.uploads import SentStatus
from mediactl.planning.cost import SECONDS_A_BYTE, seconds_of

MOST_KNOWN = 100_000
"""Jobs whose size is remembered until they end: the end of those that another run takes over is never reported."""

NEARLY = 0.99
"""What a running job counts for at most: it is over when what it made is published, and not when it is made."""


class Tally:
    """Running totals. ``take`` every event in order."""

    def __init__(self) -> None:
        self.jobs = 0
        self.assets = 0
        self.artefacts = 0
        self.recalled = 0
        """Sources whose outputs were all found in the bucket."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.uploaded = 0
        """Objects that turned out to exist."""
        self.bytes_sent = 0
        self.upload_bytes = 0
        """Bytes of the uploads that were planned, and ..."""
        self.upload_safe = 0
        """... of those that have ended; ``uploading`` has the running ones."""
        self.uploading: dict[str, tuple[float, int]] = {}
        """Job key -> (fraction, bytes) of running uploads."""
        self.rejected = 0
        self.quarantined = 0
        self.required: Counter[str] = Counter()
        """Extra -> sources that were rejected because it is missing."""
        self.internal_errors = 0
        self.internal_error = ""
        """Reason of the first of them."""
        self.faults = 0
        """Events that a fault of mediactl's kept from being reported."""
        self.unheard = ""
        """Why events are no longer shown to anybody."""
        self.retries = 0
        self.removed = 0
        """Sources whose file was removed before they were done."""
        self.ignored = 0
        self.planned: Plan | None = None
        """The event "plan", once planning is over."""
        self.found = 0
        """Sources that were planned so far."""
        self.work_known = 0.0
        self.work_done = 0.0
        """Seconds of work, by the estimate of ``seconds_of``: what the overall bar is weighed by."""
        self.running: dict[str, tuple[str, float]] = {}
        """Job key -> (path, fraction) of jobs that report progress."""
        self.paces: dict[str, tuple[float, float | None, float | None]] = {}
        """Job key -> (seconds of media, speed, frames a second) of videos that are being encoded."""
        self._sizes: dict[str, float] = {}
        self._pieces: dict[str, tuple[str, ...]] = {}
        """Key of a piece of a video -> those of all jobs of that video."""
        self._unread: Counter[str] = Counter()
        """Bytes of sources that were planned and not probed yet, by kind."""
        self._read: Counter[str] = Counter()
        self._seconds: dict[str, float] = dict.fromkeys(SECONDS_A_BYTE, 0.0)

    def take(self, event: Event) -> None:
        """Count one event."""
        match event:
            case SourceLeftOut():
                pass  # not counted here, and first, for there may be very many
            case JobProgress():
                self._progress(event)
            case JobDone():
                self._done(event)
            case JobProbed():
                self._probed(event)
            case JobRecalled():
                self._recalled(event)
            case JobFetched():
                self.jobs += 1
                self._stopped(event)
            case SourcePlanned():
                self.found += 1
                self._unread[event.kind] += event.bytes
            case UploadPlanned():
                self.upload_bytes += event.bytes
            case UploadDone():
                self._uploaded(event)
            case JobRejected():
                self.rejected += 1
                if event.requires is not None:
                    self.required[event.requires] += 1
                self._given_up(event)
            case JobQuarantined():
                self.quarantined += 1
                self._given_up(event)
            case JobRetry():
                self.retries += 1
                self._attempted(event)
            case JobInterrupted():
                self._attempted(event)
            case JobInternalError():
                self._failed_internally(event)
            case JobUnreadable():
                self._restarted(event)
            case JobChanged():
                self._restarted(event)
                self._read_more(event, 1)
            case JobCancelled():
                self._cancelled(event)
            case SourceIgnored():
                self.ignored += 1
            case Plan():
                self.planned = event

    def _probed(self, event: JobProbed) -> None:
        self.jobs += 1
        seconds = self._expect(event.next, event.next_kind, event.size, event.parts)
        if event.source_kind is not None and event.bytes is not None:
            self._unread[event.source_kind] -= event.bytes
            self._read[event.source_kind] += event.bytes
            self._seconds[event.source_kind] += seconds

    def _recalled(self, event: JobRecalled) -> None:
        self.jobs += 1
        self._sizes.pop(event.job, None)
        if event.next is None:
            self.recalled += 1
            self.assets += 1
        else:
            self._expect(event.next, event.next_kind or "", event.size or 0, event.parts)

    def _expect(self, job: str, kind: str, size: int, pieces: tuple[PiecePlan, ...] | None) -> float:
        """Take up jobs that follow from another one; return their seconds."""
        parts = {part.job: seconds_of("piece", part.size) for part in pieces or ()}
        for piece in parts:
            self._pieces[piece] = (*parts, job)
        parts[job] = seconds_of(kind, size)
        while self._sizes and len(self._sizes) + len(parts) > MOST_KNOWN:
            self._pieces.pop(first := next(iter(self._sizes)), None)
            del self._sizes[first]
        self._sizes |= parts
        seconds = sum(parts.values())
        self.work_known += seconds
        return seconds

    def _progress(self, event: JobProgress) -> None:
        if event.bytes_sent is not None:
            self.uploading[event.job] = (event.fraction, event.size or 0)
            return
        part = f" ({piece_of(event)})" if event.piece is not None else ""
        self.running[event.job] = (event.label + part, event.fraction)
        if event.seconds is not None:
            self.paces[event.job] = (event.seconds, event.speed, event.fps)

    def _done(self, event: JobDone) -> None:
        self.jobs += 1
        self._over(event)
        if event.made is not None:
            self.assets += 1
            self.artefacts += event.made
            self.bytes_in += event.bytes_in or 0
            self.bytes_out += event.bytes_out or 0

    def _uploaded(self, event: UploadDone) -> None:
        self.jobs += 1
        self.uploaded += event.status is SentStatus.SENT
        self.upload_safe += event.size
        self.bytes_sent += event.bytes_sent
        self.uploading.pop(event.job, None)

    def _given_up(self, event: JobRejected | JobQuarantined) -> None:
        """With one piece of a video, all that was to be done for it is over."""
        self.jobs += 1
        self.bytes_sent += event.bytes_sent or 0
        for job in self._pieces.pop(event.job, ()):
            self.work_done += self._sizes.pop(job, 0.0)
        self._over(event)

    def _failed_internally(self, event: JobInternalError) -> None:
        self.internal_errors += 1
        self.internal_error = self.internal_error or event.reason
        self.bytes_sent += event.bytes_sent or 0
        self._over(event)

    def _attempted(self, event: JobRetry | JobInterrupted) -> None:
        self.bytes_sent += event.bytes_sent or 0
        self._stopped(event)

    def _stopped(self, event: JobEvent) -> None:
        self.running.pop(event.job, None)
        self.paces.pop(event.job, None)

    def _cancelled(self, event: JobCancelled) -> None:
        if event.piece is not None:  # nothing waited for it any more
            self._over(event)
        else:
            self.removed += 1
            self._restarted(event)

    def _restarted(self, event: JobEvent) -> None:
        self._stopped(event)
        if event.job in self._pieces:
            for job in self._pieces[event.job]:
                self.work_known -= self._sizes.pop(job, 0.0)
                self._pieces.pop(job, None)
        elif event.job in self._sizes:
            self.work_known -= self._sizes.pop(event.job)
        else:
            self._read_more(event, -1)

    def _read_more(self, event: JobEvent, sign: int) -> None:
        """The source of a job is to be read (1), or is no longer (-1)."""
        if event.source_kind is not None and event.bytes is not None:
            self._unread[event.source_kind] += sign * event.bytes

    @property
    def upload_fraction(self) -> float | None:
        """How much of the planned uploads is at the store; None without any."""
        if not self.upload_bytes:
            return None
        part = sum(fraction * size for fraction, size in self.uploading.values())
        return min(1.0, (self.upload_safe + part) / self.upload_bytes)

    def _over(self, event: JobEvent) -> None:
        self.uploading.pop(event.job, None)
        self._stopped(event)
        self._pieces.pop(event.job, None)
        if event.job in self._sizes:
            self.work_done += self._sizes.pop(event.job)
        elif event.piece is None:
            self._read_more(event, -1)  # a probe, or its source was probed by an earlier run

    @property
    def fraction(self) -> float | None:
        """How much of the work is done, running jobs included; what is not probed yet is guessed from what is.

        None while nothing was measured.
        """
        if not self.work_known:
            return None
        guessed = sum(
            max(0, size) * (self._seconds[kind] / self._read[kind] if self._read[kind] else SECONDS_A_BYTE[kind])
            for kind, size in self._unread.items()
        )
        part = sum(self._sizes.get(job, 0.0) * min(each, NEARLY) for job, (_, each) in self.running.items())
        return min(1.0, (self.work_done + part) / (self.work_known + guessed))


def piece_of(event: JobEvent) -> str:
    """Return which piece of a long video a job is about."""
    return f"piece {event.piece} of {event.pieces}" if event.piece else "audio"
