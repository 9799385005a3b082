"""``mediactl upload``: any files into a bucket, without processing, through the same journal and lane as outputs."""

from __future__ import annotations

import mimetypes
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from mediactl.core.errors import UsageError
from mediactl.core.faults import internal_error
from mediactl.core.files import fingerprint, shown
from mediactl.core.settings import Destination
from mediactl.jobs.barrier import barrier
from mediactl.jobs.journal import Journal
from mediactl.model.events import Event, LeftOutBy, Plan, Reason, ScanTrouble
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import About, UploadTask
from mediactl.pipeline.intake.source_files import left_out_events
from mediactl.pipeline.publish import planned, upload_job
from mediactl.sources.filters import LINK, SPECIAL, Filter, Rule, UnusableRules
from mediactl.sources.scan import LeftOut
from mediactl.upload.keys import object_key

PIECE = 256
"""Files taken in at once, in one transaction."""

Found = tuple[bytes, bytes, Fingerprint, bytes]
"""(absolute file, path that its key is made of, its fingerprint, directory below which no link is followed)."""


class Sending:
    """The intake of an upload: files and folders as named by the user, file by file a job."""

    def __init__(
        self,
        sources: tuple[bytes, ...],
        to: Destination,
        journal: Journal,
        priority: Priority,
        emit: Callable[[Event], None],
        rules: Filter,
        *,
        follow: bool = False,
    ) -> None:
        self.wakeup: socket.socket | None = None
        self.up_to_date = 0
        self.troubles = 0
        self.planned = 0
        self._to = to
        self._journal = journal
        self._priority = priority
        self._emit = emit
        self._rules = rules
        self._follow = follow
        self.left_out: Counter[LeftOutBy] = Counter()
        self._destination = to.digest()
        self._found = self._all(sources)

    def step(self) -> bool:
        """Take some files in; False when all are taken in."""
        piece: list[Found] = []
        for found in self._found:
            piece.append(found)
            if len(piece) == PIECE:
                break
        if piece:
            with self._journal.transaction(durable=False):
                self._add(piece)
        return bool(piece)

    def summary(self) -> Plan:
        """Return the event "plan"."""
        return Plan(
            sources=self.up_to_date + self.planned,
            up_to_date=self.up_to_date,
            ignored=0,
            planned=self.planned,
            reasons={Reason.NOT_UPLOADED: self.planned} if self.planned else {},
            left_out=dict(self.left_out) or None,
        )

    def _add(self, piece: list[Found]) -> None:
        jobs: list[NewJob] = []
        for found in piece:
            with barrier(partial(self._fault, found[0])), self._journal.part():
                jobs += self._jobs(found)
        self._journal.add(jobs)
        self.planned += len(jobs)
        if jobs:
            self._emit(planned(jobs))

    def _jobs(self, found: Found) -> list[NewJob]:
        """Return the job that sends a file; none where it is there already, or cannot be sent."""
        file, path, mark, root = found
        uploads = self._journal.uploads
        key = object_key(self._to.location.prefix, path)
        other = uploads.claim_key(key, file)
        if other is not None:
            self._trouble(file, f"would be {key}, as {shown(other)} is; rename one, or give each a prefix of its own")
            return []
        about = About(media_type(path), self._to.cache_control, tags=self._to.tags)
        task = UploadTask(file, mark, self._to.location, key, about, if_exists=self._to.if_exists, root=root)
        if uploads.is_done(task):
            self.up_to_date += 1
            return []
        job = upload_job(None, task, self._priority, self._destination)
        uploads.mark_mine(job.key)
        return [job]

    def _fault(self, file: bytes, error: Exception) -> None:
        self._trouble(file, internal_error(error))

    def _all(self, sources: tuple[bytes, ...]) -> Iterator[Found]:
        for source in sources:
            path = os.path.abspath(source)
            if os.path.isdir(path):
                yield from self._folder(path, b"", self._rules)
            else:
                try:
                    yield path, os.path.basename(path), fingerprint(os.stat(path)), b""
                except OSError as error:
                    self._trouble(path, error.strerror or str(error))

    def _folder(self, root: bytes, below: bytes, above: Filter) -> Iterator[Found]:
        """Every file in a folder, by name; links only if they are followed, nothing that is neither file nor folder."""
        left_out: list[tuple[bytes, Rule]] = []
        try:
            rules = above.below(root, below)
            with os.scandir(os.path.join(root, below) if below else root) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except UnusableRules as error:
            self._trouble(error.file, str(error))
            return
        except OSError as error:
            self._trouble(os.path.join(root, below), error.strerror or str(error))
            return
        for entry in listed:
            path = os.path.join(below, entry.name)
            try:
                link = entry.is_symlink()
                directory = entry.is_dir(follow_symlinks=self._follow)
                rule = rules.excluding(entry.name, directory=directory)
                if rule is None and link and not self._follow:
                    rule = LINK
                if rule is not None:
                    left_out.append((entry.name + b"/" if directory else entry.name, rule))
                elif directory:
                    yield from self._folder(root, path, rules)
                elif entry.is_file():
                    file = os.path.realpath(entry.path) if link else entry.path
                    yield file, path, fingerprint(entry.stat()), b"" if self._follow else root
                else:
                    if link:
                        entry.stat()  # raises where it dangles
                    if os.path.lexists(entry.path):  # else: removed just now
                        left_out.append((entry.name, SPECIAL))
            except OSError as error:
                self._trouble(entry.path, error.strerror or str(error))
        self.left_out.update(rule.by for _, rule in left_out)
        for event in left_out_events(LeftOut(root, below, left_out)):
            self._emit(event)

    def _trouble(self, path: bytes, reason: str) -> None:
        self.troubles += 1
        self._emit(ScanTrouble(path=shown(path), reason=reason))


def media_type(path: bytes) -> str:
    """By the name's extension."""
    return mimetypes.guess_type(os.fsdecode(path))[0] or "application/octet-stream"


def must_exist(sources: tuple[bytes, ...]) -> None:
    """Raise UsageError for what is not there, before anything is started."""
    for source in sources:
        if not os.path.lexists(source):
            raise UsageError(f"{shown(source)}: no such file or folder")
