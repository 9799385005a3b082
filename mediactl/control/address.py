"""Where the event socket of a run is: beside its lock, in the directory of its journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mediactl.core import system

LONGEST = 107
"""Bytes that the address of a Unix socket takes (sun_path in unix(7), without the final zero)."""
SUFFIX = ".sock"


def socket_file(state: str, run: str) -> str:
    """Return the path of a run's socket."""
    return os.path.join(_folder(state), run + SUFFIX)


@contextmanager
def addressed(path: str) -> Iterator[str]:
    """Yield the address of a socket: its path or, where that is too long, one through its open directory.

    Raises OSError where the directory cannot be opened.
    """
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    folder, name = os.path.split(path)
    fd = os.open(folder, system.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{system.path_of(fd)}/{name}"
    finally:
        os.close(fd)


def runs_with_sockets(state: str) -> list[str]:
    """Return the runs that have a socket, also dead ones, the last one first. Raises OSError but for a missing
    directory."""
    try:
        with os.scandir(_folder(state)) as entries:
            found = [(entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in entries if _is_socket(entry)]
    except FileNotFoundError:
        return []
    return [name.removesuffix(SUFFIX) for _, name in sorted(found, reverse=True)]


def sweep(state: str, is_alive: Callable[[str], bool]) -> None:
    """Remove the sockets of dead runs."""
    with suppress(OSError):  # a socket that is left does no harm: nobody listens on it
        for run in runs_with_sockets(state):
            if not is_alive(run):
                os.unlink(socket_file(state, run))


def _is_socket(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SUFFIX)


def _folder(state: str) -> str:
    return os.path.join(state, "runs")
