"""Audit a bucket: open multipart uploads, whether they are ours, and whether uploaded objects still exist."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from mediactl.core.threads import in_order
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import SHA256, Location, UploadState, UploadTask
from mediactl.upload.execute import s3_store
from mediactl.upload.multipart.begin import left_open
from mediactl.upload.policy import Standing, standing
from mediactl.upload.store import Exists, Listed, OpenUpload, Refused, Store, Stored, Unavailable, Unreachable

THREADS = 16
ATTEMPTS = 5
"""Attempts at one request; half a second at most before the second, up to 8 s before the last."""

T = TypeVar("T")


class Expected(msgspec.Struct, frozen=True):
    """An object as it was uploaded."""

    key: str
    file: bytes
    size: int
    etag: str
    """With its quotes; empty: unknown."""
    token: str
    sha256: str


class Bucket:
    """A bucket to be audited. Every method raises StoreError."""

    def __init__(self, location: Location, open_store: Callable[[Location, int], Store] = s3_store) -> None:
        """Sends no request yet; looks for credentials."""
        self._location = location
        self._store = open_store(location, THREADS)

    def open_uploads(self) -> list[OpenUpload]:
        """Return every multipart upload that is open under the bucket's prefix."""
        prefix = self._location.prefix + "/" if self._location.prefix else ""
        return _asked(lambda: list(self._store.open_uploads(prefix)))

    def ours(self, key: str, state: UploadState) -> list[str]:
        """Ids of the open uploads that a remembered state left behind."""
        return _asked(lambda: left_open(self._store, key, state))

    def abort(self, key: str, state: UploadState) -> None:
        """Abort what a remembered state left open, and only that."""
        for upload_id in self.ours(key, state):
            _asked(partial(self._store.abort, key, upload_id))

    def spoilt(self, sent: Sequence[Expected]) -> Iterator[tuple[Expected, str]]:
        """Those that are not there any more ("" as the reason), or are other objects now.

        One LIST where that is allowed, and a HEAD for each whose size and ETag are not enough.
        """
        try:
            listed = self._listed({each.key for each in sent})
        except Refused:  # some may read but not list
            listed = None
        unclear = []
        for each in sent:
            if listed is None:
                unclear.append(each)
            elif (there := listed.get(each.key)) is None:
                yield each, ""
            elif not each.etag or (there.size, there.etag) != (each.size, each.etag):
                unclear.append(each)
        for each, found in in_order(THREADS, self._look, unclear):
            if found is Standing.ABSENT:
                yield each, ""
            elif found is Standing.FOREIGN:
                yield each, "replaced by an object of another writer"
            elif found is Standing.OLD:
                yield each, "replaced by another version"

    def _listed(self, keys: set[str]) -> dict[str, Listed]:
        prefix = os.path.commonprefix(list(keys))  # noqa: RUF071 - character by character is right
        return _asked(lambda: {entry.key: entry for entry in self._store.listed(prefix) if entry.key in keys})

    def _look(self, sent: Expected) -> Standing:
        task = UploadTask(sent.file, Fingerprint(sent.size, 0, 0, 0), self._location, sent.key)
        there = _asked(partial(self._head, sent.key))
        return standing(there, task, lambda found: found.metadata.get(SHA256) == sent.sha256, sent.token)

    def _head(self, key: str) -> Stored | None:
        try:
            return self._store.head(key)
        except Exists:  # as in ``Session.look``
            return None


def _asked(question: Callable[[], T]) -> T:
    """Return the answer, retried where the store is unavailable."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Unavailable) and not isinstance(error, Unreachable)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=8.0),
        sleep=time.sleep,
        reraise=True,
    )(question)
