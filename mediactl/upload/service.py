"""What the processes of the network lane run: uploads, fetches, look-ups in buckets (for ``pool.network_worker``)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import msgspec

from mediactl.core.errors import RejectedInput
from mediactl.model.buckets.memory import RECALL, REMEMBER, Entry, Recalled, RecallTask, Remembered, RememberTask
from mediactl.model.fetches import Fetched, FetchTask
from mediactl.model.uploads import Change, Location, Sent, SentStatus, UploadTask
from mediactl.upload.engine import Tuning
from mediactl.upload.execute import Transfers
from mediactl.upload.memory.recall import FRESH, Memory
from mediactl.upload.memory.remember import Index
from mediactl.upload.store import Store, StoreError

FETCH = "fetch"
"""Kind of the jobs that fetch an object."""
LOOKS = 20
"""HEAD requests before all under the prefix are listed: a page of LIST covers a thousand objects."""
PAGE = 1000
MAX_LISTED = 50 * PAGE
"""Objects that are listed at most; keys after the last one are unknown."""


class Conflict(RejectedInput):
    """Another object is at the key."""


_task = msgspec.json.Decoder(UploadTask)
_fetch_task = msgspec.json.Decoder(FetchTask)
_recall_task = msgspec.json.Decoder(RecallTask)
_remember_task = msgspec.json.Decoder(RememberTask)
_entries = msgspec.msgpack.Decoder(list[Entry])


class Options(msgspec.Struct, frozen=True):
    """Options of the process, its one argument, as JSON."""

    tuning: Tuning = Tuning()


_options = msgspec.json.Decoder(Options)


def service(options: str) -> Uploads:
    """Return the service of a process."""
    return Uploads(_options.decode(options).tuning)


class Uploads:
    """Runs jobs by their kind: JSON of a task each; what uploads remember are msgpack of Changes."""

    def __init__(self, tuning: Tuning) -> None:
        self.threads = tuning.concurrency
        self._transfers = Transfers(tuning)
        self._seen: dict[Location, _Seen] = {}
        self._memories: dict[Location, Memory] = {}
        self._opening = threading.Lock()

    def run(
        self,
        kind: str,
        payload: bytes,
        state: bytes,
        keep: Callable[[bytes], None],
        report: Callable[[int, float], None],
    ) -> Sent | Recalled | Remembered | Fetched:
        """Do a job. Raises Stopped, and what ``upload`` raises."""
        match kind:
            case _ if kind == FETCH:
                return self._transfers.fetch(_fetch_task.decode(payload), lambda fraction: report(0, fraction))
            case _ if kind == RECALL:
                return self._recall(_recall_task.decode(payload))
            case _ if kind == REMEMBER:
                entries = _entries.decode(state)
                return self._remember(_remember_task.decode(payload), entries)
        return self._upload(payload, state, keep, report)

    def _recall(self, task: RecallTask) -> Recalled:
        location = task.location
        try:
            with self._opening:
                if location not in self._memories:
                    store, _ = self._transfers.store(location)
                    self._memories[location] = Memory(location, store, partial(self._transfers.ask, location))
        except StoreError:  # uploads report it
            return Recalled()
        return self._memories[location].recall(task)

    def _remember(self, task: RememberTask, entries: list[Entry]) -> Remembered:
        try:
            store, capabilities = self._transfers.store(task.location)
        except StoreError as error:
            return Remembered(str(error))
        return Index(task.location, store, capabilities, partial(self._transfers.ask, task.location)).remember(entries)

    def _upload(
        self,
        payload: bytes,
        state: bytes,
        keep: Callable[[bytes], None],
        report: Callable[[int, float], None],
    ) -> Sent:
        """Upload one object. Raises Conflict when another is at its key, and what ``Transfers.run`` raises."""
        task = _task.decode(payload)
        if not state:
            task = msgspec.structs.replace(task, seen=self._look(task))
        done = 0

        def notify(sent: int, safe: int) -> None:
            nonlocal done
            done += safe
            report(sent, done / task.size if task.size else 1.0)

        try:
            sent = self._transfers.run(task, state, _Notebook(keep), notify)
        finally:  # what failed may have been sent
            self._wrote(task)
        if sent.status is SentStatus.CONFLICT:
            raise Conflict(sent.reason)
        return sent

    def _wrote(self, task: UploadTask) -> None:
        """Have look-ups in the bucket notice what was sent."""
        with self._opening:
            memories = list(self._memories.items())
        for location, memory in memories:
            if (location.endpoint_url, location.bucket) == (task.location.endpoint_url, task.location.bucket):
                memory.wrote(task.key)

    def drain(self, seconds: float) -> None:
        """Begin no more requests."""
        self._transfers.stop(seconds)

    def _look(self, task: UploadTask) -> str | None:
        with self._opening:
            seen = self._seen.setdefault(task.location, _Seen(task.location.prefix))
        return seen.look(self._transfers.store(task.location)[0], task.key)


class _Seen:
    """A recent LIST of a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix + "/" if prefix else ""
        self._looks = 0
        self._etags: dict[str, str] = {}
        self._last = ""
        """The key up to which the list is complete."""
        self._until = 0.0
        self._listing = threading.Lock()

    def look(self, store: Store, key: str) -> str | None:
        """As ``UploadTask.seen``."""
        with self._listing:
            self._looks += 1
            if time.monotonic() > self._until and self._looks > LOOKS:
                self._list(store)
            known = time.monotonic() <= self._until and key <= self._last
            return self._etags.get(key, "") if known else None

    def _list(self, store: Store) -> None:
        begun = time.monotonic()
        self._etags.clear()
        self._last, self._looks = "", 0
        try:
            for found in store.listed(self._prefix):
                self._etags[found.key], self._last = found.etag, found.key
                if len(self._etags) == MAX_LISTED:
                    break
            else:
                self._last = chr(0x10FFFF)
        except StoreError:
            self._looks = -(1 << 60)  # credentials often may write and not list: each object is looked for, then
            return
        self._until = begun + FRESH


class _Notebook:
    """A ledger that writes into the supervisor's journal."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep

    def save(self, change: Change) -> None:
        self._keep(msgspec.msgpack.encode(change))
