"""Each invariant is broken on purpose, and the checker reports that one, with what to do."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CommandLine
from support.invariants import violated
from support.shipped import picture

from mediactl.admin.invariants import Rule
from mediactl.core.files import SCRATCH, TEMPORARY
from mediactl.jobs.journal import FILE

RECIPE = """
name = "small"
[[image]]
name = "w100"
width = 100
[[image]]
name = "avif"
width = 60
format = "avif"
[[audio]]
name = "audio"
format = "opus"
[[video]]
name = "v"
height = 32
preset = "ultrafast"
"""
DEAD = "d" * 32
A = "name = CAST('a.jpg' AS BLOB)"
JOB = (
    "INSERT INTO jobs (key, kind, lane, source, payload, priority, enqueued_at, due, time_limit, plan, destination)"
    f" SELECT 'k', '%s', '%s', id, x'', 2, 0, 0, 1, %s, '%s' FROM sources WHERE {A};"
)
TASK = """{"file": "", "fingerprint": [0, 0, 0, 0], "place": {"bucket": "b"}, "key": ""}"""
UPLOAD = (
    "INSERT INTO uploads (endpoint, bucket, key, place, file, size, status, upload_id, state, began_at, changed_at)"
    """ VALUES ('http://127.0.0.1:1', 'b', 'k', CAST('{"bucket": "b"}' AS BLOB), x'66', 9, '%s', 'u', x'7b7d', 0, 0);"""
)
FIRST = "(SELECT min(id) FROM jobs)"
ROWS = {
    "a done source with a job": (Rule.STATE, JOB % ("image", "quick", "plan", "")),
    "a pending source without a job": (Rule.STATE, f"UPDATE sources SET state = 'pending' WHERE {A}"),
    "a rejected source with a job": (
        Rule.STATE,
        f"UPDATE sources SET state = 'rejected', reason = 'r' WHERE {A};" + JOB % ("image", "quick", "plan", ""),
    ),
    "a quarantined source without a reason": (Rule.STATE, f"UPDATE sources SET state = 'quarantined' WHERE {A}"),
    "an artefact that is not listed": (
        Rule.STATE,
        f"DELETE FROM artefacts WHERE ordinal = 0 AND source = (SELECT id FROM sources WHERE {A})",
    ),
    "an artefact that is listed twice": (Rule.STATE, "UPDATE artefacts SET name = 'w100.webp'"),
    "a pending upload without a job": (
        Rule.STATE,
        f"UPDATE sources SET upload_state = 'pending', uploaded = 'd' WHERE {A}",
    ),
    "an uploaded source with an upload": (
        Rule.STATE,
        f"UPDATE sources SET upload_state = 'done', uploaded = 'd' WHERE {A};"
        + JOB % ("upload", "network", "''", "d")
        + f"UPDATE jobs SET payload = CAST('{TASK}' AS BLOB) WHERE key = 'k'",
    ),
    "parts of an upload that is done": (
        Rule.STATE,
        UPLOAD % "done" + "INSERT INTO parts SELECT id, 1, 9, 0, 'e' FROM uploads",
    ),
    "more parts than bytes": (
        Rule.STATE,
        UPLOAD % "uploading" + "INSERT INTO parts SELECT id, 1, 10, 0, 'e' FROM uploads",
    ),
    "a job that crashed too often": (
        Rule.ATTEMPTS,
        f"UPDATE jobs SET crashes = 4, attempt = 9 WHERE id = {FIRST}",
    ),
    "a job that is to be begun too often": (
        Rule.ATTEMPTS,
        f"UPDATE jobs SET state = 'ready', interruptions = 20, attempt = 30 WHERE id = {FIRST}",
    ),
    "more ends than beginnings": (Rule.ATTEMPTS, f"UPDATE jobs SET failures = 2 WHERE id = {FIRST}"),
    "an attempt that was never begun": (Rule.ATTEMPTS, f"UPDATE attempts SET attempt = 7 WHERE job = {FIRST}"),
    "a job of no source": (Rule.INTEGRITY, f"UPDATE jobs SET source = 99 WHERE id = {FIRST}"),
    "a job of a dead run": (
        Rule.LEFTOVER,
        f"UPDATE jobs SET state = 'running', owner = (SELECT id FROM runs) WHERE id = {FIRST}",
    ),
    "an upload that no job goes on with": (Rule.LEFTOVER, UPLOAD % "creating"),
}
"""What is broken -> the invariant, and the SQL that breaks it."""
ALSO = {
    "an artefact that is not listed": [Rule.DIGEST],
    "an artefact that is listed twice": [Rule.DIGEST],
    "more parts than bytes": [Rule.LEFTOVER],
}
"""What else is wrong then: asset.json lists other artefacts; the upload has no job."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return OUT of a run over two photos, a video and audio."""
    line = CommandLine(tmp_path_factory.mktemp("made"))
    (line.folder / "small.toml").write_text(RECIPE)
    for number, name in enumerate("ab"):
        picture(line.folder / f"in/{name}.jpg", number)
    samples = Path(__file__).resolve().parents[2] / "samples"
    shutil.copy(samples / "upright.mp4", line.folder / "in")
    shutil.copy(samples / "chimes.wav", line.folder / "in")
    run = line("process", "in", "--recipe", "small.toml", "--out", "out")
    assert run.code == 0, run
    return line.folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to be broken."""
    return Path(shutil.copytree(made, tmp_path / "out", copy_function=shutil.copy2))


def change(out: Path, sql: str) -> None:
    """Change the journal behind its back."""
    with closing(sqlite3.connect(out / ".mediactl" / FILE)) as connection:
        connection.executescript(sql)


def run_of(out: Path) -> str:
    """Return the id of the run that made it."""
    with closing(sqlite3.connect(out / ".mediactl" / FILE)) as connection:
        return str(connection.execute("SELECT id FROM runs").fetchone()[0])


def test_nothing_is_violated_after_a_run(out: Path) -> None:
    assert violated(out) == []


@pytest.mark.parametrize("what", ROWS)
def test_a_row_that_contradicts_the_others_is_reported(out: Path, what: str) -> None:
    rule, sql = ROWS[what]
    change(out, sql)
    found = violated(out)
    assert rule in {each.rule for each in found}, found
    assert {each.rule for each in found} <= {rule, *ALSO.get(what, ())}, found
    for each in found:
        assert "\n" not in each.line and each.remedy


LEGAL = [
    f"UPDATE sources SET state = 'pending', reason = 'could not be read' WHERE {A}",
    f"UPDATE sources SET state = 'pending', root = x'' WHERE {A}",
    f"UPDATE sources SET state = 'pending' WHERE {A}; UPDATE jobs SET state = 'cancelled' WHERE source ="
    f" (SELECT id FROM sources WHERE {A})",
    f"UPDATE sources SET state = 'rejected', reason = 'r' WHERE {A};" + JOB % ("piece", "heavy", "plan", ""),
    f"UPDATE sources SET upload_state = 'failed', uploaded = 'd' WHERE {A}",
    UPLOAD % "done",
    f"UPDATE jobs SET state = 'quarantined', crashes = 3, attempt = 3, reason = 'r' WHERE id = {FIRST}",
]


@pytest.mark.parametrize("sql", LEGAL)
def test_what_transitions_lead_to_is_not_reported(out: Path, sql: str) -> None:
    change(out, sql)
    assert violated(out) == []


OUTPUTS = ("a.jpg/w100.webp", "a.jpg/avif.avif", "upright.mp4/v.mp4", "chimes.wav/audio.opus", "a.jpg/asset.json")


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_is_not_what_it_was_is_reported(out: Path, name: str) -> None:
    content = (out / name).read_bytes()
    for changed in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b"", None):
        (out / name).unlink(missing_ok=True)
        if changed is not None:
            (out / name).write_bytes(changed)
        (found,) = violated(out)
        assert (found.rule, found.name) == (Rule.DIGEST, name)


@pytest.mark.parametrize("name", OUTPUTS)
def test_part_of_an_output_of_a_source_that_is_not_done_is_reported(out: Path, name: str) -> None:
    """What is whole is none: it was published a moment before the run was killed."""
    change(out, "UPDATE sources SET state = 'pending', reason = 'why'")
    content = (out / name).read_bytes()
    assert violated(out) == []
    (out / Path(name).with_name("asset.json")).unlink()
    (out / name).write_bytes(content)
    assert violated(out) == []
    for part in (0, len(content) // 2, len(content) - 2):
        (out / name).write_bytes(content[:part])
        (found,) = violated(out)
        assert (found.rule, found.name) == (Rule.PARTIAL, name), part


def test_what_dead_runs_left_is_reported_and_what_the_active_ones_use_is_not(out: Path) -> None:
    state, run = out / ".mediactl", run_of(out)
    scratch, temporary = os.fsdecode(SCRATCH), os.fsdecode(TEMPORARY)
    (out / f"a.jpg/{temporary}{run}-w100.webp").touch()
    (out / f"a.jpg/{scratch}1").mkdir()
    (state / "work/cafe").mkdir(parents=True)
    (state / f"work/cafe/{temporary}{DEAD}-00001.mp4").touch()
    lock = state / "runs" / f"{run}.lock"
    lock.touch()
    (state / f"logs/{run}.log").touch()
    found = violated(out)
    assert {each.rule for each in found} == {Rule.LEFTOVER}
    assert len(found) == 5
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (left,) = violated(out)
        assert DEAD in left.name
    assert violated(out, ended=False) == []


@pytest.fixture
def orphan() -> Iterator[Callable[..., int]]:
    """Return what starts a process, which is ended with the test; its id."""
    started = []

    def start(*words: str, **options: object) -> int:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options,
        )  # fmt: skip
        started.append(process)
        process.stdout.readline()
        return int(process.pid)

    yield start
    for process in started:
        process.communicate()


def test_a_process_of_a_dead_run_is_reported_by_its_arguments_or_its_log(out: Path, orphan: Callable[..., int]) -> None:
    run = run_of(out)
    log = out / ".mediactl/logs" / f"{run}.log"
    log.write_text("words")
    with log.open("ab") as file:
        left = {orphan(f"/somewhere/.mediactl-{run}-v.mp4"), orphan(stderr=file)}
    orphan(DEAD)
    found = violated(out)
    assert {each.rule for each in found} == {Rule.LEFTOVER}
    assert {int(each.remedy.strip("`").rpartition(" ")[2]) for each in found} == left


def test_the_command_prints_a_line_for_each_and_exits_1(out: Path) -> None:
    line = CommandLine(out.parent)
    whole = line("verify", "--journal", "--out", "out")
    assert (whole.code, whole.err) == (0, "")
    assert whole.out.endswith(": no problems, 0 invariants violated\n")
    change(out, "UPDATE jobs SET failures = 2 WHERE id = 1")
    (out / "a.jpg" / f"{os.fsdecode(TEMPORARY)}{DEAD}-x").touch()
    broken = line("verify", "--journal", "--out", "out")
    assert broken.code == 1
    attempts, leftover, last = broken.out.splitlines()
    assert attempts.startswith("attempts: ") and "begun 1 times, but ended 2 times; please report it" in attempts
    assert leftover.startswith("leftover: ") and leftover.endswith("run `mediactl process` again, which removes it")
    assert last.endswith(": no problems, 2 invariants violated")
    as_json = [json.loads(each) for each in line("verify", "--journal", "--json", "--out", "out").out.splitlines()]
    assert [(each["what"], each.get("problem")) for each in as_json] == [
        ("journal", "attempts"), ("journal", "leftover"), ("summary", None),
    ]  # fmt: skip
    assert as_json[-1]["violated"] == 2
    assert line("verify", "--out", "out").code == 0
