"""Commands that inspect jobs: ``status``, ``jobs``, ``show``, ``why``, ``lanes``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json

import click

from mediactl.commands.shared.options import journal_options, state_folder
from mediactl.commands.shared.sections import LOOK, Command
from mediactl.commands.shared.types import Path

JOB_STATES = ("ready", "running", "done", "rejected", "quarantined", "cancelled")


@click.command(cls=Command, section=LOOK)
@journal_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(out: bytes, state: str | None, as_json: bool) -> None:
    """Count sources and jobs by state; show queue and active runs."""
    import time

    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        if as_json:
            click.echo(json.dumps(inspect.status_json(rows, time.time())))
        else:
            for line in inspect.status(rows, time.time()):
                click.echo(line)


@click.command(cls=Command, section=LOOK)
@journal_options
@click.option("--only", "wanted", type=click.Choice(JOB_STATES), default=None, help="List only jobs in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=None, metavar="N", help="List at most N jobs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def jobs(out: bytes, state: str | None, wanted: str | None, limit: int | None, as_json: bool) -> None:
    """List jobs."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for job in rows.listed(wanted, limit or -1):
            if as_json:
                click.echo(json.dumps(inspect.job_json(job)))
            else:
                click.echo(inspect.job_line(job))


@click.command(cls=Command, section=LOOK)
@click.argument("job", type=Path())
@journal_options
def show(job: bytes, out: bytes, state: str | None) -> None:
    """Show details and attempts of a JOB.

    JOB is a key, the beginning of a key, or the path of a source.
    """
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in inspect.show(rows, job):
            click.echo(line)


@click.command(cls=Command, section=LOOK)
@click.argument("job", type=Path())
@journal_options
def why(job: bytes, out: bytes, state: str | None) -> None:
    """Explain why a JOB (key or path) has not run, or how it ended."""
    import time

    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in inspect.why(rows, job, time.time()):
            click.echo(line)


@click.command(cls=Command, section=LOOK)
@journal_options
def lanes(out: bytes, state: str | None) -> None:
    """Show which classes of jobs are quick or heavy, as measured."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in inspect.lanes(rows):
            click.echo(line)
