"""Looking at a journal changes nothing, and works for others who may read it, and where nothing can be written."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from conftest import ROOT
from support.journals import NOW, Clock, claim, new_job, opened, put
from test_migration_3 import DUMP

from mediactl.admin import edit, runs, status
from mediactl.core.errors import UsageError
from mediactl.jobs import database, report
from mediactl.jobs.journal import FILE

NOBODY = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def look(state: Path) -> list[str]:
    """What status, jobs, why and runs print."""
    with report.read(str(state)) as rows:
        jobs = list(rows.listed(None, -1))
        return [
            *status.status(rows, NOW),
            *map(status.job_line, jobs),
            *(status.why(rows, job, NOW) for job in jobs),
            *runs.lines(rows, 20, NOW),
        ]


def as_nobody(what: Callable[[], Any]) -> Any:
    """The result of a function in a child process of another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            answer = what()
        except Exception as error:  # noqa: BLE001 - shown by the test
            answer = (
                f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
                if not isinstance(error, UsageError)
                else str(error)
            )
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pickle.load(pipe)
    os.waitpid(child, 0)
    return answer


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time and inode of all that lies in a folder."""
    found = (file for file in folder.rglob("*") if file.is_file())
    return {file.name: ((s := file.stat()).st_size, s.st_mtime_ns, s.st_ino) for file in found}


@pytest.fixture
def state() -> Iterator[Path]:
    """A journal with a job, in a folder that others may look into."""
    top = Path(tempfile.mkdtemp(dir="/tmp", prefix="mediactl-test-"))  # pytest's own folder admits its owner alone
    top.chmod(0o755)
    folder = top / "state"
    with opened(folder, Clock(NOW - 60)) as journal:
        put(journal, new_job("a"), new_job("b"))
        claim(journal)
        journal.end(0)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(top)


@needs_root
def test_another_user_with_permission_sees_what_the_owner_sees(state: Path) -> None:
    before, seen = everything(state), look(state)
    assert as_nobody(lambda: look(state)) == seen
    assert everything(state) == before


@needs_root
def test_another_user_sees_a_run_that_is_going_on(state: Path) -> None:
    with opened(state, Clock(NOW - 5)) as journal:
        put(journal, new_job("c"))  # in the log, not in the file yet
        seen = look(state)
        assert any(line.startswith("running  process") for line in seen) and len(seen) > 9
        assert as_nobody(lambda: look(state)) == seen
    with apsw.Connection(str(state / FILE)) as connection:
        connection.execute("UPDATE runs SET pid = (1 << 22) + 1")  # more than there may be
    assert not any(line.startswith("running  process") for line in as_nobody(lambda: look(state)))


@needs_root
@pytest.mark.parametrize("shared", [True, False])
def test_what_a_killed_run_left_is_read_with_its_log(state: Path, shared: bool) -> None:
    left = state.parent / "left"
    with opened(state, Clock(NOW - 5)) as journal:
        put(journal, new_job("c"))
        left.mkdir()
        for suffix in ("", "-wal", *(["-shm"] if shared else [])):
            shutil.copy(state / (FILE + suffix), left / (FILE + suffix))
    before = everything(left)
    lines = as_nobody(lambda: look(left))
    assert "jobs     2 ready, 1 running" in lines, lines
    assert not any(line.startswith("running  process") for line in lines)
    assert everything(left) == before


@needs_root
def test_an_older_journal_is_read_as_if_it_were_of_today(state: Path) -> None:
    old = state.parent / "old"
    old.mkdir()
    connection = apsw.Connection(str(old / FILE))
    connection.execute(DUMP)
    connection.pragma("application_id", database.APPLICATION_ID)
    connection.pragma("user_version", 3)
    connection.close()
    before = everything(old)
    lines = as_nobody(lambda: look(old))
    assert lines[0] == "sources  2 done, 1 ignored, 3 rejected"
    assert everything(old) == before


@needs_root
def test_without_permission_it_says_so(state: Path) -> None:
    (state / FILE).chmod(0o600)
    assert as_nobody(lambda: look(state)) == (
        f"journal {state}/{FILE}: permission denied; ask its owner for permission to read it"
    )
    state.chmod(0o700)
    assert as_nobody(lambda: look(state)) == (
        f"journal in {state}: permission denied; its folder admits its owner alone"
    )


@needs_root
def test_who_may_read_it_but_not_write_is_refused_an_edit(state: Path) -> None:
    refused = (
        f"journal directory {state}: not writable by user {NOBODY}; change owner or permissions, or use another --state"
    )
    assert as_nobody(lambda: edit.cancel(str(state), None, b"/out")) == refused
    state.chmod(0o777)
    refused = (
        f"journal directory {state}: is writable by everybody; review it, then change its owner or mode,"
        " or use another --state"
    )
    assert as_nobody(lambda: edit.cancel(str(state), None, b"/out")) == refused


def test_a_journal_of_a_newer_mediactl_is_refused(state: Path) -> None:
    with apsw.Connection(str(state / FILE)) as connection:
        connection.pragma("user_version", 99)
    with pytest.raises(database.TooNew, match="newer mediactl"):
        database.open_to_read(str(state / FILE))


def test_what_is_no_journal_is_damaged(state: Path) -> None:
    with apsw.Connection(str(state / FILE)) as connection:
        connection.pragma("application_id", 1)
    with pytest.raises(database.Damaged, match="it is not a mediactl journal"):
        database.copied(str(state / FILE))
    (state / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(database.Damaged):
        database.open_to_read(str(state / FILE))


def test_a_large_journal_is_copied_into_a_file_without_a_name(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PRIVATE_CACHE", 40)
    there = sorted(os.listdir(state))
    copy = database.copied(str(state / FILE))
    copy.execute("CREATE TABLE large AS SELECT randomblob(1000000) AS bytes")
    descriptors = Path("/proc/self/fd")
    files = [os.readlink(descriptors / each) for each in os.listdir(descriptors) if os.path.islink(descriptors / each)]
    assert any(file.endswith("(deleted)") for file in files)
    assert copy.execute("SELECT length(bytes) FROM large").get == 1_000_000
    with report.read(str(state)) as rows:
        known = {job.key for job in rows.listed(None, -1)}
    assert {key for (key,) in copy.execute("SELECT key FROM jobs")} == known != set()
    assert sorted(os.listdir(state)) == there
    copy.close()


def test_an_empty_file_is_a_journal_without_anything(state: Path) -> None:
    (state / FILE).write_bytes(b"")
    for connection in (database.open_to_read(str(state / FILE)), database.copied(str(state / FILE))):
        assert connection.execute("SELECT count(*) FROM jobs").get == 0
    assert (state / FILE).read_bytes() == b""


COMMANDS = (
    "status", "jobs", "runs", "show a.jpg", "why a.jpg", "lanes", "prune", "verify --local-only", "duplicates",
    "status --json", "process photos --dry-run", "retry --all", "cancel --all",
)  # fmt: skip
SCRIPT = """
mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" || exit 77
touch derived/written 2>/dev/null && exit 78
exec "$0" -P - <<'END'
import sys
from mediactl.cli import main
for command in COMMANDS:
    sys.argv = ["mediactl", *command.split()]
    print("$", command, flush=True)
    try:
        main()
    except SystemExit as end:
        print("exit", end.code, flush=True)
