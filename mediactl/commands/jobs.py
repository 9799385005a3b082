"""Commands on the journal: look at jobs, and change what becomes of them. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

PRIORITIES = ("urgent", "high", "normal", "low", "backfill")
JOB_STATES = ("ready", "running", "done", "rejected", "quarantined", "cancelled")


class Path(click.ParamType[bytes]):
    """A path as bytes, exactly as it was typed."""

    name = "path"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> bytes:
        """Bytes of the argument."""
        return value if isinstance(value, bytes) else os.fsencode(value)


def places(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where outputs and journal lie."""
    out = click.option("--out", type=Path(), default="derived", show_default=True, help="Output folder.")
    state = click.option("--state", default=None, metavar="DIR", help="Journal's folder.  [default: OUT/.mediactl]")
    return out(state(function))


def state_folder(out: bytes, state: str | None) -> str:
    """Absolute path of the journal's folder."""
    return os.path.abspath(state) if state else os.fsdecode(os.path.join(os.path.abspath(out), b".mediactl"))


@click.command()
@places
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(out: bytes, state: str | None, as_json: bool) -> None:
    """Sources and jobs by state, what waits and for how long, and who is at work."""
    import time

    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        if as_json:
            _echo_json(inspect.status_json(rows, time.time()))
        else:
            for line in inspect.status(rows, time.time()):
                click.echo(line)


@click.command()
@places
@click.option("--only", "wanted", type=click.Choice(JOB_STATES), default=None, help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def jobs(out: bytes, state: str | None, wanted: str | None, limit: int | None, as_json: bool) -> None:
    """List jobs."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for job in rows.listed(wanted, limit or -1):
            if as_json:
                _echo_json(inspect.job_json(job))
            else:
                click.echo(inspect.job_line(job))


@click.command()
@click.argument("job", type=Path())
@places
def show(job: bytes, out: bytes, state: str | None) -> None:
    """All that is known of a JOB: its key (the start is enough), or its source's path."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in inspect.show(rows, job):
            click.echo(line)


@click.command()
@click.argument("job", type=Path(), required=False)
@click.option("--all", "everything", is_flag=True, help="All rejected and quarantined jobs.")
@places
def retry(job: bytes | None, everything: bool, out: bytes, state: str | None) -> None:
    """Let a stopped JOB (key or path) be tried again by the next run."""
    from mediactl.admin import edit

    _one_or_all(job, everything)
    keys = edit.retry(state_folder(out, state), job)
    click.echo(f"{len(keys)} ready again" if keys else "nothing to retry")


@click.command()
@click.argument("job", type=Path(), required=False)
@click.option("--all", "everything", is_flag=True, help="All jobs that wait.")
@places
def cancel(job: bytes | None, everything: bool, out: bytes, state: str | None) -> None:
    """Cancel a JOB (key or path) that waits. One that runs is left to finish."""
    from mediactl.admin import edit

    _one_or_all(job, everything)
    keys = edit.cancel(state_folder(out, state), job)
    click.echo(f"{len(keys)} cancelled" if keys else "nothing to cancel")


def _one_or_all(job: bytes | None, everything: bool) -> None:
    if (job is None) != everything:
        raise click.UsageError("name one JOB, or use --all")


@click.command()
@places
@click.option("-y", "--yes", is_flag=True, help="Remove them.")
@click.option("--force", is_flag=True, help="Also where (nearly) all sources of a folder are gone.")
def prune(out: bytes, state: str | None, yes: bool, force: bool) -> None:
    """List the outputs of sources that are gone; with --yes, remove them.

    Where all sources of a folder are gone, or 90 % and more than 10, its disk may not be mounted: then --yes removes
    nothing at all and ends with exit code 2, unless --force is given, too.
    """
    from mediactl.admin import edit
    from mediactl.core.errors import UsageError
    from mediactl.core.files import shown

    removed, unmounted, emptied = edit.removed_sources(state_folder(out, state))
    if yes and emptied and not force:
        lost = ", ".join(f"{gone} of {known} sources of {shown(root)}" for root, gone, known in emptied)
        raise UsageError(f"prune: {lost} are gone; nothing was removed; mount the disk, or add --force if they are")
    for root, number in unmounted.items():
        click.echo(
            f"{shown(root)} is gone as a whole, with {number} sources: left alone, for a disk may not be mounted",
            err=True,
        )
    for _, file, place, names in removed:
        click.echo(f"{shown(file)} is gone: {shown(place)} ({len(names) + 1} files)")
    if not removed:
        click.echo("nothing to prune")
    elif yes:
        click.echo(f"{edit.prune(state_folder(out, state), os.path.abspath(out), removed)} files removed")
    else:
        click.echo(f"{len(removed)} sources are gone; --yes removes their outputs")


@click.command()
@click.argument("job", type=Path())
@places
def why(job: bytes, out: bytes, state: str | None) -> None:
    """In one sentence: what a JOB (key or path) waits for, or why it ended."""
    import time

    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in inspect.why(rows, job, time.time()):
            click.echo(line)


@click.command()
@places
def lanes(out: bytes, state: str | None) -> None:
    """Which jobs are quick and which heavy, by what was measured."""
    from mediactl.admin import status as inspect
    from mediactl.jobs import report

    with report.read(state_folder(out, state)) as rows:
        for line in inspect.lanes(rows):
            click.echo(line)


@click.command()
@click.argument("job", type=Path())
@click.option(
    "--priority", type=click.Choice(PRIORITIES), default="urgent", show_default=True, help="Its new priority."
)
@places
def bump(job: bytes, priority: str, out: bytes, state: str | None) -> None:
    """Give a JOB (key or path) that waits another priority."""
    from mediactl.admin import edit
    from mediactl.model.jobs import Priority

    keys = edit.bump(state_folder(out, state), job, Priority[priority.upper()])
    click.echo(f"{len(keys)} now {priority}" if keys else "nothing to bump: it does not wait")


@click.command()
@click.argument("out", type=Path(), default="derived")
@click.option(
    "--distance", type=click.IntRange(0, 16), default=6, show_default=True, help="Bits of 64 that may differ."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a group.")
def duplicates(out: bytes, distance: int, as_json: bool) -> None:
    """Groups of sources in an output folder OUT that show the same, the best original first."""
    from mediactl.admin import duplicates as duplicates_

    assets = list(duplicates_.read(os.path.abspath(out)))
    found = duplicates_.groups(assets, distance)
    if as_json:
        for group in found:
            _echo_json(duplicates_.as_json(group))
    else:
        for line in duplicates_.lines(found, len(assets)):
            click.echo(line)


def register(group: click.Group) -> None:
    """Add these commands to the program's."""
    for command in (status, jobs, show, why, lanes, bump, retry, cancel, prune, duplicates):
        group.add_command(command)


def _echo_json(value: object) -> None:
    import json

    click.echo(json.dumps(value))
