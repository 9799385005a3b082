"""After a SIGKILL of the supervisor, whatever its processes are doing, none of them is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import SAMPLES, CommandLine
from support.journals import Rows
from support.pools import has_died, odd, run_pool

from mediactl.media.ffmpeg import binary

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
[[video]]
name = "v"
height = 64
"""
FLAGS = ("process", "in", "--recipe", "small.toml", "--json", "-j", "2", "--sandbox", "off")
"""Without a sandbox, in which a shell script cannot take the place of ffmpeg; the processes are the same."""
STARTING = """
import os, signal, sys
if "mediactl.pool" in " ".join(sys.orig_argv):
    with open({fifo!r}, "a") as fifo:
        print(os.getpid(), file=fifo)
    os.kill(os.getpid(), signal.SIGSTOP)
"""
"""A sitecustomize: interpreters of workers, and of what forks them, are stopped before they run a line of mediactl."""
FFMPEG = """#!/bin/sh
case "$*" in
*-progress*) echo $$ > {fifo}; exec sleep 1000 ;;
esac
exec {ffmpeg} "$@"
"""
"""It takes the place of ffmpeg, and never ends."""


@pytest.fixture
def fifo(mediactl: CommandLine) -> Path:
    """Where processes write their ids; and a folder of sources."""
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / "small.toml").write_text(RECIPE)
    for name in ("harbour.jpg", "upright.mp4"):
        shutil.copy(SAMPLES / name, mediactl.folder / "in")
    os.mkfifo(mediactl.folder / "fifo")
    return mediactl.folder / "fifo"


@contextmanager
def killed(mediactl: CommandLine) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run; at the end of the block kill it, and assert that no process of it lives."""
    run = subprocess.Popen(
        mediactl.argv(*FLAGS), cwd=mediactl.folder, env=mediactl.environment, stdout=subprocess.PIPE, process_group=0
    )  # a process group that is no orphan: those cannot be suspended
    below: list[psutil.Process] = []
    try:
        yield run
        below = psutil.Process(run.pid).children(recursive=True)
        assert below
        run.kill()
        left = [each for each in below if not has_died(each.pid)]
        assert not left
    finally:
        run.kill()
        for each in below:
            if each.is_running():
                each.kill()
        run.communicate()


def test_processes_that_are_starting(mediactl: CommandLine, fifo: Path) -> None:
    """Stopped, too: a process that asks to die with its parent only once it has started would stay for good."""
    (mediactl.folder / "site").mkdir()
    (mediactl.folder / "site" / "sitecustomize.py").write_text(STARTING.format(fifo=str(fifo)))
    mediactl.environment["PYTHONPATH"] = f"{mediactl.folder / 'site'}:{mediactl.environment['PYTHONPATH']}"
    with killed(mediactl), open(fifo, "r+b", 0) as started:
        assert len({started.readline() for _ in range(2)}) == 2  # what forks workers, and one that is not forked


@pytest.mark.parametrize("suspended", [False, True], ids=["working", "suspended"])
def test_processes_that_are_working_or_idle(mediactl: CommandLine, fifo: Path, suspended: bool) -> None:
    stand_in = mediactl.folder / "ffmpeg"
    stand_in.write_text(FFMPEG.format(fifo=fifo, ffmpeg=binary.find()))
    stand_in.chmod(0o755)
    mediactl.environment["MEDIACTL_FFMPEG"] = str(stand_in)
    with killed(mediactl) as run, open(fifo, "r+b", 0) as working:
        ffmpeg = int(working.readline())
        assert run.stdout is not None
        next(line for line in run.stdout if b'"job.done"' in line)  # the image's worker is idle
        if suspended:
            run.send_signal(signal.SIGTSTP)
            os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WNOWAIT)
        assert ffmpeg in {each.pid for each in psutil.Process(run.pid).children(recursive=True)}


def test_what_a_job_left_behind_ends_with_its_worker(tmp_path: Path) -> None:
    run_pool(tmp_path, odd("leaves", child=tmp_path / "child"), workers=1)
    assert Rows(tmp_path).jobs() == {"done": 1}
    _worker, child = (tmp_path / "child").read_text().split()
    assert has_died(int(child))
