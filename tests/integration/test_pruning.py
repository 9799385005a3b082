"""The history of a journal is pruned: what is old goes, and what somebody may still ask about stays."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.journals import NOW, Clock, Rows, a_source, claim, new_job, opened, put, record

from mediactl.admin import runs, status
from mediactl.jobs import database, pruning, report
from mediactl.jobs.journal import FILE, Journal
from mediactl.jobs.runs import Counts
from mediactl.jobs.states import State
from mediactl.model.verdict import Verdict

DAY = 86_400.0
HISTORY = 90 * DAY


def rows_of(folder: Path, query: str) -> list[Any]:
    """What a query finds in the journal's file."""
    return Rows(folder).connection.execute(query).fetchall()


def end_one(journal: Journal, verdict: Verdict) -> None:
    """Claim the next job and end it."""
    (one,) = claim(journal)
    with journal.transaction():
        record(journal, one, verdict)
        if verdict is Verdict.DONE:
            journal.finish_done([(one.id, one.attempt)])
        elif verdict is Verdict.REJECTED:
            journal.finish(one.id, one.attempt, State.REJECTED, "is damaged")
        else:
            journal.fail(one.id, one.attempt, "disk error")


def running(folder: Path, clock: Clock, command: str = "process") -> AbstractContextManager[Journal]:
    """The journal, held by a run of a command."""
    return Journal.open(str(folder), clock=clock, random=lambda: 0.5, version="1.2", command=command)


def a_run(folder: Path, clock: Clock, *names: str, verdict: Verdict = Verdict.DONE, until: float = DAY) -> None:
    """A run that does some jobs, and the time until the next one."""
    with running(folder, clock) as journal:
        put(journal, *(new_job(name) for name in names))
        for _ in names:
            end_one(journal, verdict)
        clock.advance(60)
        journal.end(0, Counts(len(names), 0, 0, 0))
        journal.prune(HISTORY, compact=False)
    clock.advance(until - 60)


def test_ninety_days_are_kept(tmp_path: Path) -> None:
    clock = Clock()
    for number in range(30):
        a_run(tmp_path, clock, f"photo {number}", until=10 * DAY)
    with report.read(str(tmp_path)) as rows:
        kept, earlier = list(rows.runs(-1)), rows.earlier_runs()
        *_, last = runs.lines(rows, 20, clock.now)
    assert {len(kept), rows_of(tmp_path, "SELECT count(*) FROM attempts")[0][0]} <= {9, 10}
    assert (earlier.runs, earlier.done, earlier.since) == (30 - len(kept), 30 - len(kept), NOW)
    assert last == f"{earlier.runs} earlier runs since {runs.moment(NOW)}, pruned: {earlier.runs} sources done"


def test_what_explains_a_job_that_is_not_done_stays(tmp_path: Path) -> None:
    clock = Clock()
    a_run(tmp_path, clock, "done")
    a_run(tmp_path, clock, "damaged", verdict=Verdict.REJECTED)
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("broken"))
        for _ in range(3):
            end_one(journal, Verdict.FAILED)
            clock.advance(3600)
            with journal.transaction():
                journal.wake()
        journal.end(1)
    clock.advance(400 * DAY)
    with report.read(str(tmp_path)) as rows:
        before = [status.why(rows, job, clock.now) for job in rows.listed(None, -1)]
    a_run(tmp_path, clock)
    with report.read(str(tmp_path)) as rows:
        after = [status.why(rows, job, clock.now) for job in rows.listed(None, -1)]
        kept = {job.id: [each.attempt for each in rows.attempts(job.id)] for job in rows.listed(None, -1)}
    assert (before[0], after[0]) == ("is done in 1.0 s, at attempt 1", "is done, at attempt 1")
    assert after[1:] == before[1:] and "is damaged" in after[1] and "after 3 failures" in after[2]
    assert list(kept.values()) == [[], [1], [3]]


