"""Commands on what was uploaded, or is still to be: uploads list, resume and abort; verify. Imports are lazy."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import click

from mediactl.commands.jobs import places, state_folder
from mediactl.commands.options import PLACE_OPTIONS, RUN_OPTIONS, TUNING_OPTIONS, apply_options, place, tuning
from mediactl.core.errors import ExitCode

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Span(click.ParamType[float]):
    """A length of time, as 7d, 12h or 30m; in seconds."""

    name = "span"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Seconds of the argument."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", str(value))
        if not found:
            self.fail(f"{value}: must be a number with s, m, h, d or w behind it, as 7d or 12h", parameter, context)
        return float(found[1]) * _UNITS[found[2]]


@click.group()
def uploads() -> None:
    """Uploads that are under way: list them, go on with them, give them up."""


@uploads.command("list")
@places
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.option("--bucket", default=None, metavar="URL",
              help="Also the multipart uploads of others that are open under s3://BUCKET/PREFIX.")  # fmt: skip
@apply_options(PLACE_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(out: bytes, state: str | None, everything: bool, bucket: str | None, as_json: bool, **flags: Any) -> None:
    """List the uploads that wait or are under way: how far each is, since when, and its file."""
    import time

    import msgspec

    from mediactl.admin import open_uploads

    told = 0

    def tell(each: open_uploads.Unfinished) -> None:
        nonlocal told
        told += 1
        click.echo(json.dumps(msgspec.structs.asdict(each)) if as_json else open_uploads.line(each))

    where = None if bucket is None else place(bucket, flags)
    folder, now = state_folder(out, state), time.time()
    for each in open_uploads.unfinished(folder, now, everything=everything):
        tell(each)
    if where is not None:
        for each in open_uploads.strangers(folder, where, now):
            tell(each)
    if not told and not as_json:
        click.echo("no uploads" if everything else "no uploads wait or are under way")


@uploads.command()
@click.pass_context
@places
@apply_options([*RUN_OPTIONS, *TUNING_OPTIONS])
def resume(context: click.Context, **flags: Any) -> int:
    """Go on with the uploads that wait, and do nothing else."""
    from mediactl.core.settings import Settings
    from mediactl.jobs import report
    from mediactl.pipeline.run import network_service
    from mediactl.pipeline.upload_run import resume as run

    folder = state_folder(flags["out"], flags["state"])
    with report.read(folder):
        pass  # a journal that is not there is told, not made
    settings = Settings(
        sources=(),
        out=os.path.abspath(flags["out"]),
        state=folder,
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        environment=dict(os.environ),
    )
    service = network_service(**tuning(flags))
    take, close = context.obj(as_json=flags["as_json"], quiet=flags["quiet"], verbose=flags["verbose"])
    try:
        return run(settings, take, service).exit_code
    finally:
        close()


@uploads.command()
@places
@click.option("--older-than", type=Span(), required=True, metavar="TIME", help="Begun so long ago, as 7d, 12h, 30m.")
@click.option("-y", "--yes", is_flag=True, help="Abort them.")
def abort(out: bytes, state: str | None, older_than: float, yes: bool) -> int:
    """List our own uploads that were begun long ago and are not over; with --yes, give them up.

    What was sent of them is freed. The next `process --to` or `upload` begins them anew. Those of others are never
    touched.
    """
    import time

    from mediactl.admin import open_uploads

    folder, now = state_folder(out, state), time.time()
    found = open_uploads.old(folder, now, older_than)
    for each in found:
        click.echo(open_uploads.line(open_uploads.told(each, now)))
    if not found:
        click.echo("nothing to abort")
    elif yes:
        number, wrong = open_uploads.abort(folder, os.path.abspath(out), found, lambda line: click.echo(line, err=True))
        click.echo(f"{number} aborted")
        return ExitCode.COMPLETE if wrong is None else wrong.exit_code
    else:
        click.echo(f"{len(found)} are that old; --yes aborts them")
    return ExitCode.COMPLETE


@click.command()
@places
@click.option("--repair", is_flag=True, help="Have the next process, or upload, make and send these again.")
@click.option("--local-only", is_flag=True, help="Ask no bucket.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, the last one with the numbers.")
def verify(out: bytes, state: str | None, repair: bool, local_only: bool, as_json: bool) -> int:
    """Read every output, ask the buckets for every object, and tell what is missing or wrong."""
    import msgspec

    from mediactl.admin import verify as verify_
    from mediactl.pool.limits import available_cores

    def tell(each: verify_.Finding) -> None:
        text = f"{each.problem}: {each.name}: {each.reason}"
        click.echo(json.dumps(msgspec.structs.asdict(each)) if as_json else text)

    folder, result = state_folder(out, state), verify_.Verified()
    verify_.local(folder, os.path.abspath(out), available_cores(), tell, result)
    if not local_only:
        verify_.remote(folder, tell, result)
    for error in result.unverified:
        click.echo(f"could not be verified: {error}", err=True)
    again = verify_.repair(folder, result) if repair else 0
    if as_json:
        numbers = {"files": result.files, "objects": result.objects, "bad": result.findings, "repaired": again}
        click.echo(json.dumps({"what": "summary", **numbers, "unverified": len(result.unverified)}))
    else:
        looked = f"{result.files:,} files and {result.objects:,} objects looked at"
        click.echo(f"{looked}: {f'{result.findings:,} missing or wrong' if result.findings else 'nothing wrong'}")
        if again:
            click.echo("run again what made them: `mediactl process` makes and sends them anew")
        elif result.findings and not repair:
            click.echo("--repair has the next run make and send them anew")
    return verify_.exit_code(result, ExitCode.BAD_SOURCES)


def register(group: click.Group) -> None:
    """Add these commands to the program's."""
    group.add_command(uploads)
    group.add_command(verify)
