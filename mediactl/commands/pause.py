"""``mediactl pause`` and ``resume``: what is asked of active runs. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mediactl.commands.shared.options import journal_options, json_option, option, state_folder
from mediactl.commands.shared.sections import CHANGE, COMPLETE, OUTPUT, Command
from mediactl.core.errors import ExitCode

if TYPE_CHECKING:
    from mediactl.model.control import AnyRequest

EXITS = (
    COMPLETE,
    (2, "Invalid command line, or no permission."),
    (75, "A run did not answer, or is stopping."),
)


@click.command(cls=Command, section=CHANGE, exits=EXITS, examples=("pause", "pause --now", "pause -o /srv/derived"))
@click.option("--now", is_flag=True, help="Suspend running jobs, too; no time passes for their limits.")
@option(OUTPUT, "--run", default=None, setting=False, metavar="ID", help="Only the run whose ID begins so.")
@journal_options
@json_option("Print one JSON object per run.")
def pause(now: bool, run: str | None, out: bytes, state: str | None, as_json: bool) -> int:
    """Have active runs start no more jobs.

    Running jobs finish, and the runs go on with `resume`. Later runs are not affected. A paused run still finds
    sources, and ends when it is stopped or nothing is left.
    """
    from mediactl.model.control import Pause

    return _ask(Pause(now=now), "pause", state_folder(out, state), run, as_json=as_json)


@click.command(cls=Command, section=CHANGE, exits=EXITS, examples=("resume", "resume -o /srv/derived"))
@option(OUTPUT, "--run", default=None, setting=False, metavar="ID", help="Only the run whose ID begins so.")
@journal_options
@json_option("Print one JSON object per run.")
def resume(run: str | None, out: bytes, state: str | None, as_json: bool) -> int:
    """Have paused runs start jobs again."""
    from mediactl.model.control import Resume

    return _ask(Resume(), "resume", state_folder(out, state), run, as_json=as_json)


def _ask(request: AnyRequest, what: str, state: str, run: str | None, *, as_json: bool) -> int:
    """Ask every active run, print the answers, and return the exit code."""
    from mediactl.control import client
    from mediactl.core.files import shown

    found = client.active(state, run)
    if not found and not as_json:
        click.echo(f"nothing to {what}: no run is active in {shown(state)}")
    done = True
    for connection in found:
        with connection:
            answer = connection.ask(request)
        done = done and answer.done
        if as_json:
            click.echo(json.dumps({"run": connection.run, "done": answer.done, "reason": answer.reason}))
        else:
            click.echo(f"run {connection.run[:8]}: {answer.reason}")
    return ExitCode.COMPLETE if done else ExitCode.STOPPED_EARLY
