"""The command ``web``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared.options import journal_options
from mediactl.commands.shared.sections import LOOK, Command, Option
from mediactl.commands.shared.types import Path


@click.command(
    cls=Command,
    section=LOOK,
    order=2,
    examples=("web", "web /srv/derived /srv/archive --port 8080", "web -o /srv/derived --actions"),
)
@click.argument("outs", type=Path(directory=True), nargs=-1, metavar="[OUT]...")
@journal_options
@click.option("--port", cls=Option, setting=False, type=click.IntRange(0, 65535), default=8765, show_default=True,
              metavar="N", help="Port on 127.0.0.1; 0: any that is free.")  # fmt: skip
@click.option("--actions", cls=Option, setting=False, is_flag=True, help="Permit to retry, cancel and bump jobs.")
def web(outs: tuple[bytes, ...], out: bytes, state: str | None, port: int, actions: bool) -> None:
    """Serve a dashboard of the journal to a browser.

    OUT is the output directory of earlier runs, as --out is. Only this machine can connect, with the printed link,
    which is valid once; a new one is printed then. Requires the extra `web`.
    """
    from mediactl.core.errors import UsageError

    try:
        from mediactl.web import server
        from mediactl.web.outputs import Output
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mediactl"):
            raise
        raise UsageError(f"requires the extra web ({error.name} is missing): pip install 'mediactl[web]'") from None
    from mediactl.commands.shared.options import state_folder

    if state is not None and len(outs) > 1:
        raise click.UsageError("--state: names the journal of one OUT, and several are given")
    found = [
        Output(number, os.path.abspath(each), state_folder(each, state))
        for number, each in enumerate(outs or (out,), 1)
    ]
    for each in found:
        with each.reading():  # what cannot be read is reported now, in one line
            pass
    server.serve(found, port, actions=actions, announce=lambda link: click.echo(f"dashboard  {link}"))
