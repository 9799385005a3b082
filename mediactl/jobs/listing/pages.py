"""Pages of the journal, for whoever looks through it: jobs by filter, failures by reason, history by interval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mediactl.jobs import database
from mediactl.jobs.sources import warnings_of
from mediactl.jobs.states import State
from mediactl.jobs.uploads import Remembered, remembered
from mediactl.model.assets import Artefact
from mediactl.model.media import Fingerprint, Kind, MediaInfo, Source

if TYPE_CHECKING:
    import apsw

COLUMNS = """j.id, j.key, j.kind, j.lane, j.state, j.priority, j.enqueued_at, j.due, j.run_after, j.attempt, j.failures,
    j.crashes, j.interruptions, j.reason, s.root, s.path, s.folder, s.name, j.piece, j.pieces"""
"""Those of ``report.JobRow``."""
_STOPPED = "j.state IN ('rejected', 'quarantined', 'cancelled')"
"""The condition of the index "jobs_stopped", which a statement has to repeat to use it."""
_info = msgspec.json.Decoder(MediaInfo)
_VARYING = re.compile(r"\d+(?:[.,]\d+)*")
"""What differs between reasons that are one: sizes, positions, durations."""


class Filter(msgspec.Struct, frozen=True):
    """Which jobs; whatever is empty excludes none."""

    state: State | None = None
    kind: str = ""
    lane: str = ""
    path: str = ""
    """GLOB of the source's path."""
    reason: str = ""
    """GLOB."""
    since: float | None = None
    """Enqueued at this time or later, in seconds since 1970."""

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return a condition of SQL with the values that are bound to it."""
        conditions = {
            "kind": "j.kind = :kind",
            "lane": "j.lane = :lane",
            "path": "CAST(s.path AS TEXT) GLOB :path",
            "reason": "j.reason GLOB :reason",
            "since": "j.enqueued_at >= :since",
        }
        values = {name: value for name in conditions if (value := getattr(self, name))}
        found = [conditions[name] for name in values]
        if self.state is not None:
            found.insert(0, f"j.state = '{self.state}'")  # literal: partial indexes are not used for bound values
            if self.state in (State.REJECTED, State.QUARANTINED, State.CANCELLED):
                found.insert(0, _STOPPED)
        return " AND ".join(found) or "1", values


class Counts(NamedTuple):
    """Number of jobs by state."""

    ready: int
    delayed: int
    """Retries whose time has not come."""
    running: int
    rejected: int
    quarantined: int
    cancelled: int
    total: int

    @property
    def done(self) -> int:
        """Those that are in no other state."""
        return self.total - sum(self[:-1])

    @property
    def pending(self) -> int:
        """All that are to be run."""
        return self.ready + self.delayed


class Queue(NamedTuple):
    """Pending jobs of one lane at one priority; times in seconds since 1970."""

    lane: str
    priority: int
    depth: int
    oldest: float
    due: float
    """When the first of them is due, or was."""


class Running(NamedTuple):
    """A running job."""

    key: str
    kind: str
    lane: str
    priority: int
    started_at: float | None
    piece: int | None
    pieces: int | None
    path: bytes | None


class Failures(msgspec.Struct):
    """Jobs that were stopped for one reason, whatever numbers are in it."""

    kind: str
    state: str
    pattern: str
    """GLOB that all of their reasons match."""
    example: str
    """One of the reasons."""
    jobs: int
    newest: int
    """The highest id."""
    varies: bool = False
    """Whether their reasons differ."""


class Root(NamedTuple):
    """A directory that sources are from, with their number by state."""

    path: bytes
    sources: int
    done: int
    pending: int
    stopped: int


class Origin(msgspec.Struct, frozen=True):
    """What is known of the source of a job."""

    id: int
    source: Source
    state: str
    digest: str | None
    info: MediaInfo | None
    warnings: tuple[str, ...]


class Derived(NamedTuple):
    """A derived file: where it is, relative to OUT, and what it is."""

    path: bytes
    media_type: str
    bytes: int


class Listing:
    """An open journal to look through."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sql = database.statements("listing.sql")

    def states(self) -> Counts:
        """Return the number of jobs by state."""
        return Counts(*self._run("states").fetchone())

    def queues(self) -> list[Queue]:
        """Return depth and age of the queue, by lane and priority."""
        return [Queue(*row) for row in self._run("lanes")]

    def running(self, limit: int) -> list[Running]:
        """Return the jobs that are running, the first started first."""
        return [Running(*row) for row in self._run("running", limit)]

    def page(self, wanted: Filter, before: int | None, limit: int) -> list[tuple[Any, ...]]:
        """Return rows of COLUMNS: the newest jobs that match, or those before an id."""
        where, values = wanted.where()
        sql = f"SELECT {COLUMNS} FROM jobs AS j LEFT JOIN sources AS s ON s.id = j.source WHERE {where}"
        if before is not None:
            sql, values = f"{sql} AND j.id < :before", {**values, "before": before}
        return self._connection.execute(f"{sql} ORDER BY j.id DESC LIMIT :limit", {**values, "limit": limit}).fetchall()

    def count(self, wanted: Filter, most: int) -> int:
        """Return how many jobs match; no more than ``most`` are counted."""
        where, values = wanted.where()
        sources = "LEFT JOIN sources AS s ON s.id = j.source" if wanted.path else ""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM jobs AS j {sources} WHERE {where} LIMIT :most)"
        return int(self._connection.execute(sql, {**values, "most": most}).get)

    def reasons(self, wanted: Filter) -> list[tuple[int, str]]:
        """Return (id, reason) of the jobs that match."""
        where, values = wanted.where()
        sources = "LEFT JOIN sources AS s ON s.id = j.source" if wanted.path else ""
        sql = f"SELECT j.id, j.reason FROM jobs AS j {sources} WHERE {where}"
        rows: list[Any] = self._connection.execute(sql, values).fetchall()
        return rows

    def failures(self) -> list[Failures]:
        """Return rejected and quarantined jobs by kind, state and reason, the most frequent first."""
        found: dict[tuple[str, str, str], Failures] = {}
        for kind, state, reason, jobs, newest in self._run("reasons"):
            group = found.setdefault(
                (kind, state, pattern(reason)), Failures(kind, state, pattern(reason), reason, 0, 0)
            )
            group.jobs += jobs
            group.varies = group.varies or reason != group.example
            group.newest = max(group.newest, newest)
        return sorted(found.values(), key=lambda group: (-group.jobs, -group.newest))

    def timeline(self, since: float, step: float, steps: int) -> list[tuple[int, int]]:
        """Return (done, ended otherwise) of the attempts in each of so many intervals of ``step`` seconds."""
        counts = [(0, 0)] * steps
        for number, done, others in self._run("timeline", since, step, steps):
            counts[number] = done, others
        return counts

    def roots(self) -> list[Root]:
        """Return the directories that sources are from."""
        return [Root(*row) for row in self._run("roots")]

    def uploads(self, limit: int) -> list[Remembered]:
        """Return the uploads that changed last, the newest first."""
        return [remembered(row) for row in self._run("newest_uploads", limit).fetchall()]

    def upload_states(self) -> list[tuple[str, int, int]]:
        """Return (status, uploads, bytes)."""
        return list(self._run("upload_states").fetchall())

    def origin(self, job: int) -> Origin | None:
        """Return the source of a job; None: it has none."""
        row = self._run("source_of", job).fetchone()
        if row is None:
            return None
        id, root, path, folder, name, *marks, kind, format_, state, digest, info, warnings = row
        directory = folder + b"/" + name if folder else name
        return Origin(
            id,
            Source(
                root, path, directory, Fingerprint(*marks), Kind(kind) if kind in set(Kind) else Kind.IMAGE, format_
            ),
            state,
            digest,
            None if info is None else _info.decode(info),
            tuple(each.text for each in warnings_of(warnings)),
        )

    def artefacts(self, source: int) -> Iterator[Artefact]:
        """Yield the derived files of a source, in the order of asset.json."""
        for row in self._run("artefacts_of", source).fetchall():
            yield Artefact(*row)

    def derived(self, source: int, name: str) -> Derived | None:
        """Return a derived file by its name; None: there is none of that name."""
        row = self._run("artefact", source, name).fetchone()
        if row is None:
            return None
        folder, directory, file, media_type, size = row
        return Derived(b"/".join(part for part in (folder, directory, file.encode()) if part), media_type, size)

    def _run(self, name: str, *bindings: Any) -> Any:
        return self._connection.execute(self._sql[name], bindings)


def pattern(reason: str) -> str:
    """Return a GLOB that matches a reason and those that differ from it by numbers alone."""
    return _VARYING.sub("*", re.sub(r"[\[*?]", r"[\g<0>]", reason))
