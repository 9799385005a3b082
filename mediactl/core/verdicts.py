"""How an attempt ends that raises an exception, why, and what the log of its run has about it: the command and the last
lines of a program that failed, which are too long for the one line that the journal has."""

from __future__ import annotations

import errno
import os
import traceback

from mediactl.core import machine
from mediactl.core.errors import MediactlError
from mediactl.core.files import shown
from mediactl.model.verdict import Verdict

BLOCKING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Write errors that every other job would get, too, until the machine is in order again."""
INTERNAL = (
    TypeError, AttributeError, NameError, ImportError, AssertionError, LookupError, NotImplementedError, SyntaxError
)  # fmt: skip
"""What Python raises for mistakes in code, and never for what is in a file: ``media`` catches what libraries say of
those. (Other kinds, as ValueError, may be about the file; they count as failures.)"""
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
LONGEST_NOTE = 4_000
"""Characters that are kept of a note, from its end."""
_MARGIN = "  | "


def judge(error: Exception, *, log: bool = True) -> tuple[Verdict, str]:
    """Return how the attempt ends that raised this, and the one line that says why; ``log``: print where an error comes
    from that mediactl did not raise on purpose."""
    if isinstance(error, MediactlError):
        return error.verdict, str(error)
    if isinstance(error, OSError) and error.errno in BLOCKING:
        return Verdict.BLOCKED, f"cannot write outputs: {error.strerror}; free some space, then run again"
    if isinstance(error, PermissionError):
        where = "" if error.filename is None else f"{shown(error.filename)}: "
        return Verdict.FORBIDDEN, f"cannot write outputs: {where}{error.strerror}; fix owner or permissions"
    if trouble := machine.trouble(error):
        return Verdict.UNREADABLE, f"the machine failed: {trouble}"
    if log:
        traceback.print_exception(error)  # into the run's log
    if isinstance(error, MemoryError):
        return Verdict.FAILED, "out of memory"
    stack = traceback.extract_tb(error.__traceback__)
    # Our own line says more than that of the library which it calls.
    frames = [each for each in stack if each.filename.startswith(_PACKAGE)] or list(stack)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{where}"
    return Verdict.INTERNAL if isinstance(error, INTERNAL) else Verdict.FAILED, text


def notes_of(error: BaseException) -> tuple[str, ...]:
    """Return the notes of an exception and of those that caused it, of long ones the last part."""
    notes: dict[str, None] = {}
    causes: list[BaseException] = []
    while error not in causes:  # one may be raised from itself
        causes.append(error)
        notes.update(dict.fromkeys(getattr(error, "__notes__", ())))
        error = error.__cause__ or error
    return tuple(note if len(note) <= LONGEST_NOTE else f"[...] {note[-LONGEST_NOTE:]}" for note in notes)


def noted(job: int, attempt: int, notes: tuple[str, ...]) -> str:
    """Return the notes of an attempt as they are printed."""
    lines = [shown(line) for note in notes for line in note.splitlines()]
    return "".join([f"{_heading(job, attempt)}\n", *(f"{_MARGIN}{line}\n" for line in lines)])


def noted_in(log: str, job: int, attempt: int) -> str:
    """Return the notes of an attempt in a log; "" where there are none."""
    _, heading, rest = log.rpartition(f"{_heading(job, attempt)}\n")
    lines: list[str] = []
    for line in rest.splitlines() if heading else ():
        if not line.startswith(_MARGIN):
            break
        lines.append(line.removeprefix(_MARGIN))
    return "\n".join(lines)


def _heading(job: int, attempt: int) -> str:
    return f"job {job}, attempt {attempt}:"
