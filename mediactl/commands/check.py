"""The command ``check``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from mediactl.commands.shared.options import journal_options, json_option, state_folder
from mediactl.commands.shared.sections import LOOK, Command
from mediactl.commands.shared.types import Duration
from mediactl.core import quantities

if TYPE_CHECKING:
    from mediactl.monitor.check import Limits

LANES = ("quick", "heavy", "network", "alone")
EXITS = (
    (0, "OK."),
    (1, "WARNING."),
    (2, "CRITICAL."),
    (3, "UNKNOWN: invalid command line, or a journal that cannot be read."),
)


class Check(Command):
    """A command whose errors are UNKNOWN: 2, that of invalid usage elsewhere, is CRITICAL for monitoring."""

    def failed(self, line: str, code: int, arguments: Sequence[str]) -> int:
        """Print why nothing is known, and return that exit code."""
        from mediactl.monitor import check

        text = " ".join(line.removeprefix("mediactl: ").split())
        with suppress(OSError):  # nobody reads it
            print(check.line(check.Status.UNKNOWN, text), flush=True)
        return check.Status.UNKNOWN


class Bounds(click.ParamType["Limits"]):
    """W:C, a warning and a critical limit; one of them may be missing. Numbers, or durations."""

    name = "limits"

    def __init__(self, *, durations: bool = False) -> None:
        self.durations = durations

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the limits; of durations, in seconds."""
        from mediactl.monitor.check import Limits

        if isinstance(value, Limits):
            return value
        warning, colon, critical = str(value).partition(":")
        if not colon or not (warning or critical):
            self.fail(f"{value}: expected W:C, e.g. {'2h:6h' if self.durations else '100:1000'}", parameter, context)
        try:
            found = [None if each == "" else self._number(each) for each in (warning, critical)]
        except ValueError as error:
            self.fail(str(error), parameter, context)
        if None not in found and found[0] > found[1]:  # type: ignore[operator]
            self.fail(f"{value}: the warning limit is above the critical one", parameter, context)
        return Limits(*found)

    def _number(self, text: str) -> float:
        if self.durations:
            return quantities.duration(text)
        if not text.isdecimal():
            raise ValueError(f"{text}: expected a whole number")
        return float(text)


class LaneBounds(click.ParamType[tuple[str, "Limits"]]):
    """LANE=W:C, with durations."""

    name = "lane limits"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return lane and limits."""
        if isinstance(value, tuple):
            return value
        lane, _, limits = str(value).partition("=")
        if lane not in LANES:
            self.fail(f"{value}: expected LANE=W:C, LANE one of {', '.join(LANES)}", parameter, context)
        return lane, Bounds(durations=True).convert(limits, parameter, context)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the lanes that begin so."""
        return [CompletionItem(f"{name}=") for name in LANES if name.startswith(incomplete)]


@click.command(
    cls=Check,
    section=LOOK,
    order=1,
    exits=EXITS,
    examples=(
        "check",
        "check -o /srv/derived --fresh 26h --failed 0:10",
        "check --depth 1000:10000 --age heavy=2h:6h",
    ),
)
@journal_options
@click.option("--depth", type=Bounds(), default=None, metavar="W:C", help="Limits of the number of pending jobs.")
@click.option("--age", "ages", multiple=True, type=LaneBounds(), metavar="LANE=W:C",
              help="Limits of the age of the oldest pending job of a lane (quick, heavy, network, alone), instead of"
              " its due time; can be given more than once.")  # fmt: skip
@click.option("--failed", type=Bounds(), default=None, metavar="W:C",
              help="Limits of the number of quarantined sources.  [default: 0:]")  # fmt: skip
@click.option("--fresh", type=Duration(minimum=1), default=None, metavar="TIME",
              help="CRITICAL if the last success is longer ago, e.g. 26h; an active watch is a success.")  # fmt: skip
@json_option()
def check(
    out: bytes,
    state: str | None,
    depth: Limits | None,
    ages: tuple[tuple[str, Limits], ...],
    failed: Limits | None,
    fresh: float | None,
    as_json: bool,
) -> int:
    """Check queue and runs for Nagios, Icinga, cron.

    Without options: WARNING if a job is overdue, CRITICAL after twice the time that its priority promises; WARNING if
    sources are quarantined; WARNING or CRITICAL if an active run has no heartbeat for one or five minutes; CRITICAL
    if a watch was killed. A value beyond a limit breaks it.
    """
    import time

    from mediactl.jobs import report
    from mediactl.jobs.priority import SLACK
    from mediactl.monitor.check import ANY, Limits, Thresholds, judged

    with report.read(state_folder(out, state)) as rows:
        figures = rows.figures(time.time())
    verdict = judged(
        figures,
        Thresholds(promises=SLACK, depth=depth or Limits(), ages=dict(ages), failed=failed or ANY, fresh=fresh),
    )
    if as_json:
        fields = {"status": verdict.status.name, "exit_code": verdict.status, "problems": verdict.problems}
        click.echo(json.dumps({**fields, "line": verdict.line}))
    else:
        click.echo(verdict.line)
    return int(verdict.status)
