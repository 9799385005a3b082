"""The command ``profile``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared.options import journal_options, state_folder
from mediactl.commands.shared.sections import CHECK, Command
from mediactl.commands.shared.types import Job, Name

DECODING = ("image", "video", "audio", "probe")
"""Kinds of jobs, the one that is profiled first where a path names several."""


@click.command(
    cls=Command,
    section=CHECK,
    order=6,
    examples=("profile trip/IMG_1.jpg", "profile 3f9a12c0 --html beach.html", "profile trip/IMG_1.jpg --memory"),
)
@click.argument("job", type=Job())
@click.option("--memory", is_flag=True, help="Profile memory (memray), not CPU time (pyinstrument).")
@click.option("--html", type=Name(), default="profile.html", show_default=True, metavar="FILE", help="File to write.")
@journal_options
def profile(job: bytes, memory: bool, html: str, out: bytes, state: str | None) -> None:
    """Run a JOB once more under a profiler.

    The decoder is profiled while it reads the source and encodes all outputs, in a temporary directory: outputs stay as
    they are. Requires the extra profile.
    """
    from mediactl.admin.status import current, find
    from mediactl.commands.shared import reports
    from mediactl.core.errors import UsageError
    from mediactl.core.files import shown
    from mediactl.jobs import report
    from mediactl.report import profile as profiling
    from mediactl.report.page import publish

    folder = state_folder(out, state)
    with report.read(folder) as rows:
        found = [each for each in current(find(rows, job, os.path.abspath(out))) if each.kind in DECODING]
    if not found:
        raise UsageError(f"{shown(job)}: no job that decodes; name an image, video or audio job")
    chosen = min(found, key=lambda each: DECODING.index(each.kind))
    content = profiling.of_job(folder, chosen, "memory" if memory else "cpu")
    with reports.written(html):
        publish(content, html)
    click.echo(html)
