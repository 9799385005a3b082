"""Source trees that change while a run goes on: unmounted, removed, or with links in the place of files."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvips
from conftest import CommandLine

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
"""
IMAGES = 24
FLAGS = ("--recipe", "small.toml", "-j", "1", "--json")


def grow(folder: Path, number: int = IMAGES) -> None:
    """Fill a folder with images."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(number):
        noise = pyvips.Image.gaussnoise(60, 40, sigma=30, mean=128, seed=seed).cast("uchar")
        noise.jpegsave(str(folder / f"{seed:02}.jpg"))


def run_until(mediactl: CommandLine, source: str, event: str, then: Callable[[], object]) -> tuple[int, list[Any]]:
    """Process a folder; do something once the first event of this name is printed. Return exit code and events."""
    process = mediactl.start("process", source, *FLAGS)
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == event:
            then()
            event = ""
    assert event == ""
    process.communicate(timeout=60)
    return process.returncode, events


@pytest.fixture
def mounted(mediactl: CommandLine) -> Iterator[Path]:
    """A folder of images that is a file system of its own."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    grow(mediactl.folder / "disk")
    folder = mediactl.folder / "in"
    folder.mkdir()
    if subprocess.run(["mount", "--bind", mediactl.folder / "disk", folder], capture_output=True).returncode:
        pytest.skip("mounting requires root")
    yield folder
    subprocess.run(["umount", "-l", folder], capture_output=True)


def test_what_is_left_of_an_unmounted_source_waits_for_the_next_run(mediactl: CommandLine, mounted: Path) -> None:
    code, events = run_until(mediactl, "in", "job.done", lambda: subprocess.run(["umount", "-l", mounted], check=True))
    summary = events[-1]
    assert (code, summary.get("cancelled", 0), summary["rejected"]) == (75, 0, 0)
    assert summary["done"] + summary["unfinished"] == IMAGES
    assert summary["unfinished"] > 0
    reasons = [event["reason"] for event in events if event["event"] == "scan.trouble"]
    assert reasons == [f"{mounted} is not mounted any more; its sources are left for the next run"]
    subprocess.run(["mount", "--bind", mediactl.folder / "disk", mounted], check=True)
    again = mediactl("process", "in", *FLAGS)
    assert (again.code, again.summary["done"] + again.summary["up_to_date"]) == (0, IMAGES), again


def test_what_is_left_of_a_removed_source_waits_for_the_next_run(mediactl: CommandLine) -> None:
    (mediactl.folder / "small.toml").write_text(RECIPE)
    grow(mediactl.folder / "in")
    code, events = run_until(
        mediactl, "in", "job.done", lambda: (mediactl.folder / "in").rename(mediactl.folder / "aside")
    )
    assert (code, events[-1].get("cancelled", 0)) == (75, 0)
    (mediactl.folder / "aside").rename(mediactl.folder / "in")
    again = mediactl("process", "in", *FLAGS)
    assert (again.code, again.summary["done"] + again.summary["up_to_date"]) == (0, IMAGES), again


def test_one_removed_file_is_cancelled_as_ever(mediactl: CommandLine) -> None:
    (mediactl.folder / "small.toml").write_text(RECIPE)
    grow(mediactl.folder / "in")
    last = mediactl.folder / f"in/{IMAGES - 1:02}.jpg"
    code, events = run_until(mediactl, "in", "job.done", last.unlink)
    assert (code, events[-1]["cancelled"], events[-1]["done"]) == (0, 1, IMAGES - 1)


@pytest.mark.parametrize("folder", [False, True], ids=["a file", "a folder above it"])
def test_a_link_in_the_place_of_a_source_is_not_followed(mediactl: CommandLine, folder: bool) -> None:
    (mediactl.folder / "small.toml").write_text(RECIPE)
    grow(mediactl.folder / "in")
    secret = mediactl.folder / "secret/zz.jpg"
    grow(mediactl.folder / "in/zz", 1)
    (mediactl.folder / "in/zz/00.jpg").rename(mediactl.folder / "in/zz/zz.jpg")
    secret.parent.mkdir()
    pyvips.Image.black(200, 100).jpegsave(str(secret))

    def swap() -> None:
        if folder:
            shutil.rmtree(mediactl.folder / "in/zz")
            (mediactl.folder / "in/zz").symlink_to(secret.parent)
        else:
            (mediactl.folder / "in/zz/zz.jpg").unlink()
            (mediactl.folder / "in/zz/zz.jpg").symlink_to(secret)

    code, events = run_until(mediactl, "in", "job.done", swap)
    assert (code, events[-1]["cancelled"], events[-1]["done"]) == (0, 1, IMAGES), events[-1]
    assert not (mediactl.folder / "derived/zz/zz.jpg").exists()
    # On request it is, by the same path.
    again = mediactl("process", "in", "--follow-symlinks", *FLAGS)
    assert (again.code, again.summary["done"]) == (0, 1), again
    asset = json.loads((mediactl.folder / "derived/zz/zz.jpg/asset.json").read_bytes())
    assert asset["source"]["bytes"] == secret.stat().st_size