def test_a_source_that_changes_often_keeps_the_jobs_of_the_last_months(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal, journal.transaction():
        source = journal.sources.put(a_source(), "", "", "pending")
    for night in range(40):
        with opened(tmp_path, clock) as journal:
            for kind in ("probe", "image", "upload"):
                put(journal, new_job(f"{kind} {night}", kind=kind, source=source))
                end_one(journal, Verdict.DONE)
            journal.end(0)
            journal.prune(HISTORY, compact=False)
        clock.advance(5 * DAY)
    found = dict(rows_of(tmp_path, "SELECT kind, count(*) FROM jobs GROUP BY kind"))
    assert found["upload"] == 40, "they say what is in the bucket"
    assert 18 <= found["probe"] == found["image"] <= 19
    with report.read(str(tmp_path)) as rows:
        shown = status.current(rows.find(b"a.jpg"))
    assert [job.kind for job in shown if job.kind != "upload"] == ["probe", "image"]


def test_the_newest_job_of_a_kind_stays_for_ever(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        with journal.transaction():
            source = journal.sources.put(a_source(), "", "", "pending")
        for name, kind in (("old", "probe"), ("new", "probe"), ("only", "image")):
            put(journal, new_job(name, kind=kind, source=source))
            end_one(journal, Verdict.DONE)
            clock.advance(1)
        journal.end(0)
    clock.advance(1000 * DAY)
    a_run(tmp_path, clock)
    assert rows_of(tmp_path, "SELECT count(*) FROM jobs") == [(2,)]
    assert {Rows(tmp_path).state(name) for name in ("new", "only")} == {"done"}


def test_pending_and_running_jobs_and_the_runs_that_own_them_stay(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as killed:
        put(killed, new_job("pending"), new_job("running"))
        owner, (running,) = killed.run, claim(killed)
    clock.advance(200 * DAY)
    a_run(tmp_path, clock)
    assert (owner,) in rows_of(tmp_path, "SELECT id FROM runs")
    assert rows_of(tmp_path, "SELECT owner FROM jobs WHERE owner IS NOT NULL") == [(owner,)]
    with opened(tmp_path, clock) as journal:
        assert [job for _, job, _ in journal.reclaim_orphans()] == [running.id]
    assert rows_of(tmp_path, "PRAGMA foreign_key_check") == []


def test_a_run_that_is_alive_is_never_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as watch:
        clock.advance(200 * DAY)
        a_run(tmp_path, clock)
        with report.read(str(tmp_path)) as rows:
            assert [run.id for run in rows.living_runs()] == [watch.run]


class Walk:
    """A journal with many old attempts, pruned with a clock that lets few steps pass."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.folder = folder
        with opened(folder) as journal, journal.transaction():
            journal.add(new_job(number) for number in range(jobs))
            connection = journal._connection
            connection.execute("UPDATE jobs SET state = 'done', attempt = 1, payload = zeroblob(2000)")
            connection.execute(
                "INSERT INTO attempts SELECT id, 1, 'run', 1, 'done', '', ?, 0, 0, 0, '' FROM jobs", (NOW,)
            )

    def advance(self, steps: int, now: float = NOW + 200 * DAY) -> bool:
        """Prune for so many steps of jobs."""
        ticks = count()
        budget = pruning.BUDGET
        with opened(self.folder) as journal:
            walk = pruning.Pruning(journal._connection, journal.transaction, str(self.folder), journal.run)
            return walk.advance(now, HISTORY, clock=lambda: next(ticks) * budget / (steps + 0.5))

    @property
    def attempts(self) -> int:
        """How many are left."""
        found: int = rows_of(self.folder, "SELECT count(*) FROM attempts")[0][0]
        return found


def test_it_ends_in_time_and_the_next_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STEP", 10)
    walk = Walk(tmp_path, 100)
    left = [(walk.advance(4), walk.attempts) for _ in range(3)]
    assert left == [(False, 60), (False, 20), (True, 0)]


def test_it_is_not_begun_again_within_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Walk(tmp_path, 5)
    assert walk.advance(99, NOW + 89 * DAY) and walk.attempts == 5
    assert walk.advance(99, NOW + 89 * DAY + 3600 * 23) and walk.attempts == 5
    assert walk.advance(99, NOW + 90 * DAY + 3600) and walk.attempts == 0


@pytest.fixture
def wasteful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of which most is free pages."""
    monkeypatch.setattr(pruning, "WASTE", 1 << 20)
    Walk(tmp_path, 1000)
    with opened(tmp_path) as journal, journal.transaction():
        journal._connection.execute("DELETE FROM jobs WHERE id > 100")
    return tmp_path


def test_the_file_shrinks_when_most_of_it_is_free(wasteful: Path) -> None:
    before = (wasteful / FILE).stat().st_size
    with opened(wasteful) as journal:
        journal.prune(HISTORY, compact=True)
    assert (wasteful / FILE).stat().st_size < before / 4
    assert rows_of(wasteful, "PRAGMA integrity_check(1)") == [("ok",)]


@pytest.mark.parametrize("why", ["another run", "its size"])
def test_the_file_stays_as_it_is(wasteful: Path, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (wasteful / FILE).stat().st_size
    with ExitStack() as stack:
        if why == "another run":
            stack.enter_context(opened(wasteful))
        elif why == "its size":
            monkeypatch.setattr(pruning, "LARGEST", 1000)
        journal = stack.enter_context(opened(wasteful))
        journal.prune(HISTORY, compact=True)
    assert (wasteful / FILE).stat().st_size == before


def test_logs_of_workers_go_with_their_runs(tmp_path: Path) -> None:
    clock = Clock()
    a_run(tmp_path, clock, until=100 * DAY)
    (tmp_path / "logs").mkdir()
    for name, age in (("old.log", 91), ("new.log", 89), ("other", 91)):
        (tmp_path / "logs" / name).write_text("libvips: warning")
        os.utime(tmp_path / "logs" / name, (clock.now - age * DAY,) * 2)
    a_run(tmp_path, clock)
    assert sorted(file.name for file in (tmp_path / "logs").iterdir()) == ["new.log", "other"]


def test_runs_are_listed_as_they_ended(tmp_path: Path) -> None:
    clock = Clock()
    with running(tmp_path, clock) as journal:
        clock.advance(75)
        journal.end(1, Counts(12, 3, 0, 1))
    with running(tmp_path, clock, "watch"):
        clock.advance(5)
    with opened(tmp_path, clock) as edit:
        edit.end(0)
    with pytest.raises(database.TooNew), running(tmp_path, clock):
        raise database.TooNew("anything that exits with 2")
    clock.advance(5)
    with running(tmp_path, clock, "upload"), report.read(str(tmp_path)) as rows:
        clock.advance(3700)
        found = list(runs.lines(rows, -1, clock.now))
        last, active = runs.last_line(rows), list(rows.living_runs())
        as_json = [runs.as_json(each) for each in rows.runs(2)]
    assert [line.split("  ", 1)[1].split() for line in found] == [
        f"upload active 1 h 01 min 1.2 (process {os.getpid()})".split(),
        "process exit 2 0.0 s 1.2".split(),
        "watch killed - 1.2".split(),
        "process exit 1 1 min 15 s 1.2 12 done, 3 rejected, 1 unfinished".split(),
    ]
    assert last is not None and last.startswith("process of ") and last.endswith(", exit code 2 after 0.0 s")
    assert [run.command for run in active] == ["upload"]
    assert [(each["state"], each["exit_code"], each["duration_s"]) for each in as_json] == [
        ("active", None, None), ("ended", 2, 0.0),
    ]  # fmt: skip
    assert msgspec.json.encode(as_json)
