"""Objects of a bucket as sources: listed by several threads at once, each a prefix, while their first are processed."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mediactl.core.errors import MachineBlocked, MediactlError, UsageError
from mediactl.core.faults import internal_error
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.model.fetches import fingerprint
from mediactl.model.media import REMOTE
from mediactl.pipeline.fetching.scratch import too_large
from mediactl.sources import objects, scan
from mediactl.sources.filters import IGNORE_FILE, LARGEST, Filter
from mediactl.sources.objects import Object

if TYPE_CHECKING:
    from mediactl.upload.store import Found, Page

T = TypeVar("T")

THREADS = 8
"""Prefixes that are listed at once: some thousand objects a second each."""
AHEAD = 64
"""Directories that are listed before they are taken in."""
PAUSE = 0.02
"""Seconds that the run's loop waits for a list, at most, before it looks after its workers again."""
ATTEMPTS = 5
"""At one request of a list."""


def is_remote(source: bytes) -> bool:
    """Return whether a SOURCE is in a bucket."""
    return source.startswith(REMOTE)


def found(settings: Settings, source: bytes, rules: Filter) -> Iterator[scan.Found]:
    """Yield what s3://BUCKET/PREFIX names: all objects below the prefix, or the one object that has this key.

    Empty batches come while nothing is listed for a moment. The first request is sent at once: raises UsageError where
    the bucket cannot be read, and MachineBlocked where it cannot be reached.
    """
    bucket = Bucket(settings, source)
    first = bucket.first()
    everything = iter([bucket.single()]) if first is None else bucket.walk(rules, first)
    return _fitting(everything, settings.fetching.scratch)


def _fitting(found: Iterator[scan.Found], most: int) -> Iterator[scan.Found]:
    """Yield what was found, and in the place of objects that are larger than all that may be on disk, why."""
    for each in found:
        if isinstance(each, scan.Batch) and any(entry.size > most for entry in each.files):
            for entry in each.files:
                if entry.size > most:
                    yield scan.Trouble(each.path_of(entry), too_large(entry.size))
            yield msgspec.structs.replace(each, files=[entry for entry in each.files if entry.size <= most])
        else:
            yield each


