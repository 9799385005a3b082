"""Questions about the journal that change nothing: status, jobs, show, and what prune would remove."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any, NamedTuple

import apsw
import msgspec

from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.core.files import shown
from mediactl.jobs import database, owners
from mediactl.jobs.fleet import machines
from mediactl.jobs.fleet.arrivals import usual_rate
from mediactl.jobs.fleet.workload import Expectation
from mediactl.jobs.journal import FILE
from mediactl.jobs.listing.pages import Listing
from mediactl.jobs.metrics import reading
from mediactl.jobs.prediction import Class
from mediactl.jobs.runs import Earlier, RunRow
from mediactl.jobs.sources import warnings_of
from mediactl.jobs.uploads import Remembered, remembered
from mediactl.model.assets import Artefact
from mediactl.model.figures import Figures
from mediactl.model.fleet import Machine, Workload
from mediactl.model.jobs import Priority
from mediactl.model.media import Fingerprint, Kind, MediaInfo, Source
from mediactl.model.uploads import UploadTask

_info = msgspec.json.Decoder(MediaInfo)
_metadata = msgspec.json.Decoder(tuple[str, ...])
_upload_task = msgspec.json.Decoder(UploadTask)

PAGE = 256
"""Sources read at once."""
LOOKER_MILLISECONDS = 2_000
"""How long who only looks on waits for a lock."""


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


class Filter(msgspec.Struct, frozen=True):
    """Which jobs are meant: those to which all of it applies. None: any will do."""

    states: tuple[str, ...] | None = None
    reason: str | None = None
    """Pattern as SQLite's GLOB has it: "*" and "?" match "/", too."""
    kind: str | None = None
    path: bytes | None = None
    """The same of the path of the source."""
    since: float | None = None
    """Seconds since 1970: enqueued since then, or with an attempt that ended since then."""


class Cost(msgspec.Struct, frozen=True):
    """What one attempt took. Fields in the order of the query "costliest"; seconds and bytes."""

    key: str
    kind: str
    path: bytes | None
    attempt: int
    outcome: str
    ended_at: float
    wall: float
    cpu: float
    peak_memory: int


class Window(msgspec.Struct, frozen=True):
    """Which attempts are measured: those that ended since a time, or all of one run."""

    since: float = 0.0
    """Seconds since 1970."""
    run: str | None = None


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


class Made(msgspec.Struct, frozen=True):
    """An artefact, as far as reports go. Fields in the order of the query "made_of"."""

    name: str
    role: str
    bytes: int
    width: int | None
    height: int | None
    similarity: float | None


