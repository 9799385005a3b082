"""The command ``selftest``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

from collections.abc import Callable

import click

from mediactl.commands.shared.sections import CHECK, Command
from mediactl.commands.shared.types import BucketUrl
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
        "selftest --kill --rounds 100",
        "selftest --kill --to s3://bucket/scratch",
    ),
)
@click.option("--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True, metavar="S",
              help="Approximate duration.")  # fmt: skip
@click.option("--number", type=click.IntRange(min=1), default=None, metavar="N",
              help="Number of jobs, instead of a duration.")  # fmt: skip
@click.option("--kill", is_flag=True, help="Process images, videos and audio instead, and kill -9 random processes.")
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True, metavar="N",
              help="Number of kills, with --kill.")  # fmt: skip
@click.option(
    "--to", type=BucketUrl(), default=None, metavar="URL", help="With --kill, upload below s3://BUCKET/PREFIX, too."
)
@click.option("--seed", type=int, default=1, show_default=True, metavar="N",
              help="Seed of the random mix of jobs, or of the kills.")  # fmt: skip
@click.option("-j", "--jobs", "workers", type=click.IntRange(min=1), default=None, metavar="N",
              help="Number of worker processes.  [default: usable cores]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one event, selftest.")
def selftest(
    seconds: float,
    number: int | None,
    kill: bool,
    rounds: int,
    to: str | None,
    seed: int,
    workers: int | None,
    as_json: bool,
) -> int:
    """Stress-test journal and worker pool, or kill runs at random.

    Without --kill, the jobs are synthetic, and some of them crash, hang, stall or exhaust their memory. With --kill,
    supervisors, workers, ffmpeg and uploads of runs over real media are killed; the invariants of `verify --journal`
    must hold after each kill, and in the end the outputs are those of a run that was left alone. Runs in a temporary
    directory.
    """
    if kill:
        return _kill(rounds, seed, to, as_json)
    from mediactl.admin import selftest as selftest_
    from mediactl.pool.limits import available_cores

    jobs = number or int(seconds * selftest_.JOBS_A_SECOND)
    report: Callable[[str], None] = (lambda line: None) if as_json else click.echo
    result = selftest_.run(jobs, seed, workers or available_cores(), report)
    for line in selftest_.lines(result, as_json=as_json):
        click.echo(line)
    return ExitCode.OURS if result.invariants.violated else ExitCode.COMPLETE


def _kill(rounds: int, seed: int, to: str | None, as_json: bool) -> int:
    import msgspec

    from mediactl.admin import kill_loop
    from mediactl.commands.shared.options import bucket_location

    unset = dict.fromkeys(("endpoint_url", "region", "profile", "path_style", "ca_bundle"))
    location = None if to is None else bucket_location(to, unset)
    report: Callable[[str], None] = (lambda line: None) if as_json else click.echo
    result = kill_loop.run(rounds, seed, location, report)
    click.echo(msgspec.json.encode(result) if as_json else "\n".join(kill_loop.lines(result)))
    return ExitCode.OURS if result.invariants.violated else ExitCode.COMPLETE