END
"""


def test_every_command_that_looks_works_on_a_read_only_file_system(tmp_path: Path) -> None:
    import pyvips

    (tmp_path / "photos").mkdir()
    pyvips.Image.black(16, 16).jpegsave(str(tmp_path / "photos" / "a.jpg"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEDIACTL_CACHE": "none"}
    made = [sys.executable, "-P", "-c", "from mediactl.cli import main; main()", "process", "photos", "-q"]
    subprocess.run(made, cwd=tmp_path, env=environment, check=True, timeout=60)
    script = SCRIPT.replace("COMMANDS", repr(COMMANDS))
    rights = ["-m"] if os.geteuid() == 0 else ["-rm"]
    done = subprocess.run(
        ["unshare", *rights, "sh", "-c", script, sys.executable], cwd=tmp_path, env=environment, check=False,
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    if done.returncode in (1, 77) and "exit" not in done.stdout:
        pytest.skip(f"no read-only mount can be made here: {done.stderr.strip()}")
    answers = done.stdout.split("$ ")[1:]
    assert [answer.splitlines()[0] for answer in answers] == list(COMMANDS), done
    codes = {answer.splitlines()[0]: answer.splitlines()[-1] for answer in answers}
    edits = [codes.pop(command) for command in ("retry --all", "cancel --all")]
    assert (set(codes.values()), edits) == ({"exit 0"}, ["exit 75", "exit 75"]), done
    line = f"mediactl: journal directory {tmp_path}/derived/.mediactl: Read-only file system\n"
    assert done.stderr == 2 * line
    assert "1 done" in answers[0] and "exit 0" in answers[2] and "no problems" in answers[7]
