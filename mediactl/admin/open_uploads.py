"""Uploads that were begun and are not over: which there are, and how they are given up without touching others'."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mediactl.admin.edit import opened
from mediactl.core.errors import LaneClosed
from mediactl.core.files import shown
from mediactl.jobs import report
from mediactl.jobs.uploads import Remembered
from mediactl.model.uploads import LIVE, Place, Settled, UploadStatus
from mediactl.pipeline.publish import object_digest
from mediactl.pipeline.recovery import take_over
from mediactl.ui.lines import duration, size
from mediactl.upload.bucket_audit import Bucket
from mediactl.upload.store import StoreError

WAITING = "waiting"
"""Nothing of it was begun."""


class Unfinished(msgspec.Struct, frozen=True):
    """An upload that is not over; the fields of a line of ``uploads list --json``."""

    url: str
    status: str
    """Where it is; "waiting", "conflict" and so on; "open" where it is not ours."""
    ours: bool
    sent: int
    """Bytes that the store has acknowledged."""
    size: int | None
    age_s: float
    """Since it was begun, or asked for where it was not."""
    file: str | None
    endpoint: str | None


def unfinished(state: str, now: float, *, everything: bool = False) -> Iterator[Unfinished]:
    """Ours: those that are under way, those that wait to be begun and, with ``everything``, those that are over."""
    with report.read(state) as rows:
        waiting = {object_digest(task): (since, task) for since, task in rows.upload_jobs()}
        for each in rows.uploads(live=not everything):
            digest = object_digest(each.task)
            if each.state.status in LIVE:
                waiting.pop(digest, None)
            if digest not in waiting:
                yield told(each, now)
        for since, task in waiting.values():
            file, endpoint = shown(task.file), task.place.endpoint_url
            yield Unfinished(task.url, WAITING, True, 0, task.size, _age(now, since), file, endpoint)


def told(each: Remembered, now: float) -> Unfinished:
    """What is remembered of an upload of ours, to be told."""
    row = each.row
    sent = row.size if row.status == UploadStatus.DONE else row.sent
    age = _age(now, row.began_at)
    return Unfinished(each.task.url, row.status, True, sent, row.size, age, shown(row.file), row.place.endpoint_url)


def strangers(state: str, place: Place, now: float) -> Iterator[Unfinished]:
    """Multipart uploads that are open under a place and that this journal has not begun. Raises StoreError."""
    with report.read(state) as rows:
        remembered = [each for each in rows.uploads(live=True) if _same(each.row.place, place)]
    bucket = Bucket(place)
    ids = {(each.row.key, each.row.upload_id) for each in remembered}
    creating = {each.row.key: each.state for each in remembered if each.row.status == UploadStatus.CREATING}
    for found in bucket.open_uploads():
        if (found.key, found.upload_id) in ids:
            continue
        if found.key in creating and found.upload_id in bucket.ours(found.key, creating[found.key]):
            continue
        url = f"s3://{place.bucket}/{found.key}"
        yield Unfinished(url, "open", False, 0, None, _age(now, found.initiated_at), None, place.endpoint_url)


def line(each: Unfinished) -> str:
    """One of them on a line."""
    if not each.ours:
        return f"{'not ours':<10}  {shown(each.url)}  open for {duration(each.age_s)}"
    acknowledged = f"{size(each.sent)} of {size(each.size or 0)}"
    return f"{each.status:<10}  {shown(each.url)}  {acknowledged}  {duration(each.age_s)}  {each.file}"


def old(state: str, now: float, seconds: float) -> list[Remembered]:
    """Ours that were begun so long ago and are not over."""
    with report.read(state) as rows:
        return [each for each in rows.uploads(live=True) if now - each.row.began_at > seconds]


def abort(
    state: str, out: bytes, uploads: list[Remembered], tell: Callable[[str], None]
) -> tuple[int, StoreError | None]:
    """Give uploads of ours up: cancel what waits to go on with them, free what the store keeps of them, forget their
    parts. How many were; and the last thing that went wrong, if any, each told. What a run is at work on is left to it.
    """
    number, wrong = 0, None
    buckets: dict[Place, Bucket | StoreError] = {}
    with opened(state) as journal:
        take_over(journal, out)
        for each in uploads:
            task = each.task
            with journal.transaction():
                cancelled = journal.uploads.cancel(object_digest(task))
                now = journal.uploads.state(task)
            if cancelled is None:
                tell(f"{shown(task.url)}: a run is sending it; left alone")
                continue
            if now.status not in LIVE or (now.token, now.upload_id) != (each.state.token, each.state.upload_id):
                continue  # another run has finished it, or begun it again, since it was listed
            try:
                bucket = buckets.get(task.place) or Bucket(task.place)
                if isinstance(bucket, StoreError):
                    continue  # told already
                buckets[task.place] = bucket
                bucket.abort(task.key, now)
            except StoreError as error:
                if isinstance(error, LaneClosed):
                    buckets[task.place] = error
                tell(str(error))
                wrong = error
                continue
            with journal.transaction():
                if journal.uploads.cancel(object_digest(task)) is None:
                    continue  # a run has taken it up meanwhile, and will find that it has to begin anew
                journal.uploads.note(task, Settled(UploadStatus.ABORTED))
            number += 1
    return number, wrong


def _same(one: Place, other: Place) -> bool:
    return (one.endpoint_url or "", one.bucket) == (other.endpoint_url or "", other.bucket)


def _age(now: float, since: float) -> float:
    return round(max(0.0, now - since), 3)
