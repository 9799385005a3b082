"""A SOURCE that has lost all its files: its file system is not mounted, or somebody has removed them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, CommandLine
from test_process import picture

SCRIPT = """
mount -t tmpfs none disk || exit 77
mkdir disk/photos && cp a.jpg b.jpg disk/photos && ln -s disk/photos link
run() { "$0" -P -c 'from mediactl.cli import main; main()' process "$@" --log-format plain; echo "exit $?"; }
run disk/photos other -q
umount disk && mkdir -p disk/photos
run disk/photos other -q
run disk/photos other --json
mount -t tmpfs none disk && mkdir disk/photos && cp a.jpg b.jpg disk/photos
run disk/photos -q
rm disk/photos/*
run disk/photos -q
run disk/photos
"""


def test_an_unmounted_one_ends_the_run_with_75_and_an_emptied_one_is_named(tmp_path: Path) -> None:
    first = picture(tmp_path / "a.jpg", width=16, height=16).read_bytes()
    (tmp_path / "b.jpg").write_bytes(first)
    picture(tmp_path / "other" / "c.jpg", width=16, height=16)
    (tmp_path / "disk").mkdir()
    rights = ["-m"] if os.geteuid() == 0 else ["-rm"]
    done = subprocess.run(
        ["unshare", *rights, "sh", "-c", SCRIPT, sys.executable], cwd=tmp_path, check=False, capture_output=True,
        text=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT), "MEDIACTL_CACHE": "none"},
    )  # fmt: skip
    if "exit" not in done.stdout:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.stderr == ""
    parts = re.split(r"exit (\d+)\n", done.stdout)
    codes, (first_run, unmounted, as_json, mounted, quietly, emptied) = list(map(int, parts[1::2])), parts[:-1:2]
    source, disk = tmp_path / "disk" / "photos", tmp_path / "disk"
    assert codes == [0, 75, 75, 0, 0, 0]
    assert unmounted == f"{source}: empty, but had 2 sources on {disk}, which is not mounted; mount it and run again\n"
    assert f'"path":"{source}","sources":2,"unmounted":"{disk}"' in as_json and '"up_to_date":1' in as_json
    assert first_run == mounted == quietly == ""
    assert f"{source}: empty; 2 sources of earlier runs are gone, `mediactl prune` lists the outputs\n" in emptied


def test_a_source_that_was_always_empty_is_not_worth_a_word(mediactl: CommandLine) -> None:
    (mediactl.folder / "empty").mkdir()
    result = mediactl("process", "empty", "--json")
    assert result.code == 0 and "source.emptied" not in result.out
