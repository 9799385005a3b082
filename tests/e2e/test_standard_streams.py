"""Standard streams that are closed, and readers that go away."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest
from conftest import CommandLine

COMBINATIONS = [each for count in (1, 2, 3) for each in itertools.combinations((0, 1, 2), count)]


@pytest.fixture
def inbox(mediactl: CommandLine, stills: Path) -> CommandLine:
    """Some pictures, all good, and a command line beside them."""
    for name in ("notes.jpg", "truncated.jpg"):
        (stills / name).unlink()
    return mediactl


def made(mediactl: CommandLine) -> int:
    """How many sources have outputs."""
    return len(list((mediactl.folder / "derived").glob("*/asset.json")))


def start(
    mediactl: CommandLine, *arguments: str, closed: tuple[int, ...] = (), out: int | None = None
) -> tuple[int, str]:
    """Run a command with standard streams closed; return its exit code and what it printed on standard error."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" ' + " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed), "sh",
         *mediactl.argv(*arguments)],
        cwd=mediactl.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if out is None else out,
        stderr=subprocess.PIPE, env=mediactl.environment, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("closed", COMBINATIONS, ids=str)
def test_closed_streams_make_no_difference(inbox: CommandLine, closed: tuple[int, ...]) -> None:
    code, errors = start(inbox, "process", "stills", "--recipe", "thumbnails", closed=closed)
    assert (code, errors, made(inbox)) == (0, "", 3)
    assert inbox("process", "stills", "--recipe", "thumbnails", "--json").summary["up_to_date"] == 3, "a sound journal"


def test_a_dry_run_with_all_streams_closed_ends_in_order(inbox: CommandLine) -> None:
    assert start(inbox, "process", "stills", "--dry-run", closed=(0, 1, 2))[0] == 0


@pytest.mark.parametrize("flags", [["--json"], []], ids=["json", "lines"])
def test_a_reader_that_has_gone_stops_the_run_and_the_next_does_the_rest(inbox: CommandLine, flags: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, errors = start(inbox, "process", "stills", "--recipe", "thumbnails", *flags, out=writing)
    os.close(writing)
    assert (code, errors) == (75, "")
    again = inbox("process", "stills", "--recipe", "thumbnails", "--json")
    assert again.code == 0
    assert again.summary["done"] + again.summary["up_to_date"] == made(inbox) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("flags", [["--json"], []], ids=["json", "lines"])
def test_output_onto_a_full_disk_stops_the_run_and_the_next_does_the_rest(inbox: CommandLine, flags: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    code, errors = start(inbox, "process", "stills", "--recipe", "thumbnails", *flags, out=full)
    os.close(full)
    assert code == 75
    assert "Traceback" not in errors and "internal error" not in errors
    assert inbox("process", "stills", "--recipe", "thumbnails").code == 0
    assert made(inbox) == 3


@pytest.mark.parametrize("command", [["--help"], ["recipe", "schema"], ["recipe", "show", "web"]], ids=" ".join)
def test_commands_that_only_print_end_with_75_when_nobody_reads(mediactl: CommandLine, command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, errors = start(mediactl, *command, out=writing)
    os.close(writing)
    assert (code, errors) == (75, "")
