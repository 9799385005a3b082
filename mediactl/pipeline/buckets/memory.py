"""The bucket as memory of a run: what is asked of it before anything is made, and what is written into its index.

Nothing here sends a request: jobs of the network lane do (``upload.memory``), and their handlers come back to this.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

import msgspec

from mediactl.assets import document
from mediactl.core import files
from mediactl.core.settings import Destination
from mediactl.jobs.buckets.rows import Uploaded
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import SourceRow, warnings_of
from mediactl.model.buckets.memory import RECALL, REMEMBER, Entry, RecallTask, RememberTask
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import IfExists, Settled, UploadStatus, UploadTask
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import LANE, TIME_LIMIT, original_name
from mediactl.upload.keys import object_key

BATCH = 500
"""Entries that are written at once: some 1 MB of message."""
INTERVAL = 120.0
"""Seconds between two writes of the index while a run goes on."""
DOCUMENT = document.NAME.decode()


class Memory:
    """What the bucket of a run holds, as far as its journal is concerned; inside the journal's transactions."""

    def __init__(self, journal: Journal, planner: Planner, to: Destination, out: bytes, *, keeps_local: bool) -> None:
        """``keeps_local``: whether outputs stay in OUT once they are in the bucket."""
        self._journal = journal
        self._planner = planner
        self._to = to
        self._out = out
        self._keeps_local = keeps_local
        self.destination = to.digest()
        self.is_open = True
        """False: the network lane is closed."""
        self.is_written = True
        """False: writing the index has failed, which the next run tries again."""
        self.released: list[int] = []
        """Sources whose outputs in OUT are to be removed once the transaction is on disk."""
        self._next = 0.0

    # -- asked before anything is made -----------------------------------------------------------------------------

    @property
    def asks(self) -> bool:
        """Whether the bucket is asked before anything is made: not where all that is there is to be replaced."""
        return self.is_open and self._to.if_exists is not IfExists.REPLACE

    def recall_job(self, row: SourceRow, priority: Priority) -> NewJob:
        """Return the job that asks what the bucket has of a source that was probed."""
        assert row.digest is not None
        original = original_name(row) if self._to.include_originals else ""
        task = RecallTask(
            self._to.location, self._folder(row.source.directory), row.digest, original, row.source.fingerprint.size
        )
        payload = msgspec.json.encode(task)
        return NewJob(
            key=_digest(RECALL, payload, row.plan, row.source.fingerprint),
            kind=RECALL,
            payload=payload,
            lane=LANE,
            source=row.id,
            priority=priority,
            time_limit=TIME_LIMIT,
            plan=row.plan,
            destination=self.destination,
        )

    def pass_over(self) -> None:
        """Make what is missing without asking, of all sources that wait for an answer."""
        self.is_open = False
        for number, priority in self._journal.buckets.cancel_recalls(self.destination):
            row = self._journal.sources.get(number)
            if row.state != "pending" or row.digest is None:
                continue
            work = self._planner.work(row, self._planner.with_digest(row.recipe), Priority(priority))
            self._journal.add(work.first if work else ())

    def take_in(self, row: SourceRow, entry: Entry) -> SourceRow:
        """Note what the bucket has of a source; return its row with the looks and warnings from there."""
        for artefact in entry.artefacts:
            self._note(row, artefact.name, artefact.bytes, artefact.sha256)
        if entry.artefacts:
            self._journal.buckets.looks(row.id, entry.look, entry.warnings)
        return self._journal.sources.get(row.id)

    def complete(self, row: SourceRow, entry: Entry, plan: str, *, indexed: bool) -> bool:
        """Have a source done if the bucket has all that its recipe makes of it, and the same asset.json."""
        if self._to.include_originals and not entry.original:
            return False
        found = self._planner.found(row, self._planner.with_digest(row.recipe), entry)
        if found is None:
            return False
        key = object_key(self._to.location.prefix, row.source.directory, DOCUMENT)
        if self._journal.uploads.claim_key(key, row.source.directory) is not None:
            return False  # of another source; publishing reports it
        sources = self._journal.sources
        result, size = found
        sources.done(row.id, result, plan, self.destination)
        sources.cancel_uploads(row.id)
        self._note(row, DOCUMENT, size, entry.document, entry.etag)
        sources.upload_state(row.id, "done", self.destination)
        if indexed:
            now = sources.get(row.id)
            assert now.digest is not None
            self._journal.buckets.indexed(
                [Uploaded(row.id, now.source.directory, now.digest, now.plan, "", "")], self.destination
            )
        return True

    def _note(self, row: SourceRow, name: str, size: int, sha256: str, etag: str = "") -> None:
        """Note that an object is in the bucket."""
        file = os.path.join(self._out, row.source.directory, name.encode())
        key = object_key(self._to.location.prefix, row.source.directory, name)
        mark = Fingerprint(size, 0, 0, 0)
        task = UploadTask(file, mark, self._to.location, key, sha256=sha256)
        self._journal.uploads.note(task, Settled(UploadStatus.DONE, etag=etag, source=mark, sha256=sha256))

    # -- written into the index ------------------------------------------------------------------------------------

    def remember(self) -> bool:
        """Add a job that writes what the index lacks; False: it lacks nothing, or cannot be written."""
        if not (self.is_open and self.is_written and self._journal.buckets.unindexed(self.destination, 1)):
            return False
        with self._journal.transaction(durable=False):
            return self._journal.add([self._remember_job()]) > 0

    def remember_now_and_then(self, now: float) -> None:
        """Do that in a long run, too; ``now`` in seconds, of a clock that only goes forward."""
        if not self._next:
            self._next = now + INTERVAL
        if now >= self._next:
            self._next = now + INTERVAL
            self.remember()

    def _remember_job(self) -> NewJob:
        payload = msgspec.json.encode(RememberTask(self._to.location))
        return NewJob(
            key=_digest(REMEMBER, payload, self.destination),
            kind=REMEMBER,
            payload=payload,
            lane=LANE,
            priority=Priority.HIGH,
            time_limit=TIME_LIMIT,
            destination=self.destination,
        )

    def unindexed(self) -> tuple[list[Uploaded], list[Entry]]:
        """Return sources that the index lacks, and their entries."""
        found = self._journal.buckets.unindexed(self.destination, BATCH)
        entries = [self._entry(each) for each in found]
        return found, [entry for entry in entries if entry is not None]

    def _entry(self, of: Uploaded) -> Entry | None:
        """Return the entry of an uploaded source; None where its asset.json is not known well enough."""
        key = object_key(self._to.location.prefix, of.directory, DOCUMENT)
        sent = self._journal.uploads.state(UploadTask(b"", Fingerprint(0, 0, 0, 0), self._to.location, key))
        if not (sent.etag and sent.sha256):
            return None
        made = self._journal.sources.artefacts(of.id)
        return Entry(
            folder=self._folder(of.directory),
            digest=of.digest,
            etag=sent.etag,
            document=sent.sha256,
            artefacts=tuple(file.artefact for file in made),
            look=of.placeholder,
            warnings=warnings_of(of.warnings),
            similarities={file.artefact.name: file.similarity for file in made if file.similarity is not None},
            original=original_name(self._journal.sources.get(of.id)) if self._to.include_originals else "",
        )

    def _folder(self, directory: bytes) -> str:
        """Return what the keys of a source's objects begin with, below the prefix."""
        prefix = self._to.location.prefix
        key = object_key(prefix, directory, DOCUMENT)
        return key.removeprefix(f"{prefix}/" if prefix else "").removesuffix(DOCUMENT)

    # -- outputs in the bucket alone -------------------------------------------------------------------------------

    def release(self, source: int) -> None:
        """Have the outputs of an uploaded source removed from OUT, where none are to be kept there."""
        if not self._keeps_local and self._journal.buckets.release(source):
            self.released.append(source)

    def remove_released(self) -> None:
        """Remove the outputs of sources that were released; outside of transactions."""
        if self.released:
            self.released.clear()
            remove_released(self._journal, self._out)


def remove_released(journal: Journal, out: bytes) -> None:
    """Remove the outputs of sources whose outputs are in the bucket alone, which a killed run may have left."""
    done: list[int] = []
    for each in journal.buckets.released():
        names = (document.NAME, *(file.artefact.name.encode() for file in journal.sources.artefacts(each.id)))
        with suppress(OSError):  # the next run tries again
            files.remove_outputs(out, each.directory, names)
            done.append(each.id)
    if done:
        with journal.transaction(durable=False):
            journal.buckets.removed(done)


def _digest(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
