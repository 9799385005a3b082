"""Counting: what happened so far, from events alone. Drawing reads it, the summary is made of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from mediactl.model.events import Event
from mediactl.planning.cost import SECONDS_A_BYTE, seconds_of


class Summary(msgspec.Struct, frozen=True):
    """The last event of a run. sources = up_to_date + done + rejected + quarantined + unfinished, as they stand at the
    end; jobs are those that this run ran to an end, artefacts the files that it made."""

    sources: int
    up_to_date: int
    done: int
    rejected: int
    quarantined: int
    unfinished: int
    ignored: int
    """Files that are no sources: no media, or of a kind that the recipe makes nothing of."""
    troubles: int
    """Folders and manifest rows that could not be read."""
    jobs: int
    artefacts: int
    uploaded: int
    bytes_in: int
    bytes_out: int
    bytes_sent: int
    elapsed_s: float
    exit_code: int
    internal_errors: int = 0
    """Jobs given up for a fault of mediactl's own: what they are of is left unfinished."""
    internal_error: str = ""
    """What the first of these was."""


MOST_KNOWN = 100_000
"""Jobs whose size is remembered until they end: those that another run brings to an end are never told."""


NEARLY = 0.99
"""What a running job counts for at most: it is over when what it made is published, and not when it is made."""
_SENDING = frozenset(
    {"upload.done", "job.rejected", "job.retry", "job.quarantined", "job.interrupted", "job.internal_error"}
)
"""Events that end an attempt, and tell how much it sent."""


