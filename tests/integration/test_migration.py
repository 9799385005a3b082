"""A journal of version 1 goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest
from conftest import CommandLine
from support.journals import NOW, Clock, Rows, claim, new_job, opened, put
from support.pools import run_pool

from mediactl.jobs import database
from mediactl.jobs.journal import FILE, Journal
from mediactl.jobs.states import PATIENCE, State
from mediactl.pool.contract import Stopped

SCHEMA = Path(__file__).with_name("schema_1.sql").read_text()
ADD = """
INSERT INTO jobs (key, kind, lane, source, payload, priority, enqueued_at, due, time_limit, state, owner, attempt,
    interruptions, run_after)
VALUES (?1, 'odd', ?2, ?3, ?4, 2, ?5, ?5 + 600, 60, ?6, ?7, ?8, ?9, ?10)
"""


def make_one_of_version_1(folder: Path, enqueued_at: float = NOW, source: int | None = 1) -> None:
    """Two sources, and jobs that wait, wait for a retry, ran in a run that died, are done, have often been
    interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(folder / FILE))
    connection.pragma("journal_mode", "wal")
    connection.execute(SCHEMA)
    connection.pragma("application_id", database.APPLICATION_ID)
    connection.pragma("user_version", 1)
    connection.execute("INSERT INTO runs VALUES ('dead', 1, '', '0.1.0', ?, NULL, NULL)", (enqueued_at,))
    for name in (b"a.jpg", b"b.jpg"):
        connection.execute(
            "INSERT INTO sources (folder, name, root, path, size, mtime_ns, ctime_ns, inode, kind, format, recipe,"
            " plan, state) VALUES (x'', ?1, CAST('/photos' AS BLOB), ?1, 1, 2, 3, 4, 'image', 'jpeg', '', '', ?2)",
            (name, "pending"),
        )

    def add(
        name: str, lane: str = "quick", source: int | None = None, state: str = "ready", owner: str | None = None,
        attempt: int = 0, interruptions: int = 0, run_after: float | None = None,
    ) -> None:  # fmt: skip
        payload = json.dumps({"name": name}).encode()
        connection.execute(
            ADD,
            (new_job(name).key, lane, source, payload, enqueued_at, state, owner, attempt, interruptions, run_after),
        )

    add("waits")
    add("of a source", source=source)
    add("film", lane="heavy")
    add("alone", lane="alone")
    add("retry", attempt=1, run_after=enqueued_at + 5)
    add("ran", state="running", owner="dead", attempt=1)
    add("done", state="done", attempt=1)
    add("often stopped", attempt=40, interruptions=40)
    connection.execute("INSERT INTO durations VALUES ('odd', '', 0, 3, 7)")
    connection.close()


def version(folder: Path) -> int:
    """What the file says."""
    connection = apsw.Connection(str(folder / FILE))
    try:
        found = connection.pragma("user_version")
        assert isinstance(found, int)
        return found
    finally:
        connection.close()


def shape(folder: Path) -> tuple[dict[str, set[tuple[object, ...]]], set[tuple[object, ...]]]:
    """Columns of every table, whatever their order, and every index."""
    connection = apsw.Connection(str(folder / FILE))
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = {
            table: {row[1:] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()} for table in tables
        }
        query = "SELECT name, sql FROM sqlite_schema WHERE type = 'index'"
        return columns, {tuple(row) for row in connection.execute(query).fetchall()}
    finally:
        connection.close()


def test_it_is_of_todays_version_once_it_was_opened_and_like_a_new_one(tmp_path: Path) -> None:
    make_one_of_version_1(tmp_path / "old")
    assert version(tmp_path / "old") == 1
    with opened(tmp_path / "old"), opened(tmp_path / "new"):
        pass
    assert version(tmp_path / "old") == version(tmp_path / "new") == database.VERSION
    assert shape(tmp_path / "old") == shape(tmp_path / "new")
    with opened(tmp_path / "old") as journal:
        assert not journal.fresh, "and again"


def test_its_jobs_are_claimed_and_done_as_they_were(tmp_path: Path) -> None:
    make_one_of_version_1(tmp_path)
    rows = Rows(tmp_path)
    with opened(tmp_path, Clock(NOW + 10)) as journal:
        assert len(journal.reclaim_orphans()) == 1
        with journal.transaction():
            journal.wake()
        found = claim(journal, 20, "quick", "heavy", "alone")
        assert {each.key: (each.memory, each.cores) for each in found} == {
            new_job(name).key: (0, 1)
            for name in ("waits", "of a source", "film", "alone", "retry", "ran", "often stopped")
        }
        assert rows.job("ran").attempt == 2
        with journal.transaction():
            assert len(journal.finish_done([(each.id, each.attempt) for each in found])) == 7
        assert put(journal, new_job("new", memory=5), new_job("waits", memory=6)) == 2, "done ones start afresh"
        assert {each.key: each.memory for each in claim(journal, 20)} == {
            new_job("new").key: 5,
            new_job("waits").key: 6,
        }
        assert journal.predictor.expected(("odd", "", 0)) is not None
    assert rows.sources() == {"pending": 2}


def test_a_pool_works_it_off(tmp_path: Path) -> None:
    make_one_of_version_1(tmp_path, enqueued_at=1_000_000.0, source=None)
    stopped, _ = run_pool(tmp_path, new_job("more", kind="empty"), memory=1 << 30)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 9}


def test_interruptions_that_were_counted_without_a_bound_do_not_quarantine_at_the_next_one(tmp_path: Path) -> None:
    """Version 1 also counted jobs that had not begun, and never stopped a job for it."""
    make_one_of_version_1(tmp_path)
    with opened(tmp_path) as journal:
        found = {each.key: each for each in claim(journal, 20)}[new_job("often stopped").key]
        with journal.transaction():
            assert journal.interrupt(found.id, found.attempt, "stopped") is State.READY
    assert Rows(tmp_path).job("often stopped").interruptions < PATIENCE.interruptions


def test_a_dead_run_of_version_1_costs_its_jobs_nothing_but_an_interruption(tmp_path: Path) -> None:
    make_one_of_version_1(tmp_path)
    with opened(tmp_path) as journal:
        ((owner, _, _),) = journal.reclaim_orphans()
    job = Rows(tmp_path).job("ran")
    assert (owner, job.state, job.interruptions, job.failures, job.crashes) == ("dead", "ready", 1, 0, 0)


@pytest.mark.parametrize("command", [["status"], ["jobs"], ["lanes"], ["show", new_job("waits").key]])
def test_it_can_be_asked_about(mediactl: CommandLine, command: list[str]) -> None:
    make_one_of_version_1(mediactl.folder / "derived" / ".mediactl")
    result = mediactl(*command)
    assert (result.code, result.err) == (0, "")
    assert result.out


def test_a_rehearsal_on_it_works_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    make_one_of_version_1(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    with Journal.rehearse(str(tmp_path), clock=Clock(), random=lambda: 0.5, version="test") as journal:
        assert put(journal, new_job("new")) == 1
        assert claim(journal, 1)
    assert (tmp_path / FILE).read_bytes() == before
    assert version(tmp_path) == 1


def test_a_dry_run_on_it_says_what_it_would_do(mediactl: CommandLine, samples: Path) -> None:
    make_one_of_version_1(mediactl.folder / "derived" / ".mediactl")
    result = mediactl("process", samples / "pines.jpg", "--dry-run")
    assert (result.code, result.err) == (0, "")
    assert "would process 1 source" in result.out
