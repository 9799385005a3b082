"""Cores and memory that may really be used, from a kernel's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediactl.pool.limits import available_cores, available_memory, cgroup_quota

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
GIB = 1 << 30


def quota(root: Path, membership: str, **contents: str) -> float | None:
    """The quota that a tree of cgroup files gives; "a__b" stands for a/b, "_max" at the end for cpu.max."""
    (root / "self").write_text(membership)
    for name, content in contents.items():
        path = root / "fs" / name.replace("__", "/").replace("_max", "cpu.max").replace("_v1_", "cpu.cfs_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return cgroup_quota(str(root / "fs"), str(root / "self"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [("150000 100000\n", 1.5), ("max 100000\n", None), ("20000 100000\n", 0.2), ("", None), ("junk\n", None)],
)
def test_a_version_2_quota_is_read_in_cores(tmp_path: Path, content: str, expected: float | None) -> None:
    assert quota(tmp_path, "0::/job\n", job___max=content) == expected


def test_the_smallest_quota_of_all_groups_above_counts(tmp_path: Path) -> None:
    found = quota(
        tmp_path, "0::/a/b/c\n", a___max="400000 100000", a__b___max="100000 100000", a__b__c___max="max 100000"
    )
    assert found == 1.0


def test_a_quota_at_the_root_is_that_of_a_container(tmp_path: Path) -> None:
    assert quota(tmp_path, "0::/\n", _max="300000 100000") == 3.0
    assert quota(tmp_path, "0::/../../elsewhere\n") == 3.0


@pytest.mark.parametrize(("quota_us", "expected"), [("250000", 2.5), ("-1", None)])
def test_a_version_1_quota_is_read_in_cores(tmp_path: Path, quota_us: str, expected: float | None) -> None:
    membership = "12:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n"
    assert quota(tmp_path, membership, cpu___v1_quota_us=quota_us, cpu___v1_period_us="100000\n") == expected


def test_no_cgroups_are_no_limit(tmp_path: Path) -> None:
    assert cgroup_quota(str(tmp_path), str(tmp_path / "none")) is None


def test_at_least_one_core_and_never_more_than_affinity_allows(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    (tmp_path / "self").write_text("0::/\n")
    for content, expected in (("1000 100000", 1), ("150000 100000", min(2, allowed)), ("9900000 100000", allowed)):
        (tmp_path / "cpu.max").write_text(content)
        assert available_cores(str(tmp_path), str(tmp_path / "self")) == expected


def memory(root: Path, membership: str, **contents: str) -> int:
    """The memory that a tree of cgroup files gives; "a__b" stands for a/b/memory.max, "top" for that of the root."""
    (root / "self").write_text(membership)
    for name, content in contents.items():
        folder = root / "fs" / ("" if name == "top" else name.replace("__", "/"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(content)
    return available_memory(str(root / "fs"), str(root / "self"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [(f"{GIB}\n", GIB), ("max\n", MACHINE), ("", MACHINE), ("junk\n", MACHINE), (f"{MACHINE * 2}\n", MACHINE)],
)
def test_a_version_2_limit_of_memory_is_read_in_bytes(tmp_path: Path, content: str, expected: int) -> None:
    assert memory(tmp_path, "0::/job\n", job=content) == expected


def test_the_smallest_limit_of_memory_of_all_groups_above_counts(tmp_path: Path) -> None:
    found = memory(tmp_path, "0::/a/b/c\n", a=f"{3 * GIB}", a__b=f"{GIB}\n", a__b__c="max\n", other="4096\n")
    assert found == GIB


def test_a_limit_of_memory_at_the_root_is_that_of_a_container(tmp_path: Path) -> None:
    assert memory(tmp_path, "0::/\n", top=f"{GIB}\n") == GIB
    assert memory(tmp_path, "0::/../../elsewhere\n") == GIB


@pytest.mark.parametrize(("content", "expected"), [(f"{GIB}\n", GIB), ("9223372036854771712\n", MACHINE)])
def test_a_version_1_limit_of_memory_is_read_in_bytes(tmp_path: Path, content: str, expected: int) -> None:
    (tmp_path / "fs" / "memory").mkdir(parents=True)
    (tmp_path / "fs" / "memory" / "memory.limit_in_bytes").write_text(content)
    assert memory(tmp_path, "12:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n") == expected


def test_without_cgroups_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert available_memory(str(tmp_path), str(tmp_path / "none")) == MACHINE