class Tally:
    """Running totals. ``take`` every event in order."""

    def __init__(self) -> None:
        self.jobs = 0
        self.assets = 0
        self.artefacts = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.uploaded = 0
        """Objects that are there now and were not known to be."""
        self.bytes_sent = 0
        self.upload_bytes = 0
        """Bytes of the uploads that were planned, and ..."""
        self.upload_safe = 0
        """... of those that have ended; of what is under way, ``uploading`` tells."""
        self.uploading: dict[str, tuple[float, int]] = {}
        """Job key -> (fraction, bytes) of uploads under way."""
        self.rejected = 0
        self.quarantined = 0
        self.internal_errors = 0
        self.internal_error = ""
        """What the first of these was."""
        self.retries = 0
        self.removed = 0
        """Sources whose file was removed before they were done."""
        self.ignored = 0
        self.planned: dict[str, Any] | None = None
        """The event "plan", once planning is over."""
        self.found = 0
        """Sources that were read so far and wait for, or got, their outputs."""
        self.work_known = 0.0
        self.work_done = 0.0
        """Seconds of work, by the estimate of ``seconds_of``: what the overall bar is weighed by."""
        self.running: dict[str, tuple[str, float]] = {}
        """Job key -> (path, fraction) of jobs that tell their progress."""
        self.verdicts: Counter[str] = Counter()
        self.paces: dict[str, tuple[float, float | None, float | None]] = {}
        """Job key -> (seconds of media, speed, frames a second) of films that are encoded now."""
        self._sizes: dict[str, float] = {}
        self._pieces: dict[str, tuple[str, ...]] = {}
        """Key of a piece of a film -> those of all jobs of that film."""
        self._unread: Counter[str] = Counter()
        """Bytes of sources that were planned and not probed yet, by kind."""
        self._read: Counter[str] = Counter()
        self._seconds: dict[str, float] = dict.fromkeys(SECONDS_A_BYTE, 0.0)

    def take(self, event: Event) -> None:
        """Count one event."""
        if event.name in _SENDING:
            self.bytes_sent += event.fields.get("bytes_sent", 0)  # type: ignore[operator]
        handler = getattr(self, "_" + event.name.replace(".", "_"), None)
        if handler is not None:
            handler(event.fields)

    def _plan(self, fields: dict[str, Any]) -> None:
        self.planned = fields

    def _source_ignored(self, _fields: dict[str, Any]) -> None:
        self.ignored += 1

    def _source_planned(self, fields: dict[str, Any]) -> None:
        self.found += 1
        self._unread[fields["kind"]] += fields["bytes"]

    def _job_probed(self, fields: dict[str, Any]) -> None:
        self.jobs += 1
        parts = {part["job"]: seconds_of("piece", part["size"]) for part in fields.get("parts", ())}
        for piece in parts:
            self._pieces[piece] = (*parts, fields["next"])
        parts[fields["next"]] = seconds_of(fields["next_kind"], fields["size"])
        while self._sizes and len(self._sizes) + len(parts) > MOST_KNOWN:
            self._pieces.pop(first := next(iter(self._sizes)), None)
            del self._sizes[first]
        self._sizes |= parts
        seconds = sum(parts.values())
        self.work_known += seconds
        kind = fields["source_kind"]
        self._unread[kind] -= fields["bytes"]
        self._read[kind] += fields["bytes"]
        self._seconds[kind] += seconds

    def _job_progress(self, fields: dict[str, Any]) -> None:
        if fields["kind"] == "upload":
            self.uploading[fields["job"]] = (fields["fraction"], fields["size"])
            return
        path = fields.get("path", "")
        if fields["kind"] == "piece":
            path += f" (piece {fields['piece']} of {fields['pieces']})" if fields["piece"] else " (sound)"
        self.running[fields["job"]] = (path, fields["fraction"])
        if "seconds" in fields:
            self.paces[fields["job"]] = (fields["seconds"], fields.get("speed"), fields.get("fps"))

    def _job_done(self, fields: dict[str, Any]) -> None:
        self.jobs += 1
        self._over(fields)
        if "made" in fields:
            self.assets += 1
            self.artefacts += fields["made"]
            self.bytes_in += fields["bytes_in"]
            self.bytes_out += fields["bytes_out"]

    def _upload_planned(self, fields: dict[str, Any]) -> None:
        self.upload_bytes += fields["bytes"]

    def _upload_done(self, fields: dict[str, Any]) -> None:
        self.jobs += 1
        self.uploaded += fields["status"] == "sent"
        self.upload_safe += fields["size"]
        self.uploading.pop(fields["job"], None)

    def _job_rejected(self, fields: dict[str, Any]) -> None:
        self.jobs += 1
        self._given_up(fields)
        self.rejected += 1
        if fields["kind"] == "probe":
            self._unread[fields["source_kind"]] -= fields["bytes"]
        self._over(fields)

    def _job_quarantined(self, fields: dict[str, Any]) -> None:
        self.jobs += 1
        self.quarantined += 1
        self._given_up(fields)
        self._over(fields)

    def _job_internal_error(self, fields: dict[str, Any]) -> None:
        self.internal_errors += 1
        self.internal_error = self.internal_error or fields["reason"]
        if fields["kind"] == "probe":
            self._unread[fields["source_kind"]] -= fields["bytes"]
        if fields["kind"] == "upload":
            self.uploading.pop(fields["job"], None)
        else:
            self._over(fields)

    def _given_up(self, fields: dict[str, Any]) -> None:
        """With one piece of a film all that was to be done for it is over."""
        for job in self._pieces.pop(fields["job"], ()):
            self.work_done += self._sizes.pop(job, 0.0)

    def _job_retry(self, fields: dict[str, Any]) -> None:
        self.retries += 1
        self._stopped(fields)

    def _job_interrupted(self, fields: dict[str, Any]) -> None:
        self._stopped(fields)

    def _stopped(self, fields: dict[str, Any]) -> None:
        self.running.pop(fields["job"], None)
        self.paces.pop(fields["job"], None)

    def _job_changed(self, fields: dict[str, Any]) -> None:
        self._begins_anew(fields)
        self._unread[fields["source_kind"]] += fields["bytes"]

    def _job_unreadable(self, fields: dict[str, Any]) -> None:
        self._begins_anew(fields)

    def _job_cancelled(self, fields: dict[str, Any]) -> None:
        if fields["kind"] == "piece":  # nobody waited for it any more
            self._over(fields)
            return
        self.removed += 1
        self._begins_anew(fields)

    def _begins_anew(self, fields: dict[str, Any]) -> None:
        self._stopped(fields)
        if fields["job"] in self._pieces:
            for job in self._pieces[fields["job"]]:
                self.work_known -= self._sizes.pop(job, 0.0)
                self._pieces.pop(job, None)
        elif fields["job"] in self._sizes:
            self.work_known -= self._sizes.pop(fields["job"])
        elif "source_kind" in fields:
            self._unread[fields["source_kind"]] -= fields["bytes"]

    @property
    def upload_fraction(self) -> float | None:
        """How much of the planned uploads is at the store; None without any."""
        if not self.upload_bytes:
            return None
        part = sum(fraction * size for fraction, size in self.uploading.values())
        return min(1.0, (self.upload_safe + part) / self.upload_bytes)

    def _over(self, fields: dict[str, Any]) -> None:
        self.uploading.pop(fields["job"], None)
        self._stopped(fields)
        self._pieces.pop(fields["job"], None)
        if fields["job"] in self._sizes:
            self.work_done += self._sizes.pop(fields["job"])
        elif fields["kind"] not in ("probe", "piece") and "source_kind" in fields:
            self._unread[fields["source_kind"]] -= fields["bytes"]  # probed by an earlier run

    @property
    def fraction(self) -> float | None:
        """How much of the work is done, running jobs included; what is not probed yet is guessed from what is.

        None while nothing is known.
        """
        if not self.work_known:
            return None
        guessed = sum(
            max(0, size) * (self._seconds[kind] / self._read[kind] if self._read[kind] else SECONDS_A_BYTE[kind])
            for kind, size in self._unread.items()
        )
        part = sum(self._sizes.get(job, 0.0) * min(each, NEARLY) for job, (_, each) in self.running.items())
        return min(1.0, (self.work_done + part) / (self.work_known + guessed))
