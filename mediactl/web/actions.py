"""What the pages change, where `--actions` permits it: what retry, cancel and bump do on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from mediactl.admin import edit
from mediactl.core.errors import UsageError
from mediactl.jobs.listing.pages import Filter, pattern
from mediactl.jobs.states import State
from mediactl.model.jobs import Priority
from mediactl.web.outputs import Output

LARGEST = 1 << 16
"""Bytes of a form."""
ONE = ("retry", "cancel", "bump")
"""What can be done with one job."""


def form(body: bytes) -> dict[str, str]:
    """Return the fields of a form. Raises UsageError."""
    if len(body) > LARGEST:
        raise UsageError("the form is too large")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def on_job(output: Output, key: str, action: str) -> int:
    """Retry, cancel or bump the job of a key; return how many jobs that changed. Raises MediactlError."""
    what = key.encode()
    match action:
        case "retry":
            return len(edit.retry(output.state, what, output.out))
        case "cancel":
            return len(edit.cancel(output.state, what, output.out))
        case "bump":
            return len(edit.bump(output.state, what, Priority.URGENT, output.out))
    raise UsageError(f"{action[:40]}: expected one of {', '.join(ONE)}")


def retry_group(output: Output, fields: Mapping[str, str]) -> int:
    """Retry the jobs of a kind that were stopped for one reason, whatever numbers are in it; return how many.

    Raises MediactlError.
    """
    kind, reason = fields.get("kind", ""), fields.get("reason", "")
    try:
        state = State(fields.get("state", ""))
    except ValueError:
        raise UsageError("state: expected rejected or quarantined") from None
    with output.reading() as rows:
        found = rows.listing.reasons(Filter(state=state, kind=kind, reason=reason))
    # The GLOB may match reasons of another group as well.
    jobs = [job for job, text in found if pattern(text) == reason]
    with edit.opened(output.state) as journal, journal.transaction():
        return sum(journal.retry(job) for job in jobs)
