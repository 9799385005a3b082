"""The command ``selftest``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

from collections.abc import Callable

import click

from mediactl.commands.shared.sections import CHECK, Command
from mediactl.core.errors import ExitCode


@click.command(
    cls=Command,
    section=CHECK,
    order=5,
    exits=((0, "All promises held."), (70, "A promise was broken; please report it.")),
    examples=(
        "selftest",
        "selftest --seconds 300",
        "selftest --number 10000 --seed 7 --json",
    ),
)
@click.option("--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True, metavar="S",
              help="Approximate duration.")  # fmt: skip
@click.option("--number", type=click.IntRange(min=1), default=None, metavar="N",
              help="Number of jobs, instead of a duration.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, metavar="N", help="Seed of the random mix of jobs.")
@click.option("-j", "--jobs", "workers", type=click.IntRange(min=1), default=None, metavar="N",
              help="Number of worker processes.  [default: usable cores]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one event, selftest.")
def selftest(seconds: float, number: int | None, seed: int, workers: int | None, as_json: bool) -> int:
    """Stress-test journal and worker pool with synthetic jobs.

    Some of them crash, hang, stall or exhaust their memory. Runs in a temporary directory.
    """
    from mediactl.admin import selftest as selftest_
    from mediactl.pool.limits import available_cores

    jobs = number or int(seconds * selftest_.JOBS_A_SECOND)
    report: Callable[[str], None] = (lambda line: None) if as_json else click.echo
    result = selftest_.run(jobs, seed, workers or available_cores(), report)
    for line in selftest_.lines(result, as_json=as_json):
        click.echo(line)
    return ExitCode.OURS if result.invariants.violated else ExitCode.COMPLETE
