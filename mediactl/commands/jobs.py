"""Commands that inspect the journal: ``status``, ``jobs``, ``runs``, ``show``, ``why``, ``lanes``.

Imports are lazy, as in ``cli``.
"""

from __future__ import annotations

import json
import os
from typing import Any

import click

from mediactl.commands.shared.filters import filter_options, selected
from mediactl.commands.shared.options import journal_options, json_option, state_folder
from mediactl.commands.shared.sections import LOOK, Command
from mediactl.commands.shared.types import Job


@click.command(cls=Command, section=LOOK, examples=("status", "status -o /srv/derived", "status --json | jq .queue"))
@journal_options
@json_option()
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


@click.command(
    cls=Command,
    section=LOOK,
    examples=("jobs", "jobs --only rejected", "jobs --path 'trip/*' --since 24h", "jobs --limit 100 --json"),
)
@journal_options
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=None, metavar="N", help="List at most N jobs.")
@json_option("Print one JSON object per job.")
def jobs(out: bytes, state: str | None, limit: int | None, as_json: bool, **flags: Any) -> None:
    """List jobs; those that options select are counted."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report
    from mediactl.ui.lines import count

    state, wanted = selected(state, flags)
    number = 0
    with report.read(state_folder(out, state)) as rows:
        for job in rows.selected(wanted or report.Filter(), limit or -1):
            number += 1
            click.echo(json.dumps(inspect.job_json(job)) if as_json else inspect.job_line(job))
    if as_json:
        return
    if not number:
        click.echo("no jobs" if wanted is None else "no jobs match")
    elif wanted is not None:
        click.echo(count(number, "job"))


@click.command(cls=Command, section=LOOK, examples=("runs", "runs --limit 100", "runs -o /srv/derived --json"))
@journal_options
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="List at most N.")
@json_option("Print one JSON object per run.")
def runs(out: bytes, state: str | None, limit: int, as_json: bool) -> None:
    """List runs, the last one first, with exit codes and results.

    A run that was `killed` could not note its end: SIGKILL, out of memory, power failure.
    """
    import time

    from mediactl.admin import runs as history
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        if as_json:
            for run in rows.runs(limit):
                click.echo(json.dumps(history.as_json(run)))
        else:
            for line in history.lines(rows, limit, time.time()):
                click.echo(line)


_JOB = """JOB is a key, its first digits (4 or more), or the path of a source or of its outputs: as listed, absolute, or
    relative to the current directory."""


@click.command(
    cls=Command,
    section=LOOK,
    examples=("show trip/IMG_1.jpg", "show 3f9a12c0", "show ./uploads/trip/IMG_1.jpg -o /srv/derived --json"),
    help=f"""Show details and attempts of a JOB.

    {_JOB}
    """,
)
@click.argument("job", type=Job())
@journal_options
@json_option("Print one JSON object per job.")
def show(job: bytes, out: bytes, state: str | None, as_json: bool) -> None:
    """Show details and attempts of a JOB."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        found = inspect.current(inspect.find(rows, job, os.path.abspath(out)))
        for line in map(json.dumps, inspect.show_json(rows, found)) if as_json else inspect.show(rows, found):
            click.echo(line)


@click.command(
    cls=Command,
    section=LOOK,
    examples=("why trip/IMG_1.jpg", "why 3f9a12c0", "why trip/beach.mov --json"),
    help=f"""Explain why a JOB has not run, or how it ended.

    {_JOB}
    """,
)
@click.argument("job", type=Job())
@journal_options
@json_option("Print one JSON object per job.")
def why(job: bytes, out: bytes, state: str | None, as_json: bool) -> None:
    """Explain why a JOB has not run, or how it ended."""
    import time

    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for each in inspect.current(inspect.find(rows, job, os.path.abspath(out))):
            text = inspect.why(rows, each, time.time())
            fields = {"key": each.key, "kind": each.kind, "state": each.state, "why": text}
            click.echo(json.dumps(fields) if as_json else f"{inspect.named(each)} {text}")


@click.command(cls=Command, section=LOOK, examples=("lanes", "lanes -o /srv/derived", "lanes --json"))
@journal_options
@json_option("Print one JSON object per class of jobs.")
def lanes(out: bytes, state: str | None, as_json: bool) -> None:
    """Show which classes of jobs are quick or heavy, as measured."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in map(json.dumps, inspect.lanes_json(rows)) if as_json else inspect.lanes(rows):
            click.echo(line)
