"""``mediactl events``: what programs need that read events. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import click


@click.group()
def events() -> None:
    """Events: the lines that --json prints."""


@events.command("schema")
def events_schema() -> None:
    """Print the JSON Schema of events."""
    from mediactl.admin import event_docs
    from mediactl.core import json_schema

    click.echo(json_schema.text(event_docs.schema()), nl=False)


@events.command("docs")
def events_docs() -> None:
    """Print the reference of events, in Markdown."""
    from mediactl.admin import event_docs

    for line in event_docs.reference():
        click.echo(line)
