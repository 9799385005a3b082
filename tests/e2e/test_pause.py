"""``pause``, ``resume`` and ``events --follow`` on a run that encodes; ``--json`` into a pipe that nobody reads."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import CommandLine
from support import films
from support.events import parsed
from support.started import Process

RECIPE = """
name = "small"
[[video]]
name = "v"
height = 180
preset = "veryslow"
"""
LIMIT = 0.02
"""Cores that a suspended run may take."""


@pytest.fixture
def line(mediactl: CommandLine) -> CommandLine:
    """A command line beside a video that takes some seconds to encode."""
    (mediactl.folder / "in").mkdir()
    films.make(mediactl.folder / "in/video.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=24",
               "-preset", "ultrafast")  # fmt: skip
    (mediactl.folder / "small.toml").write_text(RECIPE)
    mediactl.environment |= {"MEDIACTL_RECIPE": "small.toml"}
    return mediactl


def outputs(out: Path) -> dict[str, str]:
    """Return the digest of every output."""
    files = (file for file in out.rglob("*") if file.is_file() and ".mediactl" not in file.parts)
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def next_event(run: Process, name: str) -> dict[str, Any]:
    """Return the next event of this name that a run prints."""
    assert run.stdout is not None
    for line in run.stdout:
        event = parsed(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"no {name}")


def cpu_seconds(tree: list[psutil.Process]) -> float:
    """Return the CPU time that these processes have taken."""
    return sum(sum(each.cpu_times()[:2]) for each in tree)


def test_a_suspended_encode_takes_no_cpu_and_comes_to_the_same_bytes(line: CommandLine) -> None:
    line("process", "in", "-o", "plain", "-j", "2")
    run = line.start("process", "in", "-j", "2", "--json")
    follower: Process | None = None
    try:
        next_event(run, "job.progress")
        follower = line.start("events", "--follow", "--json")
        first = [next_event(follower, "run.started"), next_event(follower, "run.snapshot")]
        assert [each["path"] for each in first[1]["running"]] == ["video.mp4"]
        assert first[1]["lanes"].keys() == {"quick", "heavy"}

        answer = line("pause", "--now")
        assert answer.code == 0 and "paused; 1 running job suspended" in answer.out, answer
        time.sleep(1.0)  # what is promised
        tree = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        ffmpeg = [each for each in tree if each.name().startswith("ffmpeg")]
        assert ffmpeg and {each.status() for each in ffmpeg} == {psutil.STATUS_STOPPED}
        before, begun = cpu_seconds(tree), time.monotonic()
        time.sleep(2.0)  # the time is what is measured
        used = (cpu_seconds(tree) - before) / (time.monotonic() - begun)
        print(f"suspended: {100 * used:.2f} % of a core")
        assert used < LIMIT

        status = json.loads(line("resume", "--json").out)
        assert (status["done"], status["reason"]) == (True, "resumed")
        events = [parsed(each) for each in run.stdout or ()]
        assert run.wait(60) == 0
        names = [each["event"] for each in events]
        assert names.index("run.paused") < names.index("run.resumed") < names.index("summary")
        assert not {"job.retry", "job.interrupted", "job.quarantined"} & set(names)
        assert follower.stdout is not None
        followed = [parsed(each) for each in follower.stdout]
        assert follower.wait(30) == 0
        assert [each for each in names if each != "job.progress"][-1] == "summary"
        assert followed[-1]["event"] == "summary"
        assert {"run.paused", "run.resumed", "job.done"} <= {each["event"] for each in followed}
    finally:
        for process in (run, follower) if follower else (run,):
            process.kill()
            process.communicate()
    assert outputs(line.folder / "derived") == outputs(line.folder / "plain")
    assert not [name for name in os.listdir(line.folder / "derived/.mediactl/runs") if name.endswith(".sock")]


def test_without_a_run_there_is_nothing_to_pause_or_follow(line: CommandLine) -> None:
    for command in ("pause", "resume"):
        done = line(command)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"nothing to {command}: no run is active in "), done
    for arguments in (("events", "--follow"), ("events", "--follow", "--run", "12ab")):
        failed = line(*arguments)
        assert failed.code == 2 and failed.err.count("\n") == 1 and "run is active" in failed.err, failed
    assert line("events", "--json").code == 2


def test_a_killed_run_is_followed_to_its_end_and_its_socket_is_swept(line: CommandLine) -> None:
    run = line.start("process", "in", "--json")
    next_event(run, "job.progress")
    follower = line.start("events", "--follow")
    assert follower.stdout is not None
    assert follower.stdout.readline().startswith(b"mediactl 0.")
    run.kill()
    run.communicate()
    rest, _ = follower.communicate(timeout=30)
    assert b"ended without a summary" in rest and follower.returncode == 75
    runs = line.folder / "derived/.mediactl/runs"
    assert [name for name in os.listdir(runs) if name.endswith(".sock")]
    assert line("pause").out.startswith("nothing to pause")
    line("process", "in", "--max-duration", "0s", "--grace", "0")
    assert not [name for name in os.listdir(runs) if name.endswith(".sock")]


def test_a_pipe_that_nobody_reads_holds_nothing_up(mediactl: CommandLine) -> None:
    """Far more than a pipe holds; whoever reads in the end gets all of it, up to the summary."""
    (mediactl.folder / "in").mkdir()
    for number in range(1500):
        (mediactl.folder / f"in/{number:04} {'x' * 100}.txt").write_text("no media")
    (mediactl.folder / "done").mkdir()
    run = mediactl.start("process", "in", "--json", "--log", "log.ndjson")
    assert run.stdout is not None
    end = time.monotonic() + 60
    log = mediactl.folder / "log.ndjson"
    while not log.exists() or b'"event":"summary"' not in log.read_bytes()[-2000:]:
        assert time.monotonic() < end, "the run is held up"
        select.select([], [], [], 0.05)
    events = [parsed(line) for line in run.stdout]
    assert run.wait(30) == 0
    assert len(events) >= 1500 and events[-1]["event"] == "summary"
    assert sum(map(len, log.read_bytes().splitlines())) > 2 << 16

    run = mediactl.start("process", "in", "--json")
    assert run.wait(60) == 0, "the rest is given up after some seconds"
    assert run.stdout is not None
    whole = run.stdout.read().splitlines()[:-1]
    assert all(parsed(line) for line in whole)


def test_outside_of_its_hours_a_run_ends_with_75_and_a_watch_waits(line: CommandLine) -> None:
    hour = time.localtime(time.time() + 3 * 3600).tm_hour
    hours = f"{hour}:00-{(hour + 1) % 24}:00"
    run = line("process", "in", "--json", "--hours", hours)
    assert run.code == 75
    assert [each["event"] for each in run.events][-2:] == ["run.stopped", "summary"]
    assert run.events[-2]["cause"] == "hours"
    assert not outputs(line.folder / "derived")
    quiet = line("process", "in", "--quiet", "--hours", hours)
    assert (quiet.code, quiet.out) == (75, "")

    watch = line.start("watch", "in", "--json", "--hours", hours)
    paused = next_event(watch, "run.paused")
    assert paused["cause"] == "hours" and time.localtime(paused["until"]).tm_hour == hour
    next_event(watch, "source.planned")
    answer = line("resume").out
    assert "it waits for the hours of --hours" in answer
    watch.send_signal(signal.SIGTERM)
    rest, _ = watch.communicate(timeout=30)
    assert watch.returncode == 75, "something is left"
    assert b'"job.done"' not in rest
    wrong = line("process", "in", "--hours", "22-6")
    assert wrong.code == 2 and "expected FROM-TO in local time" in wrong.err
