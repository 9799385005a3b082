"""The command ``worker``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import click

from mediactl.commands.shared.options import option
from mediactl.commands.shared.sections import MACHINES, RUN, SCHEDULING, SOURCES, Command
from mediactl.commands.shared.types import Duration, Name
from mediactl.model.jobs import HEAVY, QUICK

LANES = (QUICK, HEAVY)


@click.command(
    cls=Command,
    section=RUN,
    order=3,
    examples=(
        "worker --broker redis://127.0.0.1:6379/0",
        "worker --broker redis://broker:6379/0 -Q heavy --slots 4",
    ),
    exits=((0, "Drained."), (2, "Invalid command line or settings."), (75, "A consumer of a lane ended by itself.")),
)
@option(MACHINES, "--broker", required=True, trusted=True, metavar="URL",
        help="Broker of the runs: redis://, amqp:// or sqs://.")  # fmt: skip
@option(MACHINES, "--queue-prefix", default="mediactl", show_default=True, metavar="NAME",
        help="Prefix of the names of the broker's queues.")  # fmt: skip
@option(MACHINES, "-Q", "--queues", default="quick,heavy", show_default=True, metavar="LANES",
        help="Lanes to take jobs of.")  # fmt: skip
@option(SCHEDULING, "--slots", type=click.IntRange(min=1), default=None, metavar="N",
        help="Jobs of a lane that run at once.  [default: usable cores]")  # fmt: skip
@option(SCHEDULING, "--grace", type=Duration(), default="25s", show_default=True, metavar="TIME",
        help="Time that running jobs get to finish after Ctrl-C or SIGTERM.")  # fmt: skip
@option(SCHEDULING, "--drain-file", type=Name(), default=None, metavar="PATH", help="Drain when this file appears.")
@option(SCHEDULING, "--drain-url", default=None, trusted=True, metavar="URL", help="Drain when this URL answers 200.")
@option(SOURCES, "--cache", type=Name(directory=True), default=None, metavar="DIR",
        help="Directory of the cache of file digests, or none.  [default: ~/.cache/mediactl]")  # fmt: skip
@option(SOURCES, "--sandbox", type=click.Choice(["auto", "require", "off"]), default="auto", show_default=True,
        trusted=True, help="Decode sources in a sandbox: with what this machine has of it, only with all of it, or"
        " not.")  # fmt: skip
def worker(
    broker: str, queue_prefix: str, queues: str, slots: int | None, grace: float, drain_file: str | None,
    drain_url: str | None, cache: str | None, sandbox: str,
) -> int:  # fmt: skip
    """Run jobs of `mediactl process --broker` on this machine.

    Sources and OUT have the same paths here as for the run. Requires the extra `celery`.
    """
    import os

    from mediactl.commands.shared.brokers import require_broker
    from mediactl.core.errors import UsageError

    require_broker(broker)
    lanes = tuple(dict.fromkeys(queues.split(",")))
    if unknown := [lane for lane in lanes if lane not in LANES]:
        raise UsageError(f"--queues: unknown lane {unknown[0]!r}; use {' or '.join(LANES)}")
    from mediactl.core.sandbox.mode import Mode
    from mediactl.engines import worker as workers
    from mediactl.engines.host import HostSettings
    from mediactl.media.ffmpeg.versions import encoder_versions
    from mediactl.pipeline.run import check_sandbox
    from mediactl.pool.limits import available_cores

    check_sandbox(Mode(sandbox))
    encoder_versions(os.environ.get("MEDIACTL_FFMPEG"))  # raises where there is no ffmpeg: it could run no job
    settings = HostSettings(lanes, slots or available_cores(), grace, sandbox, cache)
    return workers.run(broker, queue_prefix, settings, drain_file, drain_url)
