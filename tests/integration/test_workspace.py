"""Directories of sandboxed processes: nobody removes another's, and whatever is left of dead ones is removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediactl.core.sandbox.workspace import FOLDER, Workspace, sweep


def test_nobody_removes_a_directory_that_is_in_use(tmp_path: Path) -> None:
    """Several begin and end at once, each with a sweep, as workers do."""
    out = os.fsencode(tmp_path)
    broken: list[list[bytes]] = []

    def begin_and_end() -> None:
        for _ in range(150):
            sweep(out)
            workspace = Workspace(out)
            if sorted(os.listdir(workspace.folder)) != [b"in", b"lock", b"out"]:
                broken.append(os.listdir(workspace.folder))
            Path(os.fsdecode(workspace.temporary("a"))).touch()
            sweep(out)
            if not os.path.exists(workspace.temporary("a")):
                broken.append([b"a file"])
            workspace.close()

    with ThreadPoolExecutor(4) as threads:
        for ended in [threads.submit(begin_and_end) for _ in range(4)]:
            ended.result()
    sweep(out)
    assert broken == []
    assert os.listdir(out) == []


@pytest.mark.parametrize("gone", ["", "in", "in out", "in out lock"])
def test_what_a_killed_process_leaves_is_removed_however_far_it_came(tmp_path: Path, gone: str) -> None:
    workspace = Workspace(os.fsencode(tmp_path))
    Path(os.fsdecode(workspace.temporary("torn"))).write_bytes(b"half")
    for name in gone.split():
        path = os.path.join(os.fsdecode(workspace.folder), name)
        os.unlink(path) if name == "lock" else shutil.rmtree(path)
    os.close(workspace._lock)  # as the kernel does when it is killed
    assert len(list((tmp_path / os.fsdecode(FOLDER)).iterdir())) == 1
    sweep(os.fsencode(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_locked_until_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one that has just been made, and not been locked yet, would lose its lock and keep the rest for ever."""
    workspace, remove = Workspace(os.fsencode(tmp_path)), shutil.rmtree
    free: list[bytes] = []

    def removing(path: bytes, *, ignore_errors: bool) -> None:
        with open(os.path.join(workspace.folder, b"lock")) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free.append(path)
            except BlockingIOError:
                remove(path, ignore_errors=ignore_errors)

    os.close(workspace._lock)
    monkeypatch.setattr(shutil, "rmtree", removing)
    sweep(os.fsencode(tmp_path))
    assert free == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_still_written_to_at_the_end_is_left_to_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ffmpeg that is dying may create one more file."""
    workspace = Workspace(os.fsencode(tmp_path))
    held = Path(os.fsdecode(workspace.outputs))
    (held / "a").touch()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
        workspace.close()
    assert (held / "a").exists()
    sweep(os.fsencode(tmp_path))
    assert list(tmp_path.iterdir()) == []
