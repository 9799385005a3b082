"""What the journal remembers of uploads: one row for each object, one for each part that the store has acknowledged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import apsw
import msgspec

from mediactl.jobs import database
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import (
    Change,
    IllegalChange,
    Location,
    PartsSent,
    SentPart,
    Settled,
    UploadState,
    UploadStatus,
    UploadTask,
    apply,
)

_state = msgspec.json.Decoder(UploadState)
_location = msgspec.json.Decoder(Location)


class UploadRow(msgspec.Struct, frozen=True):
    """An upload as it stands."""

    location: Location
    key: str
    file: bytes
    size: int
    """Bytes."""
    status: str
    upload_id: str
    began_at: float
    """Seconds since 1970."""
    changed_at: float
    parts: int
    sent: int
    """Bytes of the parts that the store has acknowledged."""


class Remembered(msgspec.Struct, frozen=True):
    """An upload with what a resume or an abort needs; without its parts."""

    row: UploadRow
    state: UploadState

    @property
    def task(self) -> UploadTask:
        """A task that names it: for ``Uploads``, not to be run."""
        return UploadTask(self.row.file, Fingerprint(self.row.size, 0, 0, 0), self.row.location, self.row.key)


def remembered(row: tuple[Any, ...]) -> Remembered:
    """From the columns of ``UploadRow``, and the state."""
    return Remembered(UploadRow(_location.decode(row[0]), *row[1:-1]), _state.decode(row[-1]))


class Uploads:
    """Uploads by (endpoint, bucket, key); changes stand inside the journal's transaction."""

    def __init__(self, connection: apsw.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._sql = database.statements()
        self._run("make_my_keys", ())
        self._run("make_my_uploads", ())

    def claim_key(self, key: str, file: bytes) -> bytes | None:
        """Remember, for this run only, whose object a key is; another file that it was given to before."""
        (owner,) = self._run("claim_key", (key, file)).fetchone()
        return None if owner == file else bytes(owner)

    def mark_mine(self, job: str) -> None:
        """Remember, for this run only, that it was asked for this job (its key)."""
        self._run("put_my_upload", (job,))

    def mine(self, run: str = "") -> dict[str, int]:
        """State -> number, of the jobs marked as this run's, and of those that ``run`` has tried."""
        return dict(self._run("my_uploads", (run,)).fetchall())

    def mark_waiting(self) -> tuple[int, int]:
        """Mark every pending upload as this run's; how many jobs and bytes that is."""
        self._run("put_waiting_uploads", ())
        jobs, size = self._run("waiting_uploads", ()).fetchone()
        return jobs, size

    def state(self, task: UploadTask) -> UploadState:
        """What is remembered of a task's object."""
        row = self._row(task)
        return UploadState() if row is None else self._with_parts(row)

    def note(self, task: UploadTask, change: Change) -> None:
        """Write a change. Raises IllegalChange when it does not follow from what is remembered."""
        row = self._row(task)
        if isinstance(change, PartsSent):  # alone for its frequency: the other parts need not be read
            if row is None or row[1] != UploadStatus.UPLOADING:
                raise IllegalChange(f"a part of {task.url}, which is not being uploaded")
            self._put_parts(row[0], change.parts)
            return
        fresh = row is None or isinstance(change, Settled)
        after = apply(UploadState() if fresh or row is None else self._with_parts(row), change)
        self._put(task, after)

    def is_done(self, task: UploadTask) -> bool:
        """Whether this content was put there, and nothing reported since contradicts it."""
        row = self._row(task)
        if row is None or row[1] != UploadStatus.DONE:
            return False
        state = _state.decode(row[2])
        return state.sha256 == task.sha256 if task.sha256 else state.source == task.fingerprint

    def cancel(self, content: str) -> bool | None:
        """Cancel the pending job of an object (``NewJob.content``), and let its source's uploads be planned
        again; None: there is one that runs, nothing was done."""
        if self._run("upload_runs", (content,)).fetchone()[0]:
            return None
        found = [source for (source,) in self._run("cancel_object", (content,)).fetchall()]
        self._connection.executemany(
            self._sql["source_upload"], ((source, "", "") for source in found if source is not None)
        )
        return bool(found)

    def lost(self, objects: Iterable[tuple[Remembered, str]], out: bytes) -> int:
        """Have objects (with their jobs' ``content``) that are not there as remembered sent again when their sources
        are next checked; how many. What has changed since it was read is left alone. ``out``: absolute path of OUT."""
        contents = []
        for each, content in objects:
            row = each.row
            self._run(
                "forget_done_upload", (row.location.endpoint_url or "", row.location.bucket, row.key, row.changed_at)
            )
            if self._connection.changes():
                contents.append(content)
                directory = os.path.dirname(row.file)
                if directory.startswith(out + b"/"):
                    self._run("source_lost", os.path.split(directory[len(out) + 1 :]))
        self._run("sources_lost", (msgspec.json.encode(contents).decode(),))
        return len(contents)

    def forget(self, location: Location, key: str) -> None:
        """Remember nothing of an upload that was aborted, or of an object that is gone."""
        self._run("forget_upload", (location.endpoint_url or "", location.bucket, key))

    def _row(self, task: UploadTask) -> tuple[int, str, bytes] | None:
        found: tuple[int, str, bytes] | None = self._run(
            "upload", (task.location.endpoint_url or "", task.location.bucket, task.key)
        ).fetchone()
        return found

    def _with_parts(self, row: tuple[int, str, bytes]) -> UploadState:
        parts = tuple(SentPart(*part) for part in self._run("upload_parts", (row[0],)))
        return msgspec.structs.replace(_state.decode(row[2]), parts=parts)

    def _put(self, task: UploadTask, state: UploadState) -> None:
        now = self._clock()
        (number,) = self._run(
            "put_upload",
            (task.location.endpoint_url or "", task.location.bucket, task.key, msgspec.json.encode(task.location),
             task.file, task.size, state.status.value, state.upload_id,
             msgspec.json.encode(msgspec.structs.replace(state, parts=())), now),
        ).fetchone()  # fmt: skip
        self._run("clear_parts", (number,))
        self._put_parts(number, state.parts)

    def _put_parts(self, number: int, parts: tuple[SentPart, ...]) -> None:
        self._connection.executemany(
            self._sql["put_part"], ((number, part.number, part.size, part.crc32, part.etag) for part in parts)
        )

    def _run(self, name: str, bindings: tuple[Any, ...]) -> Any:
        return self._connection.execute(self._sql[name], bindings)
