"""``mediactl events``: the events of a running run; schema and reference of events. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import sys

import click

from mediactl.commands.shared.options import journal_options, json_option, option, state_folder
from mediactl.commands.shared.sections import LOOK, OUTPUT, Group
from mediactl.core.errors import ExitCode


@click.group(
    cls=Group,
    section=LOOK,
    order=1,
    invoke_without_command=True,
    no_args_is_help=True,
    events=True,
    examples=("events --follow", "events --follow --json | jq .event", "events schema"),
    exits=(
        (0, "The run has ended, whatever its exit code."),
        (2, "Invalid command line, or no run is active."),
        (75, "The run was killed before its end."),
    ),
)
@option(OUTPUT, "-f", "--follow", is_flag=True, setting=False, help="Print the events of the active run until it ends.")
@option(OUTPUT, "--run", default=None, setting=False, metavar="ID", help="The run to follow, where several are active.")
@journal_options
@json_option("Print NDJSON events.")
@click.pass_context
def events(
    context: click.Context, follow: bool, run: str | None, out: bytes, state: str | None, as_json: bool
) -> int | None:
    """Follow the events of an active run; print their schema.

    The first events are `run.started` and `run.snapshot`: how the run stands. A reader that is too slow misses events,
    which `events.missed` says; the run never waits for it.
    """
    if context.invoked_subcommand is not None:
        return None
    if not follow:
        raise click.UsageError("add --follow, or name a command: schema, docs")
    return _follow(state_folder(out, state), run, as_json=as_json)


def _follow(state: str, run: str | None, *, as_json: bool) -> int:
    import time

    from mediactl.control import client
    from mediactl.model.events import Summary
    from mediactl.ui.lines import Lines

    ended = False
    draw = Lines(sys.stdout, time.monotonic, quiet=False, verbose=True)
    with client.connect(state, run) as connection:
        for line in connection.lines():
            event = client.event_of(line)
            ended = isinstance(event, Summary)
            if as_json:
                sys.stdout.buffer.write(line + b"\n")
                sys.stdout.buffer.flush()
            elif event is not None:
                draw.take(event)
        if not ended and not as_json:
            click.echo(f"run {connection.run[:8]} ended without a summary: it was killed, or has failed")
    return ExitCode.COMPLETE if ended else ExitCode.STOPPED_EARLY


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
