"""Commands that change the fate of jobs: ``retry``, ``cancel``, ``bump``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.shared.filters import filter_options, selected
from mediactl.commands.shared.options import PRIORITIES, journal_options, json_option, state_folder
from mediactl.commands.shared.sections import CHANGE, Command
from mediactl.commands.shared.types import Job

if TYPE_CHECKING:
    from mediactl.jobs.report import Filter, JobRow

NAMED = 20
"""Changed jobs that are printed by name."""

yes_option = click.option("-y", "--yes", is_flag=True, help="Change the jobs that options select, not only list them.")


@click.command(
    cls=Command,
    section=CHANGE,
    examples=(
        "retry trip/IMG_1.jpg",
        "retry 3f9a12c0",
        "retry --all",
        "retry --reason '*timed out*' --since 24h --yes",
    ),
)
@click.argument("job", type=Job("rejected", "quarantined", "cancelled"), required=False)
@click.option("--all", "everything", is_flag=True, help="Retry all rejected and quarantined jobs.")
@filter_options
@yes_option
@journal_options
@json_option("Print one JSON object per job.")
def retry(
    job: bytes | None, everything: bool, yes: bool, out: bytes, state: str | None, as_json: bool, **flags: Any
) -> None:
    """Retry a rejected, quarantined or cancelled JOB (key or path).

    With --yes, retries the rejected and quarantined jobs that options select; without, counts them.
    """
    from mediactl.admin import edit

    state, wanted = selected(state, flags, *edit.STOPPED)
    _one_way(job, everything, wanted)
    folder = state_folder(out, state)
    _change(
        lambda: edit.retry(folder, job, os.path.abspath(out), wanted),
        folder, wanted, "ready; the next run retries them", "nothing to retry", yes=yes, as_json=as_json,
    )  # fmt: skip


@click.command(
    cls=Command,
    section=CHANGE,
    examples=("cancel trip/beach.mov", "cancel 3f9a12c0", "cancel --all", "cancel --kind video --path 'trip/*' --yes"),
)
@click.argument("job", type=Job("ready"), required=False)
@click.option("--all", "everything", is_flag=True, help="Cancel all pending jobs.")
@filter_options
@yes_option
@journal_options
@json_option("Print one JSON object per job.")
def cancel(
    job: bytes | None, everything: bool, yes: bool, out: bytes, state: str | None, as_json: bool, **flags: Any
) -> None:
    """Cancel a pending JOB (key or path); running jobs finish.

    With --yes, cancels the pending jobs that options select; without, counts them.
    """
    from mediactl.admin import edit

    state, wanted = selected(state, flags, edit.READY)
    _one_way(job, everything, wanted)
    folder = state_folder(out, state)
    _change(
        lambda: edit.cancel(folder, job, os.path.abspath(out), wanted),
        folder, wanted, "cancelled; retry makes them pending again", "nothing to cancel", yes=yes, as_json=as_json,
    )  # fmt: skip


@click.command(
    cls=Command,
    section=CHANGE,
    examples=(
        "bump trip/beach.mov",
        "bump 3f9a12c0 --priority high",
        "bump --path 'trip/*' --yes",
        "bump trip/beach.mov --priority backfill",
    ),
)
@click.argument("job", type=Job("ready"), required=False)
@click.option("--priority", type=click.Choice(PRIORITIES), default="urgent", show_default=True, help="New priority.")
@filter_options
@yes_option
@journal_options
@json_option("Print one JSON object per job.")
def bump(
    job: bytes | None, priority: str, yes: bool, out: bytes, state: str | None, as_json: bool, **flags: Any
) -> None:
    """Change the priority of a pending JOB (key or path).

    With --yes, changes the pending jobs that options select; without, counts them.
    """
    from mediactl.admin import edit
    from mediactl.model.jobs import Priority

    state, wanted = selected(state, flags, edit.READY)
    if (job is None) == (wanted is None):
        raise click.UsageError("name one JOB, or select some by --reason, --kind, --path, --since")
    folder, new = state_folder(out, state), Priority[priority.upper()]
    _change(
        lambda: edit.bump(folder, job, new, os.path.abspath(out), wanted),
        folder, wanted, f"now {priority}", "nothing to bump: the job is not pending" if job else "nothing to bump",
        yes=yes, as_json=as_json,
    )  # fmt: skip


def _one_way(job: bytes | None, everything: bool, wanted: Filter | None) -> None:
    if (job is not None) + everything + (wanted is not None) != 1:
        raise click.UsageError("name one JOB, use --all, or select some by --only, --reason, --kind, --path, --since")


def _change(
    change: Callable[[], list[JobRow]],
    folder: str,
    wanted: Filter | None,
    done: str,
    nothing: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a change and print it; of jobs that options select, only with ``yes``: without, they are listed."""
    from mediactl.admin import edit

    listed = wanted is not None and not yes
    jobs = edit.matching(folder, wanted) if wanted is not None and not yes else change()
    _print(jobs, "match; --yes changes them" if listed else done, nothing, as_json=as_json)
    if as_json and wanted is not None:
        click.echo(json.dumps({"what": "summary", "jobs": len(jobs), "changed": 0 if listed else len(jobs)}))


def _print(changed: list[JobRow], done: str, nothing: str, *, as_json: bool) -> None:
    """Print which jobs were changed, and how many."""
    from mediactl.admin.status import job_json, named
    from mediactl.core.files import shown
    from mediactl.ui.lines import count

    if as_json:
        for job in changed:
            fields = job_json(job)
            click.echo(json.dumps({name: fields[name] for name in ("key", "kind", "path", "place")}))
        return
    for job in changed[:NAMED]:
        click.echo(f"{named(job)}: {shown(job.path or b'-')}")
    if len(changed) > NAMED:
        click.echo(f"and {len(changed) - NAMED:,} more")
    click.echo(f"{count(len(changed), 'job')} {done}" if changed else nothing)
