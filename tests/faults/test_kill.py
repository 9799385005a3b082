"""kill -9 at random moments: nothing lost, nothing torn, nothing done twice."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import CommandLine
from support.events import parsed
from support.invariants import assert_holds

SEED = 20_261_120
RECIPE = """
name = "kill"
[[image]]
name = "w320"
width = 320
[[image]]
name = "w800"
width = 800
[[image]]
name = "w1600"
width = 1600
[[video]]
name = "v144"
height = 144
preset = "ultrafast"
[[poster]]
name = "poster"
width = 160
[[audio]]
name = "audio"
format = "opus"
"""


def tree(folder: Path) -> dict[str, str]:
    """Relative name -> digest of every file, the journal left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".mediactl" not in path.parts
    }


def finished(events: list[dict[str, Any]]) -> set[str]:
    """Keys of the jobs that ended for good."""
    return {event["job"] for event in events if event["event"] in ("job.done", "job.probed", "job.rejected")}


def killed_after(mediactl: CommandLine, seconds: float, victim: str, *arguments: str) -> list[dict[str, Any]]:
    """Start a run, SIGKILL its supervisor or one of its workers after a while; the events that it still told."""
    run = mediactl.start("process", *arguments, "--json")
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        target = run.pid
        if victim == "worker" and (workers := psutil.Process(run.pid).children(recursive=True)):
            target = random.Random(seconds).choice(workers).pid
        os.kill(target, signal.SIGKILL)
    out, _ = run.communicate(timeout=600)
    events = []
    for line in out.splitlines():
        try:
            events.append(parsed(line))
        except ValueError:
            continue  # the last line may be cut
    return events


def rounds(mediactl: CommandLine, sources: list[str], number: int) -> None:
    """So many runs, each killed once at a random moment and then run to the end, against one never killed."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    (mediactl.folder / "kill.toml").write_text(RECIPE)
    arguments = [*sources, "--keep-root", "--recipe", "kill.toml", "--out"]
    started = time.monotonic()
    whole = mediactl("process", *arguments, "reference", "--json", limit=600)
    assert whole.code in (0, 1), whole.err
    length = time.monotonic() - started
    reference = tree(mediactl.folder / "reference")
    for turn in range(number):
        moment, victim = dice.uniform(0.1, length), dice.choice(["supervisor", "worker"])
        print(f"round {turn}: {victim} killed after {moment:.2f} s of {length:.2f} s")
        shutil.rmtree(mediactl.folder / "out", ignore_errors=True)
        first = killed_after(mediactl, moment, victim, *arguments, "out")
        if (mediactl.folder / "out/.mediactl/journal.db").exists():
            assert_holds(mediactl.folder / "out", ended=False)
        last = mediactl("process", *arguments, "out", "--json", limit=600)
        assert last.code in (0, 1), last.err
        assert last.summary["unfinished"] == last.summary["quarantined"] == 0
        assert not finished(first) & finished(last.events), "a job that was done was done again"
        assert tree(mediactl.folder / "out") == reference
        again = mediactl("process", *arguments, "out", "--json", limit=600)
        assert (again.code, again.summary["jobs"]) == (0, 0)
        assert_holds(mediactl.folder / "out")


@pytest.mark.long
def test_a_killed_run_is_finished_by_the_next_to_the_same_bytes(
    mediactl: CommandLine, stills: Path, samples: Path
) -> None:
    rounds(mediactl, [str(stills), str(samples / "upright.mp4"), str(samples / "chimes.wav")], 4)


@pytest.mark.sweep
@pytest.mark.timeout(1200)
def test_eight_runs_on_all_samples_killed_at_random_moments(mediactl: CommandLine, samples: Path) -> None:
    rounds(mediactl, [str(samples)], 8)


@pytest.mark.sweep
@pytest.mark.timeout(7200)
def test_twenty_runs_on_real_media_killed_at_random_moments(mediactl: CommandLine, corpus: Path) -> None:
    rounds(mediactl, [str(corpus / "photos"), str(corpus / "videos")], 20)
