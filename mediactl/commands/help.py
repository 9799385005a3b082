"""The command ``help``."""

from __future__ import annotations

import click

from mediactl.commands.shared import usage
from mediactl.commands.shared.sections import OTHER, Command


@click.command("help", cls=Command, section=OTHER, examples=("help", "help process", "help uploads abort"))
@click.argument("command", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_(context: click.Context, command: tuple[str, ...]) -> None:
    """Print the help of a COMMAND."""
    found, shown = context.find_root().command, context.find_root()
    for name in command:
        within = found if isinstance(found, click.Group) else None
        inner = within.get_command(shown, name) if within is not None else None
        if inner is None:
            known = within.list_commands(shown) if within is not None else []
            raise click.UsageError(usage.no_such_command(shown.command_path, name, known), shown)
        found, shown = inner, click.Context(inner, info_name=name, parent=shown)
    click.echo(found.get_help(shown))
