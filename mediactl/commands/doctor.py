"""The command ``doctor``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared.options import journal_options, option, state_folder
from mediactl.commands.shared.sections import CHECK, SOURCES, Command
from mediactl.core.errors import ExitCode


@click.command(cls=Command, section=CHECK, order=4)
@journal_options
@option(SOURCES, "--ffmpeg", default=None, trusted=True, metavar="FILE",
        help="ffmpeg to check.  [default: the bundled one]")  # fmt: skip
def doctor(out: bytes, state: str | None, ffmpeg: str | None) -> int:
    """Check codecs, ffmpeg, libvips, journal, disk space and memory.

    Opens a generated image, video and audio file as workers do. Exits with 1 if a check fails.
    """
    from mediactl.admin import doctor as doctor_

    environment = {**os.environ, **({"MEDIACTL_FFMPEG": ffmpeg} if ffmpeg else {})}
    good = True
    for check in doctor_.checks(os.path.abspath(out), state_folder(out, state), environment):
        good = good and check.ok
        click.echo(f"{'ok ' if check.ok else 'BAD'}  {check.name:<8}  {check.text}")
    return ExitCode.COMPLETE if good else ExitCode.BAD_SOURCES
