"""The command ``prune``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os

import click

from mediactl.commands.shared.options import journal_options, json_option, state_folder
from mediactl.commands.shared.sections import CHANGE, Command


@click.command(
    cls=Command,
    section=CHANGE,
    order=1,
    examples=(
        "prune",
        "prune --yes",
        "prune -o /srv/derived --yes --force",
    ),
)
@journal_options
@click.option("-y", "--yes", is_flag=True, help="Remove the outputs.")
@click.option("--force", is_flag=True, help="Remove them even if (nearly) all sources of a directory are gone.")
@json_option("Print one JSON object per source, the last one with totals.")
def prune(out: bytes, state: str | None, yes: bool, force: bool, as_json: bool) -> None:
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
        lost = ", ".join(f"{gone} of {count(known, 'source')} of {shown(root)}" for root, gone, known in emptied)
        verb = "is" if sum(gone for _, gone, _ in emptied) == 1 else "are"
        raise UsageError(f"prune: {lost} {verb} gone and nothing was removed; mount the file system, or add --force")
    for root, number in unmounted.items():
        click.echo(
            f"{shown(root)}: no such directory; its {count(number, 'source is', 'sources are')} not pruned,"
            " the file system may not be mounted",
            err=True,
        )
    for _, file, directory, names in edit.details(state_folder(out, state), removed):
        fields = {"what": "source", "file": shown(file), "directory": shown(directory), "files": len(names) + 1}
        text = f"{shown(file)}: source deleted; outputs: {shown(directory)} ({count(len(names) + 1, 'file')})"
        click.echo(json.dumps(fields) if as_json else text)
    if as_json:
        number = edit.prune(state_folder(out, state), os.path.abspath(out), removed) if yes and removed else 0
        click.echo(json.dumps({"what": "summary", "sources": len(removed), "removed_files": number}))
    elif not removed:
        click.echo("nothing to prune")
    elif yes:
        number = edit.prune(state_folder(out, state), os.path.abspath(out), removed)
        click.echo(f"{count(number, 'file')} removed")
    else:
        click.echo(f"{count(len(removed), 'source')} deleted; --yes removes the outputs")
