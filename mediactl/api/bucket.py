"""Objects of a host: sources that are fetched, and outputs that are uploaded, in threads of its own.

Nothing is decoded in this process. Requests are retried, throttled and shared as those of a run are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from mediactl.api.messages import Add
from mediactl.assets import document
from mediactl.core.errors import JobFailed, MediactlError, RejectedInput, UsageError
from mediactl.core.files import fingerprint, shown
from mediactl.core.sandbox.workspace import Workspace
from mediactl.core.settings import Destination
from mediactl.model.assets import OutputFile
from mediactl.model.fetches import Fetching, FetchStatus, FetchTask
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import About, Change, Location, SentStatus, UploadTask
from mediactl.pipeline.publish import FOREVER, SHORT
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Tuning
from mediactl.upload.execute import Transfers
from mediactl.upload.fetch.by_url import located
from mediactl.upload.fetch.ranges import fetch
from mediactl.upload.keys import object_key
from mediactl.upload.store import Gone, Revision

THREADS = 8
"""Objects at once; parts of large ones have threads of their own."""
MOST = 8 << 20
"""Bytes of an asset.json: many times what the largest has."""
LONGEST = 200
"""Bytes of a key's last part that a file is named after."""


class Bucket:
    """What a host does with buckets. ``arrived`` has the futures that are done, with what each was started for."""

    def __init__(self, tuning: Tuning, out: bytes) -> None:
        """Sources are fetched into a workspace in OUT, which a sweep removes should this process be killed."""
        self._out = out
        self._workspace: Workspace | None = None
        self._creating = threading.Lock()
        self.arrived: SimpleQueue[tuple[object, Future[Any]]] = SimpleQueue()
        self._threads = ThreadPoolExecutor(THREADS, "bucket")
        self._engine = Engine(tuning)
        self._transfers = Transfers(tuning)

    def start(self, what: object, function: Any, *arguments: Any) -> None:
        """Call one of the methods below in a thread."""
        future = self._threads.submit(function, *arguments)
        future.add_done_callback(lambda done: self.arrived.put((what, done)))

    def taken(self) -> list[tuple[object, Future[Any]]]:
        """Return what has arrived since the last call."""
        found: list[tuple[object, Future[Any]]] = []
        try:
            while True:
                found.append(self.arrived.get_nowait())
        except Empty:
            return found

    def close(self) -> None:
        """Begin no more requests, and remove what was fetched."""
        self._transfers.stop(0.0)
        self._engine.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._creating:
            workspace, self._workspace = self._workspace, None
        if workspace is not None:
            workspace.close()

    def fetch(self, add: Add) -> bytes:
        """Fetch a source into a directory of its own; return the path of the file.

        Raises UsageError where there is no such object, RejectedInput where it may not be read, StoreError, OSError;
        then nothing is left of it.
        """
        folder = self._folder()
        try:
            return self._fetched(add, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _folder(self) -> bytes:
        """Return a new directory for one source."""
        with self._creating:
            if self._workspace is None:
                self._workspace = Workspace(self._out)
            return tempfile.mkdtemp(dir=self._workspace.inputs)

    def _fetched(self, add: Add, folder: bytes) -> bytes:
        url = os.fsdecode(add.source)
        location, key = located(url, add.access or Fetching().location)
        task = FetchTask(location, key, os.path.join(folder, _file_name(key)))
        store = self._transfers.readable(location)
        found = fetch(task, store, Capabilities(_is_plain(location)), self._engine, lambda _: None)
        if found.status is FetchStatus.GONE:
            raise UsageError(f"{shown(url)}: no such object")
        if found.status is FetchStatus.DENIED:
            raise RejectedInput(f"{shown(url)}: {found.reason}")
        return task.file

    def document(self, to: Destination, directory: bytes) -> document.Asset | None:
        """Return what the bucket's asset.json says; None: there is none that can be used."""
        key = object_key(to.location.prefix, directory, os.fsdecode(document.NAME))
        store = self._transfers.readable(to.location)
        job = self._engine.job(to.location)
        try:
            with self._engine.turn(job) as turn:
                piece = turn.call(lambda: store.get(key, 0, MOST, Revision()), fatal=False)
            return document.decode(piece.body) if len(piece.body) == piece.total else None
        except (Gone, ValueError):
            return None
        except MediactlError:
            return None  # credentials often may write and not read: each object is looked for, then

    def upload(self, to: Destination, out: bytes, directory: bytes, files: tuple[OutputFile, ...]) -> str:
        """Upload outputs, asset.json after all others; what is there already is not sent. Return their URL.

        Raises JobFailed where another object has a key, StoreError.
        """
        sent = ThreadPoolExecutor(THREADS, "upload")
        try:
            for future in [sent.submit(self._send, _artefact(to, out, directory, each)) for each in files]:
                future.result()
            self._send(_asset(to, out, directory))
        finally:
            sent.shutdown(wait=False, cancel_futures=True)
        return url_of(to, directory)

    def _send(self, task: UploadTask) -> None:
        sent = self._transfers.run(task, b"", _Memory(), lambda *_: None)
        if sent.status is SentStatus.CONFLICT:
            raise JobFailed(sent.reason)


class _Memory:
    """A ledger without a journal: an upload that is interrupted begins again."""

    def save(self, change: Change) -> None:
        """Nothing is remembered."""


def url_of(to: Destination, directory: bytes) -> str:
    """Return the URL of the outputs of a source."""
    return f"s3://{to.location.bucket}/{object_key(to.location.prefix, directory)}"


def _file_name(key: str) -> bytes:
    """Return a name for the file of an object."""
    name = key.rpartition("/")[2].encode("utf-8", "surrogateescape")
    if not name.startswith(b".") and 0 < len(name) <= LONGEST and b"\0" not in name:
        return name
    extension = os.path.splitext(name)[1]
    return b"source" + (extension if extension.isalnum() else b"")


def _is_plain(location: Location) -> bool:
    return (location.endpoint_url or "").startswith("http://")


def _artefact(to: Destination, out: bytes, directory: bytes, file: OutputFile) -> UploadTask:
    made = file.artefact
    return UploadTask(
        os.path.join(out, directory, made.name.encode()), Fingerprint(made.bytes, file.mtime_ns, 0, 0), to.location,
        object_key(to.location.prefix, directory, made.name),
        About(made.media_type, to.cache_control or FOREVER, tags=to.tags), sha256=made.sha256, artefact=made.key,
        if_exists=to.if_exists, root=out,
    )  # fmt: skip


def _asset(to: Destination, out: bytes, directory: bytes) -> UploadTask:
    file = os.path.join(out, directory, document.NAME)
    about = About("application/json", to.cache_control or SHORT, tags=to.tags)
    key = object_key(to.location.prefix, directory, os.fsdecode(document.NAME))
    return UploadTask(file, fingerprint(os.stat(file)), to.location, key, about, if_exists=to.if_exists, root=out)
