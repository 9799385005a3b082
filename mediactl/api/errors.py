"""Which error a caller is raised for the way in which a source ended."""

from __future__ import annotations

from mediactl.core import errors
from mediactl.core.errors import MediactlError
from mediactl.model.verdict import Verdict

_BY_VERDICT: dict[Verdict, type[MediactlError]] = {
    Verdict.REJECTED: errors.RejectedInput,
    Verdict.CHANGED: errors.SourceChanged,
    Verdict.UNREADABLE: errors.MachineTrouble,
    Verdict.UNWRITABLE: errors.OutputForbidden,
    Verdict.BLOCKED: errors.MachineBlocked,
    Verdict.FORBIDDEN: errors.OutputForbidden,
    Verdict.INTERRUPTED: errors.Interrupted,
    Verdict.AWAY: errors.LaneClosed,
    Verdict.REFUSED: errors.UsageError,
    Verdict.INTERNAL: errors.InternalError,
}
"""All others: JobFailed."""


def of_verdict(verdict: Verdict) -> str:
    """Return the name of the error for an attempt that ended so."""
    return _BY_VERDICT.get(verdict, errors.JobFailed).__name__


def name_of(error: MediactlError) -> str:
    """Return the name of the class in ``core.errors`` that an error is of; those of a bucket go by what they mean."""
    if error.verdict is Verdict.REFUSED:
        return errors.UsageError.__name__
    if error.exit_code == errors.ExitCode.STOPPED_EARLY and error.verdict is Verdict.FAILED:
        return errors.MachineTrouble.__name__
    return next(str(each.__name__) for each in type(error).__mro__ if vars(errors).get(each.__name__) is each)


def named(name: str, reason: str) -> MediactlError:
    """Return an error by the name of its class."""
    found = vars(errors).get(name)
    return found(reason) if isinstance(found, type) and issubclass(found, MediactlError) else MediactlError(reason)
