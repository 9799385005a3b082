"""A run that did not come to its end, then another recipe: what was asked for last is made, in that very run."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import pyvips
from conftest import CommandLine
from support.events import parsed
from support.films import make
from support.started import Process

SLOW = """
name = "first"
cutting = { above = 4, piece = 4 }
[[image]]
name = "large"
width = 450
format = "avif"
effort = 6
[[video]]
name = "large"
height = 180
preset = "slow"
"""
QUICK = """
name = "second"
cutting = { above = 4, piece = 4 }
[[image]]
name = "w50"
width = 50
[[video]]
name = "small"
height = 90
preset = "ultrafast"
"""
MADE = {"image": {"w50.webp"}, "video": {"small.mp4"}}
Event = dict[str, Any]


@pytest.fixture
def folder(mediactl: CommandLine) -> Path:
    """Three photos and a film that the first recipe takes long for, and two recipes."""
    (mediactl.folder / "c1.toml").write_text(SLOW)
    (mediactl.folder / "c2.toml").write_text(QUICK)
    found = mediactl.folder / "in"
    found.mkdir()
    for seed in range(3):
        noise = pyvips.Image.gaussnoise(600, 400, sigma=30, mean=128, seed=seed).cast("uchar")
        noise.bandjoin([noise.invert(), noise]).copy(interpretation="srgb").jpegsave(str(found / f"{seed}.jpg"))
    picture, sound = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=16"), ("-f", "lavfi", "-i", "sine=d=16")
    make(found / "f.mp4", *picture, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-shortest")
    return found


def until(run: Process, over: Callable[[list[Event]], bool]) -> list[Event]:
    """The events of a run up to the one with which this is true."""
    assert run.stdout is not None
    events: list[Event] = []
    for line in run.stdout:
        events.append(parsed(line))
        if over(events):
            return events
    raise AssertionError(events[-5:])


def begun(events: list[Event]) -> bool:
    """All is planned, and a piece of the film is done: other pieces wait, and so do photos."""
    pieces = [event for event in events if event["event"] == "job.done" and event["kind"] == "piece"]
    return bool(pieces)


def stop(run: Process) -> int:
    """Ask it to end: its exit code."""
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    return run.returncode


def kill(run: Process) -> int:
    """kill -9, with all its workers, the supervisor first."""
    everyone = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
    for process in everyone:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it died with its parent
    run.communicate(timeout=60)
    psutil.wait_procs(everyone, timeout=60)
    return run.returncode


def kinds(events: list[Event]) -> list[str]:
    """Of the sources that were made, as often as they were."""
    return [event["kind"] for event in events if event["event"] == "job.done" and "made" in event]


def made(mediactl: CommandLine) -> dict[str, tuple[str, str, set[str]]]:
    """Source -> recipe, kind and outputs, as its asset.json tells."""
    found = {}
    for path in (mediactl.folder / "out").glob("*/asset.json"):
        told = json.loads(path.read_text())
        names = {each["name"] for each in told["artefacts"]}
        found[path.parent.name] = told["recipe"], told["source"]["kind"], names
    return found


def is_second(mediactl: CommandLine) -> None:
    """Everything is made by the second recipe, and a run finds it so."""
    found = made(mediactl)
    assert sorted(found) == ["0.jpg", "1.jpg", "2.jpg", "f.mp4"]
    for name, (recipe, kind, names) in found.items():
        assert (recipe, names) == ("second", MADE[kind]), name
        for each in names:
            assert (mediactl.folder / "out" / name / each).stat().st_size
    again = mediactl("process", "in", "--recipe", "c2.toml", "--out", "out", "--json")
    assert (again.code, again.summary["jobs"], again.summary["up_to_date"]) == (0, 0, 4)


@pytest.mark.parametrize(("end", "code"), [(stop, 75), (kill, -9)])
def test_what_an_ended_run_left_is_made_by_the_recipe_of_the_next_one(
    mediactl: CommandLine, folder: Path, end: Callable[[Process], int], code: int
) -> None:
    arguments = ("process", str(folder), "--out", "out", "--jobs", "2", "--grace", "0")
    run = mediactl.start(*arguments, "--recipe", "c1.toml", "--json")
    until(run, begun)
    assert end(run) == code

    same = mediactl(*arguments, "--recipe", "c1.toml", "--dry-run").out
    assert "unfinished: f.mp4" in same
    assert "changed" not in same
    plan = mediactl(*arguments, "--recipe", "c2.toml", "--dry-run").out
    assert "unfinished" not in plan
    assert "recipe changed: f.mp4" in plan

    last = mediactl(*arguments, "--recipe", "c2.toml", "--json")
    assert last.code == 0, last
    assert last.summary["done"] == 4
    planned = Counter(event["reason"] for event in last.events if event["event"] == "source.planned")
    assert planned == {"recipe changed": 4}
    assert sorted(kinds(last.events)) == ["image"] * 3 + ["video"], "nothing was made for the recipe before"
    is_second(mediactl)


def test_a_watch_makes_what_an_ended_run_left_by_its_own_recipe(mediactl: CommandLine, folder: Path) -> None:
    run = mediactl.start("process", str(folder), "--out", "out", "--recipe", "c1.toml", "--json")
    until(run, begun)
    kill(run)
    watch = mediactl.start("watch", str(folder), "--out", "out", "--recipe", "c2.toml", "--settle", "0.1", "--json")
    events = until(watch, lambda events: sum("made" in event for event in events) == 4)
    assert sorted(kinds(events)) == ["image"] * 3 + ["video"]
    assert stop(watch) == 0
    is_second(mediactl)


def test_a_recipe_of_a_run_that_is_still_at_work_is_overtaken(mediactl: CommandLine, folder: Path) -> None:
    """Its workers end what they are at, in vain; all that waits is the later run's, and both wait for it."""
    first = mediactl.start("process", str(folder), "--out", "out", "--recipe", "c1.toml", "--jobs", "1", "--json")
    until(first, lambda events: any(event["event"] == "job.probed" for event in events))
    second = mediactl("process", str(folder), "--out", "out", "--recipe", "c2.toml", "--jobs", "1", "--json")
    assert second.code == 0, second
    assert second.summary["done"] == 4
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["unfinished"] == 0
    is_second(mediactl)
