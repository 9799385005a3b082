"""A journal, lock files or an output directory that are removed under a run, or that its disk refuses: 75, one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pyvips
from conftest import CommandLine, Result
from support import machines
from support.started import Process

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
"""
IMAGES = 30
FLAGS = ("process", "in", "--recipe", "small.toml", "-j", "1", "--state", "state", "--json")


@pytest.fixture(autouse=True)
def images(mediactl: CommandLine) -> Path:
    """A folder of images."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    folder = mediactl.folder / "in"
    folder.mkdir()
    mediactl.folder.chmod(0o777)
    for seed in range(IMAGES):
        noise = pyvips.Image.gaussnoise(60, 40, sigma=30, mean=128, seed=seed).cast("uchar")
        noise.jpegsave(str(folder / f"{seed:02}.jpg"))
    return folder


def run_until_one_is_done(mediactl: CommandLine, then: Callable[[], object]) -> Result:
    """Process the images, and do something once the first is done."""
    process = mediactl.start(*FLAGS)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if b'"job.done"' in line:
            then()
            break
    out, err = process.communicate(timeout=100)
    return Result(process.returncode, (b"".join(lines) + out).decode(), err.decode())


@pytest.mark.parametrize("path", ["state", "state/journal.db", "derived"])
def test_what_is_removed_under_a_run_stops_it(mediactl: CommandLine, path: str) -> None:
    aside = mediactl.folder / "aside"
    result = run_until_one_is_done(mediactl, lambda: (mediactl.folder / path).rename(aside))
    assert result.code == 75, result
    reasons = [event["reason"] for event in result.events if event["event"] == "run.stopped"]
    assert len(reasons) == 1
    assert "was removed, replaced or unmounted while this run went on" in reasons[0]
    assert result.summary["rejected"] == result.summary["quarantined"] == 0
    again = mediactl(*FLAGS)
    assert again.code == 0, again
    assert sum(1 for _ in mediactl.folder.glob("derived/*/asset.json")) == IMAGES


def test_lock_files_that_are_deleted_do_not_let_two_runs_own_the_same_jobs(mediactl: CommandLine) -> None:
    others: list[Process] = []

    def steal() -> None:
        for name in ("runs", "open.lock"):
            path = mediactl.folder / "state" / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        others.append(mediactl.start(*FLAGS))

    first = run_until_one_is_done(mediactl, steal)
    out, err = others[0].communicate(timeout=100)
    second = Result(others[0].returncode, out.decode(), err.decode())
    assert (first.code, second.code) == (0, 0), (first, second)
    events = [*first.events, *second.events]
    done = [event["path"] for event in events if event["event"] == "job.done"]
    assert sorted(done) == sorted(set(done))  # none twice
    assert len(done) == IMAGES
    assert not [event for event in events if event["event"] in ("job.retry", "job.quarantined", "job.interrupted")]


@pytest.mark.parametrize(
    ("file", "calls", "error", "when"),
    [
        ("journal.db-shm", "ftruncate", "ENOSPC", "1+"),
        ("journal.db-shm", "openat", "EMFILE", "1+"),
        ("journal.db-shm", "fcntl", "ENOLCK", "4+"),
        ("journal.db-wal", "fsync,fdatasync", "EIO", "5+"),
        ("open.lock", "flock", "ENOLCK", "1+"),
    ],
)
def test_a_journal_that_its_disk_refuses_stops_a_run(
    mediactl: CommandLine, file: str, calls: str, error: str, when: str
) -> None:
    result = machines.run(mediactl, machines.failing(mediactl.folder / "state" / file, calls, error, when), *FLAGS)
    assert result.code == 75, result
    assert result.err.count("\n") <= 1
    assert "internal error" not in result.err
    last = json.loads(result.out.splitlines()[-1])
    assert last["event"] in ("run.failed", "summary")


@pytest.fixture
def frozen(mediactl: CommandLine) -> Iterator[Callable[[], object]]:
    """A state directory on a file system of its own, and what makes that read-only, whatever is open on it."""
    state = mediactl.folder / "state"
    state.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=700", "mediactl-test", state], capture_output=True
    ).returncode:
        pytest.skip("mounting requires root")
    yield lambda: subprocess.run(["mount", "-o", "remount,ro", state], check=True)
    subprocess.run(["umount", "-l", state], check=True)


def test_a_state_directory_that_is_read_only_stops_a_run(mediactl: CommandLine, frozen: Callable[[], object]) -> None:
    assert mediactl(*FLAGS).code == 0
    (mediactl.folder / "in/00.jpg").touch()
    frozen()
    result = mediactl(*FLAGS)
    assert (result.code, result.events[-1]["event"]) == (75, "run.failed"), result
    assert "Read-only file system" in result.err


@pytest.mark.parametrize("name", ["journal.db", "open.lock", "runs", "logs", ""])
def test_a_part_of_the_state_directory_that_is_another_users_is_named(mediactl: CommandLine, name: str) -> None:
    nobody = machines.as_nobody()
    assert machines.run(mediactl, nobody, *FLAGS).code == 0
    path = mediactl.folder / "state" / name
    path.mkdir(exist_ok=True) if name == "logs" else None
    os.chown(path, 0, 0)
    path.chmod(0o755)
    (mediactl.folder / "in/00.jpg").touch()
    result = machines.run(mediactl, nobody, *FLAGS)
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert str(mediactl.folder / "state") in result.err
    assert "owner" in result.err
