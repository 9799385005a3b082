"""A full disk stops a run cleanly; with space again, the next one goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvips
from conftest import CommandLine
from support.invariants import assert_holds

from mediactl.core.errors import NoRoom
from mediactl.media import room
from mediactl.model.media import Kind, MediaInfo, VideoStream
from mediactl.planning import keys
from mediactl.recipe import loader


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "mediactl-test", folder], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_the_run_and_space_lets_the_next_go_on(mediactl: CommandLine, small_disk: Path) -> None:
    (mediactl.folder / "in").mkdir()
    for seed in range(20):
        noise = pyvips.Image.gaussnoise(500, 400, sigma=60, mean=128, seed=seed).cast("uchar")
        (mediactl.folder / f"in/{seed}.jpg").write_bytes(noise.jpegsave_buffer())
    run = mediactl("process", "in", "--out", small_disk / "out", "--state", "state", "--json")
    assert run.code == 75, run
    stopped = [event["reason"] for event in run.events if event["event"] == "run.stopped"]
    assert len(stopped) == 1
    assert "space" in stopped[0]
    assert run.summary["rejected"] == run.summary["quarantined"] == 0
    assert run.summary["unfinished"] > 0
    assert_holds(small_disk / "out", mediactl.folder / "state")
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    again = mediactl("process", "in", "--out", small_disk / "out", "--state", "state", "--json")
    assert again.code == 0, again
    assert again.summary["done"] + again.summary["up_to_date"] == 20
    assert again.summary["up_to_date"] == run.summary["done"]
    assert_holds(small_disk / "out", mediactl.folder / "state")


def test_a_journal_on_a_full_disk_stops_the_run_in_one_line(mediactl: CommandLine, small_disk: Path) -> None:
    (mediactl.folder / "in").mkdir()
    for seed in range(3):
        noise = pyvips.Image.gaussnoise(100, 80, sigma=60, mean=128, seed=seed).cast("uchar")
        (mediactl.folder / f"in/{seed}.jpg").write_bytes(noise.jpegsave_buffer())
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    run = mediactl("process", "in", "--out", "out", "--state", small_disk / "state")
    assert run.code == 75, run
    assert run.err.count("\n") == 1, run.err
    (small_disk / "ballast").unlink()
    assert mediactl("process", "in", "--out", "out", "--state", small_disk / "state").code == 0
    assert_holds(mediactl.folder / "out", small_disk / "state")


def test_a_disk_without_inodes_stops_the_run_as_a_full_one_does(mediactl: CommandLine, small_disk: Path) -> None:
    (mediactl.folder / "in").mkdir()
    for seed in range(6):
        noise = pyvips.Image.gaussnoise(60, 40, sigma=60, mean=128, seed=seed).cast("uchar")
        (mediactl.folder / f"in/{seed}.jpg").write_bytes(noise.jpegsave_buffer())
    subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=14", small_disk], check=True)
    flags = ("process", "in", "--recipe", "thumbnails", "--out", small_disk / "out", "--state", "state", "--json")
    run = mediactl(*flags)
    assert (run.code, run.summary["rejected"], run.summary["quarantined"]) == (75, 0, 0), run
    subprocess.run(["mount", "-o", "remount,nr_inodes=1000", small_disk], check=True)
    assert mediactl(*flags).code == 0


def test_a_disk_without_room_for_a_video_is_found_out_before_it_is_encoded(small_disk: Path) -> None:
    recipe = loader.parse('name = "mine"\n[[video]]\nname = "v"\nheight = 720\n', "mine.toml")
    for minutes, fits in ((2, True), (120, False)):
        stream = VideoStream("h264", 1280, 720, fps=25.0, rate="25", frames=1500 * minutes, duration=60.0 * minutes)
        info = MediaInfo(format="mp4", width=1280, height=720, duration=60.0 * minutes, video=stream)
        targets = keys.targets(recipe, Kind.VIDEO, info, "aa", {"image": "libvips-8.18", "ffmpeg": "8.0"})
        room.require(os.fsencode(small_disk.parent / "not/there"), targets, info)
        if fits:  # too little to be asked for
            room.require(os.fsencode(small_disk / "not/there"), targets, info)
            continue
        with pytest.raises(NoRoom, match=r"at least [0-9,]+ MB, and 1 MB are free in .*/disk; free some space"):
            room.require(os.fsencode(small_disk / "not/there"), targets, info)
