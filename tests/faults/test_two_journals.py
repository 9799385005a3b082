"""Two journals for one output directory: one at a time. And clocks that jump while a run goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import pyvips
from conftest import CommandLine

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
"""
IMAGES = 20
FLAGS = ("process", "in", "--recipe", "small.toml", "-j", "1", "--json")
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@pytest.fixture(autouse=True)
def images(mediactl: CommandLine) -> None:
    """A folder of images."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    (mediactl.folder / "in").mkdir()
    for seed in range(IMAGES):
        noise = pyvips.Image.gaussnoise(60, 40, sigma=30, mean=128, seed=seed).cast("uchar")
        noise.jpegsave(str(mediactl.folder / f"in/{seed:02}.jpg"))


def test_a_run_with_another_journal_is_refused_while_one_goes_on(mediactl: CommandLine) -> None:
    first = mediactl.start(*FLAGS, "--state", "one")
    assert first.stdout is not None
    assert b"run.started" in first.stdout.readline()
    first.send_signal(signal.SIGSTOP)  # it holds its lock until it is continued
    other = mediactl(*FLAGS, "--state", "two")
    first.send_signal(signal.SIGCONT)
    same = mediactl(*FLAGS, "--state", "one")
    out, _ = first.communicate(timeout=100)
    assert (other.code, other.events[-1]["event"]) == (75, "run.failed"), other
    assert f"in use by a run with the journal in {mediactl.folder / 'one'}; wait for it" in other.err
    assert (same.code, first.returncode) == (0, 0), (same, out)
    assert b"job.retry" not in out
    later = mediactl(*FLAGS, "--state", "two")
    assert (later.code, later.summary["done"] + later.summary["up_to_date"]) == (0, IMAGES), later


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_clock_that_jumps_by_a_day_costs_nothing(mediactl: CommandLine, jump: str) -> None:
    if FAKETIME is None:
        pytest.skip("a clock that jumps requires libfaketime")
    clock, later = mediactl.folder / "clock", mediactl.folder / "later"
    clock.write_text("+0d\n")
    later.write_text(f"{jump}\n")
    mediactl.environment |= {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    process = mediactl.start(*FLAGS)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if b'"job.done"' in line and later.exists():
            later.rename(clock)
    process.communicate(timeout=100)
    assert process.returncode == 0, lines[-1]
    assert not [line for line in lines if b"job.retry" in line or b"job.interrupted" in line]
    for name in [name for name in mediactl.environment if name.startswith(("FAKETIME", "LD_PRELOAD"))]:
        del mediactl.environment[name]
    again = mediactl(*FLAGS)
    assert (again.code, again.summary["up_to_date"]) == (0, IMAGES), again
    assert not os.listdir(mediactl.folder / "derived/.mediactl/runs")
