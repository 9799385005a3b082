"""The journal: one method a transition, each a compare-and-set; what a transaction holds is decided by its caller."""

from __future__ import annotations

import heapq
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import apsw
import msgspec

from mediactl.core import files, system
from mediactl.core.errors import ExitCode, MachineBlocked, MediactlError, UsageError
from mediactl.core.files import shown
from mediactl.core.filesystem.trust import written_by_others
from mediactl.jobs import database, history, owners, runs
from mediactl.jobs.attempts import Attempts
from mediactl.jobs.barrier import reraise, together_or_singly
from mediactl.jobs.buckets.rows import Buckets
from mediactl.jobs.claims import Claim, choose
from mediactl.jobs.fleet.machines import Machines
from mediactl.jobs.metrics.traces import Traces
from mediactl.jobs.prediction import Class, Predictor
from mediactl.jobs.priority import SLACK, due
from mediactl.jobs.pruning import Pruning
from mediactl.jobs.sources import Sources
from mediactl.jobs.states import LONGEST_DELAY, PATIENCE, Patience, State
from mediactl.jobs.uploads import Uploads
from mediactl.model.jobs import HEAVY, QUICK, NewJob, Priority, Usage
from mediactl.model.verdict import Verdict

FILE = "journal.db"
BEAT = 5.0
"""Seconds between two heartbeats."""


