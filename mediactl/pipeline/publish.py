"""Uploads of a source's outputs: which jobs they are, and asset.json after all the others."""

from __future__ import annotations

import hashlib
import os

import msgspec

from mediactl.assets import document
from mediactl.core.files import fingerprint, shown
from mediactl.core.settings import Destination
from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import Journal
from mediactl.jobs.priority import successor_due
from mediactl.jobs.sources import SourceRow
from mediactl.model.events import Event, ScanTrouble, UploadPlanned
from mediactl.model.jobs import PUBLISH, NewJob, Priority
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import About, IfExists, Location, UploadTask
from mediactl.upload.keys import object_key

KIND, LANE = "upload", "network"
FOREVER = "public, max-age=31536000, immutable"
"""Artefacts: other content has another digest in asset.json, and is another object only where its name changes, so this
suits pages that take their names from asset.json."""
SHORT = "public, max-age=60"
MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif",
    "tiff": "image/tiff", "heif": "image/heif", "bmp": "image/bmp", "jp2": "image/jp2", "mp4": "video/mp4",
    "mov": "video/quicktime", "matroska": "video/x-matroska", "webm": "video/webm", "mp3": "audio/mpeg",
    "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "aac": "audio/aac",
}  # fmt: skip
"""Of originals, by the format that was sniffed (IANA's registry)."""
TIME_LIMIT = 7 * 24 * 3600.0
"""Seconds; uploads end by what their requests do, not by a clock."""


class Publisher:
    """Plans the uploads of done sources, inside the journal's transactions."""

    def __init__(self, journal: Journal, to: Destination, out: bytes) -> None:
        self._journal = journal
        self._to = to
        self._out = out
        self.destination = to.digest()
        self.replaces = to.if_exists is IfExists.REPLACE

    def begin(self, source: int, priority: Priority, due_at: float | None = None) -> Event:
        """Plan what is missing in the bucket of a done source; the event that reports it.

        Raises FileNotFoundError when an output is gone.
        """
        journal = self._journal
        row = journal.sources.get(source)
        journal.sources.cancel_uploads(source)
        key = self._key(row, os.fsdecode(document.NAME))
        if journal.uploads.claim_key(key, row.source.directory) is not None:
            journal.sources.upload_state(source, "conflict", self.destination)
            reason = f"its outputs would overwrite those of another source at {key}; rename one"
            return ScanTrouble(path=shown(row.source.path), reason=reason)
        jobs = []
        folder = os.path.join(self._out, row.source.directory)
        for file in journal.sources.artefacts(source):
            made = file.artefact
            task = UploadTask(
                os.path.join(folder, made.name.encode()), Fingerprint(made.bytes, file.mtime_ns, 0, 0),
                self._to.location, self._key(row, made.name), self._about(made.media_type), sha256=made.sha256,
                artefact=made.key, if_exists=self._to.if_exists, root=self._out,
            )  # fmt: skip
            if not journal.uploads.is_done(task):
                if row.in_bucket and not file.mtime_ns:
                    raise FileNotFoundError(task.file)  # it was in the bucket alone, and is not there any more
                jobs.append(upload_job(source, task, priority, self.destination))
        if self._to.include_originals:
            task = UploadTask(
                row.source.file, row.source.fingerprint, self._to.location, self._key(row, original_name(row)),
                self._about(MEDIA_TYPES.get(row.source.format, "application/octet-stream")), sha256=row.digest or "",
                if_exists=self._to.if_exists,
            )  # fmt: skip
            if not journal.uploads.is_done(task):
                jobs.append(upload_job(source, task, priority, self.destination))
        if not jobs:
            about = self._about("application/json", SHORT)
            last = _asset(row, self._out, self._to.location, about, self._to.if_exists)
            jobs.append(publish_job(source, last, priority, self.destination))
        journal.sources.upload_state(source, "pending", self.destination)
        if due_at is not None:
            jobs = [msgspec.structs.replace(job, due=due_at) for job in jobs]
        journal.add(jobs)
        return planned(jobs)

    def _key(self, row: SourceRow, name: str) -> str:
        return object_key(self._to.location.prefix, row.source.directory, name)

    def _about(self, media_type: str, cache_control: str = FOREVER) -> About:
        return About(media_type, self._to.cache_control or cache_control, tags=self._to.tags)


def original_name(row: SourceRow) -> str:
    """Return the name of the object that is a source itself, beside its outputs."""
    return "original" + os.fsdecode(os.path.splitext(row.source.path)[1]).lower()


def planned(jobs: list[NewJob]) -> UploadPlanned:
    """The event "upload.planned"."""
    return UploadPlanned(jobs=len(jobs), bytes=sum(job.size for job in jobs))


def publish_after(journal: Journal, claim: Claim, task: UploadTask, out: bytes) -> UploadPlanned | None:
    """Send a source's asset.json when an upload of its others was the last; return the event that reports it.

    In the transaction in which that upload is done.
    """
    sources, source, destination = journal.sources, claim.source, claim.destination
    if source is None or sources.has_live_upload(source) or not sources.upload_pending(source, destination):
        return None
    kept = task.about.cache_control
    about = About("application/json", SHORT if kept == FOREVER else kept, tags=task.about.tags)
    last = _asset(sources.get(source), out, task.location, about, task.if_exists)
    job = publish_job(source, last, Priority(claim.priority), destination)
    journal.add([msgspec.structs.replace(job, due=successor_due(claim.due))])
    return planned([job])


def is_outdated(row: SourceRow, task: UploadTask, out: bytes) -> bool:
    """Return whether the asset.json that was sent is not the one that is there now: outputs were rebuilt meanwhile."""
    try:
        return _asset(row, out, task.location, task.about, task.if_exists).fingerprint != task.fingerprint
    except OSError:
        return False  # the next run finds that it is missing


def gave_up(journal: Journal, claim: Claim, state: str) -> None:
    """An upload has ended otherwise: "conflict", "failed", or "" to be replanned by the next run."""
    if claim.source is not None:
        journal.sources.upload_state(claim.source, state, claim.destination if state else "")


def _asset(row: SourceRow, out: bytes, location: Location, about: About, if_exists: IfExists) -> UploadTask:
    file = os.path.join(out, row.source.directory, document.NAME)
    key = object_key(location.prefix, row.source.directory, os.fsdecode(document.NAME))
    return UploadTask(file, fingerprint(os.stat(file)), location, key, about, if_exists=if_exists, root=out)


def object_digest(task: UploadTask) -> str:
    """Of the object that a task is about; its job's ``content``: two jobs on one object never run at once."""
    return hashlib.sha256(f"{task.location.endpoint_url or ''} {task.url}".encode()).hexdigest()


def publish_job(source: int, task: UploadTask, priority: Priority, destination: str) -> NewJob:
    """Return the job that sends a source's asset.json: who reads it can trust that all it names is there."""
    return msgspec.structs.replace(upload_job(source, task, priority, destination), special=PUBLISH)


def upload_job(source: int | None, task: UploadTask, priority: Priority, destination: str) -> NewJob:
    """Return the job that sends one object."""
    payload = msgspec.json.encode(task)
    # As before there was a root: what is pending keeps its key.
    named = payload if not task.root else msgspec.json.encode(msgspec.structs.replace(task, root=b""))
    return NewJob(
        key=hashlib.sha256(b"upload" + named).hexdigest()[:32],
        kind=KIND,
        payload=payload,
        lane=LANE,
        source=source,
        content=object_digest(task),
        size=task.size,
        priority=priority,
        time_limit=TIME_LIMIT,
        destination=destination,
    )
