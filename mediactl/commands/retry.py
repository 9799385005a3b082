"""Commands that change the fate of jobs: ``retry``, ``cancel``, ``bump``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import click

from mediactl.commands.shared.options import PRIORITIES, journal_options, state_folder
from mediactl.commands.shared.sections import CHANGE, Command
from mediactl.commands.shared.types import Path


@click.command(cls=Command, section=CHANGE)
@click.argument("job", type=Path(), required=False)
@click.option("--all", "everything", is_flag=True, help="Retry all rejected and quarantined jobs.")
@journal_options
def retry(job: bytes | None, everything: bool, out: bytes, state: str | None) -> None:
    """Retry a rejected, quarantined or cancelled JOB (key or path)."""
    from mediactl.admin import edit
    from mediactl.ui.lines import count

    _one_or_all(job, everything)
    keys = edit.retry(state_folder(out, state), job)
    click.echo(f"{count(len(keys), 'job')} ready" if keys else "nothing to retry")


@click.command(cls=Command, section=CHANGE)
@click.argument("job", type=Path(), required=False)
@click.option("--all", "everything", is_flag=True, help="Cancel all pending jobs.")
@journal_options
def cancel(job: bytes | None, everything: bool, out: bytes, state: str | None) -> None:
    """Cancel a pending JOB (key or path); running jobs finish."""
    from mediactl.admin import edit
    from mediactl.ui.lines import count

    _one_or_all(job, everything)
    keys = edit.cancel(state_folder(out, state), job)
    click.echo(f"{count(len(keys), 'job')} cancelled" if keys else "nothing to cancel")


@click.command(cls=Command, section=CHANGE)
@click.argument("job", type=Path())
@click.option("--priority", type=click.Choice(PRIORITIES), default="urgent", show_default=True, help="New priority.")
@journal_options
def bump(job: bytes, priority: str, out: bytes, state: str | None) -> None:
    """Change the priority of a pending JOB (key or path)."""
    from mediactl.admin import edit
    from mediactl.model.jobs import Priority
    from mediactl.ui.lines import count

    keys = edit.bump(state_folder(out, state), job, Priority[priority.upper()])
    click.echo(f"{count(len(keys), 'job')} now {priority}" if keys else "nothing to bump: the job is not pending")


def _one_or_all(job: bytes | None, everything: bool) -> None:
    if (job is None) != everything:
        raise click.UsageError("name one JOB, or use --all")
