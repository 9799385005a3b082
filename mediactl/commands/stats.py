"""The command ``stats``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json

import click

from mediactl.commands.shared.options import journal_options, json_option, state_folder
from mediactl.commands.shared.sections import LOOK, Command
from mediactl.commands.shared.types import Duration

GROUPS = ("operation", "format", "lane", "version")
SORTS = (
    "group", "attempts", "failed", "cpu", "memory", "run-p50", "run-p90", "run-p99", "run-max", "wait-p50", "wait-p90",
    "wait-p99", "wait-max",
)  # fmt: skip


@click.command(
    cls=Command,
    section=LOOK,
    order=1,
    examples=("stats", "stats --since 24h --by format", "stats --sort run-p99", "stats --by version --json"),
)
@click.option("--since", type=Duration(), default=None, metavar="TIME",
              help="Only attempts that ended within this time, e.g. 24h.  [default: all in the journal]")  # fmt: skip
@click.option(
    "--by", type=click.Choice(GROUPS), default="operation", show_default=True, help="What attempts are grouped by."
)
@click.option("--sort", type=click.Choice(SORTS), default="cpu", show_default=True, help="Largest of these first.")
@journal_options
@json_option()
def stats(since: float | None, by: str, sort: str, out: bytes, state: str | None, as_json: bool) -> None:
    """Show percentiles of run and wait times, and what took most.

    Run: an attempt, on its worker. Wait: from being enqueued until the first attempt. The slowest attempts and those
    with the largest memory are listed by job.
    """
    import time
    from typing import cast

    from mediactl.admin import stats as measured
    from mediactl.jobs import report

    window = report.Window(0.0 if since is None else time.time() - since)
    with report.read(state_folder(out, state)) as rows:
        found = measured.of(rows, cast(measured.By, by), window, sort=sort)
    if as_json:
        click.echo(json.dumps(measured.as_json(found)))
    else:
        for line in measured.lines(found):
            click.echo(line)
