"""An output directory, or one in it, that permissions forbid to write to: exit code 2, and what to do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CommandLine
from test_process import picture


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Forbid to write to a folder, root included, which only file attributes hold back."""
    if os.geteuid():
        close, reopen = ["chmod", "555"], ["chmod", "755"]
    else:
        close, reopen = ["chattr", "+i"], ["chattr", "-i"]
    try:
        subprocess.run([*close, folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot make a folder that is not writable here: {error}")
    try:
        yield
    finally:
        subprocess.run([*reopen, folder], check=True)


def test_what_is_forbidden_ends_with_2_and_goes_on_once_it_is_allowed(mediactl: CommandLine) -> None:
    picture(mediactl.folder / "in/trip/a.jpg")
    picture(mediactl.folder / "in/b.jpg")
    process = ("process", "in", "--recipe", "thumbnails", "--quiet")
    trip = mediactl.folder / "derived/trip"
    trip.mkdir(parents=True)
    with closed(trip):
        run = mediactl(*process)
        assert run.code == 2, run
        assert run.out.startswith(f"left for the next run: trip/a.jpg: cannot write outputs: {trip}/a.jpg: "), run
        assert "; change owner or permissions\n" in run.out, run
        assert (mediactl.folder / "derived/b.jpg/asset.json").exists(), "what is not forbidden is done"
    with closed(mediactl.folder):
        run = mediactl(*process, "-o", "other")
        assert (run.code, run.out) == (2, "")
        assert run.err.startswith(f"mediactl: output directory {mediactl.folder}/other: cannot be created: "), run
        assert run.err.endswith("; change owner or permissions, or use another --out\n")
    assert (mediactl(*process).code, (trip / "a.jpg/asset.json").exists()) == (0, True)
