"""Questions about the journal that change nothing: status, jobs, show, and what prune would remove."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import apsw
import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.jobs import database, owners
from mediactl.jobs.journal import FILE
from mediactl.jobs.metrics import reading
from mediactl.jobs.prediction import Class
from mediactl.jobs.runs import Earlier, RunRow
from mediactl.jobs.sources import warnings_of
from mediactl.jobs.uploads import Remembered, remembered
from mediactl.model.assets import Artefact
from mediactl.model.figures import Figures
from mediactl.model.jobs import Priority
from mediactl.model.media import MediaInfo
from mediactl.model.uploads import UploadTask

PAGE = 256
"""Sources read at once."""


class Gone(NamedTuple):
    """A source whose file is no longer there."""

    id: int
    file: bytes
    directory: bytes
    """Folder of its outputs, relative to OUT."""
    artefacts: list[str]


class JobRow(msgspec.Struct, frozen=True):
    """A job as it stands. Fields in the order of the query "list"; times in seconds since 1970."""

    id: int
    key: str
    kind: str
    lane: str
    state: str
    priority: int
    enqueued_at: float
    due: float
    run_after: float | None
    attempt: int
    failures: int
    crashes: int
    interruptions: int
    reason: str
    root: bytes | None
    path: bytes | None
    folder: bytes | None
    name: bytes | None
    piece: int | None
    pieces: int | None
    """As in ``NewJob``."""


class Attempt(msgspec.Struct, frozen=True):
    """One attempt of the history: seconds and bytes."""

    attempt: int
    outcome: str
    reason: str
    ended_at: float
    wall: float
    cpu: float
    peak_memory: int
    worker: int
    run: str
    version: str


class QueueRow(msgspec.Struct, frozen=True):
    """The pending jobs of one lane at one priority."""

    lane: str
    priority: int
    depth: int
    oldest: float
    """When the oldest was enqueued."""
    delayed: int
    """How many of them are retries whose time has not come."""


class Published(msgspec.Struct, frozen=True):
    """A done source, and what was made of it."""

    id: int
    directory: bytes
    path: bytes
    kind: str
    digest: str
    info: MediaInfo
    placeholder: str
    warnings: tuple[str, ...]
    artefacts: tuple[Artefact, ...]
    metadata: tuple[str, ...] | None
    """Tags that its recipe names; None: the recipe is of a version that named none."""


class Report:
    """An open journal to read from."""

    def __init__(self, connection: apsw.Connection, state: str) -> None:
        self._connection = connection
        self._state = state
        self._sql = database.statements("report.sql")

    def sources(self) -> dict[str, int]:
        """State -> number of sources."""
        return database.counts(self._run("sources"))

    def required(self) -> dict[str, int]:
        """Extra -> number of sources that were rejected because it is missing."""
        return dict(self._run("required").fetchall())

    def jobs(self) -> dict[str, int]:
        """State -> number of jobs."""
        return database.counts(self._run("jobs"))

    def queue(self) -> list[QueueRow]:
        """Depth and age, by lane and priority."""
        return [QueueRow(*row) for row in self._run("queue")]

    def living_runs(self) -> list[RunRow]:
        """Return the runs that are active, the first started first."""
        return [run for run in reversed(list(self.runs(-1, unended=True))) if run.active]

    def runs(self, limit: int, *, unended: bool = False) -> Iterator[RunRow]:
        """Yield the last runs (-1: all of them), the last started first; with ``unended``, of those without an end."""
        for row in self._run("runs", limit, int(unended)).fetchall():
            run = RunRow(*row)
            active = run.ended_at is None and owners.seems_alive(self._state, run.id, run.pid, run.boot)
            if active:
                heartbeat = owners.heartbeat(self._state, run.id) or run.started_at
                run = msgspec.structs.replace(run, active=True, heartbeat=heartbeat)
            yield run

    def figures(self, now: float) -> Figures:
        """Return what metrics and checks report."""
        return reading.figures(self._connection, self.living_runs(), self._lost_watch(), now)

    def _lost_watch(self) -> bool:
        """Return whether the last watch was killed."""
        row = self._run("last_watch").fetchone()
        return row is not None and bool(row[0]) and not owners.seems_alive(self._state, *row[1:])

    def earlier_runs(self) -> Earlier:
        """Return the totals of runs that were pruned."""
        return Earlier(*self._run("earlier_runs").fetchone())

    def listed(self, state: str | None, limit: int) -> Iterator[JobRow]:
        """Jobs in the order in which they were added, all or in one state."""
        rows = self._run("list", state, limit)
        # A pager may keep its reader waiting, and the journal's log grows as long as rows are being read from it.
        for row in rows.fetchall() if limit > 0 else rows:
            yield JobRow(*row)

    def find(self, what: bytes) -> list[JobRow]:
        """The jobs whose key starts with this (4 digits or more), or whose source has this path or output directory.

        A path may be absolute: then it is that of a source below its root.
        """
        text = what.decode("ascii", "replace")
        is_key = len(text) >= 4 and all(each in "0123456789abcdef" for each in text)
        folder, name = os.path.split(what)
        rows = self._run("find", text if is_key else "", folder, name, what).fetchall()
        return [JobRow(*row) for row in rows or (self._run("find_file", what) if os.path.isabs(what) else ())]

    def some_paths(self) -> list[bytes]:
        """Paths of sources to compare a mistyped name with: some thousands at most."""
        return [row[0] for row in self._run("some_paths")]

    def paths(self, start: bytes, states: tuple[str, ...], limit: int) -> list[bytes]:
        """Paths of sources that begin so and have jobs in one of these states."""
        return [row[0] for row in self._run("paths", start, msgspec.json.encode(states).decode(), limit)]

    def ahead(self, job: JobRow) -> int:
        """How many waiting jobs of its lane are due before a waiting job."""
        return int(self._run("ahead", job.lane, job.due, job.id).fetchone()[0])

    def classes(self) -> list[tuple[Class, list[tuple[int, int]]]]:
        """Every class of jobs that was measured, with its histogram of durations."""
        found: dict[Class, list[tuple[int, int]]] = {}
        for operation, format_, size_bucket, bucket, count in self._run("classes"):
            found.setdefault((operation, format_, size_bucket), []).append((bucket, count))
        return list(found.items())

    def waits(self) -> dict[str, list[float]]:
        """ "priority/lane" -> seconds that each job waited from being added until its first attempt began."""
        return self._grouped("waits")

    def run_times(self) -> dict[str, list[float]]:
        """ "priority/lane" -> seconds that each attempt ran."""
        return self._grouped("durations")

    def _grouped(self, query: str) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for priority, lane, seconds in self._run(query):
            found.setdefault(f"{Priority(priority).name.lower()}/{lane}", []).append(seconds)
        return found

    def attempts(self, job: int) -> list[Attempt]:
        """The history of a job."""
        return [Attempt(*row) for row in self._run("attempts", job)]

    def each_source(self) -> Iterator[tuple[bytes, int | None]]:
        """Yield the root of every source without a running job, and its id if its file is gone.

        No transaction stays open meanwhile.
        """
        folder, name = b"", b""
        while rows := self._run("all_sources", folder, name, PAGE).fetchall():
            for source, root, path, _, _ in rows:
                yield root, source if _is_gone(os.path.join(root, path)) else None
            *_, folder, name = rows[-1]

    def gone(self, source: int) -> Gone | None:
        """Return what is recorded of a source; None if its file is there again, or a job of it is running."""
        for root, path, folder, name in self._run("idle_source", source).fetchall():
            file = os.path.join(root, path)
            if _is_gone(file):
                names = [row[0] for row in self._run("artefact_names", source)]
                return Gone(source, file, os.path.join(folder, name), names)
        return None

    def delete_source(self, source: int) -> None:
        """Forget a source with its jobs and history; only on a journal opened for writing."""
        self._run("delete_source", source)

    def uploads(self, *, live: bool) -> Iterator[Remembered]:
        """What is remembered of uploads, all of them or those in progress, the oldest first."""
        return map(remembered, self._run("uploads", int(live)).fetchall())

    def upload_jobs(self) -> Iterator[tuple[float, UploadTask]]:
        """Of every pending or running upload job: when it was enqueued, and its task."""
        decode = msgspec.json.Decoder(UploadTask).decode
        for enqueued_at, payload in self._run("upload_jobs").fetchall():
            yield enqueued_at, decode(payload)

    def published(self) -> Iterator[Published]:
        """Every source that is done. No transaction stays open meanwhile."""
        last = 0
        while rows := self._run("done_sources", last, PAGE).fetchall():
            for last, folder, name, path, kind, digest, info, placeholder, warnings, metadata in rows:
                yield Published(
                    last,
                    os.path.join(folder, name),
                    path,
                    kind,
                    digest,
                    msgspec.json.decode(info, type=MediaInfo),
                    placeholder,
                    tuple(each.text for each in warnings_of(warnings)),
                    tuple(Artefact(*row) for row in self._run("published", last).fetchall()),
                    None if metadata is None else msgspec.json.decode(metadata, type=tuple[str, ...]),
                )

    def check(self) -> str:
        """SQLite's verdict on the whole file: "ok", or the problem."""
        return str(self._connection.execute("PRAGMA integrity_check(1)").get)

    def rows_of(self, invariant: str, *bindings: int) -> list[Any]:
        """Return the rows of a statement of ``invariants.sql``."""
        return self._connection.execute(database.statements("invariants.sql")[invariant], bindings).fetchall()

    def _run(self, name: str, *bindings: Any) -> Any:
        return self._connection.execute(self._sql[name], bindings)


