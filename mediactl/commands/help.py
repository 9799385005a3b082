"""The command ``help``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared import usage
from mediactl.commands.shared.sections import OTHER, Command

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = (os.path.join(_PACKAGE, "docs"), os.path.join(os.path.dirname(_PACKAGE), "docs"))
"""Where the pages are: in an installed package, and in a checkout."""
TOPICS = (
    "tutorial", "install", "cookbook", "recipes", "settings", "filters", "formats", "assets", "reliability", "security",
    "sandbox", "service", "containers", "monitoring", "reports", "streaming", "images", "extending", "upgrading",
)  # fmt: skip
"""Pages of the documentation that the wheel has, in the order in which they are listed."""


@click.command(
    "help", cls=Command, section=OTHER, examples=("help", "help process", "help uploads abort", "help cookbook")
)
@click.argument("command", nargs=-1, metavar="[COMMAND|TOPIC]...")
@click.pass_context
def help_(context: click.Context, command: tuple[str, ...]) -> None:
    """Print the help of a COMMAND, or the page on a TOPIC.

    Topics: tutorial, install, cookbook, recipes, settings, filters, formats, assets, reliability, security, sandbox,
    service, containers, monitoring, reports, streaming, images, extending, upgrading.
    """
    found, shown = context.find_root().command, context.find_root()
    for name in command:
        within = found if isinstance(found, click.Group) else None
        inner = within.get_command(shown, name) if within is not None else None
        if inner is None:
            if len(command) == 1 and name in TOPICS:
                click.echo_via_pager(_page(name))
                return
            known = within.list_commands(shown) if within is not None else []
            raise click.UsageError(usage.no_such_command(shown.command_path, name, known), shown)
        found, shown = inner, click.Context(inner, info_name=name, parent=shown)
    click.echo(found.get_help(shown))


def _page(topic: str) -> str:
    """Return the text of a page. Raises UsageError where it is not installed."""
    for folder in FOLDERS:
        try:
            with open(os.path.join(folder, f"{topic}.md"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise click.UsageError(f"{topic}: this page is not part of the installation")
