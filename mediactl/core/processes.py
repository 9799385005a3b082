"""Child processes that never outlive their parent."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

from mediactl.core import system

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38  # linux/prctl.h


def die_with(parent: int) -> Callable[[], bool]:
    """Return a function that has the kernel kill the calling process when ``parent``, its parent, dies (Linux only).

    It returns whether the parent still lives, and may be called between fork and exec: all that it needs is loaded by
    now, since after a fork another thread may hold the loader's lock.
    """
    prctl = system.prctl()

    def tie() -> bool:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        return os.getppid() == parent  # it may have died before the call above

    return tie


def dies_with_this_process() -> Callable[[], None]:
    """Return a ``preexec_fn`` of a child that dies with this process: from before exec on, since whatever stops it
    while it starts would keep it from asking for that itself."""
    tie = die_with(os.getpid())

    def in_child() -> None:
        if not tie():
            os._exit(1)

    return in_child


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent dies, so that none is overlooked (Linux only)."""
    system.prctl()(_PR_SET_CHILD_SUBREAPER, 1)


def gain_no_privileges() -> bool:
    """Have no program that this process or its children start gain privileges (setuid); return whether that worked."""
    return system.prctl()(_PR_SET_NO_NEW_PRIVS, 1)


def dump_no_core() -> None:
    """Have neither this process nor its children dump core: that would hold sources and credentials."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
