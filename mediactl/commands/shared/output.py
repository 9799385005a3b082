"""Standard streams that are closed, or that nobody reads."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOST = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO})
"""What writing to standard output raises when its reader has gone, its disk is full, or its terminal was closed."""


class OutputLost(OSError):
    """A broken pipe by another number: click turns EPIPE into exit code 1 before anybody hears of it."""


def open_standard_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next files that are opened, such as the journal, would have their numbers, and whatever a library
    prints would be written there.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


@contextmanager
def broken_pipes_kept() -> Iterator[None]:
    """Keep the broken pipe of the block from click. Raises OutputLost."""
    try:
        yield
    except BrokenPipeError as error:
        raise OutputLost(0, error.strerror) from None


def output_is_lost(error: OSError) -> bool:
    """Return whether an error that names no file is one of standard output."""
    return isinstance(error, OutputLost) or (error.filename is None and error.errno in LOST)


def leave_no_output_behind() -> None:
    """Have what cannot be written not be tried again when Python ends, which would print a traceback."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
