"""The commands ``report`` and ``report merge``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared.options import journal_options, state_folder
from mediactl.commands.shared.sections import LOOK, Group
from mediactl.commands.shared.types import Name

FILE = "report.html"


@click.group(
    cls=Group,
    section=LOOK,
    order=1,
    invoke_without_command=True,
    examples=("report", "report --run 3f9a12c0 --html run.html", "report merge shard-*.blob --html report.html"),
)
@click.option("--run", "wanted", default=None, metavar="ID", help="Run, or how its id begins.  [default: the last one]")
@click.option("--html", type=Name(), default=FILE, show_default=True, metavar="FILE", help="File to write.")
@click.option("--blob", type=Name(), default=None, metavar="FILE", help="Write what `report merge` reads, instead.")
@journal_options
@click.pass_context
def report(
    context: click.Context, wanted: str | None, html: str, blob: str | None, out: bytes, state: str | None
) -> None:
    """Write the report of a run: one HTML file that loads nothing.

    Numbers, what was rejected and why, at most 200 pairs of images before and after, time per operation, and what
    changed since the run before.
    """
    if context.invoked_subcommand is not None:
        return
    from mediactl.commands.shared import reports

    reports.write(state_folder(out, state), os.path.abspath(out), wanted, None if blob else html, blob)
    click.echo(blob or html)


@report.command("merge", examples=("report merge shard-*.blob", "report merge a.blob b.blob --html report.html"))
@click.argument("blobs", nargs=-1, required=True, type=Name(), metavar="FILE...")
@click.option("--html", type=Name(), default=FILE, show_default=True, metavar="FILE", help="File to write.")
def merge(blobs: tuple[str, ...], html: str) -> None:
    """Write one report of several runs, such as shards.

    FILEs are written by `process --report-blob` or `report --blob`.
    """
    from mediactl.commands.shared import reports
    from mediactl.report import data, page

    with reports.written(html):
        page.write(data.merged(reports.read(blob) for blob in blobs), html)
    click.echo(html)