@contextmanager
def read(state: str, *, write: bool = False) -> Iterator[Report]:
    """The journal in the folder ``state``. Raises UsageError when there is none, or no permission, Damaged or TooNew.

    Where it cannot be written, it is read all the same, unless ``write``.
    """
    path = os.path.join(state, FILE)
    try:
        os.stat(path)
    except PermissionError:
        raise UsageError(f"journal in {shown(state)}: permission denied; its folder admits its owner alone") from None
    except OSError:
        raise UsageError(
            f"no journal in {shown(state)}; name the output folder with --out, or process something first"
        ) from None
    if not os.access(path, os.R_OK):
        raise UsageError(f"journal {shown(path)}: permission denied; ask its owner for permission to read it")
    writable = os.access(path, os.W_OK) and os.access(state, os.W_OK | os.X_OK)
    connection = database.open_database(path, check=False) if write or writable else database.open_to_read(path)
    try:
        if not write:
            connection.pragma("query_only", True)
        yield Report(connection, state)
    except (msgspec.DecodeError, UnicodeDecodeError, apsw.SQLError) as error:
        raise database.Damaged(f"journal {shown(path)} is damaged: {error}") from error
    finally:
        connection.close()


def _is_gone(file: bytes) -> bool:
    """Whether there is no such file. One that cannot be checked (a failing disk, no permission) may be there."""
    try:
        os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
