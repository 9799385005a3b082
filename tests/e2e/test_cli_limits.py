"""Flags that bound a run: lanes, memory, attempts, the delay before a retry."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CommandLine, Result
from PIL import Image

ONE_WIDTH = 'name = "small"\n[[image]]\nname = "w50"\nwidth = 50\n'


def in_the_way(mediactl: CommandLine) -> None:
    """A source whose place is taken by a file, so that its job fails each time."""
    (mediactl.folder / "in").mkdir()
    Image.new("RGB", (60, 40), (9, 9, 9)).save(mediactl.folder / "in" / "a.jpg")
    (mediactl.folder / "small.toml").write_text(ONE_WIDTH)
    (mediactl.folder / "derived").mkdir()
    (mediactl.folder / "derived" / "a.jpg").write_text("in the way")


def attempts_of_a_job_that_fails(mediactl: CommandLine, *flags: str, **environment: str) -> tuple[int, list[str]]:
    """How many attempts a run makes at it, and the events about them."""
    in_the_way(mediactl)
    run = mediactl("process", "in", "--recipe", "small.toml", "--json", *flags, environment=environment)
    assert (run.code, run.summary["quarantined"]) == (1, 1), run
    names = [event["event"] for event in run.events if event["event"] in ("job.retry", "job.quarantined")]
    return len(names), names


def test_by_default_a_job_is_given_up_after_three_failures(mediactl: CommandLine) -> None:
    assert attempts_of_a_job_that_fails(mediactl, "--retry-delay", "0")[0] == 3


def test_one_attempt_is_given_up_after_one_failure(mediactl: CommandLine) -> None:
    assert attempts_of_a_job_that_fails(mediactl, "--attempts", "1") == (1, ["job.quarantined"])


def test_attempts_are_set_by_the_environment(mediactl: CommandLine) -> None:
    environment = {"MEDIACTL_PROCESS_ATTEMPTS": "2", "MEDIACTL_PROCESS_RETRY_DELAY": "0"}
    assert attempts_of_a_job_that_fails(mediactl, **environment)[0] == 2


def test_attempts_memory_and_delay_are_set_by_the_settings_file(mediactl: CommandLine) -> None:
    (mediactl.folder / "mediactl.toml").write_text('attempts = 4\nretry_delay = 0.0\nmemory = "100M"\n')
    assert attempts_of_a_job_that_fails(mediactl)[0] == 4


def test_a_retry_waits_as_long_as_was_asked_for(mediactl: CommandLine) -> None:
    """Chance takes a part of it; that all three are over so soon would be one run in tens of thousands."""
    in_the_way(mediactl)
    flags = ("--retry-delay", "60", "--attempts", "4", "--max-duration", "3", "--grace", "0")
    run = mediactl("process", "in", "--recipe", "small.toml", "--json", *flags)
    assert (run.code, run.summary["quarantined"], run.summary["unfinished"]) == (75, 0, 1)
    assert "job.retry" in [event["event"] for event in run.events]


def usage_error(result: Result) -> str:
    """The one line that says what was wrong."""
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result
    return result.err.removeprefix("mediactl process: ").rstrip("\n")


@pytest.mark.parametrize("text", ["heavy=0", "slow=1", ""])
def test_an_invalid_lane_is_reported_in_one_line(mediactl: CommandLine, text: str) -> None:
    (mediactl.folder / "in").mkdir()
    assert usage_error(mediactl("process", "in", "--lane", text)) == (
        f"--lane: {text}: expected NAME=N, NAME one of quick, heavy, probe, image, video, audio, N at least 1"
    )
    assert not (mediactl.folder / "derived").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--attempts", "0"],
        ["--retry-delay", "-1"],
        ["--memory", "6Q"],
        ["--memory", "6"],
        ["--bandwidth", "fast"],
        ["--upload-memory", "20"],
        ["--tag", "=x"],
        ["--max-duration", "1y"],
    ],
)
def test_invalid_values_are_reported_in_one_line_whatever_else_is_given(
    mediactl: CommandLine, flags: list[str]
) -> None:
    (mediactl.folder / "in").mkdir()
    assert usage_error(mediactl("process", "in", *flags)).startswith(f"{flags[0]}: {flags[1]}")
    assert not (mediactl.folder / "derived").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('attempts = "many"', "attempts"),
        ("retry_delay = true", "retry_delay"),
        ("memory = 6", "memory"),
        ("attempt = 2", "did you mean 'attempts'?"),
    ],
)
def test_a_wrong_key_in_the_settings_file_is_told_in_one_line(mediactl: CommandLine, text: str, told: str) -> None:
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / "mediactl.toml").write_text(text)
    result = mediactl("process", "in")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert told in result.err


def test_right_values_are_taken(mediactl: CommandLine, tmp_path: Path) -> None:
    (mediactl.folder / "in").mkdir()
    flags = ("--memory", "1.5GiB", "--grace", "1m", "--max-duration", "1h30m", "--bandwidth", "20MB")
    assert mediactl("process", "in", *flags, "--lane", "heavy=1", "--lane", "image=2").code == 0
