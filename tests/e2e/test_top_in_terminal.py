"""``mediactl top`` in a terminal, on a run in another one."""

from __future__ import annotations

import shlex
import shutil
import signal

import pytest
from conftest import SAMPLES, CommandLine
from support import films
from support.events import parsed
from support.screens import Terminal

from mediactl.media.ffmpeg import binary

RECIPE = """
name = "small"
[[video]]
name = "v"
height = 90
[[image]]
name = "w"
width = 64
"""
SLOW = """#!/bin/sh
case "$*" in *-progress*) exec {ffmpeg} -re "$@";; esac
exec {ffmpeg} "$@"
"""
"""An ffmpeg that encodes no faster than the video plays."""


@pytest.fixture
def line(mediactl: CommandLine) -> CommandLine:
    """A command line beside a damaged image and three videos that take a minute each."""
    source = mediactl.folder / "in"
    source.mkdir()
    for name in ("first", "second", "third [bold]x"):
        films.make(source / f"{name}.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=60", "-preset", "ultrafast")
    shutil.copy(SAMPLES / "truncated.jpg", source)
    (mediactl.folder / "small.toml").write_text(RECIPE)
    slow = mediactl.folder / "slow"
    slow.write_text(SLOW.format(ffmpeg=shlex.quote(binary.find())))
    slow.chmod(0o755)
    mediactl.environment |= {"MEDIACTL_FFMPEG": str(slow), "MEDIACTL_RECIPE": "small.toml"}
    return mediactl


def test_a_run_is_seen_and_steered_from_another_terminal(line: CommandLine) -> None:
    run = line.start("process", "in", "--json", "-j", "1", "--grace", "0")
    assert run.stdout is not None
    for printed in run.stdout:
        if parsed(printed)["event"] == "job.progress":
            break
    argv = [str(each) for each in line.argv("top")]
    with Terminal(argv, line.folder, line.environment, columns=110) as terminal:
        terminal.until(lambda text: "0:0" in text and ".mp4" in text and "pending" in text)
        text = terminal.text
        assert "mediactl 0.1.0: recipe small, 1 worker, to " in text
        assert "0 of 4 sources done" in text or "of 4+ sources" in text, text
        assert "heavy       1 running" in text, text
        assert "pending   normal: oldest" in text and "promised 10 min 00 s" in text, text

        terminal.type("p")
        terminal.until(lambda text: "paused: running jobs finish" in text)
        terminal.type("P")
        terminal.until(lambda text: "suspended" in text)
        terminal.type("p")
        terminal.until(lambda text: "resumed" in text and "paused:" not in text)

        terminal.type("b")
        terminal.until(lambda text: "bump: press / and type a part of the path first" in text)
        terminal.type("/[BOLD]\n")
        terminal.until(lambda text: "filter: [BOLD]" in text)
        terminal.type("b")
        terminal.until(lambda text: "bump 1 pending job matching '[BOLD]'? y or n" in text)
        terminal.type("y")
        terminal.until(lambda text: "1 job now urgent" in text)
        terminal.type("\x1b")
        terminal.until(lambda text: "q quit" in text and "filter:" not in text)

        terminal.type("q")
        assert terminal.ended() == 0
    jobs = line("jobs", "--only", "ready", "--json").out.splitlines()
    assert any('"urgent"' in each and "[bold]" in each for each in jobs), jobs
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)


def test_the_end_of_the_run_ends_the_view_and_failures_are_shown(line: CommandLine) -> None:
    run = line.start("process", "in", "--json", "-j", "1", "--grace", "0")
    assert run.stdout is not None
    next(printed for printed in run.stdout if parsed(printed)["event"] == "run.started")
    argv = [str(each) for each in line.argv("top")]
    with Terminal(argv, line.folder, line.environment, columns=110) as terminal:
        terminal.until(lambda text: "running" in text)
        run.send_signal(signal.SIGTERM)
        assert terminal.ended() == 0
        assert "unfinished in" in terminal.text.replace("\n", " ")
    run.communicate(timeout=60)


def test_without_a_terminal_or_a_run_it_ends_with_one_line(line: CommandLine) -> None:
    failed = line("top")
    assert (failed.code, failed.out) == (2, "")
    assert failed.err == "mediactl: top: requires a terminal; use `mediactl status`, or `mediactl events --follow`\n"
    with Terminal([str(each) for each in line.argv("top")], line.folder, line.environment) as terminal:
        assert terminal.ended() == 2
        assert "no run is active in" in terminal.text.replace("\n", " ")
