"""What a run reports of files that it skips, and of those that earlier runs gave up: counted, listed, exit codes."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess

import pytest
from conftest import CommandLine, Result
from test_process import picture

RECIPE = """
name = "small"
[[image]]
name = "w8"
width = 8
"""


@pytest.fixture
def line(mediactl: CommandLine) -> CommandLine:
    """A command line beside a folder with a file of every kind that is skipped, and a rejected one."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    mediactl.environment["MEDIACTL_RECIPE"] = "small.toml"
    source = mediactl.folder / "in"
    picture(source / "a.jpg", 1)
    picture(source / "b.jpg", 2)
    picture(source / ".hidden/x.jpg", 3)
    (source / ".DS_Store").write_text("x")
    (source / ".mediactlignore").write_text("# a rule of ours is nothing that is left out\n")
    os.mkfifo(source / "fifo.jpg")
    (source / "other/.mediactl").mkdir(parents=True)
    picture(source / "other/a.jpg/w8.webp", 4)
    (source / "notes.txt").write_text("no media")
    (source / "bad.jpg").write_text("text")
    return mediactl


LEFT_OUT = "; 1 other file ignored; 2 hidden left out; 1 special file left out; 1 output directory left out in "
LISTED = ["ignored: notes.txt: ", "left out: .DS_Store: hidden", "left out: .hidden/: hidden",
          "left out: fifo.jpg: not a regular file", "left out: other/: an output directory"]  # fmt: skip


def listed(text: str) -> list[str]:
    """The lines about what was skipped."""
    return sorted(line for line in text.splitlines() if line.startswith(("ignored", "left out", "still")))


def test_everything_that_is_skipped_is_counted_by_reason_and_listed_on_every_run(line: CommandLine) -> None:
    first = line("process", "in", "-v")
    assert first.code == 1
    assert "2 sources done, 2 files made" in first.out and ", 1 rejected" + LEFT_OUT in first.out, first.out
    assert [each[: len(start)] for each, start in zip(listed(first.out), LISTED, strict=True)] == LISTED

    second = line("process", "in", "-v")
    assert second.code == 0
    assert "nothing to do: 3 sources, 2 up to date, 1 rejected" + LEFT_OUT in second.out
    assert listed(second.out)[:5] == listed(first.out)
    assert listed(second.out)[5:] == ["still rejected: bad.jpg: is not an image despite its name: it contains text"]
    assert listed(line("process", "in").out) == []
    assert listed(line("process", "in", "--dry-run", "-v").out) == listed(second.out)

    picture(line.folder / "in/c.jpg", 5)
    third = line("process", "in", "--quiet")
    assert (third.code, third.out) == (0, ""), "what an earlier run has rejected does not fail one with other work"
    strict = line("process", "in", "--quiet", "--strict")
    assert (strict.code, listed(strict.out)) == (1, listed(second.out)[5:])
    assert strict.out.count("\n") == 1

    os.utime(line.folder / "in/bad.jpg", (1, 1))  # it is tried again, and this run rejects it
    fourth = line("process", "in", "--quiet")
    assert (fourth.code, fourth.out[:18]) == (1, "rejected: bad.jpg:")


def test_a_cancelled_source_is_counted_as_cancelled(line: CommandLine) -> None:
    shutil.rmtree(line.folder / "in/other")
    assert line("process", "in").code == 1
    assert line("retry", "bad.jpg").code == line("cancel", "bad.jpg").code == 0
    run = line("process", "in", "-v")
    assert (run.code, "nothing to do: 3 sources, 2 up to date, 1 cancelled; " in run.out) == (0, True), run.out
    assert "still cancelled: bad.jpg: " in run.out
    summary = line("process", "in", "--json", "--strict").summary
    assert (summary["exit_code"], summary["cancelled"], summary["unfinished"]) == (0, 1, 1)


def test_the_output_of_find_can_be_processed_again_and_again(line: CommandLine) -> None:
    source = line.folder / "in"
    for name in ("bad.jpg", "notes.txt", "fifo.jpg", ".DS_Store", ".mediactlignore"):
        (source / name).unlink()
    shutil.rmtree(source / ".hidden")
    picture(source / "trip/c.jpg", 5)
    picture(line.folder / "beside.jpg", 6)
    (source / "mine").symlink_to(line.folder / "linked")
    picture(line.folder / "linked/d.jpg", 7)

    inside = copy.copy(line)
    inside.folder = source

    def found(arguments: str, *options: str) -> Result:
        listed = subprocess.run(["find", *arguments.split()], cwd=source, capture_output=True, check=True).stdout
        return inside("process", "-", "-o", "out", "--recipe", "../small.toml", *options, stdin=listed)

    whole = found(f". {line.folder}/beside.jpg", "--json")
    made = sorted(str(each.parent.relative_to(source / "out")) for each in source.glob("out/**/asset.json"))
    beside = f"{line.folder}/beside.jpg".lstrip("/")
    assert (whole.code, made) == (0, sorted(["a.jpg", "b.jpg", beside, "mine/d.jpg", "trip/c.jpg"])), whole
    assert whole.summary["left_out"]["output directory"] == 5, "other/, what is in it, and again in the walk of ."
    again = found(f". {line.folder}/beside.jpg", "-v")
    assert (again.code, "nothing to do: 5 sources, 5 up to date" in again.out) == (0, True), again
    assert "left out: other/: an output directory" in again.out
    assert found(f"{source} -type d", "--json").summary["up_to_date"] == 3
