"""Unfinished uploads: list them, and abort ours without touching those of other writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mediactl.admin.edit import opened
from mediactl.core.errors import LaneClosed
from mediactl.core.files import shown
from mediactl.jobs import report
from mediactl.jobs.uploads import Remembered
from mediactl.model.uploads import LIVE, Location, Settled, UploadStatus
from mediactl.pipeline.publish import object_digest
from mediactl.pipeline.recovery import take_over
from mediactl.ui.lines import duration, size
from mediactl.upload.bucket_audit import Bucket
from mediactl.upload.store import StoreError

WAITING = "waiting"
"""Status of an upload that has not been started."""


class Unfinished(msgspec.Struct, frozen=True):
    """An unfinished upload; the fields of a line of ``uploads list --json``."""

    url: str
    status: str
    """State of the upload ("uploading", "conflict" ...), "waiting" before its start, "open" where it is not ours."""
    ours: bool
    sent: int
    """Bytes acknowledged by the store."""
    size: int | None
    age_s: float
    """Seconds since it was started or, before that, requested."""
    file: str | None
    endpoint: str | None


def unfinished(state: str, now: float, *, everything: bool = False) -> Iterator[Unfinished]:
    """Yield our uploads: running, pending and, with ``everything``, finished ones."""
    with report.read(state) as rows:
        waiting = {object_digest(task): (since, task) for since, task in rows.upload_jobs()}
        for each in rows.uploads(live=not everything):
            digest = object_digest(each.task)
            if each.state.status in LIVE:
                waiting.pop(digest, None)
            if digest not in waiting:
                yield described(each, now)
        for since, task in waiting.values():
            file, endpoint = shown(task.file), task.location.endpoint_url
            yield Unfinished(task.url, WAITING, True, 0, task.size, _age(now, since), file, endpoint)


def described(each: Remembered, now: float) -> Unfinished:
    """Return an upload of ours as it is listed."""
    row = each.row
    sent = row.size if row.status == UploadStatus.DONE else row.sent
    age = _age(now, row.began_at)
    return Unfinished(each.task.url, row.status, True, sent, row.size, age, shown(row.file), row.location.endpoint_url)


def unknown(state: str, location: Location, now: float) -> Iterator[Unfinished]:
    """Yield open multipart uploads under a prefix that this journal did not start. Raises StoreError."""
    with report.read(state) as rows:
        remembered = [each for each in rows.uploads(live=True) if _same(each.row.location, location)]
    bucket = Bucket(location)
    ids = {(each.row.key, each.row.upload_id) for each in remembered}
    creating = {each.row.key: each.state for each in remembered if each.row.status == UploadStatus.CREATING}
    for found in bucket.open_uploads():
        if (found.key, found.upload_id) in ids:
            continue
        if found.key in creating and found.upload_id in bucket.ours(found.key, creating[found.key]):
            continue
        url = f"s3://{location.bucket}/{found.key}"
        yield Unfinished(url, "open", False, 0, None, _age(now, found.initiated_at), None, location.endpoint_url)


def line(each: Unfinished) -> str:
    """Return an upload as a line."""
    if not each.ours:
        return f"{'not ours':<10}  {shown(each.url)}  open for {duration(each.age_s)}"
    acknowledged = f"{size(each.sent)} of {size(each.size or 0)}"
    return f"{each.status:<10}  {shown(each.url)}  {acknowledged}  {duration(each.age_s)}  {each.file}"


def old(state: str, now: float, seconds: float) -> list[Remembered]:
    """Return our unfinished uploads that were started more than so many seconds ago."""
    with report.read(state) as rows:
        return [each for each in rows.uploads(live=True) if now - each.row.began_at > seconds]


def abort(
    state: str, out: bytes, uploads: list[Remembered], report_line: Callable[[str], None]
) -> tuple[int, StoreError | None]:
    """Abort uploads of ours: cancel their pending jobs, free their parts in the store, forget them in the journal.

    Returns the number of aborted uploads and the last error, if any; every error is reported as a line. An upload that
    a run is sending is left to it.
    """
    number, last = 0, None
    buckets: dict[Location, Bucket | StoreError] = {}
    with opened(state) as journal:
        take_over(journal, out, lambda event: report_line(event.reason))
        for each in uploads:
            task = each.task
            with journal.transaction():
                cancelled = journal.uploads.cancel(object_digest(task))
                now = journal.uploads.state(task)
            if cancelled is None:
                report_line(f"{shown(task.url)}: a run is sending it; not aborted")
                continue
            if now.status not in LIVE or (now.token, now.upload_id) != (each.state.token, each.state.upload_id):
                continue  # another run has finished or restarted it since it was listed
            try:
                bucket = buckets.get(task.location) or Bucket(task.location)
                if isinstance(bucket, StoreError):
                    continue  # already reported
                buckets[task.location] = bucket
                bucket.abort(task.key, now)
            except StoreError as error:
                if isinstance(error, LaneClosed):
                    buckets[task.location] = error
                report_line(str(error))
                last = error
                continue
            with journal.transaction():
                if journal.uploads.cancel(object_digest(task)) is None:
                    continue  # a run has claimed it meanwhile, and will restart it
                journal.uploads.note(task, Settled(UploadStatus.ABORTED))
            number += 1
    return number, last


def _same(one: Location, other: Location) -> bool:
    return (one.endpoint_url or "", one.bucket) == (other.endpoint_url or "", other.bucket)


def _age(now: float, since: float) -> float:
    return round(max(0.0, now - since), 3)
