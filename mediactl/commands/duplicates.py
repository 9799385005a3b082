"""The command ``duplicates``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os

import click

from mediactl.commands.shared.options import journal_options, json_option
from mediactl.commands.shared.sections import CHECK, Command
from mediactl.commands.shared.types import Path


@click.command(
    cls=Command,
    section=CHECK,
    order=1,
    examples=(
        "duplicates",
        "duplicates -o /srv/derived --distance 3",
        "duplicates --json",
    ),
)
@click.argument("directory", type=Path(directory=True), required=False, metavar="[OUT]")
@journal_options
@click.option("--distance", type=click.IntRange(0, 16), default=6, show_default=True, metavar="BITS",
              help="Hamming distance of two 64-bit perceptual hashes up to which they match.")  # fmt: skip
@json_option("Print one JSON object per group.")
def duplicates(directory: bytes | None, out: bytes, state: str | None, distance: int, as_json: bool) -> None:
    """Group near-duplicate sources, the best original first.

    OUT is the output directory of earlier runs, as --out is. Reads their asset.json files, not the journal.
    """
    from mediactl.admin import duplicates as duplicates_

    assets = list(duplicates_.read(os.path.abspath(directory or out)))
    found = duplicates_.groups(assets, distance)
    if as_json:
        for group in found:
            click.echo(json.dumps(duplicates_.as_json(group)))
    else:
        for line in duplicates_.lines(found, len(assets)):
            click.echo(line)