class Bucket:
    """One SOURCE in a bucket."""

    def __init__(self, settings: Settings, source: bytes) -> None:
        """Looks for credentials. Raises UsageError and MachineBlocked."""
        from mediactl.upload.engine import Engine, Tuning  # loads botocore: most runs need none
        from mediactl.upload.execute import s3_store
        from mediactl.upload.fetch.by_url import located

        self._settings = settings
        fetching = settings.fetching
        try:
            text = source.decode()
        except UnicodeDecodeError:
            raise UsageError(f"{shown(source)}: not UTF-8, as keys are") from None
        self._location, key = located(text, fetching.location)
        self._is_prefix = not key or key.endswith("/")
        self._key = key.removesuffix("/")
        self._payer = fetching.request_payer
        self._engine = Engine(Tuning(concurrency=2 * THREADS, attempts=ATTEMPTS, patience=60.0))
        self._job = self._engine.job(self._location)
        self._root = self._url(self._key)
        self._where = self._location.bucket, self._location.endpoint_url
        self._refuse_outputs()
        self._store = _answered(lambda: s3_store(self._location, 2 * THREADS))

    # -- what is asked -------------------------------------------------------------------------------------------------

    def first(self) -> Page | None:
        """Return the first page of what is below the prefix; None: nothing is, and its key is an object's."""
        page = _answered(lambda: self._page(self._prefix, "", folders=True))
        if page.objects or page.folders or self._is_prefix:
            return page
        return None

    def _page(self, prefix: str, after: str, *, folders: bool) -> Page:
        with self._engine.turn(self._job) as turn:
            return turn.call(
                lambda: self._store.page(prefix, after, folders=folders, request_payer=self._payer), fatal=False
            )

    def single(self) -> scan.Batch:
        """Return the object with this very key. Raises UsageError where there is none."""
        page = _answered(lambda: self._page(self._key, "", folders=False))
        there = next((each for each in page.objects if each.key == self._key), None)
        if there is None:
            raise UsageError(f"{shown(self._url(self._key))}: no such object, and none below it")
        above, _, name = self._key.rpartition("/")
        path = objects.path_of(name.encode("utf-8", "surrogatepass"))
        mark = fingerprint(there.size, there.etag)
        prefix = objects.path_of(os.path.basename(above).encode()) if self._settings.keep_root and above else b""
        entry = scan.Entry(path, mark.size, mark.mtime_ns, mark.ctime_ns, mark.inode)
        output = objects.output_of(path)
        return scan.Batch(self._url(above), b"", prefix, [entry], None if output == path else output)

    @property
    def _prefix(self) -> str:
        return f"{self._key}/" if self._key else ""

    def _url(self, key: str) -> bytes:
        return f"s3://{self._location.bucket}/{key}".removesuffix("/").encode("utf-8", "surrogatepass")

    # -- the walk ------------------------------------------------------------------------------------------------------

    def walk(self, rules: Filter, first: Page) -> Iterator[scan.Found]:
        """Yield all that is below the prefix, each directory of its first level listed on its own.

        Where there are more of those than one page names, all is listed by one thread: fewer requests take less time.
        """
        listed: queue.Queue[scan.Found | None] = queue.Queue(AHEAD)
        stopping = threading.Event()
        thread = threading.Thread(target=self._list_all, args=(rules, first, _Sink(listed, stopping)), daemon=True)
        thread.start()
        try:
            while True:
                try:
                    each = listed.get(timeout=PAUSE)
                except queue.Empty:
                    yield scan.Batch(self._root, b"", b"", [])
                    continue
                if each is None:
                    return
                yield each
        finally:
            stopping.set()
            self._engine.stop()

    def _list_all(self, rules: Filter, first: Page, sink: _Sink) -> None:
        name = os.path.basename(self._root)
        under = objects.output_of(objects.path_of(name)) if self._settings.keep_root else b""
        top = self._objects(self._prefix) if first.next else map(self._object, first.objects)
        branches = [] if first.next else [self._below(each) for each in first.folders]
        ignoring = [IGNORE_FILE for each in first.objects if self._below(each.key) == IGNORE_FILE]

        def list_one(above: bytes = b"") -> None:
            walk = objects.Walk(self._root, under, rules, self._content, self._is_output)
            try:
                if above:
                    found = walk.found(self._objects(self._prefix + above.decode()), above, ignoring=ignoring)
                else:
                    found = walk.found(top, below=[objects.path_of(each[:-1]) for each in branches])
                for each in found:
                    sink.put(each)
            except MediactlError as error:
                sink.put(scan.Trouble(os.path.join(self._root, above), f"{error}; the next run tries again", True))
            except Exception as error:  # noqa: BLE001 - the others are to be found all the same
                sink.put(scan.Trouble(os.path.join(self._root, above), internal_error(error)))

        with ThreadPoolExecutor(THREADS) as pool:
            list_one()
            list(pool.map(list_one, branches))
        sink.put(None)

    def _objects(self, prefix: str) -> Iterator[Object]:
        """Yield the objects below a prefix in the order of their keys."""
        after = ""
        while True:
            page = self._page(prefix, after, folders=False)
            yield from map(self._object, page.objects)
            after = page.next
            if not after:
                return

    def _object(self, found: Found) -> Object:
        return Object(self._below(found.key), fingerprint(found.size, found.etag))

    def _below(self, key: str) -> bytes:
        return key[len(self._prefix) :].encode("utf-8", "surrogatepass")

    def _content(self, path: bytes) -> bytes:
        """Return the content of a small object. Raises OSError."""
        from mediactl.upload.store import Revision, StoreError

        key = self._prefix + objects.key_of(path).decode("utf-8", "surrogatepass")
        try:
            with self._engine.turn(self._job) as turn:
                return turn.call(
                    lambda: self._store.get(key, 0, LARGEST + 1, Revision(), request_payer=self._payer), fatal=False
                ).body
        except StoreError as error:
            raise OSError(str(error)) from error

    def _is_output(self, path: bytes) -> bool:
        """Return whether a directory is the one that outputs are uploaded to."""
        to = self._settings.to
        if to is None or (to.location.bucket, to.location.endpoint_url) != self._where:
            return False
        return self._prefix.encode() + objects.key_of(path) == to.location.prefix.encode()

    def _refuse_outputs(self) -> None:
        """Raise UsageError for a SOURCE that outputs are uploaded to, or above which they are."""
        to = self._settings.to
        if to is not None and (to.location.bucket, to.location.endpoint_url) == self._where:
            inside = f"{to.location.prefix}/" if to.location.prefix else ""
            if self._prefix.startswith(inside):
                raise UsageError(f"{shown(self._root)}: inside --to; outputs are never sources: use another prefix")


def _answered(request: Callable[[], T]) -> T:
    """Return the answer to what is asked before anything is started. Raises UsageError and MachineBlocked."""
    from mediactl.upload.store import Refused, StoreError

    try:
        return request()
    except Refused as error:
        raise UsageError(str(error)) from error
    except StoreError as error:
        raise MachineBlocked(str(error)) from error


class _Sink:
    """Takes what several threads find, as long as anybody asks for it."""

    def __init__(self, listed: queue.Queue[scan.Found | None], stopping: threading.Event) -> None:
        self._listed = listed
        self._stopping = stopping

    def put(self, each: scan.Found | None) -> None:
        """Wait until it is taken, or nobody will."""
        while not self._stopping.is_set():
            try:
                self._listed.put(each, timeout=PAUSE)
                return
            except queue.Full:
                continue
