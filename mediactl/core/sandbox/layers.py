"""The layers of a sandbox, which of them this machine has, and how a process puts them around itself."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from mediactl.core import system
from mediactl.core.processes import gain_no_privileges
from mediactl.core.sandbox import landlock, policy, seccomp
from mediactl.core.sandbox.policy import Access

GIB = 1 << 30
LIMITS: Mapping[int, int] = MappingProxyType({
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 256 * GIB,  # a day of video at 24 Mbit/s
    resource.RLIMIT_NOFILE: 4096,
})  # fmt: skip
"""Resource limits of every sandboxed process; CPU time is bounded by the time limit of its job."""
LEAST_MEMORY, MOST_MEMORY = 8 * GIB, 48 * GIB
"""Bytes of address space, between which the machine's memory decides: threads and mapped files take more of it than
they use; what they use is bounded by the job's limit."""


class Layer(msgspec.Struct, frozen=True):
    """One layer."""

    name: str
    missing: Callable[[], str]
    """Returns why this machine does not have it; "" if it has."""


def _landlock_missing() -> str:
    version = landlock.version()
    if not version:
        return "this kernel has none (Linux 5.13, and `landlock` in its list of security modules)"
    if version < landlock.NETWORK:
        return f"version {version} of this kernel restricts files, but not TCP (Linux 6.7) and signals (Linux 6.12)"
    return f"version {version} of this kernel does not restrict signals (Linux 6.12)" * (version < landlock.SCOPES)


def _seccomp_missing() -> str:
    return "" if seccomp.available() else "not supported by this kernel or architecture"


LAYERS = (Layer("Landlock", _landlock_missing), Layer("seccomp", _seccomp_missing))
"""Those that a machine may lack; limits of resources and no_new_privs are everywhere."""


def missing() -> dict[str, str]:
    """Return the layers that are missing, or are incomplete, here: name -> why."""
    return {layer.name: why for layer in LAYERS if (why := layer.missing())}


def confine(access: Access) -> None:
    """Put every layer that this machine has around the calling process, for ever. It must have one thread.

    Raises OSError where a layer that is there cannot be put up.
    """
    memory = {resource.RLIMIT_AS: _address_space()} if system.LINUX else {}  # macOS does not enforce it
    for limit, most in {**LIMITS, **memory}.items():
        _, hard = resource.getrlimit(limit)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (least, least))
    gain_no_privileges()
    if landlock.version():
        landlock.restrict(policy.rules(access))
    if seccomp.available():
        seccomp.restrict()


def _address_space() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(LEAST_MEMORY, min(MOST_MEMORY, physical))
