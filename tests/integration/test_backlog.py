"""Sources follow their jobs: whatever ends how, a source is pending while something is to be done for it."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import socket
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from support.journals import Clock, Rows, opened

from mediactl.core.files import fingerprint
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.model.assets import Artefact, OutputFile
from mediactl.model.events import Event, JobDone, JobProbed
from mediactl.model.jobs import JobResult, MakeTask, PieceTask, Priority, ProbeTask
from mediactl.model.media import AudioStream, Kind, MediaInfo, Source, VideoStream
from mediactl.model.verdict import Verdict
from mediactl.outputs import registry
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.handlers.source import MAX_CHANGES
from mediactl.pipeline.planner import Planner
from mediactl.pool.contract import Assignment, Ended, Room
from mediactl.recipe import loader

WEB = loader.load("web")
VIDEOS = loader.parse(
    'name = "films"\ncutting = { above = 4, piece = 4 }\n[[video]]\nname = "v"\n[[poster]]\nname = "p"\n', "films.toml"
)
PHOTO = MediaInfo(format="jpeg", width=500, height=400)
SHOWN = VideoStream("h264", 640, 360, rate="25", even=True, frames=250)
FILM = MediaInfo("mp4", 640, 360, 10.0, video=SHOWN, audio=(AudioStream("aac", 2, 48_000),))
PIECES = 4
"""Of that film: 100, 100 and 50 frames, and the sound."""
VERSIONS = {"image": "1", "ffmpeg": "1"}
SOURCES = range(3)
RUNS = range(2)
VERDICTS = (*Verdict, *[Verdict.DONE] * 6, *[Verdict.FAILED, Verdict.CRASHED, Verdict.CHANGED] * 2)
DISTURBANCES = ("edit", "edit", "remove", "kill", "retry", "retry", "cancel")
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class NoIntake:
    """All is taken in."""

    wakeup: socket.socket | None = None

    def step(self) -> bool:
        """Nothing is left."""
        return False

    def summary(self) -> None:
        """Nothing was found."""


class Run:
    """One run: a journal, a backlog on it, and the jobs that its workers would hold."""

    def __init__(self, folder: Path, clock: Clock, chosen: loader.Recipe) -> None:
        self.stack = ExitStack()
        self.journal: Journal = self.stack.enter_context(opened(folder / "state", clock))
        out = os.fsencode(folder / "out")
        wanted = Settings(sources=(), out=out, state=str(folder / "state"))
        self.planner = Planner(wanted, chosen, VERSIONS, self.journal)
        self.held: list[Assignment] = []
        self.changes: Counter[bytes] = Counter()
        self.events: list[Event] = []
        # Its clock runs, so that it looks for dead runs at every turn.
        ticks = itertools.count(0.0, 1.0)
        self.backlog = Dispatcher(
            self.journal, self.planner, NoIntake(), out, self.events.append, lambda: next(ticks)
        )  # fmt: skip


def result_of(assignment: Assignment, info: MediaInfo) -> bytes:
    """What a worker would answer."""
    if assignment.kind == "probe":
        # Other content at every change, so that the files are no twins.
        digest = hashlib.sha256(msgspec.json.encode(source_of(assignment))).hexdigest()
        return msgspec.msgpack.encode(JobResult(digest=digest, info=info))
    if assignment.kind == "piece":
        return msgspec.msgpack.encode(JobResult())
    task = msgspec.json.decode(assignment.payload, type=MakeTask, dec_hook=registry.decode)
    files = tuple(
        OutputFile(Artefact(each.name, each.role, "image/webp", 1, "s", each.key), 5, number)
        for number, each in enumerate(task.targets)
    )
    return msgspec.msgpack.encode(JobResult(files=files, made=len(files), folder_mtime_ns=7))


def source_of(assignment: Assignment) -> Source:
    """The source that a job was made for."""
    if assignment.kind == "probe":
        return msgspec.json.decode(assignment.payload, type=ProbeTask).source
    if assignment.kind == "piece":
        return msgspec.json.decode(assignment.payload, type=PieceTask, dec_hook=registry.decode).source
    return msgspec.json.decode(assignment.payload, type=MakeTask, dec_hook=registry.decode).source


class Machine(RuleBasedStateMachine):
    """Two runs on one folder of files, which come, change and go."""

    recipe = WEB
    kind = Kind.IMAGE
    info = PHOTO

    @initialize()
    def begin(self) -> None:
        """No file has been seen yet."""
        self.folder = Path(tempfile.mkdtemp(dir=FAST, prefix="backlog-"))
        self.clock = Clock()
        self.runs = [Run(self.folder, self.clock, self.recipe) for _ in RUNS]
        self.rows = Rows(self.folder / "state")
        self.given_up: set[bytes] = set()
        """Files that changed too often for one run."""
        self.made: dict[bytes, int] = {}
        """Place -> mtime of the file that its artefacts were made from."""
        for number in SOURCES:
            self.file(number).write_bytes(b"content")
        self.scan(0, Priority.NORMAL)

    def teardown(self) -> None:
        """Leave nothing in memory."""
        if hasattr(self, "folder"):
            for run in self.runs:
                run.stack.close()
            self.rows.connection.close()
            shutil.rmtree(self.folder)

    def file(self, number: int) -> Path:
        """One of the files."""
        return self.folder / f"{number}.jpg"

    def query(self, statement: str, *bindings: object) -> list[tuple[object, ...]]:
        """Rows as they are on disk."""
        return self.rows.connection.execute(statement, bindings).fetchall()

    @rule(run=st.sampled_from(RUNS), priority=st.sampled_from(Priority))
    def scan(self, run: int, priority: Priority) -> None:
        """Files are found for which nothing is under way."""
        here = self.runs[run]
        for number in SOURCES:
            name = self.file(number).name.encode()
            under_way = self.query(
                "SELECT 1 FROM jobs AS j JOIN sources AS s ON s.id = j.source"
                " WHERE s.name = ? AND j.state IN ('ready', 'running')",
                name,
            )
            if under_way or not self.file(number).exists():
                continue
            mark = fingerprint(self.file(number).stat())
            source = Source(os.fsencode(self.folder), name, name, mark, self.kind, self.info.format)
            with here.journal.transaction():
                plan = here.planner.plans(self.recipe)[self.kind.value]
                row = here.journal.sources.put(source, here.planner.keep(self.recipe), plan, "pending")
                here.journal.sources.mark_mine([row])
                assert here.journal.add([here.planner.probe_job(source, row, self.recipe, priority)]) == 1
            self.given_up.discard(name)

    @rule(
        data=st.data(),
        run=st.sampled_from(RUNS),
        room=st.integers(1, 3),
        turns=st.integers(1, 4),
        verdict=st.sampled_from(VERDICTS),
    )
    def work(self, data: st.DataObject, run: int, room: int, turns: int, verdict: Verdict) -> None:
        """For some turns, jobs of a run end and it takes new ones; retries need not wait."""
        here = self.runs[run]
        for _ in range(turns):
            self.clock.advance(100.0)
            count = data.draw(st.integers(1, len(here.held))) if here.held else 0
            over, here.held = here.held[:count], here.held[count:]
            ended = [self.end(here, each, verdict) for each in over]
            here.held += here.backlog.exchange(ended, Room({"quick": room, "heavy": room}), alone=not here.held)
            for each in ended:
                if each.verdict is Verdict.INTERNAL:
                    self.given_up.add(source_of(each.assignment).path)  # after its last attempt
                if each.verdict is Verdict.CHANGED:
                    self.is_known_as_it_is_now(each.assignment)

    def end(self, here: Run, assignment: Assignment, verdict: Verdict) -> Ended:
        """An answer. Workers notice themselves that a source is not the one that was planned."""
        source = source_of(assignment)
        mtime_ns = self.mtime_ns(source.path)
        if verdict is Verdict.DONE and mtime_ns != source.fingerprint.mtime_ns:
            verdict = Verdict.CHANGED
        if verdict is Verdict.CHANGED:
            here.changes[source.path] += 1
            if here.changes[source.path] >= MAX_CHANGES:
                self.given_up.add(source.path)
        if verdict in (Verdict.UNREADABLE, Verdict.UNWRITABLE):
            self.given_up.add(source.path)
        if verdict is Verdict.DONE and assignment.kind not in ("probe", "piece"):
            self.made[source.path] = mtime_ns
        result = result_of(assignment, self.info) if verdict is Verdict.DONE else b""
        return Ended(assignment, verdict, "why", result, worker=1)

    def is_known_as_it_is_now(self, assignment: Assignment) -> None:
        """What the journal says of a source that was found to have changed."""
        path = source_of(assignment).path
        ((known, state),) = self.query("SELECT mtime_ns, state FROM sources WHERE name = ?", path)
        assert known == self.mtime_ns(path) or (state, self.mtime_ns(path)) == ("cancelled", 0)

    def mtime_ns(self, name: bytes) -> int:
        """When a file was written to; 0 when it is gone."""
        path = self.folder / name.decode()
        return path.stat().st_mtime_ns if path.exists() else 0

    @rule(run=st.sampled_from(RUNS), what=st.sampled_from(DISTURBANCES), pick=st.integers(0, 20))
    def something_happens(self, run: int, what: str, pick: int) -> None:
        """A file is edited, removed or put back; a job is retried or cancelled; a run is killed, a new one begins."""
        journal = self.runs[run].journal
        jobs = self.query("SELECT id FROM jobs ORDER BY id")
        if what == "remove":
            self.file(pick % len(SOURCES)).unlink(missing_ok=True)
        elif what == "edit":
            self.file(pick % len(SOURCES)).touch()
        elif what == "kill":
            self.runs[run].stack.close()
            self.runs[run] = Run(self.folder, self.clock, self.recipe)
        elif jobs:
            job = jobs[pick % len(jobs)][0]
            assert isinstance(job, int)
            with journal.transaction():
                _ = journal.cancel(job) if what == "cancel" else journal.retry(job)

    @invariant()
    def a_source_is_pending_while_something_is_to_be_done_for_it(self) -> None:
        """And at no other time, but for one left to the next run: it changed too often, or could not be read."""
        if not hasattr(self, "rows"):
            return
        counts = self.query(
            "SELECT name, state,"
            " (SELECT count(*) FROM jobs AS j WHERE j.source = s.id AND j.state IN ('ready', 'running'))"
            " FROM sources AS s"
        )
        for name, state, live in counts:
            assert isinstance(name, bytes)
            assert live in (0, 1), "never two jobs of one source"
            if live:
                assert state == "pending", (name, state)
            elif state == "pending":
                assert name in self.given_up

    @invariant()
    def a_done_source_names_all_its_artefacts(self) -> None:
        """And nothing else."""
        if hasattr(self, "rows"):
            wanted = sorted(output.file_name for output in self.recipe.outputs(self.kind))
            for source, name, mtime_ns in self.query("SELECT id, name, mtime_ns FROM sources WHERE state = 'done'"):
                assert isinstance(name, bytes)
                assert mtime_ns == self.made[name], "it is done as it was, not as it is"
                assert [
                    row[0] for row in self.query("SELECT name FROM artefacts WHERE source = ? ORDER BY name", source)
                ] == sorted(wanted)

    @invariant()
    def a_run_holds_what_it_claimed(self) -> None:
        """What its workers have is what the journal says that it owns."""
        if hasattr(self, "rows"):
            for run in self.runs:
                owned = self.query("SELECT id, attempt FROM jobs WHERE owner = ? ORDER BY id", run.journal.run)
                assert owned == sorted((each.job, each.attempt) for each in run.held)


MANY = settings(
    max_examples=120,
    stateful_step_count=40,
    derandomize=True,  # the same runs every time, here and in CI
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SOME = settings(MANY, max_examples=50)
Machine.TestCase.settings = SOME
test_any_order_of_events_keeps_sources_and_jobs_in_agreement = Machine.TestCase


class FilmMachine(Machine):
    """The same with films that are cut: many jobs of one source at once, and one that waits for them all."""

    recipe = VIDEOS
    kind = Kind.VIDEO
    info = FILM

    def is_known_as_it_is_now(self, assignment: Assignment) -> None:
        """Not so for pieces: what nobody waits for any more says nothing of its source."""
        if assignment.kind != "piece":
            super().is_known_as_it_is_now(assignment)

    @invariant()
    def a_source_is_pending_while_something_is_to_be_done_for_it(self) -> None:
        """Its pieces wait only while it does; those that run may come to their end in vain."""
        if not hasattr(self, "rows"):
            return
        live = "(SELECT count(*) FROM jobs AS j WHERE j.source = s.id AND j.state "
        counts = self.query(
            f"SELECT name, state, {live} IN ('ready', 'running') AND kind <> 'piece'),"
            f" {live} = 'ready' AND kind = 'piece'), {live} = 'running' AND kind = 'piece') FROM sources AS s"
        )
        for name, state, whole, waiting, running in counts:
            assert isinstance(name, bytes)
            assert whole in (0, 1)
            if whole or waiting:
                assert state == "pending", (name, state)
            elif state == "pending" and not running:
                assert name in self.given_up

    @invariant()
    def a_film_is_joined_after_its_pieces(self) -> None:
        """And never while one of the same plan is still to be made."""
        if hasattr(self, "rows"):
            assert not self.query(
                "SELECT 1 FROM jobs AS j JOIN jobs AS p ON p.source = j.source"
                " WHERE j.kind = 'video' AND j.state IN ('ready', 'running')"
                " AND p.kind = 'piece' AND p.state IN ('ready', 'running')"
                " AND p.payload ->> '$.source.fingerprint' = j.payload ->> '$.source.fingerprint'"
            )


FilmMachine.TestCase.settings = SOME
test_any_order_of_events_keeps_films_and_their_pieces_in_agreement = FilmMachine.TestCase


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("machine", [Machine, FilmMachine])
def test_any_order_of_more_events_keeps_all_in_agreement(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=MANY)


def test_the_last_piece_of_a_film_calls_for_the_job_that_joins_them(tmp_path: Path) -> None:
    film = tmp_path / "0.mov"
    film.write_bytes(b"content")
    run = Run(tmp_path, Clock(), VIDEOS)
    with run.stack:
        source = Source(
            os.fsencode(tmp_path), b"0.mov", b"0.mov", fingerprint(film.stat()), Kind.VIDEO, "mp4"
        )  # fmt: skip
        with run.journal.transaction():
            row = run.journal.sources.put(
                source, run.planner.keep(VIDEOS), run.planner.plans(VIDEOS)["video"], "pending"
            )
            run.journal.add([run.planner.probe_job(source, row, VIDEOS, Priority.NORMAL)])
        held = run.backlog.exchange([], Room({"quick": 9, "heavy": 9}), alone=True)
        kinds = []
        while held:
            kinds.append(sorted(each.kind for each in held))
            over, held = held[:1], held[1:]
            ended = [Ended(each, Verdict.DONE, "", result_of(each, FILM), worker=1) for each in over]
            held = [*held, *run.backlog.exchange(ended, Room({"quick": 9, "heavy": 9}), alone=not held)]
        assert kinds == [["probe"], *(["piece"] * left for left in range(PIECES, 0, -1)), ["video"]]
        assert run.journal.sources.get(row).state == "done"
    probed = next(event for event in run.events if isinstance(event, JobProbed))
    done = [event for event in run.events if isinstance(event, JobDone)]
    assert [(each.piece, each.pieces) for each in done[:-1]] == [(0, 0), (1, 3), (2, 3), (3, 3)]
    assert [part.job for part in probed.parts or ()] == [each.job for each in done[:-1]]
    assert done[-1].job == probed.next
