"""A disk that fails under one source: it is left for the next run, the others are done."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvips
from conftest import ENVIRONMENT, ROOT, CommandLine
from support import films
from support.forkserver import ForkServer

HEAD = 8192
"""Reads of up to so many bytes do not fail: what the scan looks at."""
RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
[[audio]]
name = "a"
[[video]]
name = "v"
height = 64
preset = "ultrafast"
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes reads fail."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("making reads fail needs a C compiler and Linux")
    made = tmp_path_factory.mktemp("shim") / "failing_reads.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, ROOT / "tests/failing_reads.c", "-ldl"], check=True)
    return made


class Disk:
    """A disk of which one file can fail to be read."""

    def __init__(self, mediactl: CommandLine, shim: Path) -> None:
        self.mediactl = mediactl
        self.shim = shim
        (mediactl.folder / "small.toml").write_text(RECIPE)
        (mediactl.folder / "in").mkdir()
        for seed, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
            noise = pyvips.Image.gaussnoise(300, 200, sigma=30, mean=128, seed=seed).cast("uchar")
            (mediactl.folder / "in" / name).write_bytes(noise.jpegsave_buffer())

    def failing(self, name: str, error: int, after: int = HEAD) -> dict[str, str]:
        """The environment in which reads of this file fail that reach beyond so many bytes."""
        return {
            "LD_PRELOAD": str(self.shim), "LD_FAILING_FILE": f"/in/{name}", "LD_FAILING_ERRNO": str(error),
            "LD_FAILING_FROM": str(after),
        }  # fmt: skip

    def run(self, environment: dict[str, str], *more: str) -> tuple[int, dict[str, int], dict[str, str]]:
        """Exit code, summary, and the reasons of sources that could not be read."""
        flags = ("--recipe", "small.toml", "--retry-delay", "0", "--json", *more)
        result = self.mediactl("process", "in", *flags, environment=environment)
        left = {event["path"]: event["reason"] for event in result.events if event["event"] == "job.unreadable"}
        return result.code, result.summary, left


@pytest.fixture(scope="module")
def preloaded(shim: Path) -> Iterator[ForkServer]:
    """What has the library loaded, which looks at the environment in each read."""
    server = ForkServer({**ENVIRONMENT, "LD_PRELOAD": str(shim)})
    yield server
    server.close()


@pytest.fixture
def disk(mediactl: CommandLine, shim: Path, preloaded: ForkServer) -> Disk:
    """A disk with three pictures."""
    mediactl.servers.append(preloaded)
    return Disk(mediactl, shim)


def counts(summary: dict[str, int]) -> tuple[int, ...]:
    """Of sources: done, unfinished, rejected, quarantined."""
    return tuple(summary[name] for name in ("done", "unfinished", "rejected", "quarantined"))


@pytest.mark.parametrize("after", [0, HEAD], ids=["from its first byte", "further on"])
@pytest.mark.parametrize(
    "error", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.ENOMEM], ids=lambda e: errno.errorcode[e]
)
def test_a_picture_that_cannot_be_read_is_left_for_the_next_run(disk: Disk, error: int, after: int) -> None:
    code, summary, left = disk.run(disk.failing("b.jpg", error, after))
    assert (code, counts(summary)) == (75, (2, 1, 0, 0))
    assert list(left) == ["b.jpg"]
    assert left["b.jpg"].startswith("cannot be read: ")
    code, summary, left = disk.run({})
    assert (code, counts(summary), left) == (0, (1, 0, 0, 0), {})


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE], ids=lambda e: errno.errorcode[e])
@pytest.mark.parametrize("name", ["film.mp4", "sound.flac"])
def test_so_is_a_film_or_a_recording(disk: Disk, name: str, error: int) -> None:
    made = ("-f", "lavfi", "-i", "testsrc2=s=320x240:d=4") if name == "film.mp4" else ()
    films.make(disk.mediactl.folder / "in" / name, *made, "-f", "lavfi", "-i", "anoisesrc=d=4")
    code, summary, left = disk.run(disk.failing(name, error, 100_000))
    assert (code, counts(summary), list(left)) == (75, (3, 1, 0, 0), [name])
    code, summary, left = disk.run({})
    assert (code, counts(summary)[1:], left) == (0, (0, 0, 0), {})


@pytest.mark.parametrize("after", [0, HEAD], ids=["of its first byte", "further on"])
@pytest.mark.parametrize("name", ["b.jpg", "film.mp4"])
def test_one_failed_read_costs_nothing(disk: Disk, name: str, after: int) -> None:
    films.make(disk.mediactl.folder / "in/film.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x240:d=4")
    once = disk.mediactl.folder / "once"
    once.touch()
    code, summary, left = disk.run(
        {**disk.failing(name, errno.EIO, after), "LD_FAILING_ONCE": str(once), "MEDIACTL_SANDBOX": "off"}
    )
    assert not once.exists()
    assert (code, counts(summary), left) == (0, (4, 0, 0, 0), {})


def test_a_text_file_that_failed_once_is_ignored_as_ever(disk: Disk) -> None:
    (disk.mediactl.folder / "in/notes.txt").write_text("no picture")
    once = disk.mediactl.folder / "once"
    once.touch()
    environment = {**disk.failing("notes.txt", errno.EIO, 0), "LD_FAILING_ONCE": str(once), "MEDIACTL_SANDBOX": "off"}
    code, summary, left = disk.run(environment)
    assert not once.exists()
    assert (code, counts(summary), summary["ignored"], left) == (0, (3, 0, 0, 0), 1, {})


def test_a_broken_picture_is_rejected_all_the_same(disk: Disk) -> None:
    whole = (disk.mediactl.folder / "in/b.jpg").read_bytes()
    (disk.mediactl.folder / "in/b.jpg").write_bytes(whole[: len(whole) // 2])
    code, summary, left = disk.run({})
    assert (code, counts(summary), left) == (1, (2, 0, 1, 0), {})


def test_a_permission_that_is_missing_is_a_reason_to_reject(disk: Disk) -> None:
    code, summary, left = disk.run(disk.failing("b.jpg", errno.EACCES))
    assert (code, counts(summary), left) == (1, (2, 0, 1, 0), {})
