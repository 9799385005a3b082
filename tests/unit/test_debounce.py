"""Files that may still be written to, by a clock and a disk of the test's own."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.sources.debounce import Debouncer

STILL = 1.0


class Disk:
    """Files with a size and a time; and what was asked of them."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, int]] = {}
        self.looks: list[str] = []
        self.mode = stat.S_IFREG
        self.settling = Debouncer(STILL, self.look, self.give_up)

    def give_up(self, key: str, error: Exception) -> None:
        """Never asked for."""
        raise error

    def look(self, name: str) -> os.stat_result | None:
        """Its stat."""
        self.looks.append(name)
        if name not in self.files:
            return None
        size, mtime_ns = self.files[name]
        numbers = (self.mode, 1, 1, 1, 0, 0, size, 0, mtime_ns // 10**9, 0)
        return os.stat_result(numbers, {"st_mtime_ns": mtime_ns})

    def write(self, name: str, size: int, mtime_ns: int, now: float, *, told: bool = True) -> None:
        """A file changes; ``told``: and that is noticed."""
        self.files[name] = size, mtime_ns
        if told:
            self.settling.hold(name, (size, mtime_ns), now)

    def take(self, now: float, most: int = 100) -> list[str]:
        """Names of those that are still."""
        return [name for name, _ in self.settling.take(now, most)]


@pytest.fixture
def disk() -> Disk:
    """An empty one."""
    return Disk()


def test_a_file_is_taken_once_it_was_still_for_long_enough(disk: Disk) -> None:
    disk.write("a", 1, 1, 10.0)
    assert (disk.settling.due(10.9), disk.take(10.9), disk.looks) == (False, [], [])
    assert disk.settling.due(11.0)
    assert disk.take(11.0) == ["a"]
    assert (len(disk.settling), disk.take(99.0), disk.looks) == (0, [], ["a"])


@pytest.mark.parametrize(("size", "mtime_ns"), [(2, 1), (1, 2)])
def test_its_wait_begins_anew_with_every_change_told_or_not(disk: Disk, size: int, mtime_ns: int) -> None:
    disk.write("told", 1, 1, 10.0)
    disk.write("untold", 1, 1, 10.0)
    disk.write("told", size, mtime_ns, 10.5)
    disk.write("untold", size, mtime_ns, 10.5, told=False)
    assert disk.take(11.0) == []
    assert disk.take(11.5) == ["told"]
    assert disk.take(11.9) == []
    assert disk.take(12.0) == ["untold"]


def test_being_seen_again_as_it_was_does_not_make_it_wait_longer(disk: Disk) -> None:
    disk.write("a", 1, 1, 10.0)
    disk.write("a", 1, 1, 10.9)
    assert disk.take(11.0) == ["a"]


def test_what_is_gone_or_no_file_any_more_is_forgotten(disk: Disk) -> None:
    disk.write("a", 1, 1, 10.0)
    del disk.files["a"]
    disk.write("b", 1, 1, 10.0)
    disk.mode = stat.S_IFDIR
    assert (disk.take(11.0), len(disk.settling)) == ([], 0)


def test_no_more_than_asked_for_are_looked_at_and_the_first_come_first(disk: Disk) -> None:
    for number in range(10):
        disk.write(str(number), 1, 1, 10.0 + number / 100)
    assert disk.take(11.05, most=3) == ["0", "1", "2"]
    assert disk.take(11.05, most=100) == ["3", "4", "5"]
    assert disk.looks == ["0", "1", "2", "3", "4", "5"]


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.sampled_from("abc"), st.booleans()), max_size=30))
def test_none_is_taken_that_changed_a_moment_ago_and_none_is_kept_for_ever(
    changes: list[tuple[float, str, bool]],
) -> None:
    disk, now = Disk(), 0.0
    changed: dict[str, float] = {}
    for number, (pause, name, told) in enumerate(changes, 1):
        now += pause
        for taken in disk.take(now):
            assert now - changed.pop(taken) >= STILL - 1e-9
        if told or name in changed:
            disk.write(name, number, number, now, told=told)
            changed[name] = now
    for _ in range(3):
        now += STILL
        for taken in disk.take(now):
            del changed[taken]
    assert (changed, len(disk.settling)) == ({}, 0)
