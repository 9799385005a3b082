"""Errors answer two questions: whose fault is it, and is it worth a retry?

A message is one line for the person who reads it at night: it names the thing, what is wrong and what to do.
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Whose fault an error is; it decides what becomes of the job and of the run."""

    INPUT = "input"
    """The source is bad: the job is rejected, for good."""
    ENVIRONMENT = "environment"
    """The machine is (disk full, no permission, ffmpeg missing)."""
    OURS = "ours"
    """A mistake in mediactl or in a library it drives."""
    USAGE = "usage"
    """The command line, recipe or manifest is wrong."""


class ExitCode:
    """The process exit codes, a contract with cron and CI."""

    COMPLETE = 0
    BAD_SOURCES = 1
    USAGE = 2
    OURS = 70  # EX_SOFTWARE of sysexits.h
    STOPPED_EARLY = 75  # EX_TEMPFAIL of sysexits.h: worth running again


class MediactlError(Exception):
    """Base of every error that mediactl raises on purpose; ``str(error)`` is the one line to show."""

    fault: Fault = Fault.OURS
    retry: bool = False
    exit_code: int = ExitCode.OURS


class RejectedInput(MediactlError):
    """The source cannot be processed, now or later: broken, too large, or of a kind that is refused."""

    fault = Fault.INPUT


class JobFailed(MediactlError):
    """A job did not work out though its input may be fine; worth another attempt."""

    fault = Fault.OURS
    retry = True


class SourceChanged(MediactlError):
    """The source's bytes changed while they were read; the source has to be planned anew."""

    fault = Fault.ENVIRONMENT
    retry = True


class SourceUnreadable(MediactlError):
    """The machine failed to read a source (disk, network file system, open files): it may be fine, and others are."""

    fault = Fault.ENVIRONMENT
    retry = True


class MachineBlocked(MediactlError):
    """The machine cannot go on (disk full, output not writable): stop cleanly, run again later."""

    fault = Fault.ENVIRONMENT
    retry = True
    exit_code = ExitCode.STOPPED_EARLY


class Interrupted(MediactlError):
    """The job was asked to stop; it costs nothing and goes on in the next run."""

    fault = Fault.ENVIRONMENT
    retry = True
    exit_code = ExitCode.STOPPED_EARLY


class LaneClosed(MediactlError):
    """No job of this lane will fare better for now; other lanes go on. The exit code says whose fault it is."""

    fault = Fault.ENVIRONMENT
    exit_code = ExitCode.STOPPED_EARLY


class UsageError(MediactlError):
    """The command line, environment, recipe or manifest is wrong."""

    fault = Fault.USAGE
    exit_code = ExitCode.USAGE
