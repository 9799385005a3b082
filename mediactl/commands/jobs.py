"""Commands on the journal: inspect jobs and change their fate. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from mediactl.commands.sections import CHANGE, CHECK, LOOK, SOURCES, Command, Option

PRIORITIES = ("urgent", "high", "normal", "low", "backfill")
JOB_STATES = ("ready", "running", "done", "rejected", "quarantined", "cancelled")


class Path(click.ParamType[bytes]):
    """A path as bytes, exactly as typed."""

    name = "path"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> bytes:
        """Return the bytes of the argument."""
        return value if isinstance(value, bytes) else os.fsencode(value)


def journal_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that locate outputs and journal."""
    out = click.option("--out", cls=Option, section=SOURCES, type=Path(), default="derived", show_default=True,
                       metavar="DIR", help="Output directory.")  # fmt: skip
    state = click.option("--state", cls=Option, section=SOURCES, default=None, metavar="DIR",
                         help="Directory of the journal.  [default: OUT/.mediactl]")  # fmt: skip
    return out(state(function))


def state_folder(out: bytes, state: str | None) -> str:
    """Return the absolute path of the journal's directory."""
    return os.path.abspath(state) if state else os.fsdecode(os.path.join(os.path.abspath(out), b".mediactl"))


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
            _echo_json(inspect.status_json(rows, time.time()))
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
                _echo_json(inspect.job_json(job))
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


def _one_or_all(job: bytes | None, everything: bool) -> None:
    if (job is None) != everything:
        raise click.UsageError("name one JOB, or use --all")


@click.command(cls=Command, section=CHANGE)
@journal_options
@click.option("-y", "--yes", is_flag=True, help="Remove the outputs.")
@click.option("--force", is_flag=True, help="Remove them even if (nearly) all sources of a directory are gone.")
def prune(out: bytes, state: str | None, yes: bool, force: bool) -> None:
    """List outputs of deleted sources; remove them with --yes.

    If all sources of a directory are gone, or more than 10 and at least 90 % of them, its file system may not be
    mounted: --yes then removes nothing and exits with 2, unless --force is given.
    """
    from mediactl.admin import edit
    from mediactl.core.errors import UsageError
    from mediactl.core.files import shown
    from mediactl.ui.lines import count

    removed, unmounted, emptied = edit.removed_sources(state_folder(out, state))
    if yes and emptied and not force:
        lost = ", ".join(f"{gone} of {known} sources of {shown(root)}" for root, gone, known in emptied)
        raise UsageError(f"prune: {lost} are gone and nothing was removed; mount the file system, or add --force")
    for root, number in unmounted.items():
        click.echo(
            f"{shown(root)}: no such directory; its {count(number, 'source')} are not pruned,"
            " the file system may not be mounted",
            err=True,
        )
    for _, file, place, names in removed:
        click.echo(f"{shown(file)}: source deleted; outputs: {shown(place)} ({len(names) + 1} files)")
    if not removed:
        click.echo("nothing to prune")
    elif yes:
        number = edit.prune(state_folder(out, state), os.path.abspath(out), removed)
        click.echo(f"{count(number, 'file')} removed")
    else:
        click.echo(f"{count(len(removed), 'source')} deleted; --yes removes the outputs")


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


@click.command(cls=Command, section=CHECK)
@click.argument("out", type=Path(), default="derived")
@click.option("--distance", type=click.IntRange(0, 16), default=6, show_default=True, metavar="BITS",
              help="Hamming distance of two 64-bit perceptual hashes up to which they match.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per group.")
def duplicates(out: bytes, distance: int, as_json: bool) -> None:
    """Group near-duplicate sources, the best original first.

    OUT is the output directory of earlier runs.
    """
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
    """Add these commands to a group."""
    for command in (status, jobs, show, why, lanes, retry, cancel, bump, prune, duplicates):
        group.add_command(command)


def _echo_json(value: object) -> None:
    import json

    click.echo(json.dumps(value))
