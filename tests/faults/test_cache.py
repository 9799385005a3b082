"""A cache that cannot be used costs time and one warning, never a source."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import pyvips
from conftest import CommandLine, Result
from support import machines

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
"""
PICTURES = 4


def run(mediactl: CommandLine, out: str, *flags: str, environment: dict[str, str] | None = None) -> Result:
    """Process the pictures, with two workers."""
    return mediactl("process", "in", "--recipe", "small.toml", "--out", out, "-j", "2", *flags, environment=environment)


@pytest.fixture
def cache(mediactl: CommandLine) -> Path:
    """The folder of a cache that a run has filled."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    (mediactl.folder / "in").mkdir()
    for seed in range(PICTURES):
        noise = pyvips.Image.gaussnoise(100, 80, sigma=30, mean=128, seed=seed).cast("uchar")
        (mediactl.folder / f"in/{seed}.jpg").write_bytes(noise.jpegsave_buffer())
    assert run(mediactl, "first").code == 0
    folder = Path(mediactl.environment["MEDIACTL_CACHE"])
    assert (folder / "cache.db").exists()
    return folder


def overwritten(folder: Path) -> None:
    for name in os.listdir(folder):
        (folder / name).unlink()
    (folder / "cache.db").write_bytes(b"no database" * 1000)


def without_log(folder: Path) -> Path:
    """Return the database, into which what is in its log was written: nothing can be restored from that."""
    file = folder / "cache.db"
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


def damaged_inside(folder: Path) -> None:
    file = without_log(folder)
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def cut_short(folder: Path) -> None:
    os.truncate(without_log(folder), 5000)


def other_tables(folder: Path) -> None:
    with sqlite3.connect(folder / "cache.db") as database:
        database.execute("DROP TABLE Cache")
        database.execute("CREATE TABLE Cache (something)")
    database.close()


def a_file_in_its_place(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    folder.write_text("a file")


def a_folder_in_its_place(folder: Path) -> None:
    for name in os.listdir(folder):
        (folder / name).unlink()
    (folder / "cache.db").mkdir()


@pytest.mark.parametrize(
    "spoil", [overwritten, damaged_inside, cut_short, other_tables, a_file_in_its_place, a_folder_in_its_place]
)
def test_a_spoilt_cache_is_left_aside_with_one_warning(
    mediactl: CommandLine, cache: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(cache)
    result = run(mediactl, "second", "--json")
    assert (result.code, result.summary["done"], result.summary["quarantined"]) == (0, PICTURES, 0), result
    assert [event["event"] for event in result.events].count("cache.unusable") == 1
    assert "job.retry" not in [event["event"] for event in result.events]
    lines = run(mediactl, "third", "--quiet").out
    assert lines.count("\n") == 1
    assert lines.startswith("cache: cannot be used: ")


def test_a_locked_cache_is_left_aside(mediactl: CommandLine, cache: Path) -> None:
    database = sqlite3.connect(cache / "cache.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    (mediactl.folder / "in/0.jpg").touch()  # no longer what the cache knows: to be written
    result = run(mediactl, "second", "--json")
    database.close()
    assert (result.code, result.summary["done"]) == (0, PICTURES), result
    assert [event["reason"] for event in result.events if event["event"] == "cache.unusable"] == ["database is locked"]


def test_a_cache_on_a_full_disk_is_left_aside(mediactl: CommandLine, cache: Path) -> None:
    full = "/dev/full/cache"  # no folder can be made there
    result = run(mediactl, "second", "--json", environment={"MEDIACTL_CACHE": full})
    assert (result.code, result.summary["done"]) == (0, PICTURES), result
    assert [event["event"] for event in result.events].count("cache.unusable") == 1


@pytest.mark.parametrize("mine", [False, True], ids=["another user's", "read-only"])
def test_a_cache_that_cannot_be_written_is_left_aside(mediactl: CommandLine, cache: Path, mine: bool) -> None:
    nobody = machines.as_nobody()
    mediactl.folder.chmod(0o777)
    if mine:
        for path in (cache, *cache.iterdir()):
            os.chown(path, machines.NOBODY, machines.NOBODY)
            path.chmod(0o500 if path.is_dir() else 0o400)
    (mediactl.folder / "in/0.jpg").touch()  # no longer what the cache knows: to be written
    flags = ("process", "in", "--recipe", "small.toml", "--out", "second", "-j", "2", "--json")
    result = machines.run(mediactl, nobody, *flags)
    assert (result.code, result.summary["done"], result.summary["quarantined"]) == (0, PICTURES, 0), result
    assert [event["event"] for event in result.events].count("cache.unusable") == 1


def test_the_run_decides_which_cache_is_used_whoever_planned_its_jobs(mediactl: CommandLine, cache: Path) -> None:
    overwritten(cache)
    assert run(mediactl, "second", "--max-duration", "0.001").code == 75  # its jobs are planned, or about to be
    result = run(mediactl, "second", "--json", environment={"MEDIACTL_CACHE": "none"})
    assert (result.code, result.summary["done"]) == (0, PICTURES), result
    assert "cache.unusable" not in [event["event"] for event in result.events]


def test_a_good_cache_is_used_and_not_warned_of(mediactl: CommandLine, cache: Path) -> None:
    result = run(mediactl, "second", "--json")
    assert result.summary["done"] == PICTURES
    assert "cache.unusable" not in [event["event"] for event in result.events]
