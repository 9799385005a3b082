"""Paths at and beyond what Linux and SQLite take: refused at once, with the reason; what fits is done."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from conftest import CommandLine

from mediactl.core.files import LONGEST_OUTPUT_FOLDER


def folder_of(length: int, start: str) -> str:
    """Return a path of so many bytes that begins with this."""
    path = start
    while len(path) + 2 <= length:
        path += "/" + "x" * min(200, length - len(path) - 1)
    return path[:length] if len(path) > length else path


def deep_folders(top: Path, picture: Path, depth: int) -> None:
    """Make folders in folders, each with a copy of a picture; their paths may be longer than can be opened."""
    before = os.getcwd()
    top.mkdir()
    os.chdir(top)
    try:
        for _ in range(depth):
            shutil.copy(picture, "a.png")
            os.mkdir("y" * 240)
            os.chdir("y" * 240)
    finally:
        os.chdir(before)


def test_an_out_that_leaves_no_room_for_names_is_wrong_usage(mediactl: CommandLine, stills: Path) -> None:
    for length in (LONGEST_OUTPUT_FOLDER + 1, 4095, 4096, 5000):
        out = folder_of(length, str(mediactl.folder / "out"))
        run = mediactl("process", "stills", "--out", out, "--state", "state")
        assert run.code == 2
        assert "bytes" in run.err and "use a shorter one" in run.err
        assert len(run.err.splitlines()) == 1
    assert not (mediactl.folder / "out").exists()


def test_a_journal_whose_path_is_too_long_for_sqlite_is_wrong_usage(mediactl: CommandLine, stills: Path) -> None:
    out = folder_of(600, str(mediactl.folder / "out"))
    run = mediactl("process", "stills", "--out", out)
    assert run.code == 2
    assert "--state DIR" in run.err and "more than SQLite takes" in run.err


def test_sources_whose_outputs_would_have_too_long_paths_are_reported_at_once_and_the_others_done(
    mediactl: CommandLine, samples: Path
) -> None:
    deep_folders(mediactl.folder / "in", samples / "balloon.png", 10)
    out = folder_of(LONGEST_OUTPUT_FOLDER - 1000, str(mediactl.folder / "out"))
    run = mediactl("process", "in", "--recipe", "thumbnails", "--out", out, "--state", "state", "--json")
    assert run.code == 1, run
    troubles = [event for event in run.events if event["event"] == "scan.trouble"]
    assert run.summary["done"] == 5
    assert run.summary["rejected"] == run.summary["quarantined"] == 0
    assert len(troubles) == 5
    assert {each["reason"] for each in troubles} == {
        "paths of its outputs would be longer than 4,095 bytes: use a shorter --out"
    }


def test_folders_too_deep_to_be_opened_are_reported_and_the_others_done(mediactl: CommandLine, samples: Path) -> None:
    deep_folders(mediactl.folder / "in", samples / "balloon.png", 18)
    run = mediactl("process", "in", "--recipe", "thumbnails", "--json")
    assert run.code == 1
    (trouble,) = [event for event in run.events if event["event"] == "scan.trouble" and "File name" in event["reason"]]
    assert "File name too long" in trouble["reason"]
    assert run.summary["quarantined"] == 0
