"""The command ``duplicates``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os

import click

from mediactl.commands.shared.sections import CHECK, Command
from mediactl.commands.shared.types import Path


@click.command(cls=Command, section=CHECK, order=1)
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
            click.echo(json.dumps(duplicates_.as_json(group)))
    else:
        for line in duplicates_.lines(found, len(assets)):
            click.echo(line)