@contextmanager
def _usable(path: str) -> Iterator[None]:
    """Raise MachineBlocked for what SQLite raises where the journal at ``path`` cannot be used."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        with suppress(OSError), open(path + database.SUSPECT, "wb"):
            pass  # the next open reads the whole file
        raise MachineBlocked(
            f"journal {shown(path)} is damaged: {error}; run again: it will be set aside and rebuilt"
        ) from None
    except database.UNWRITABLE as error:
        raise MachineBlocked(f"journal {shown(path)} cannot be used: {error}; run again") from None


class GivenUp(NamedTuple):
    """A job that was given up."""

    key: str
    kind: str
    path: bytes | None
    """Of its source, if it has one."""


class Journal:
    """An open journal, on behalf of one run. Use ``Journal.open``.

    Reads may be done at any time; every change stands inside ``with journal.transaction():``, which commits as one
    and is on disk when it returns (WAL, synchronous=FULL).
    """

    def __init__(
        self,
        connection: apsw.Connection,
        state: str,
        lock: owners.RunLock | None,
        clock: Callable[[], float],
        random: Callable[[], float],
        version: str,
        patience: Patience,
    ) -> None:
        self.state = state
        self.run = "rehearsal" if lock is None else lock.id
        self.fresh = False
        self.set_aside: str | None = None
        self._lock = lock
        self._next_beat = 0.0
        self._file = None if lock is None else files.Anchor(os.path.join(state, FILE), "journal")
        self._connection = connection
        self._clock = clock
        self._random = random
        self._version = version
        self._patience = patience
        self._is_ended = False
        self.added = 0
        """Jobs that this run has added."""
        self.confined = False
        """Whether only jobs of sources that this run has come upon are claimed, and uploads: what it has yet to find it
        may have to plan again."""
        self.destination: str | None = None
        """Digest of the one bucket on which jobs that this run claims may count ("": none); None: any."""
        self._sql = database.statements()
        self._attempts = Attempts(connection, self.run, clock, version)
        self.sources = Sources(connection)
        self.uploads = Uploads(connection, clock)
        self.traces = Traces(connection, clock)
        self.machines = Machines(connection, clock)
        self.buckets = Buckets(connection)
        self.predictor = Predictor(lambda like: self._run("durations", like).fetchall())
        self._run("make_mine", ())

    @classmethod
    @contextmanager
    def open(
        cls,
        state: str,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        version: str,
        rebuild: Callable[[Journal], None] | None = None,
        patience: Patience = PATIENCE,
        command: str = runs.EDIT,
        workers: int = 0,
    ) -> Iterator[Journal]:
        """Open or make the journal in the folder ``state`` and hold it as a new run until the block ends.

        The history has it under the name ``command``, with so many ``workers``. ``rebuild`` is called, before any other
        run may enter, for a journal that was made now or in place of a damaged one (``journal.set_aside`` names that);
        cut short, it is called again at the next open. Raises MachineBlocked, database.TooNew and, without ``rebuild``,
        database.Damaged.
        """
        path = os.path.join(state, FILE)
        files.make_writable(state, "journal directory", "--state", mode=0o700)
        if why := written_by_others(os.stat(state)):
            raise UsageError(
                f"journal directory {shown(state)}: {why}; review it, then change its owner or mode,"
                " or use another --state"
            )
        with _usable(path):
            with owners.opening(state):
                lock = owners.RunLock(state)
                aside = None
                try:
                    check = database.went_down(path)
                    try:
                        connection = database.open_database(path, check=check)
                    except database.Damaged:
                        if rebuild is None:
                            raise
                        aside = database.set_aside(path)
                        connection = database.open_database(path, check=False)
                    files.remove_if_there(os.fsencode(path + database.SUSPECT))
                    journal = cls(connection, state, lock, clock, random, version, patience)
                    journal.fresh, journal.set_aside = not journal._run("any_run", ()).get, aside
                    if journal.fresh and rebuild:
                        rebuild(journal)
                    # The first run's row says that the rebuilding is complete.
                    with journal.transaction():
                        journal._begin(command, workers)
                    journal.beat()
                except BaseException:
                    lock.close()
                    raise
            try:
                with journal._ended_by_errors():
                    yield journal
            finally:
                connection.close()
                lock.close()

    @classmethod
    @contextmanager
    def rehearse(
        cls, state: str, *, clock: Callable[[], float], random: Callable[[], float], version: str
    ) -> Iterator[Journal]:
        """A private copy of the journal (empty where there is none): do anything with it, nothing is touched."""
        path = os.path.join(state, FILE)
        fresh, connection = not os.path.exists(path), database.copied(path)
        journal = cls(connection, state, None, clock, random, version, PATIENCE)
        journal.fresh = fresh
        with journal.transaction():
            journal._begin("process", 0)
        try:
            yield journal
        finally:
            connection.close()

    def _begin(self, command: str, workers: int) -> None:
        mine = (self.run, os.getpid(), system.boot_id(), self._version, self._clock(), command, workers)
        self._run("put_run", mine)

    def end(self, exit_code: int, counts: runs.Counts | None = None) -> None:
        """Note that this run ended in order, and how its sources stand."""
        with self.transaction():
            self._run("end_run", (self.run, self._clock(), exit_code, *(counts or runs.UNCOUNTED)))
        self._is_ended = True

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """Note the exit code of an error that ends the run before it has ended in order."""
        try:
            yield
        except Exception as error:
            if not self._is_ended and not isinstance(error, (MachineBlocked, apsw.Error)):  # else it cannot be written
                with suppress(MachineBlocked, apsw.Error):
                    self.end(error.exit_code if isinstance(error, MediactlError) else ExitCode.OURS)
            raise

    def prune(self, history: float, *, compact: bool) -> None:
        """Remove what is older than so many seconds and nothing needs; with ``compact``, return free space, too.

        Takes half a second at most, and goes on at the next call. Raises MachineBlocked.
        """
        pruning = Pruning(self._connection, self.transaction, self.state, self.run)
        pruning.advance(self._clock(), history)
        if compact:
            pruning.compact()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """Everything inside is committed as one. Raises MachineBlocked: disk full.

        It is on disk when the block has ended. Not ``durable``: any process sees it from then on, whatever dies, but
        when the power fails it may be lost. That does for sources, jobs and claims, which the next scan finds again.
        """
        try:
            self._connection.pragma("synchronous", "full" if durable else "normal")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._attempts.write()
            except BaseException:
                self._attempts.forget()
                if self._connection.in_transaction:  # SQLite has already rolled back where it had to
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except database.UNWRITABLE as error:
            if self._connection.in_transaction:
                with suppress(apsw.Error):  # what the disk refuses is undone when the journal is opened again
                    self._connection.execute("ROLLBACK")
            if isinstance(error, apsw.BusyError):
                raise MachineBlocked(
                    f"journal in {shown(self.state)} is held by another process that does not go on;"
                    " end it and run again"
                ) from None
            raise MachineBlocked(
                f"journal in {shown(self.state)} cannot be written: {error}; free some space and run again"
            ) from None

    def beat(self) -> None:
        """Show that this run goes on; at most once in ``BEAT`` seconds."""
        now = self._clock()
        if self._lock is not None and now >= self._next_beat:
            self._next_beat = now + BEAT
            self._lock.beat(now)

    def require_in_place(self) -> None:
        """Raise MachineBlocked when the journal's file was removed or replaced: what this run writes would be lost."""
        if self._file is not None:
            self._file.require()

    @contextmanager
    def part(self) -> Iterator[None]:
        """Everything inside, which stands in a transaction, is undone alone when it raises."""
        self._attempts.write()
        added = self.added
        self._connection.execute("SAVEPOINT part")
        try:
            yield
            self._attempts.write()
        except BaseException:
            self.added = added
            self._attempts.forget()
            if self._connection.in_transaction:  # SQLite has already rolled all back where it had to
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    # -- jobs --------------------------------------------------------------------------------------------------

    def add(self, jobs: Iterable[NewJob]) -> int:
        """Add jobs; those pending or running stay as they are. Returns how many were added or started afresh."""
        jobs = list(jobs)
        now = self._clock()
        before = self._connection.total_changes()
        self._connection.executemany(
            self._sql["add"],
            (
                (
                    job.key, job.kind, job.lane, job.source, job.content, job.format, job.size, job.payload,
                    int(job.priority), now, due(now, job.priority) if job.due is None else job.due, job.time_limit,
                    job.plan, job.cores, job.stall_limit, job.memory_limit, job.memory, job.operation, job.piece,
                    job.pieces, job.cut, job.destination,
                )
                for job in jobs
            ),
        )  # fmt: skip
        added = self._connection.total_changes() - before
        self.added += added
        self.traces.begin(job.source for job in jobs)
        return added

    def claim(
        self,
        lanes: Iterable[str],
        room: int,
        kinds: dict[str, int] | None = None,
        before: float = math.inf,
        give_up: Callable[[int, Exception], None] = reraise,
    ) -> list[Claim]:
        """Take up to ``room`` ready jobs of these lanes, in due order over all of them.

        ``kinds`` caps how many of a kind are taken, and is counted down. Only jobs that are due before ``before``.
        ``give_up`` ends a job that cannot be claimed.
        """
        if not room:
            return []
        kinds = {} if kinds is None else kinds
        full = msgspec.json.encode([kind for kind, most in kinds.items() if not most]).decode()
        found = (
            self._run("candidates", (lane, room, int(self.confined), full, self.destination)).fetchall()
            for lane in lanes
        )
        wanted = choose(heapq.merge(*found), room, kinds, before)
        if not wanted:
            return []
        claimed = together_or_singly(wanted, self.part, self._claimed, give_up)
        return sorted(chain.from_iterable(claimed), key=lambda claim: (claim.due, claim.id))

    def _claimed(self, jobs: Sequence[int]) -> list[Claim]:
        rows = self._run("claim", (msgspec.json.encode(jobs).decode(), self.run, self._clock()))
        return [Claim(*row) for row in rows]

    def alone_is_due(self) -> bool:
        """Whether a job that has to run alone has waited until it was due."""
        due_at = self._run("alone", (self.destination,)).get
        return due_at is not None and due_at <= self._clock()

    def wake(self) -> None:
        """Let retries whose time has come be claimed."""
        self._run("wake", (self._clock(), LONGEST_DELAY))

    def finish(self, job: int, attempt: int, state: State, reason: str = "") -> bool:
        """running -> done, rejected or cancelled. False: the answer was stale, nothing changed."""
        self._run("finish", (job, attempt, self.run, state.value, reason))
        return self._connection.changes() == 1

    def finish_done(self, ended: Iterable[tuple[int, int]]) -> set[int]:
        """running -> done for these (job, attempt); the jobs whose answer was not stale."""
        pairs = msgspec.json.encode(list(ended)).decode()
        return {job for (job,) in self._run("finish_done", (pairs, self.run))}

    def fail(self, job: int, attempt: int, reason: str, given_up: State = State.QUARANTINED) -> State | None:
        """running -> ready after a while, or ``given_up`` after the last attempt. None: the answer was stale."""
        failures = self._connection.execute("SELECT failures FROM jobs WHERE id = ?", (job,)).get or 0
        later = self._clock() + self._patience.delay(failures, self._random())
        row = self._run("fail", (job, attempt, self.run, reason, self._patience.failures, later, given_up)).fetchone()
        return None if row is None else State(row[0])

    def is_ready(self, job: int) -> bool:
        """Whether another attempt of a job is pending."""
        return bool(self._connection.execute("SELECT state FROM jobs WHERE id = ?", (job,)).get == State.READY)

    def is_last_attempt(self, job: int) -> bool:
        """Whether ``fail`` would quarantine this job."""
        failures = self._connection.execute("SELECT failures FROM jobs WHERE id = ?", (job,)).get or 0
        return bool(failures + 1 >= self._patience.failures)

    def give_up(self, job: int, attempt: int | None, reason: str) -> GivenUp:
        """Quarantine a job and its source, whatever state they are in; without ``attempt``, whichever it is at.

        For what went wrong while mediactl handled them: nothing is decoded, and no handler is asked.
        """
        key, kind, source, destination = self._run("head", (job,)).fetchone()
        self._run("give_up", (job, attempt, reason))
        if source is None:
            return GivenUp(key, kind, None)
        if not self._connection.changes():
            pass  # it is another run's by now, which decides for itself
        elif destination:
            self.sources.upload_state(source, "failed", destination)
        else:
            self.sources.set_state(source, "quarantined", reason)
            self._run("cancel_pieces", (source, reason, None, None))
        return GivenUp(key, kind, self.path_of(source))

    def source_of(self, job: int) -> int | None:
        """Return the source of a job, if it has one."""
        source: int | None = self._run("head", (job,)).fetchone()[2]
        return source

    def path_of(self, source: int) -> bytes:
        """Return the path of a source, and nothing else of it."""
        path: bytes | None = self._run("source_path", (source,)).get
        return path or b""

    def crash(self, job: int, attempt: int, reason: str) -> State | None:
        """running -> ready (the last time alone), or quarantined for good. None: the answer was stale."""
        row = self._run("crash", (job, attempt, self.run, reason, self._patience.crashes)).fetchone()
        return None if row is None else State(row[0])

    def interrupt(self, job: int, attempt: int, reason: str, *, begun: bool = True) -> State | None:
        """running -> ready, at no cost; quarantined if it was ``begun`` too often. None: the answer was stale."""
        row = self._run(
            "interrupt", (job, attempt, self.run, reason, int(begun), self._patience.interruptions)
        ).fetchone()
        return None if row is None else State(row[0])

    def retry(self, job: int) -> bool:
        """rejected, quarantined, cancelled or waiting for its next attempt -> ready now."""
        row = self._run("retry", (job, self._clock())).fetchone()
        if row is not None and row[0] is not None:
            source, plan, cut, destination = row
            if destination:
                self.sources.upload_state(source, "pending", destination)
            else:
                self.sources.set_state(source, "pending", "")
            if cut:
                self._run("revive_pieces", (source, plan, cut, self._clock()))
        return row is not None

    def cancel(self, job: int) -> bool:
        """ready -> cancelled."""
        row = self._run("cancel", (job,)).fetchone()
        if row is not None and row[0] is not None:
            source, plan, cut, destination = row
            if destination:
                self.sources.upload_state(source, "", "")  # replanned by the next run that uploads
            else:
                self.sources.set_state(source, "cancelled", "cancelled")
            if cut:
                self.sources.cancel_pieces(source, "cancelled", plan, cut)
        return row is not None

    def record(self, claim: Claim, verdict: Verdict, reason: str, usage: Usage, worker: int) -> None:
        """Add an attempt to the history; durations of done ones feed predictions."""
        self._attempts.add(claim, verdict, reason, usage, worker)

    def count_made(self, bytes_in: int, bytes_out: int, roles: Mapping[str, int]) -> None:
        """Add what a job has made of a source to the totals: bytes, and number of artefacts by role."""
        self._attempts.totals.add_bytes("in", bytes_in)
        self._attempts.totals.add_bytes("out", bytes_out)
        self._attempts.totals.add_artefacts(roles)

    def bump(self, job: int, priority: Priority) -> bool:
        """Give a ready job another priority: it is due as if it had been enqueued with it."""
        self._run("bump", (job, int(priority), SLACK[priority]))
        return self._connection.changes() == 1

    def move_lane(self, like: Class, lane: str) -> int:
        """Move the ready jobs of a class to another lane; how many there were."""
        operation, format_, bucket = like
        low, high = history.sizes_of(bucket)
        other = HEAVY if lane == QUICK else QUICK
        self._run("move_lane", (operation, format_, low, lane, other, high))
        return self._connection.changes()

    def measured(self, enough: int) -> dict[str, list[tuple[int, int]]]:
        """Job kind -> histogram of its durations, for kinds with at least so many measured."""
        found: dict[str, Counter[int]] = {}
        for operation, bucket, count in self._run("measured", ()).fetchall():
            found.setdefault(operation, Counter())[bucket] += count
        return {kind: list(counts.items()) for kind, counts in found.items() if counts.total() >= enough}

    def reclaim_orphans(
        self,
        give_up: Callable[[int, Exception], None] = reraise,
        clean: Callable[[str, int], None] = lambda owner, source: None,
    ) -> list[tuple[str, int, int | None]]:
        """Make the running jobs of dead runs ready again; (dead run, job, source) of each.

        ``clean`` removes what a dead run left half done of a source: before the transaction is committed, after which
        nothing says any more that it left something. ``give_up`` ends a job for which that fails.
        """
        orphans: list[tuple[str, int, int | None]] = []
        for (owner,) in self._run("owners", (self.run,)).fetchall():
            if owners.is_alive(self.state, owner):
                continue
            with self.transaction():
                rows = self._run("reclaim", (owner, self._patience.interruptions)).fetchall()
                together_or_singly(
                    rows, self.part, partial(self._reclaimed, owner, clean), lambda row, error: give_up(row[0], error)
                )
                orphans += [(owner, job, source) for job, _, source, _, _ in rows]
        return orphans

    def _reclaimed(
        self, owner: str, clean: Callable[[str, int], None], rows: Sequence[tuple[int, int, int | None, str, str]]
    ) -> None:
        for job, attempt, source, state, operation in rows:
            if source is not None:
                clean(owner, source)
            if state == State.QUARANTINED and source is not None:
                self.sources.set_state(source, "quarantined", "its run was killed too often")
                self.sources.cancel_pieces(source, "another piece was quarantined")
            self._attempts.add_killed(job, attempt, owner, operation)

    def reject_ready(self, job: int, reason: str) -> str | None:
        """ready -> rejected; the key of the job, None where it was not ready."""
        row = self._run("reject_ready", (job, reason)).fetchone()
        return None if row is None else str(row[0])

    def next_fetches(self, most: int) -> list[tuple[int, int, int]]:
        """Return (job, source, bytes) of the jobs that fetch and would be claimed next."""
        return list(self._run("next_fetches", (most, int(self.confined))).fetchall())

    def waiting(self, lanes: Iterable[str], without: Iterable[str] = ()) -> tuple[float | None, bool, bool]:
        """Of these lanes, without jobs of these kinds: time of the next retry (None: there is none), and whether jobs
        are ready; and whether other runs work on some of any lane."""
        served, others = (msgspec.json.encode(list(each)).decode() for each in (lanes, without))
        row = self._run("waiting", (self.run, served, others, self.destination)).fetchone()
        assert row is not None
        return row[0], bool(row[1]), bool(row[2])

    def _run(self, name: str, bindings: tuple[Any, ...]) -> Any:
        """The cursor of a named statement; its columns are typed by the schema, not by apsw."""
        return self._connection.execute(self._sql[name], bindings)
