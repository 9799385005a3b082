"""How an attempt at a job ended. Imports nothing: errors carry it, and every command imports errors."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """How one attempt at a job ended."""

    DONE = "done"
    REJECTED = "rejected"
    """The input is bad; final."""
    FAILED = "failed"
    """Failed though the input may be fine; retried, and after some failures quarantined."""
    INTERNAL = "internal"
    """An internal error, of mediactl or of a library that is not the one it was written for: says nothing about the
    input. Retried like a failure, then left to the next run; this one ends with exit code 70."""
    CRASHED = "crashed"
    """The worker died under it."""
    TIMED_OUT = "timed_out"
    """Over its hard time limit; its worker was killed. Counts as a failure."""
    CHANGED = "changed"
    """The source changed while it was read; it is planned again."""
    UNREADABLE = "unreadable"
    """The machine failed: it could not read the source, or was short of threads, memory or open files. Says nothing
    about the input. Retried, and after some failures left to the next run."""
    INTERRUPTED = "interrupted"
    """Stopped from outside (signal, owner died); costs nothing."""
    BLOCKED = "blocked"
    """The machine cannot go on (disk full); costs nothing, ends the run."""
    FORBIDDEN = "forbidden"
    """Permissions forbid writing outputs; costs nothing, ends the run, and the next one does not fare better."""
    UNWRITABLE = "unwritable"
    """Permissions forbid writing the outputs of this source, and not those of others; it is left to the next run."""
    REFUSED = "refused"
    """Misconfigured (no such bucket, access denied); costs nothing, ends this lane's work in this run."""
    AWAY = "away"
    """The other side cannot be reached, or credentials ran out; costs nothing, ends this lane's work in this run."""
