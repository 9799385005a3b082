"""A journal of version 3 goes on where it was; what it has rejected or ignored is tried once more.

``journal_3.sql`` is the dump of one that mediactl 0.1.0 wrote at commit f9ead62: two images done, a truncated JPEG and
a JPEG XL rejected, a text file ignored and one named .jpg rejected, by a run, a retry and a run; then a watch was
killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from conftest import ROOT
from support.journals import Clock, Rows, opened
from test_migration import shape, version

from mediactl.admin import runs
from mediactl.jobs import database, report
from mediactl.jobs.journal import FILE, Journal

DUMP = Path(__file__).with_name("journal_3.sql").read_text()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with that journal."""
    folder = tmp_path / "state"
    folder.mkdir()
    connection = apsw.Connection(str(folder / FILE))
    connection.pragma("journal_mode", "wal")
    connection.execute(DUMP)
    connection.pragma("application_id", database.APPLICATION_ID)
    connection.pragma("user_version", 3)
    connection.close()
    return folder


def test_it_is_like_a_new_one(state: Path, tmp_path: Path) -> None:
    with opened(state), opened(tmp_path / "new"):
        pass
    assert version(state) == database.VERSION
    assert shape(state) == shape(tmp_path / "new")
    assert Rows(state).connection.execute("SELECT * FROM pruning").fetchall() == [(1, 0, 0.0, 0, 0, None)]


def test_its_runs_are_listed_without_what_was_not_recorded(state: Path) -> None:
    with report.read(str(state)) as rows:
        found = [line.split("  ", 1)[1].split() for line in runs.lines(rows, 20, 0.0)]
    assert [each[:3] for each in found] == [
        ["?", "killed", "-"],
        ["?", "exit", "1"],
        ["?", "exit", "0"],
        ["?", "exit", "1"],
    ]


def test_sources_and_jobs_stay(state: Path) -> None:
    with opened(state):
        pass
    assert Rows(state).sources() == {"done": 2, "ignored": 1, "rejected": 3}
    assert Rows(state).jobs() == {"done": 4, "rejected": 3}


def test_a_dry_run_reads_it_and_leaves_it_as_it_is(state: Path) -> None:
    before = (state / FILE).read_bytes()
    with Journal.rehearse(str(state), clock=Clock(), random=lambda: 0.5, version="test") as journal:
        assert not journal.fresh
    assert (state / FILE).read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from support.journals import opened
from mediactl.jobs import database

text, after = database._text, sys.argv[2]

def killed(file):
    if file == "totals.sql":  # the last that the migration asks for
        if after == "asked":
            os.kill(os.getpid(), signal.SIGKILL)
        return text(file) + ";SELECT kill();"
    return text(file)

def connected(path, connect=database.apsw.Connection):
    connection = connect(path)
    connection.create_scalar_function("kill", lambda: os.kill(os.getpid(), signal.SIGKILL))
    return connection

database._text, database.apsw.Connection = killed, connected
with opened(Path(sys.argv[1])):
    pass
"""


@pytest.mark.parametrize("after", ["asked", "written"])
def test_a_migration_that_is_killed_loses_nothing(state: Path, after: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", KILLED, state, after], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert version(state) == 3
    with opened(state):
        pass
    assert version(state) == database.VERSION
    assert Rows(state).sources() == {"done": 2, "ignored": 1, "rejected": 3}
    assert Rows(state).connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
