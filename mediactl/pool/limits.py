"""Resources available to this process: cores by affinity and cgroup quota, memory by cgroup limit."""

from __future__ import annotations

import math
import os


def available_cores(cgroup_root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int:
    """Return the number of cores that this process may keep busy, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota(cgroup_root, membership)
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def cgroup_quota(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> float | None:
    """Return the smallest CPU quota in cores of this process's cgroup and its ancestors; None: unlimited."""
    quotas = [quota for folder in _folders(root, membership) if (quota := _v2(folder)) is not None]
    if not quotas:
        quotas = [quota for quota in (_v1(os.path.join(root, "cpu")),) if quota is not None]
    return min(quotas, default=None)


def available_memory(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int:
    """Return the bytes of memory available to this process and its children: the machine's or their cgroup's limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in _folders(root, membership):
        limits.extend(int(text) for text in [_read(os.path.join(folder, "memory.max")).strip()] if text.isdigit())
    text = _read(os.path.join(root, "memory", "memory.limit_in_bytes")).strip()  # cgroup v1
    return min(limits + ([int(text)] if text.isdigit() else []))


def _folders(root: str, membership: str) -> list[str]:
    path = _read(membership).rpartition("0::")[2].strip() or "/"
    folders = []
    while True:
        folders.append(os.path.join(root, path.lstrip("/")))
        if path in ("/", ""):
            return folders
        path = os.path.dirname(path)


def _v2(folder: str) -> float | None:
    quota, _, period = _read(os.path.join(folder, "cpu.max")).partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else None


def _v1(folder: str) -> float | None:
    quota, period = (_read(os.path.join(folder, name)).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
