"""Sources follow their jobs: whatever ends how, a source is pending while something is to be done for it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from journals import Clock, Rows, opened

from mediactl import recipe
from mediactl.backlog import MAX_CHANGES, JournalBacklog
from mediactl.files import fingerprint
from mediactl.jobs.journal import Journal
from mediactl.model import Artefact, Event, Kind, Made, MakeTask, MediaInfo, OutputFile, Priority, Source, Verdict
from mediactl.planner import Planner
from mediactl.pool.process import Assignment
from mediactl.pool.supervisor import Ended
from mediactl.settings import Settings

WEB = recipe.load("web")
VERSIONS = {"image": "1", "ffmpeg": "1"}
SOURCES = range(4)
RUNS = range(2)
LIVE = ("ready", "running")
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class NoIntake:
    """All is taken in."""

    def step(self) -> bool:
        """Nothing is left."""
        return False

    def summary(self) -> dict[str, object]:
        """Nothing was found."""
        return {}


class Run:
    """One run: a journal, a backlog on it, and the jobs that its workers would hold."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.stack = ExitStack()
        self.journal: Journal = self.stack.enter_context(opened(folder / "state", clock))
        out = os.fsencode(folder / "out")
        wanted = Settings(sources=(), out=out, state=str(folder / "state"))
        self.planner = Planner(wanted, WEB, VERSIONS, self.journal)
        self.held: list[Assignment] = []
        self.events: list[Event] = []
        # Its clock runs, so that it looks for dead runs at every turn.
        ticks = itertools.count(0.0, 1.0)
        self.backlog = JournalBacklog(
            self.journal, self.planner, NoIntake(), out, self.events.append, lambda: next(ticks)
        )  # fmt: skip


def result_of(assignment: Assignment) -> bytes:
    """What a worker would answer."""
    if assignment.kind == "probe":
        return msgspec.msgpack.encode(Made(digest="d" * 64, info=MediaInfo(format="jpeg", width=500, height=400)))
    task = msgspec.json.decode(assignment.payload, type=MakeTask)
    files = tuple(
        OutputFile(Artefact(each.name, each.role, "image/webp", 1, "s", each.key), 5, number)
        for number, each in enumerate(task.targets)
    )
    return msgspec.msgpack.encode(Made(files=files, made=len(files), folder_mtime_ns=7))


class Machine(RuleBasedStateMachine):
    """Two runs on one folder of files, which come, change and go."""

    @initialize()
    def begin(self) -> None:
        """No file has been seen yet."""
        self.folder = Path(tempfile.mkdtemp(dir=FAST, prefix="backlog-"))
        self.clock = Clock()
        self.runs = [Run(self.folder, self.clock) for _ in RUNS]
        self.rows = Rows(self.folder / "state")
        self.changes: Counter[bytes] = Counter()
        for number in SOURCES:
            self.file(number).write_bytes(b"content")

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

    @rule(run=st.sampled_from(RUNS), number=st.sampled_from(SOURCES), priority=st.sampled_from(Priority))
    def take_in(self, run: int, number: int, priority: Priority) -> None:
        """A scan finds a file for which nothing is under way."""
        name = self.file(number).name.encode()
        under_way = self.query(
            "SELECT 1 FROM jobs AS j JOIN sources AS s ON s.id = j.source"
            " WHERE s.name = ? AND j.state IN ('ready', 'running')",
            name,
        )
        if under_way or not self.file(number).exists():
            return
        mark = fingerprint(self.file(number).stat())
        source = Source(os.fsencode(self.folder), name, name, mark, Kind.IMAGE, "jpeg")
        here = self.runs[run]
        with here.journal.transaction():
            plan = here.planner.plans(WEB)["image"]
            row = here.journal.sources.put(source, here.planner.keep(WEB), plan, "pending")
            here.journal.sources.mark_mine([row])
            assert here.journal.add([here.planner.probe_job(source, row, WEB, priority)]) == 1
        self.changes[name] = 0

    @rule(data=st.data(), run=st.sampled_from(RUNS), room=st.integers(0, 3), verdict=st.sampled_from(Verdict))
    def exchange(self, data: st.DataObject, run: int, room: int, verdict: Verdict) -> None:
        """Some of a run's jobs end, each in some way, and it takes new ones."""
        here = self.runs[run]
        over = data.draw(st.lists(st.sampled_from(here.held), unique_by=lambda each: each.job)) if here.held else []
        ended = [
            Ended(each, verdict, "why", result_of(each) if verdict is Verdict.DONE else b"", worker=1) for each in over
        ]
        ids = {each.job for each in over}
        here.held = [each for each in here.held if each.job not in ids]
        if verdict is Verdict.CHANGED:
            for name, *_ in [
                row
                for job in ids
                for row in self.query("SELECT name FROM sources WHERE id = (SELECT source FROM jobs WHERE id = ?)", job)
            ]:
                assert isinstance(name, bytes)
                self.changes[name] += 1
        here.held += here.backlog.exchange(ended, room, alone=not here.held)

    @rule(number=st.sampled_from(SOURCES), how=st.sampled_from(["touched", "removed", "back"]))
    def a_file_changes(self, number: int, how: str) -> None:
        """Its owner edits or removes a file."""
        if how == "removed":
            self.file(number).unlink(missing_ok=True)
        else:
            self.file(number).touch()

    @rule(run=st.sampled_from(RUNS), what=st.sampled_from(["retry", "cancel", "wait"]), pick=st.integers(0, 20))
    def a_person_acts(self, run: int, what: str, pick: int) -> None:
        """By hand, or by waiting."""
        self.clock.advance(100.0)
        jobs = self.query("SELECT id FROM jobs ORDER BY id")
        journal = self.runs[run].journal
        if jobs and what != "wait":
            job = jobs[pick % len(jobs)][0]
            assert isinstance(job, int)
            with journal.transaction():
                _ = journal.cancel(job) if what == "cancel" else journal.retry(job)

    @rule(run=st.sampled_from(RUNS))
    def die(self, run: int) -> None:
        """A run is killed; another one begins."""
        self.runs[run].stack.close()
        self.runs[run] = Run(self.folder, self.clock)
        self.changes.clear()

    @invariant()
    def a_source_is_pending_while_something_is_to_be_done_for_it(self) -> None:
        """And at no other time, but for one that changed so often that it is left to the next run."""
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
                assert self.changes[name] >= MAX_CHANGES or not self.changes, name

    @invariant()
    def a_done_source_names_all_its_artefacts(self) -> None:
        """And nothing else."""
        if hasattr(self, "rows"):
            wanted = sorted(output.file_name for output in WEB.image)
            for (source,) in self.query("SELECT id FROM sources WHERE state = 'done'"):
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


Machine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,  # the same runs every time, here and in CI
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
test_any_order_of_events_keeps_sources_and_jobs_in_agreement = Machine.TestCase
