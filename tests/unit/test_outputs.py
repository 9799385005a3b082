"""Outputs of done sources: whatever was removed, written to or put beside them is found."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from support.pools import has_died

from mediactl.assets.check import BATCH, OutputCheck, Question, stale
from mediactl.core.errors import MachineBlocked


def asset(out: Path, number: int) -> Question:
    """A source's two outputs, and the question after them as the journal would ask it."""
    folder = out / f"{number}.jpg"
    folder.mkdir()
    files = []
    for name in ("w1.webp", "w2.webp"):
        (folder / name).write_bytes(name.encode())
        status = (folder / name).stat()
        files.append((name.encode(), status.st_size, status.st_mtime_ns))
    return number, os.fsencode(folder.name), folder.stat().st_mtime_ns, msgspec.msgpack.encode(files)


CHANGES: dict[str, Callable[[Path], object]] = {
    "removed": lambda folder: (folder / "w1.webp").unlink(),
    "written to": lambda folder: (folder / "w2.webp").write_bytes(b"another size"),
    "edited to equal size": lambda folder: os.utime(folder / "w2.webp", ns=(5, 5)),
    "given a neighbour": lambda folder: (folder / "new").touch(),
    "moved away": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "replaced by a file": lambda folder: folder.rename(folder.with_name("elsewhere")) and folder.write_bytes(b""),
}


@pytest.fixture
def check(tmp_path: Path) -> Iterator[OutputCheck]:
    """A check of the outputs in a folder."""
    check = OutputCheck(os.fsencode(tmp_path))
    yield check
    check.close()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_output_that_is_not_as_it_was_left_is_found(tmp_path: Path, change: Callable[[Path], object]) -> None:
    questions = [asset(tmp_path, number) for number in range(3)]
    assert stale(os.fsencode(tmp_path), [(b"", questions)]) == []
    os.utime(tmp_path / "1.jpg", ns=(7, questions[1][2]))
    assert stale(os.fsencode(tmp_path), [(b"", questions)]) == []
    change(tmp_path / "1.jpg")
    assert stale(os.fsencode(tmp_path), [(b"", questions)]) == [1]


def test_every_stale_source_is_told_once_however_many_there_are(tmp_path: Path, check: OutputCheck) -> None:
    there = asset(tmp_path, 0)
    missing = 5 * BATCH + 7
    found: list[int] = []
    for number in range(1, missing + 1):
        check.ask(b"", [(number, b"missing", 0, b"\x90")])
        check.ask(b"", [there])
        found += check.stale()
    found += check.finish()
    assert sorted(found) == list(range(1, missing + 1))
    assert check.finish() == []


def test_nothing_asked_is_nothing_stale(check: OutputCheck) -> None:
    assert check.stale() == check.finish() == []


def test_the_signals_that_a_terminal_sends_to_all_do_not_end_the_check(check: OutputCheck) -> None:
    for number in range(BATCH):
        check.ask(b"", [(number, b"missing", 0, b"\x90")])
    assert len(check.finish()) == BATCH
    for stop in (signal.SIGINT, signal.SIGTERM):
        os.kill(check._pid, stop)
    for number in range(BATCH):
        check.ask(b"", [(number, b"missing", 0, b"\x90")])
    assert len(check.finish()) == BATCH


def test_a_check_that_is_killed_stops_the_run_to_be_run_again(check: OutputCheck) -> None:
    os.kill(check._pid, signal.SIGKILL)
    assert has_died(check._pid)
    with pytest.raises(MachineBlocked, match="run again"):
        for number in range(3 * BATCH):
            check.ask(b"", [(number, b"missing", 0, b"\x90")])
        check.finish()


def test_the_check_ends_with_whoever_asks(tmp_path: Path) -> None:
    check = OutputCheck(os.fsencode(tmp_path))
    check.close()
    assert has_died(check._pid)
