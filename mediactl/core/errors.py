"""Errors say what becomes of a job that raises them, and of the run.

A message is one line for the person who reads it at night: it names the thing, the problem and what to do.
"""

from __future__ import annotations

from typing import ClassVar

from mediactl.model.verdict import Verdict


class ExitCode:
    """The process exit codes, a contract with cron and CI."""

    COMPLETE = 0
    BAD_SOURCES = 1
    USAGE = 2
    OURS = 70  # EX_SOFTWARE of sysexits.h
    STOPPED_EARLY = 75  # EX_TEMPFAIL of sysexits.h: worth running again


class MediactlError(Exception):
    """Base of every error that mediactl raises on purpose; ``str(error)`` is the one line to show."""

    verdict: ClassVar[Verdict] = Verdict.FAILED
    """How the attempt ends that raises it."""
    exit_code: int = ExitCode.OURS
    """How the command ends that raises it."""


class RejectedInput(MediactlError):
    """The source cannot be processed, now or later: damaged, too large, or of a kind that is rejected."""

    verdict = Verdict.REJECTED


class JobFailed(MediactlError):
    """A job failed though its input may be fine; worth another attempt."""


class UnexpectedError(MediactlError):
    """A library or the machine raised what nobody expected, in another process; worth another attempt."""


class InternalError(MediactlError):
    """The same of an exception that indicates a bug."""

    verdict = Verdict.INTERNAL


class SourceChanged(MediactlError):
    """The source's bytes changed while they were read; the source has to be planned again."""

    verdict = Verdict.CHANGED


class MachineTrouble(MediactlError):
    """The machine failed under a job (disk, network file system, threads, memory, open files): its source may be fine.

    Retried after a while, then left to the next run.
    """

    verdict = Verdict.UNREADABLE
    exit_code = ExitCode.STOPPED_EARLY


class SourceUnreadable(MachineTrouble):
    """The machine failed to read a source: it may be fine, and others are."""


class OutputForbidden(MachineTrouble):
    """Permissions forbid writing the outputs of one source; those of others can be written."""

    verdict = Verdict.UNWRITABLE


class NoRoom(MachineTrouble):
    """The disk is too full for the outputs of one source; those of others may fit."""


class MachineBlocked(MediactlError):
    """The machine cannot go on (disk full, output not writable): stop cleanly, run again later."""

    verdict = Verdict.BLOCKED
    exit_code = ExitCode.STOPPED_EARLY


class Interrupted(MediactlError):
    """The job was asked to stop; it costs nothing and is resumed by the next run."""

    verdict = Verdict.INTERRUPTED
    exit_code = ExitCode.STOPPED_EARLY


class LaneClosed(MediactlError):
    """No job of this lane will fare better for now; other lanes go on.

    Where the configuration has to be changed first, a subclass says REFUSED, with exit code 2.
    """

    verdict = Verdict.AWAY
    exit_code = ExitCode.STOPPED_EARLY


class UsageError(MediactlError):
    """The command line, environment, recipe or manifest is invalid."""

    exit_code = ExitCode.USAGE
