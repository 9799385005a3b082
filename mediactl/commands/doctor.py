"""The command ``doctor``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os

import click

from mediactl.commands.shared.options import journal_options, json_option, option, state_folder
from mediactl.commands.shared.sections import CHECK, SOURCES, Command
from mediactl.commands.shared.types import Name
from mediactl.core.errors import ExitCode


@click.command(
    cls=Command,
    section=CHECK,
    order=4,
    exits=((0, "All checks passed."), (1, "A check failed.")),
    examples=(
        "doctor",
        "doctor -o /srv/derived",
        "doctor --json",
    ),
)
@journal_options
@option(SOURCES, "--ffmpeg", type=Name(), default=None, trusted=True, metavar="FILE",
        help="ffmpeg to check.  [default: the bundled one]")  # fmt: skip
@json_option("Print one JSON object per check.")
def doctor(out: bytes, state: str | None, ffmpeg: str | None, as_json: bool) -> int:
    """Check codecs, packages, journal, disk space and memory.

    Opens a generated image, video and audio file as workers do. Exits with 1 if a check fails.
    """
    from mediactl.admin import doctor as doctor_

    environment = {**os.environ, **({"MEDIACTL_FFMPEG": ffmpeg} if ffmpeg else {})}
    good = True
    for check in doctor_.checks(os.path.abspath(out), state_folder(out, state), environment):
        good = good and check.ok is not False
        text = f"{'--' if check.ok is None else 'ok' if check.ok else 'BAD':<3}  {check.name:<9}  {check.text}"
        click.echo(json.dumps({"check": check.name, "ok": check.ok, "text": check.text}) if as_json else text)
    return ExitCode.COMPLETE if good else ExitCode.BAD_SOURCES
