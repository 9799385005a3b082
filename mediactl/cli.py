"""The command line: flags to Settings, errors to one line, results to exit codes. Imports are lazy: start-up counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mediactl import __version__
from mediactl.commands.events import events
from mediactl.commands.jobs import journal_options, state_folder
from mediactl.commands.jobs import register as register_journal_commands
from mediactl.commands.options import option, settings_of, work_options
from mediactl.commands.recipe import recipe
from mediactl.commands.sections import CHECK, OUTPUT, RUN, SCHEDULING, SOURCES, Group
from mediactl.commands.upload import upload
from mediactl.commands.uploads import register as register_upload_commands
from mediactl.core.errors import ExitCode, MediactlError

if TYPE_CHECKING:
    from mediactl.core.settings import Settings
    from mediactl.model.events import Event


def main() -> NoReturn:
    """Run the command line; report every expected error as one line on standard error."""
    try:
        code = cli.main(standalone_mode=False, auto_envvar_prefix="MEDIACTL", obj=_display)
        sys.exit(code if isinstance(code, int) else ExitCode.COMPLETE)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.Abort:
        sys.exit(130)
    except MediactlError as error:
        _print(f"mediactl: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; not worth a traceback
        sys.exit(ExitCode.STOPPED_EARLY)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("MEDIACTL_DEBUG"):
            raise
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        _print(f"mediactl: internal error: {text}; set MEDIACTL_DEBUG=1 for a traceback, and please report it")
        sys.exit(ExitCode.OURS)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _configured(context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from mediactl.core.settings import config_of

    config = config_of(os.environ, value)
    context.default_map = {
        name: dict.fromkeys(command.commands, config) if isinstance(command, click.Group) else config
        for name, command in cli.commands.items()
    }
    return value


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="mediactl %(version)s")
@click.option("--config", callback=_configured, is_eager=True, expose_value=False, metavar="FILE",
              help="Settings file to read instead of ./mediactl.toml; may set ffmpeg.")  # fmt: skip
def cli() -> None:
    """Batch media processor for directories of images, videos and audio.

    Run it again at any time: it does only what is missing.
    """


@cli.command(section=RUN)
@work_options("normal")
@option(SOURCES, "--allow-outside", is_flag=True,
        help="Allow manifests to name files outside their own directory.")  # fmt: skip
@option(SOURCES, "--strict", is_flag=True,
        help="Reject manifests with malformed rows; exit 1 also for sources rejected in earlier runs.")  # fmt: skip
@option(OUTPUT, "-n", "--dry-run", is_flag=True, help="Print what would be done and why; change nothing.")
def process(**flags: Any) -> int:
    """Derive the missing and outdated outputs of every SOURCE.

    SOURCE is a directory, a file, a manifest (.jsonl, .csv, .txt), or - for a manifest on standard input.
    """
    settings = settings_of(flags)
    if flags["dry_run"]:
        from mediactl.pipeline import dry_run

        for line in dry_run.lines(settings, sys.stdin.buffer.read, as_json=flags["as_json"]):
            click.echo(line)
        return ExitCode.COMPLETE
    return _run(settings, flags)


@cli.command(section=RUN)
@work_options("backfill")
@option(SCHEDULING, "--settle", type=click.FloatRange(min=0.01), default=1.0, show_default=True, metavar="S",
        help="Settle time: process a file once it has not changed for S seconds.")  # fmt: skip
@option(SCHEDULING, "--poll", type=click.FloatRange(min=0.1), default=None, metavar="S",
        help="Rescan every S seconds instead of using inotify: for NFS and SMB.")  # fmt: skip
@option(SCHEDULING, "--rescan", type=click.FloatRange(min=1), default=600.0, show_default=True, metavar="S",
        help="Rescan every S seconds in any case.")  # fmt: skip
def watch(settle: float, poll: float | None, rescan: float, **flags: Any) -> int:
    """Process every SOURCE directory, then each file that arrives.

    New files are urgent; --priority applies to the files present at the start. Stops on Ctrl-C or SIGTERM, with exit
    code 0 if nothing is left unfinished.
    """
    from mediactl.core.settings import Watching

    return _run(settings_of(flags, Watching(settle, poll, rescan)), flags)


def _run(settings: Settings, flags: dict[str, Any]) -> int:
    from mediactl.pipeline.run import process as run

    take, close = _display(as_json=flags["as_json"], quiet=flags["quiet"], verbose=flags["verbose"])
    try:
        return run(settings, take, sys.stdin.buffer.read).exit_code
    finally:
        close()


def _display(*, as_json: bool, quiet: bool, verbose: bool) -> tuple[Callable[[Event], None], Callable[[], None]]:
    """Return what draws events, and what ends it: NDJSON, a live view on terminals, plain lines elsewhere."""
    import time

    display: Any
    if as_json:
        from mediactl.ui.ndjson import NdJson

        display = NdJson(sys.stdout.buffer, time.time)
    elif not quiet and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console

        from mediactl.ui.live import LiveView

        display = LiveView(Console(highlight=False), time.monotonic, verbose=verbose)
    else:
        from mediactl.ui.lines import Lines

        display = Lines(sys.stdout, time.monotonic, quiet=quiet, verbose=verbose)
    return display.take, display.close


cli.add_command(upload)
register_journal_commands(cli)
register_upload_commands(cli)
cli.add_command(recipe)


@cli.command(section=CHECK)
@journal_options
@click.option("--ffmpeg", default=None, metavar="FILE", help="ffmpeg to check.  [default: the bundled one]")
def doctor(out: bytes, state: str | None, ffmpeg: str | None) -> int:
    """Check codecs, ffmpeg, libvips, journal, disk space and memory.

    Opens a generated image, video and audio file as workers do. Exits with 1 if a check fails.
    """
    from mediactl.admin import doctor as doctor_

    environment = {**os.environ, **({"MEDIACTL_FFMPEG": ffmpeg} if ffmpeg else {})}
    good = True
    for check in doctor_.checks(os.path.abspath(out), state_folder(out, state), environment):
        good = good and check.ok
        click.echo(f"{'ok ' if check.ok else 'BAD'}  {check.name:<8}  {check.text}")
    return ExitCode.COMPLETE if good else ExitCode.BAD_SOURCES


@cli.command(section=CHECK)
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


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell completion script.

    For bash, add `source <(mediactl completion bash)` to your .bashrc.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    click.echo(found(cli, {}, "mediactl", "_MEDIACTL_COMPLETE").source())


cli.add_command(events)
