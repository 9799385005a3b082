"""``mediactl events``: schema and reference of the events that --json prints. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import click

from mediactl.commands.shared.sections import LOOK, Group


@click.group(cls=Group, section=LOOK, order=1)
def events() -> None:
    """Print the schema or the reference of --json events."""


@events.command("schema")
def events_schema() -> None:
    """Print the JSON Schema of events."""
    from mediactl.admin import event_docs
    from mediactl.core import json_schema

    click.echo(json_schema.text(event_docs.schema()), nl=False)


@events.command("docs")
def events_docs() -> None:
    """Print the reference of events as Markdown."""
    from mediactl.admin import event_docs

    for line in event_docs.reference():
        click.echo(line)
