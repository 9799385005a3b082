"""Commands that change the fate of jobs: ``retry``, ``cancel``, ``bump``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from mediactl.commands.shared.options import PRIORITIES, journal_options, json_option, state_folder
from mediactl.commands.shared.sections import CHANGE, Command
from mediactl.commands.shared.types import Job

if TYPE_CHECKING:
    from mediactl.jobs.report import JobRow

NAMED = 20
"""Changed jobs that are printed by name."""


@click.command(cls=Command, section=CHANGE, examples=("retry trip/IMG_1.jpg", "retry 3f9a12c0", "retry --all"))
@click.argument("job", type=Job("rejected", "quarantined", "cancelled"), required=False)
@click.option("--all", "everything", is_flag=True, help="Retry all rejected and quarantined jobs.")
@journal_options
@json_option("Print one JSON object per job.")
def retry(job: bytes | None, everything: bool, out: bytes, state: str | None, as_json: bool) -> None:
    """Retry a rejected, quarantined or cancelled JOB (key or path)."""
    from mediactl.admin import edit

    _one_or_all(job, everything)
    changed = edit.retry(state_folder(out, state), job, os.path.abspath(out))
    _print(changed, "ready; the next run retries them", "nothing to retry", as_json=as_json)


@click.command(cls=Command, section=CHANGE, examples=("cancel trip/beach.mov", "cancel 3f9a12c0", "cancel --all"))
@click.argument("job", type=Job("ready"), required=False)
@click.option("--all", "everything", is_flag=True, help="Cancel all pending jobs.")
@journal_options
@json_option("Print one JSON object per job.")
def cancel(job: bytes | None, everything: bool, out: bytes, state: str | None, as_json: bool) -> None:
    """Cancel a pending JOB (key or path); running jobs finish."""
    from mediactl.admin import edit

    _one_or_all(job, everything)
    changed = edit.cancel(state_folder(out, state), job, os.path.abspath(out))
    _print(changed, "cancelled; retry makes them pending again", "nothing to cancel", as_json=as_json)


@click.command(
    cls=Command,
    section=CHANGE,
    examples=("bump trip/beach.mov", "bump 3f9a12c0 --priority high", "bump trip/beach.mov --priority backfill"),
)
@click.argument("job", type=Job("ready"))
@click.option("--priority", type=click.Choice(PRIORITIES), default="urgent", show_default=True, help="New priority.")
@journal_options
@json_option("Print one JSON object per job.")
def bump(job: bytes, priority: str, out: bytes, state: str | None, as_json: bool) -> None:
    """Change the priority of a pending JOB (key or path)."""
    from mediactl.admin import edit
    from mediactl.model.jobs import Priority

    changed = edit.bump(state_folder(out, state), job, Priority[priority.upper()], os.path.abspath(out))
    _print(changed, f"now {priority}", "nothing to bump: the job is not pending", as_json=as_json)


def _one_or_all(job: bytes | None, everything: bool) -> None:
    if (job is None) != everything:
        raise click.UsageError("name one JOB, or use --all")


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
