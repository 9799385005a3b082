"""The command line: flags to Settings, errors to one line, results to exit codes. Imports are lazy: start-up counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mediactl import __version__
from mediactl.commands.events import events
from mediactl.commands.jobs import places, state_folder
from mediactl.commands.jobs import register as register_journal_commands
from mediactl.commands.options import settings_of, work_options
from mediactl.commands.recipe import recipe
from mediactl.commands.upload import upload
from mediactl.commands.uploads import register as register_upload_commands
from mediactl.core.errors import ExitCode, MediactlError

if TYPE_CHECKING:
    from mediactl.core.settings import Settings
    from mediactl.model.events import Event


def main() -> NoReturn:
    """Entry point. Whatever goes wrong on purpose ends as one line on standard error."""
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
        _say(f"mediactl: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; not worth a traceback
        sys.exit(ExitCode.STOPPED_EARLY)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("MEDIACTL_DEBUG"):
            raise
        text = " ".join(str(error).split())
        _say(
            f"mediactl: a fault of ours: {type(error).__name__}: {text}; MEDIACTL_DEBUG=1 shows where; please report it"
        )
        sys.exit(ExitCode.OURS)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _configured(context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from mediactl.core.settings import config_of

    config = config_of(os.environ, value)
    context.default_map = {
        name: dict.fromkeys(command.commands, config) if isinstance(command, click.Group) else config
        for name, command in cli.commands.items()
    }
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="mediactl %(version)s")
@click.option("--config", callback=_configured, is_eager=True, expose_value=False, metavar="FILE",
              help="Settings file to use instead of mediactl.toml; trusted as it is.")  # fmt: skip
def cli() -> None:
    """Batch media processor for folders of photos, videos and sound.

    Run it again at any time: it does only what is missing.
    """


register_journal_commands(cli)
cli.add_command(recipe)
cli.add_command(events)
cli.add_command(upload)
register_upload_commands(cli)


@cli.command()
@work_options("normal")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done and why; touch nothing.")
@click.option(
    "--strict", is_flag=True, help="Start nothing if a manifest has a bad row; exit 1 also for bad sources of old."
)
@click.option("--allow-outside", is_flag=True, help="Let manifests name files outside their own folder.")
def process(**flags: Any) -> int:
    """Make the outputs of every SOURCE complete.

    SOURCE is a folder, a file, a manifest (.jsonl, .csv, .txt), or - for a manifest on standard input.
    """
    settings = settings_of(flags)
    if flags["dry_run"]:
        from mediactl.pipeline import dry_run

        for line in dry_run.lines(settings, sys.stdin.buffer.read, as_json=flags["as_json"]):
            click.echo(line)
        return ExitCode.COMPLETE
    return _run(settings, flags)


@cli.command()
@work_options("backfill")
@click.option("--settle", type=click.FloatRange(min=0.01), default=1.0, show_default=True, metavar="S",
              help="Take a new file when its size has been still for S seconds.")  # fmt: skip
@click.option("--poll", type=click.FloatRange(min=0.1), default=None, metavar="S",
              help="Look at everything every S seconds: for NFS and SMB, which tell of no changes.")  # fmt: skip
@click.option("--rescan", type=click.FloatRange(min=1), default=600.0, show_default=True, metavar="S",
              help="Look at everything every S seconds all the same.")  # fmt: skip
def watch(settle: float, poll: float | None, rescan: float, **flags: Any) -> int:
    """Make the outputs of every SOURCE folder complete, then go on with whatever comes into it.

    New files are urgent; --priority is for those that are there at the start. Ends on Ctrl-C or SIGTERM, with exit code
    0 when nothing was left unfinished.
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
    """What draws the events: NDJSON, the live view on a terminal, plain lines elsewhere."""
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


@cli.command()
@places
@click.option("--ffmpeg", default=None, metavar="FILE", help="ffmpeg to look at.")
def doctor(out: bytes, state: str | None, ffmpeg: str | None) -> int:
    """Open an image, a video and audio as workers do; look at ffmpeg, libvips, the journal, free space and cores."""
    from mediactl.admin import doctor as doctor_

    environment = {**os.environ, **({"MEDIACTL_FFMPEG": ffmpeg} if ffmpeg else {})}
    good = True
    for check in doctor_.checks(os.path.abspath(out), state_folder(out, state), environment):
        good = good and check.ok
        click.echo(f"{'ok ' if check.ok else 'BAD'}  {check.name:<8}  {check.text}")
    return ExitCode.COMPLETE if good else ExitCode.BAD_SOURCES


@cli.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True, help="About how long.")
@click.option("--number", type=click.IntRange(min=1), default=None, help="How many jobs, instead.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another mix.")
@click.option("-j", "--jobs", "workers", type=click.IntRange(min=1), default=None, help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="End with one event, selftest.")
def selftest(seconds: float, number: int | None, seed: int, workers: int | None, as_json: bool) -> int:
    """Try journal and pool on this machine, with jobs that crash, hang, stall and hog; nothing of yours is touched."""
    from mediactl.admin import selftest as selftest_
    from mediactl.pool.limits import available_cores

    many = number or int(seconds * selftest_.JOBS_A_SECOND)
    say: Callable[[str], None] = (lambda line: None) if as_json else click.echo
    result = selftest_.run(many, seed, workers or available_cores(), say)
    for line in selftest_.lines(result, as_json=as_json):
        click.echo(line)
    return ExitCode.OURS if result.invariants.violated else ExitCode.COMPLETE


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script: put `source <(mediactl completion bash)` into your .bashrc."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    click.echo(found(cli, {}, "mediactl", "_MEDIACTL_COMPLETE").source())
