"""The command ``init``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mediactl.commands.shared.sections import COMPLETE, INVALID, RUN, Command
from mediactl.commands.shared.types import Path

if TYPE_CHECKING:
    from mediactl.sources import survey

SETTINGS, RECIPE = "mediactl.toml", "recipe.toml"


@click.command(
    cls=Command,
    section=RUN,
    order=1,
    exits=(COMPLETE, INVALID),
    examples=("init", "init ./uploads", "init ./uploads -o /srv/derived"),
)
@click.argument("source", type=Path(directory=True), default=".", metavar="[SOURCE]")
@click.option("-o", "--out", type=Path(directory=True), default="derived", show_default=True, metavar="DIR",
              help="Output directory to name in the settings.")  # fmt: skip
def init(source: bytes, out: bytes) -> None:
    """Write settings and a recipe for SOURCE.

    Reads the first bytes of the files below SOURCE, for at most three seconds, and writes mediactl.toml and recipe.toml
    to the current directory, with comments. Existing files are never overwritten.
    """
    from mediactl.core.files import shown
    from mediactl.pool.limits import available_cores
    from mediactl.recipe import starter
    from mediactl.sources import survey

    if not os.path.isdir(source):
        raise click.UsageError(f"{shown(source)}: not a directory")
    for name in (SETTINGS, RECIPE):
        if os.path.lexists(name):
            raise click.UsageError(f"{name}: already exists; move it away, or edit it")
    found = survey.of(os.path.abspath(source))
    _write(RECIPE, starter.recipe("mine", found.kinds, found.formats))
    _write(SETTINGS, starter.settings(RECIPE, shown(out), available_cores(), found.remote))
    for line in _summary(found):
        click.echo(line)
    click.echo(f"wrote {SETTINGS} and {RECIPE}; next: mediactl process {shown(source)} --dry-run")


def _summary(found: survey.Survey) -> list[str]:
    """Return what was found, as lines."""
    from mediactl.ui.lines import size

    numbers = ", ".join(f"{number:,} {kind.value}" for kind, number in found.kinds.most_common())
    lines = [f"found {numbers or 'no media'} ({size(found.bytes)}){'' if found.complete else ', and more'}"]
    lines += [f"{number:,} in {title}: not supported" for title, number in found.unsupported.most_common()]
    return lines


def _write(name: str, text: str) -> None:
    # 0644 whatever the umask allows: a file that a group can write to is rejected.
    with open(name, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o644)) as file:
        file.write(text)
