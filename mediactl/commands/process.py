"""Commands that process sources: ``process``, ``watch``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any

import click

from mediactl.commands.shared.monitoring import LISTEN, STATSD, TEXTFILE, monitored
from mediactl.commands.shared.options import option, settings_of, work_options
from mediactl.commands.shared.sections import EXITS, MACHINES, OUTPUT, RUN, SCHEDULING, SOURCES, Command
from mediactl.commands.shared.types import Duration, Name
from mediactl.core.errors import ExitCode
from mediactl.model.shard import SHARD_BY

if TYPE_CHECKING:
    from mediactl.core.settings import Settings

INPUT_IN_MEMORY = 16 << 20
"""Bytes of standard input that are kept in memory; a longer one is kept in a temporary file."""


@click.command(
    cls=Command,
    section=RUN,
    exits=EXITS,
    events=True,
    examples=(
        "process ./uploads",
        "process ./photos --recipe gallery.toml --dry-run",
        "process ./archive -o /srv/derived --max-duration 6h --quiet",
        "process ./archive --speed small",
        "process ./assets --to s3://bucket/prefix",
        "process ./archive --to s3://bucket/prefix --shard 3/10",
        "process --json - < files.txt",
    ),
)
@work_options("normal")
@option(SOURCES, "--allow-outside", is_flag=True, trusted=True,
        help="Allow manifest files to name files outside their own directory.")  # fmt: skip
@option(SOURCES, "--strict", is_flag=True,
        help="Reject manifests with malformed rows; exit 1 also for sources rejected in earlier runs.")  # fmt: skip
@option(SOURCES, "--shard", default=None, metavar="N/M",
        help="Process the Nth of M parts of the sources, e.g. 3/10; auto: as the array job says.")  # fmt: skip
@option(SOURCES, "--shard-by", type=click.Choice(SHARD_BY), default="path", show_default=True,
        help="Divide sources by a hash of their paths, or so that each part is as much work.")  # fmt: skip
@option(MACHINES, "--broker", default=None, trusted=True, metavar="URL",
        help="Have `mediactl worker` processes run the jobs, through redis://, amqp:// or sqs://.")  # fmt: skip
@option(MACHINES, "--queue-prefix", default="mediactl", show_default=True, metavar="NAME",
        help="Prefix of the names of the broker's queues.")  # fmt: skip
@TEXTFILE
@STATSD
@option(OUTPUT, "--report", type=Name(), default=None, trusted=True, metavar="FILE",
        help="Write a report of the run: one HTML file, with images before and after.")  # fmt: skip
@option(OUTPUT, "--report-blob", type=Name(), default=None, trusted=True, metavar="FILE",
        help="Write what `report merge` makes one report of several runs from.")  # fmt: skip
@option(
    OUTPUT, "-n", "--dry-run", is_flag=True, setting=False, help="Print what would be done and why; change nothing."
)
def process(**flags: Any) -> int:
    """Derive the missing and outdated outputs of every SOURCE.

    SOURCE is a directory, a file, a manifest (.jsonl, .csv, .txt) of files and directories, or - for a manifest on
    standard input, such as the output of find: its paths are absolute or relative to the current directory.
    """
    settings = settings_of(flags)
    if flags["dry_run"]:
        from mediactl.pipeline import dry_run

        for line in dry_run.lines(settings, _read_input, as_json=flags["as_json"], verbose=flags["verbose"]):
            click.echo(line)
        return ExitCode.COMPLETE
    return _reported(settings, flags) if flags["report"] or flags["report_blob"] else _run(settings, flags)


@click.command(
    cls=Command,
    section=RUN,
    exits=EXITS,
    events=True,
    examples=(
        "watch ./incoming",
        "watch ./incoming -o /srv/derived --settle 5s",
        "watch /mnt/nas/photos --poll 1m --to s3://bucket/prefix",
    ),
)
@work_options("backfill")
@option(SCHEDULING, "--settle", type=Duration(minimum=0.01), default="1s", show_default=True, metavar="TIME",
        help="Settle time: process a file once it has not changed for this long.")  # fmt: skip
@option(SCHEDULING, "--poll", type=Duration(minimum=0.1), default=None, metavar="TIME",
        help="Rescan at this interval instead of using inotify: for NFS and SMB.")  # fmt: skip
@option(SCHEDULING, "--rescan", type=Duration(minimum=1), default="10m", show_default=True, metavar="TIME",
        help="Rescan at this interval in any case.")  # fmt: skip
@TEXTFILE
@STATSD
@LISTEN
def watch(settle: float, poll: float | None, rescan: float, **flags: Any) -> int:
    """Process every SOURCE directory, then each file that arrives.

    New files are urgent; --priority applies to the files present at the start. Stops on Ctrl-C or SIGTERM, with exit
    code 0 if nothing is left unfinished.
    """
    from mediactl.core.settings import Watching

    return _run(settings_of(flags, Watching(settle, poll, rescan)), flags)


def _reported(settings: Settings, flags: dict[str, Any]) -> int:
    """Run, then write the report; that it cannot be written changes no exit code but 0."""
    from mediactl.commands.shared import reports
    from mediactl.core.errors import MediactlError

    html, blob = flags["report"], flags["report_blob"]
    for file in (html, blob):
        reports.require_writable(file)
    runs: list[str] = []
    code = _run(settings, flags, runs)
    try:
        reports.write(settings.state, settings.out, runs[0], html, blob)
    except (MediactlError, OSError) as error:
        click.echo(f"mediactl: {error}", err=True)
        return code or ExitCode.STOPPED_EARLY
    return code


def _run(settings: Settings, flags: dict[str, Any], runs: list[str] | None = None) -> int:
    """Run, and return the exit code; the id of the run is added to ``runs``."""
    from mediactl.pipeline.workers import fork_server

    engine = None
    if flags.get("broker"):
        from mediactl.commands.shared.brokers import engine_of

        engine = engine_of(flags["broker"], flags["queue_prefix"])
    with closing(fork_server(settings)) as forks:  # first: it imports beside what is imported here
        from mediactl.commands.shared.display import display
        from mediactl.model.events import Event, RunStarted
        from mediactl.pipeline.run import process as run

        def noted(event: Event) -> None:
            if runs is not None and isinstance(event, RunStarted):
                runs.append(event.run)
            take(event)

        with display(flags) as shown, monitored(flags, settings, shown) as take:
            return run(settings, take if runs is None else noted, _read_input, forks, engine=engine).exit_code


def _read_input() -> IO[bytes]:
    """Return standard input as a file that can be read twice; a terminal's is asked for."""
    import shutil
    import tempfile

    if sys.stdin.isatty():
        click.echo("mediactl: reading file names from standard input, one per line; end with Ctrl-D", err=True)
    copy = tempfile.SpooledTemporaryFile(INPUT_IN_MEMORY)  # noqa: SIM115 - closed by who reads it
    # Unbuffered: a terminal's end is there once, and a buffer that met it would ask for another.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as names:
        shutil.copyfileobj(names, copy)
    copy.seek(0)
    return copy
