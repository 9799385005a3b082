"""The sources of a library: those that its caller adds, one by one. To a run it is what a watch is."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from mediactl.api import errors
from mediactl.api.connection import Connection
from mediactl.api.messages import Add, Completed, Failed, Finish
from mediactl.assets import document
from mediactl.core.errors import JobFailed, MachineTrouble, MediactlError, RejectedInput, UsageError
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import Known
from mediactl.model.events import Event, JobInternalError, JobUnreadable, ScanTrouble, UploadStopped
from mediactl.recipe import loader
from mediactl.sources import scan

MOST = 1000
"""Sources that are looked up at once: tens of milliseconds."""
_ENDED: dict[str, type[MediactlError]] = {
    "rejected": RejectedInput,
    "ignored": RejectedInput,
    "quarantined": JobFailed,
    "cancelled": JobFailed,
}


class _Added(msgspec.Struct):
    file: bytes
    """Absolute path."""
    directory: bytes
    """Folder under OUT that the directory of its outputs is in."""
    name: bytes
    """Name of the directory of its outputs."""
    ready: bool = False
    """Whether it was taken in, and the outputs of an earlier run were checked."""


class Feed:
    """An iterator that ends when the caller has closed the library: a batch of one file, a trouble, or None."""

    surveyed = True
    """There is nothing at its start."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self.wakeup = connection.peer
        self.finished = False
        self._connection = connection
        self._settings = settings
        self._journal: Journal | None = None
        self._arrived: list[Add] = []
        self._pending: dict[int, _Added] = {}
        """Those taken in, without an outcome."""
        self._recipes: set[str] = set()
        self._stuck = False
        """Whether sources may have been left to the next run since the last report."""
        self._closed = ""
        """Why nothing is uploaded any more."""

    def follow(self, journal: Journal) -> None:
        """Look outcomes up in this journal."""
        self._journal = journal

    def start(self) -> None:
        """Nothing has to be started."""

    def close(self) -> None:
        """Report of all that is left that it is for the next run."""
        self.report()
        for number in list(self._pending):
            self._failed(number, MachineTrouble("the run has ended before it was done; the next one continues"))

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> scan.Found | None:
        for message in self._connection.received():
            if isinstance(message, Add):
                self._arrived.append(message)
            self.finished = self.finished or isinstance(message, Finish)
        while self._arrived:
            add = self._arrived.pop(0)
            try:
                return self._batch(add)
            except MediactlError as error:
                self._failed(add.number, error)
        for added in self._pending.values():
            added.ready = True  # this step ends with the check of what earlier runs have left
        return None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.finished and not self._arrived

    def reports(self, name: bytes) -> bool:
        """Return whether a trouble with this file is to be reported: always, and to whoever added it."""
        return True

    def hold(self, batch: scan.Batch, entries: Iterable[scan.Entry]) -> None:
        """Nothing is debounced: whoever adds a file has written it."""

    def note(self, event: Event) -> None:
        """Take note of an event that decides how a source ends."""
        match event:
            case ScanTrouble(path=path, reason=reason):
                for number, added in list(self._pending.items()):
                    if shown(added.file) == path:
                        self._failed(number, UsageError(f"{path}: {reason}"))
            case UploadStopped(reason=reason):
                self._closed = reason
                self._stuck = True
            case JobUnreadable() | JobInternalError():
                self._stuck = True

    def report(self) -> None:
        """Send the outcomes of those that have ended, of so many sources at most."""
        if self._journal is None:
            return
        stuck, self._stuck = self._stuck, self._stuck and len(self._pending) > MOST
        for number, added in list(self._pending.items())[:MOST]:
            if added.ready:
                self._report_one(self._journal, number, added, stuck)
            if number in self._pending:
                self._pending[number] = self._pending.pop(number)  # others first, the next time

    def _batch(self, add: Add) -> scan.Batch:
        if add.recipe not in self._recipes:
            loader.load(add.recipe)
            self._recipes.add(add.recipe)
        named = scan.explicit(add.source, add.name or os.path.basename(add.source), priority=add.priority)
        recipe = None if add.recipe == self._settings.recipe else add.recipe
        batch = msgspec.structs.replace(named, recipe=recipe)
        entry = batch.files[0]
        self._pending[add.number] = _Added(batch.path_of(entry), batch.directory, batch.output_name(entry))
        return batch

    def _report_one(self, journal: Journal, number: int, added: _Added, stuck: bool) -> None:
        known = journal.sources.known_one(added.directory, added.name)
        if known is None:
            return
        reason = journal.sources.reason(known.id)
        if known.state in _ENDED:
            self._failed(number, _ENDED[known.state](f"{shown(known.path)}: {reason}"))
        elif known.state == "done" and self._is_uploaded(known):
            self._done(number, added)
        elif known.state == "done" and known.upload_state in ("conflict", "failed"):
            self._failed(number, JobFailed(f"{shown(known.path)}: not uploaded: {reason}"))
        elif known.state == "done" and self._closed:
            self._failed(number, UsageError(f"{shown(known.path)}: not uploaded: {self._closed}"))
        elif stuck and not (journal.sources.has_live_job(known.id) or journal.sources.has_live_upload(known.id)):
            self._failed(number, MachineTrouble(f"{shown(known.path)}: {reason}; the next run tries again"))

    def _is_uploaded(self, known: Known) -> bool:
        to = self._settings.to
        return to is None or (known.upload_state == "done" and known.uploaded == to.digest())

    def _done(self, number: int, added: _Added) -> None:
        folder = os.path.join(self._settings.out, added.directory, added.name)
        try:
            with open(os.path.join(folder, document.NAME), "rb") as file:
                content = file.read()
        except OSError as error:
            self._failed(number, MachineTrouble(f"{shown(folder)}: asset.json: {error.strerror}"))
            return
        self._connection.send(Completed(number, folder, content))
        del self._pending[number]

    def _failed(self, number: int, error: MediactlError) -> None:
        self._pending.pop(number, None)
        self._connection.send(Failed(number, errors.name_of(error), str(error)))
