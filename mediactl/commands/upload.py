"""The command ``upload``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os
from typing import Any

import click

from mediactl.commands.shared.monitoring import STATSD, TEXTFILE, monitored
from mediactl.commands.shared.options import (
    PRIORITIES,
    RUN_OPTIONS,
    UPLOAD_OPTIONS,
    WALK_OPTIONS,
    apply_options,
    destination,
    journal_options,
    monitoring_settings,
    option,
    state_folder,
    walk_settings,
)
from mediactl.commands.shared.sections import EXITS, SCHEDULING, UPLOAD, Command
from mediactl.commands.shared.types import Path


@click.command(
    cls=Command,
    section=UPLOAD,
    exits=EXITS,
    events=True,
    examples=(
        "upload ./videos --to s3://bucket/videos",
        "upload big.mov --to s3://bucket --bandwidth 20M",
        "upload ./videos --to s3://bucket --endpoint-url http://127.0.0.1:9000",
    ),
)
@click.argument("sources", nargs=-1, required=True, type=Path(), metavar="FILE...")
@journal_options
@apply_options(WALK_OPTIONS)
@option(SCHEDULING, "--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True,
        help="Priority of these files.")  # fmt: skip
@apply_options([*UPLOAD_OPTIONS, *RUN_OPTIONS])
@TEXTFILE
@STATSD
def upload(**flags: Any) -> int:
    """Upload files and directories as they are, without processing.

    Files of a directory go to PREFIX/<path inside it>. Interrupted uploads resume; a second run sends only changes.
    """
    if flags["to"] is None:
        raise click.UsageError("no destination; add --to s3://BUCKET/PREFIX")
    from mediactl.commands.shared.display import display
    from mediactl.core.settings import Settings
    from mediactl.model.jobs import Priority
    from mediactl.pipeline.upload_run import upload as run

    settings = Settings(
        sources=flags["sources"],
        out=os.path.abspath(flags["out"]),
        state=state_folder(flags["out"], flags["state"]),
        priority=Priority[flags["priority"].upper()],
        **walk_settings(flags),
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        history=flags["history"],
        to=destination(flags),
        environment=dict(os.environ),
        **monitoring_settings(flags),
    )
    with display(flags) as shown, monitored(flags, settings, shown) as take:
        return run(settings, take).exit_code
