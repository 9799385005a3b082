"""What a person sees on a terminal: the live view, Ctrl-C, Ctrl-Z, another size of the window."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time

import psutil
import pytest
from conftest import SAMPLES, CommandLine
from support import films
from support.screens import Terminal

from mediactl.media.ffmpeg import binary

RECIPE = """
name = "small"
[[image]]
name = "w"
width = 64
[[video]]
name = "v"
height = 90
"""
SLOW = """#!/bin/sh
case "$*" in *-progress*) exec {ffmpeg} -re "$@";; esac
exec {ffmpeg} "$@"
"""
"""An ffmpeg that encodes no faster than the video plays."""


@pytest.fixture
def line(mediactl: CommandLine) -> CommandLine:
    """A command line beside a picture, what is none, and a video that takes half a minute."""
    source = mediactl.folder / "in"
    source.mkdir()
    films.make(source / "film.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=30", "-preset", "ultrafast")
    shutil.copy(SAMPLES / "balloon.png", source)
    shutil.copy(SAMPLES / "truncated.jpg", source)
    (mediactl.folder / "small.toml").write_text(RECIPE)
    slow = mediactl.folder / "slow"
    slow.write_text(SLOW.format(ffmpeg=shlex.quote(binary.find())))
    slow.chmod(0o755)
    mediactl.environment |= {"MEDIACTL_FFMPEG": str(slow), "PS1": "$ ", "MEDIACTL_RECIPE": "small.toml"}
    return mediactl


def rows(text: str) -> int:
    """How many rows of the live view's there are on the screen."""
    return len(re.findall(r"^\d of \d sources |^  film\.mp4 |^  1 rejected|^Stopping: ", text, re.MULTILINE))


def test_suspended_continued_resized_and_stopped(line: CommandLine) -> None:
    """The whole of it in a shell with job control, for each step takes seconds."""
    command = " ".join(shlex.quote(str(part)) for part in line.argv("process", "in"))
    (line.folder / "run").write_text(f"exec {command}\n")
    shell = ["bash", "--norc", "--noprofile", "-i"]
    with Terminal(shell, line.folder, line.environment) as terminal:
        terminal.type("bash ./run\n")
        terminal.until(lambda text: rows(text) == 3 and "0:0" in text)
        header = next(each for each in terminal.lines if each.startswith("mediactl 0"))
        assert header.startswith("mediactl 0.1.0: recipe small, "), header
        assert "rejected: truncated.jpg: " in terminal.text

        terminal.resize(60, 24)
        terminal.until(lambda text: re.search(r"^2 of 3 sources .{20,45}$", text, re.MULTILINE))
        assert rows(terminal.text) == 3, terminal.text

        terminal.type("\x1a")
        terminal.until(lambda text: "Stopped" in text and text.endswith("$"))
        assert rows(terminal.text) == 0, terminal.text
        tree = psutil.Process(terminal.pid).children(recursive=True)
        assert len(tree) >= 4, "supervisor, workers and ffmpeg"
        helper = [each for each in tree[1:] if each.cmdline() == tree[0].cmdline()]  # has nothing to do by now
        assert len(helper) == 1
        others = [each for each in tree if each not in helper]
        end = time.monotonic() + 10
        while {each.status() for each in others} != {psutil.STATUS_STOPPED}:  # a busy one takes a moment
            assert time.monotonic() < end, [(each.cmdline(), each.status()) for each in others]
            os.sched_yield()

        terminal.type("fg\n")
        terminal.until(lambda text: rows(text) == 3)
        assert psutil.STATUS_STOPPED not in {each.status() for each in tree}

        terminal.type("\x03")
        terminal.until(lambda text: "Stopping: finishing 1 job, up to 2" in text)
        assert rows(terminal.text) == 4, terminal.text
        assert "Ctrl-C again stops" in terminal.text
        terminal.until(lambda text: re.search("up to (24|23) s", text))  # it counts down
        terminal.type("\x03")
        terminal.until(lambda text: "outputs in" in text and text.endswith("$"))
        assert rows(terminal.text) == 0, terminal.text
        assert "stopped early: asked to stop; run again to continue" in terminal.text
        assert "1 source done, 1 file made" in terminal.text and "1 unfinished in" in terminal.text.replace("\n", " ")
        terminal.type("exit $?\n")
        assert terminal.ended() == 75


def test_standard_input_of_a_terminal_is_asked_for(line: CommandLine) -> None:
    argv = [str(part) for part in line.argv("process", "-")]
    with Terminal(argv, line.folder, line.environment) as terminal:
        terminal.until(lambda text: "mediactl: reading file names from standard input" in text)
        terminal.type("in/balloon.png\n\x04")
        assert terminal.ended() == 0
        assert "1 source done, 1 file made" in terminal.text
        assert f"recipesmall,outputsin{line.folder}/derived" in "".join(terminal.text.split())


def test_lines_for_journald_have_no_time_and_those_in_a_file_have(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    environment = {**mediactl.environment, "MEDIACTL_LOG_FORMAT": "auto"}
    for journal in (False, True):
        with open(mediactl.folder / "out", "w+b") as out:
            status = os.fstat(out.fileno())
            stream = f"{status.st_dev}:{status.st_ino + (not journal)}"
            argv = mediactl.argv("process", "in")
            subprocess.run(argv, cwd=mediactl.folder, stdout=out, check=True,
                           env={**environment, "JOURNAL_STREAM": stream})  # fmt: skip
            out.seek(0)
            first = out.readline()
        assert first.startswith(b"mediactl 0") == journal, first
