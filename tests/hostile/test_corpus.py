"""Hostile files of the corpus through the whole program, under their own names and others: each ends with a reason."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CommandLine
from test_leaks import RECIPE

SEED = 20_131
LIMIT = 120.0
"""Seconds of one job, at most: the least that a job is granted is a minute."""


def renamed(files: list[Path], folder: Path) -> Iterator[str]:
    """Link each file into ``folder`` under its own name, as .jpg and as .mp4; yield the names."""
    folder.mkdir()
    for path in files:
        for name in (path.name, f"{path.name}.jpg", f"{path.name}.mp4"):
            shutil.copy(path, folder / name)
            yield name


def check(mediactl: CommandLine, files: list[Path]) -> None:
    (mediactl.folder / "recipe.toml").write_text(RECIPE)
    names = set(renamed(files, mediactl.folder / "in"))
    run = mediactl("process", "in", "--recipe", "recipe.toml", "--json", limit=3000)
    assert run.code in (0, 1), run.err
    assert "Traceback" not in run.err
    assert (run.summary["unfinished"], run.summary["internal_errors"]) == (0, 0), run.summary
    ends = {"job.rejected", "job.quarantined", "source.ignored", "job.done"}
    ended = {event["path"]: event for event in run.events if event["event"] in ends}
    assert set(ended) == names
    assert all(each.get("reason") for each in ended.values() if each["event"] != "job.done")
    quarantined = {name: each["reason"] for name, each in ended.items() if each["event"] == "job.quarantined"}
    assert not quarantined
    slow = {event["path"]: event["seconds"] for event in run.events if event.get("seconds", 0) > LIMIT}
    assert not slow
    again = mediactl("process", "in", "--recipe", "recipe.toml", "--json", limit=3000).summary
    assert again["jobs"] == 0, again


def test_some_hostile_files_end_with_a_reason(mediactl: CommandLine, corpus: Path) -> None:
    small = sorted(path for path in (corpus / "hostile").iterdir() if path.stat().st_size < 20_000)
    print("seed", SEED)
    check(mediactl, random.Random(SEED).sample(small, 12))


@pytest.mark.sweep
@pytest.mark.timeout(3600)
def test_all_hostile_files_end_with_a_reason(mediactl: CommandLine, corpus: Path) -> None:
    check(mediactl, sorted((corpus / "hostile").iterdir()))