class Completed(msgspec.Struct, frozen=True):
    """A source that a run completed."""

    source: Source
    digest: str
    info: MediaInfo
    recipe: str
    """Digest of its recipe."""
    warnings: tuple[str, ...]
    made: tuple[Made, ...]


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
        self.listing = Listing(connection)
        """The same journal, page by page."""

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

    def machines(self) -> tuple[Machine, ...]:
        """Return the machines that work for this journal, and those that did within the last hour."""
        return machines.listed(self._connection)

    def workload(self, most: float) -> Workload:
        """Return how much work is pending and running; each job counts as ``most`` seconds at most."""
        return Expectation(self._connection, most).workload()

    def usual_rate(self, at: float, zone: tzinfo | None = None) -> float | None:
        """Return how much work usually arrives around a time, as ``arrivals.usual_rate`` has it."""
        return usual_rate(self._connection, at, zone)

    def _lost_watch(self) -> bool:
        """Return whether the last watch was killed."""
        row = self._run("last_watch").fetchone()
        return row is not None and bool(row[0]) and not owners.seems_alive(self._state, *row[1:])

    def run(self, start: str) -> RunRow | None:
        """Return the run whose id begins so; None: there is none, or more than one."""
        found = self._run("run", start).fetchall()
        return RunRow(*found[0]) if len(found) == 1 else None

    def problems_of(self, run: str) -> Iterator[tuple[bytes | None, str, str, str]]:
        """Yield path, kind, state and reason of what a run gave up."""
        for path, kind, _, state, reason, _ in self._run("run_problems", run):
            yield path, kind, state, reason

    def completed_by(self, run: str) -> Iterator[Completed]:
        """Yield the sources that a run completed and that are done still. No transaction stays open meanwhile."""
        last = 0
        while rows := self._run("run_sources", run, last, PAGE).fetchall():
            for (
                last,
                root,
                path,
                folder,
                name,
                kind,
                format_,
                size,
                mtime,
                ctime,
                inode,
                digest,
                info,
                recipe,
                text,
            ) in rows:
                source = Source(
                    root, path, os.path.join(folder, name), Fingerprint(size, mtime, ctime, inode), Kind(kind), format_
                )
                made = tuple(Made(*row) for row in self._run("made_of", last).fetchall())
                warnings = tuple(each.text for each in warnings_of(text))
                yield Completed(source, digest, _info.decode(info), recipe, warnings, made)

    def recipe(self, digest: str) -> str | None:
        """Return the JSON of a recipe."""
        content: str | None = self._run("recipe", digest).get
        return content

    def repaired(self, before: str, run: str) -> list[bytes]:
        """Return the sources that failed in the run ``before`` and were completed by ``run``."""
        return [row[0] for row in self._run("changed_fate", before, run)]

    def earlier_runs(self) -> Earlier:
        """Return the totals of runs that were pruned."""
        return Earlier(*self._run("earlier_runs").fetchone())

    def listed(self, state: str | None, limit: int) -> Iterator[JobRow]:
        """Jobs in the order in which they were added, all or in one state."""
        return self.selected(Filter() if state is None else Filter(states=(state,)), limit)

    def selected(self, wanted: Filter, limit: int = -1) -> Iterator[JobRow]:
        """Jobs in the order in which they were added; at most ``limit``, -1: all of them."""
        states = None if wanted.states is None else msgspec.json.encode(wanted.states).decode()
        rows = self._run("list", states, wanted.reason, wanted.kind, wanted.path, wanted.since, limit)
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

    def buckets(self, limit: int) -> list[str]:
        """Return the s3://BUCKET/PREFIX that objects were uploaded to, in alphabetical order."""
        return [f"s3://{bucket}/{prefix}".rstrip("/") for bucket, prefix in self._run("buckets", limit)]

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

    def measured(self, by: str, window: Window) -> Iterator[tuple[str, float, float | None]]:
        """Yield of each attempt its group ("operation", "format", "lane" or "version"), seconds that it ran, and
        seconds that its job was pending before; None: an attempt came before."""
        yield from self._run("measured", by, window.since, window.run)

    def spent(self, by: str, window: Window) -> dict[str, tuple[int, int, float, int]]:
        """Group -> number of attempts, of those that are not done, CPU seconds, and largest memory in bytes."""
        return {group: tuple(numbers) for group, *numbers in self._run("spent", by, window.since, window.run)}

    def costliest(self, column: str, window: Window, limit: int) -> list[Cost]:
        """Return the attempts that took longest ("wall"), or most memory ("peak_memory")."""
        return [Cost(*row) for row in self._run("costliest", column, window.since, window.run, limit)]

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
        for enqueued_at, payload in self._run("upload_jobs").fetchall():
            yield enqueued_at, _upload_task.decode(payload)

    def published(self) -> Iterator[Published]:
        """Every source that is done and has its outputs in OUT. No transaction stays open meanwhile."""
        last = 0
        while rows := self._run("done_sources", last, PAGE).fetchall():
            for last, folder, name, path, kind, digest, info, placeholder, warnings, metadata in rows:
                yield Published(
                    last,
                    os.path.join(folder, name),
                    path,
                    kind,
                    digest,
                    _info.decode(info),
                    placeholder,
                    tuple(each.text for each in warnings_of(warnings)),
                    tuple(Artefact(*row) for row in self._run("published", last).fetchall()),
                    None if metadata is None else _metadata.decode(metadata),
                )

    def in_bucket(self) -> int:
        """Return how many done sources have outputs in a bucket alone."""
        return int(self._run("in_bucket").get)

    def check(self) -> str:
        """SQLite's verdict on the whole file: "ok", or the problem."""
        return str(self._connection.execute("PRAGMA integrity_check(1)").get)

    def rows_of(self, invariant: str, *bindings: int) -> list[Any]:
        """Return the rows of a statement of ``invariants.sql``."""
        return self._connection.execute(database.statements("invariants.sql")[invariant], bindings).fetchall()

    def _run(self, name: str, *bindings: Any) -> Any:
        return self._connection.execute(self._sql[name], bindings)


@contextmanager
def read(state: str, *, write: bool = False, untouched: bool = False) -> Iterator[Report]:
    """The journal in the folder ``state``. Raises UsageError when there is none, or no permission, Damaged or TooNew.

    Where it cannot be written, it is read all the same, unless ``write``. ``untouched``: it is read as if it could not
    be written, so that whoever looks on neither migrates nor checks it; MachineBlocked where that fails.
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
    writable = not untouched and os.access(path, os.W_OK) and os.access(state, os.W_OK | os.X_OK)
    busy = LOOKER_MILLISECONDS if untouched else database.BUSY_MILLISECONDS
    connection = database.open_database(path, check=False) if write or writable else database.open_to_read(path, busy)
    try:
        if not write:
            connection.pragma("query_only", True)
        yield Report(connection, state)
    except (msgspec.DecodeError, UnicodeDecodeError, apsw.SQLError) as error:
        raise database.Damaged(f"journal {shown(path)} is damaged: {error}") from error
    except apsw.Error as error:
        if not untouched:
            raise
        raise MachineBlocked(f"journal {shown(path)} cannot be read: {error}; try again") from None
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
