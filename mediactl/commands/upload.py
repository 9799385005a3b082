"""The command ``upload``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from mediactl.commands.jobs import PRIORITIES, Path, places, state_folder
from mediactl.commands.options import RUN_OPTIONS, UPLOAD_OPTIONS, apply_options, destination


@click.command()
@click.argument("sources", nargs=-1, required=True, type=Path(), metavar="FILE...")
@places
@apply_options([*UPLOAD_OPTIONS, *RUN_OPTIONS])
@click.option("--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True,
              help="How urgent these files are.")  # fmt: skip
@click.option("--follow-symlinks", is_flag=True, help="Follow symbolic links inside folders.")
@click.pass_obj
def upload(show: Callable[..., Any], /, **flags: Any) -> int:
    """Upload FILEs and folders as they are, without processing.

    A folder's files go to PREFIX/<their path in it>. Cut off, it goes on; run again, it sends what has changed.
    """
    if flags["to"] is None:
        raise click.UsageError("name the place with --to s3://BUCKET/PREFIX")
    from mediactl.core.settings import Settings
    from mediactl.model.jobs import Priority
    from mediactl.pipeline.upload_run import upload as run

    settings = Settings(
        sources=flags["sources"],
        out=os.path.abspath(flags["out"]),
        state=state_folder(flags["out"], flags["state"]),
        priority=Priority[flags["priority"].upper()],
        follow_symlinks=flags["follow_symlinks"],
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        to=destination(flags),
        environment=dict(os.environ),
    )
    take, close = show(as_json=flags["as_json"], quiet=flags["quiet"], verbose=flags["verbose"])
    try:
        return run(settings, take).exit_code
    finally:
        close()
