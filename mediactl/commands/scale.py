"""The command ``scale``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.shared.monitoring import Address
from mediactl.commands.shared.options import journal_options, json_option, option, state_folder
from mediactl.commands.shared.sections import LOOK, OUTPUT, SCHEDULING, Command
from mediactl.commands.shared.types import Duration

if TYPE_CHECKING:
    from mediactl.planning.schedule import Schedule


class Hours(click.ParamType["Schedule"]):
    """DAYS FROM-TO [ZONE] = N."""

    name = "schedule"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Schedule:
        """Return the schedule of the argument."""
        from mediactl.planning import schedule

        if isinstance(value, schedule.Schedule):
            return value
        try:
            return schedule.parse(str(value))
        except ValueError as error:
            self.fail(str(error), parameter, context)


@click.command(
    cls=Command,
    section=LOOK,
    order=1,
    examples=(
        "scale --drain-in 10m --slots 8",
        "scale --slots 8 --max 300 --schedule 'mon-fri 08:00-20:00 = 10'",
        "scale -o /srv/derived --slots 8 --listen 127.0.0.1:9465",
    ),
)
@option(SCHEDULING, "--drain-in", type=Duration(minimum=1), default="10m", show_default=True, metavar="TIME",
        help="Time within which all pending jobs are to be done.")  # fmt: skip
@option(SCHEDULING, "--slots", type=click.IntRange(min=1), required=True, metavar="N",
        help="Jobs that one machine runs at once: its cores, unless set otherwise.")  # fmt: skip
@option(SCHEDULING, "--min", "least", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
        help="Minimum number of machines.")  # fmt: skip
@option(SCHEDULING, "--max", "most", type=click.IntRange(min=1), default=None, metavar="N",
        help="Maximum number of machines.")  # fmt: skip
@option(SCHEDULING, "--schedule", "schedules", type=Hours(), multiple=True, metavar="SCHEDULE",
        help="At least N machines in these hours: DAYS FROM-TO [ZONE] = N; can be given more than once.")  # fmt: skip
@option(OUTPUT, "--listen", type=Address(), default=None, trusted=True, metavar="HOST:PORT",
        help="Serve the answer over HTTP, e.g. for KEDA's metrics-api scaler.")  # fmt: skip
@journal_options
@json_option()
def scale(
    out: bytes,
    state: str | None,
    drain_in: float,
    slots: int,
    least: int,
    most: int | None,
    schedules: tuple[Schedule, ...],
    listen: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Print how many machines the work of the journal requires.

    The largest of: machines that do pending and running work, by its predicted seconds, within --drain-in; machines
    that run jobs now; --schedule; and machines for the work that arrived at the same hour of past weeks, five minutes
    ahead. See docs/scale.md for KEDA, HPA and CloudWatch.
    """
    import time

    from mediactl.admin.fleet import scaling
    from mediactl.jobs import report
    from mediactl.planning.scaling import Goal

    if most is not None and most < least:
        raise click.UsageError(f"--max {most}: below --min {least}")
    goal = Goal(drain_in, slots, least, most, schedules)
    folder = state_folder(out, state)

    def measure() -> scaling.Scale:
        with report.read(folder) as rows:
            return scaling.measure(rows, goal, time.time())

    if listen is not None:
        from mediactl.monitor import scale_server

        scale_server.serve(*listen, lambda: scaling.as_json(measure()), lambda url: click.echo(f"listening  {url}"))
        return
    found = measure()
    for line in [json.dumps(scaling.as_json(found))] if as_json else scaling.lines(found, goal):
        click.echo(line)
