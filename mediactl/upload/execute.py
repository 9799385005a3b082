"""What a network worker process runs: one object for the whole process, any number of its threads at once."""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from mediactl.model.fetches import Fetched, FetchTask
from mediactl.model.uploads import Location, Sent, UploadState, UploadTask
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Tuning
from mediactl.upload.fetch.ranges import fetch
from mediactl.upload.session import Ledger, Report
from mediactl.upload.store import Expired, Limits, Refused, SourceStore, Store, StoreError
from mediactl.upload.transfer import transfer

_state = msgspec.json.Decoder(UploadState)

T = TypeVar("T")

ATTEMPTS = 3
"""At what an upload can do without; the last comes at most 3 s after the first."""


def s3_store(location: Location, connections: int) -> SourceStore:
    """Return the store of a bucket, over botocore (imported here: a command without uploads never loads it)."""
    from mediactl.upload.s3.store import S3Store

    return S3Store(location, connections=connections)


class Transfers:
    """Runs upload jobs. A small object is sent by the thread that runs it; those of large objects mostly wait."""

    def __init__(
        self,
        tuning: Tuning,
        *,
        limits: Limits | None = None,
        open_store: Callable[[Location, int], Store] = s3_store,
        new_token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._engine = Engine(tuning)
        self._limits = limits or Limits()
        self._open_store = open_store
        self._new_token = new_token
        self._connections = tuning.concurrency
        self._stores: dict[Location, tuple[Store, Capabilities] | StoreError] = {}
        self._sources: dict[Location, SourceStore | StoreError] = {}
        self._learnt: dict[Location, Capabilities] = {}
        self._opening = threading.Lock()
        self._running = 0
        self._changed = threading.Condition()

    def run(self, task: UploadTask, state: bytes, ledger: Ledger, report: Report) -> Sent:
        """Do one job. ``state``: JSON of an UploadState, or nothing, where nothing is remembered.

        Raises as ``transfer`` does.
        """
        remembered = _state.decode(state) if state else UploadState()
        with self._changed:
            self._running += 1
        try:
            return transfer(
                task,
                remembered,
                *self.store(task.location),
                self._engine,
                ledger,
                report,
                new_token=self._new_token,
                limits=self._limits,
            )
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def fetch(self, task: FetchTask, report: Callable[[float], None]) -> Fetched:
        """Fetch one object of a bucket. Raises as ``fetch`` does."""
        with self._changed:
            self._running += 1
        try:
            store = self.readable(task.location)
            plain = (task.location.endpoint_url or "").startswith("http://")
            learnt = self._learnt.setdefault(task.location, Capabilities(plain))
            return fetch(task, store, learnt, self._engine, report)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def readable(self, location: Location) -> SourceStore:
        """Return the store of a bucket that objects are fetched from, opened once. Raises Refused, Expired."""
        with self._opening:
            if location not in self._sources:
                try:
                    self._sources[location] = s3_store(location, self._connections)
                except (Refused, Expired) as error:
                    self._sources[location] = error
            found = self._sources[location]
        if isinstance(found, StoreError):
            raise copy.copy(found)
        return found

    def stop(self, seconds: float) -> bool:
        """Begin no request any more, and wait so long for those in flight and for their jobs, which raise Stopped or
        finish; True when all have ended. What has not may be killed: it is resumed from what was saved."""
        self._engine.stop()
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def ask(self, location: Location, request: Callable[[], T]) -> T:
        """Return the answer to a small request that an upload can do without: in its turn, with few attempts.

        Raises StoreError, Stopped.
        """
        with self._engine.turn(self._engine.job(location)) as turn:
            return turn.call(request, fatal=False, most=ATTEMPTS)

    def store(self, location: Location) -> tuple[Store, Capabilities]:
        """Return the store of a bucket, opened once. Raises Refused, Expired."""
        with self._opening:
            if location not in self._stores:
                plain = (location.endpoint_url or "").startswith("http://")
                try:
                    self._stores[location] = self._open_store(location, self._connections), Capabilities(plain)
                except (Refused, Expired) as error:  # looking for credentials may take seconds: once is enough
                    self._stores[location] = error
            found = self._stores[location]
        if isinstance(found, StoreError):
            raise copy.copy(found)
        return found
