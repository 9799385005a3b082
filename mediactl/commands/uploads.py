"""Commands on uploads: ``uploads list``, ``resume``, ``abort``. Imports are lazy."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from mediactl.commands.shared.monitoring import STATSD, TEXTFILE, monitored
from mediactl.commands.shared.options import (
    BUCKET_OPTIONS,
    RUN_OPTIONS,
    TUNING_OPTIONS,
    apply_options,
    bucket_location,
    journal_options,
    monitoring_settings,
    option,
    state_folder,
    tuning,
)
from mediactl.commands.shared.sections import EXITS, OUTPUT, UPLOAD, UPLOADS, Group
from mediactl.commands.shared.types import BucketUrl, Duration
from mediactl.core.errors import ExitCode


@click.group(cls=Group, section=UPLOAD)
def uploads() -> None:
    """List, resume and abort unfinished uploads."""


@uploads.command(
    "list", examples=("uploads list", "uploads list --all --json", "uploads list --bucket s3://bucket/prefix")
)
@journal_options
@option(UPLOADS, "--all", "everything", is_flag=True, help="Include finished uploads.")
@option(UPLOADS, "--bucket", type=BucketUrl(), default=None, metavar="URL",
        help="Include open multipart uploads of other writers under s3://BUCKET/PREFIX.")  # fmt: skip
@apply_options(BUCKET_OPTIONS)
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def list_(out: bytes, state: str | None, everything: bool, bucket: str | None, as_json: bool, **flags: Any) -> None:
    """List unfinished uploads: status, progress, age and file."""
    import time

    import msgspec

    from mediactl.admin import open_uploads

    printed = 0

    def report(each: open_uploads.Unfinished) -> None:
        nonlocal printed
        printed += 1
        click.echo(json.dumps(msgspec.structs.asdict(each)) if as_json else open_uploads.line(each))

    where = None if bucket is None else bucket_location(bucket, flags)
    folder, now = state_folder(out, state), time.time()
    for each in open_uploads.unfinished(folder, now, everything=everything):
        report(each)
    if where is not None:
        for each in open_uploads.unknown(folder, where, now):
            report(each)
    if not printed and not as_json:
        click.echo("no uploads" if everything else "no unfinished uploads")


@uploads.command(
    exits=EXITS,
    events=True,
    examples=("uploads resume", "uploads resume -o /srv/derived", "uploads resume --bandwidth 20M"),
)
@journal_options
@apply_options([*RUN_OPTIONS, *TUNING_OPTIONS])
@TEXTFILE
@STATSD
def resume(**flags: Any) -> int:
    """Resume unfinished uploads, and do nothing else."""
    from mediactl.commands.shared.display import display
    from mediactl.core.settings import Settings
    from mediactl.jobs import report
    from mediactl.pipeline.pool_run import network_service
    from mediactl.pipeline.upload_run import resume as run

    folder = state_folder(flags["out"], flags["state"])
    with report.read(folder):
        pass  # reports a missing journal instead of creating one
    settings = Settings(
        sources=(),
        out=os.path.abspath(flags["out"]),
        state=folder,
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        history=flags["history"],
        environment=dict(os.environ),
        **monitoring_settings(flags),
    )
    service = network_service(**tuning(flags))
    with display(flags) as shown, monitored(flags, settings, shown) as take:
        return run(settings, take, service).exit_code


@uploads.command(examples=("uploads abort --older-than 7d", "uploads abort --older-than 12h --yes"))
@journal_options
@click.option(
    "--older-than",
    type=Duration(unit_required=True),
    required=True,
    metavar="AGE",
    help="Minimum age, e.g. 7d, 12h or 30m.",
)
@click.option("-y", "--yes", is_flag=True, help="Abort the uploads.")
def abort(out: bytes, state: str | None, older_than: float, yes: bool) -> int:
    """List unfinished uploads of a minimum age; abort them with --yes.

    Aborting frees the parts that were sent. The next `process --to` or `upload` starts these uploads from the
    beginning. Uploads of other writers are never touched.
    """
    import time

    from mediactl.admin import open_uploads
    from mediactl.ui.lines import count

    folder, now = state_folder(out, state), time.time()
    found = open_uploads.old(folder, now, older_than)
    for each in found:
        click.echo(open_uploads.line(open_uploads.described(each, now)))
    if not found:
        click.echo("nothing to abort")
    elif yes:
        number, wrong = open_uploads.abort(folder, os.path.abspath(out), found, lambda line: click.echo(line, err=True))
        click.echo(f"{count(number, 'upload')} aborted")
        return ExitCode.COMPLETE if wrong is None else wrong.exit_code
    else:
        click.echo(f"{count(len(found), 'upload')}; --yes aborts them")
    return ExitCode.COMPLETE
