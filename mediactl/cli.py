"""The command line: flags to Settings, errors to one line, results to exit codes. Imports are lazy: start-up counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mediactl import __version__
from mediactl.cli_journal import PRIORITIES, Path, places, state_folder
from mediactl.cli_journal import register as register_journal_commands
from mediactl.errors import ExitCode, MediactlError

if TYPE_CHECKING:
    from mediactl.model import Event
    from mediactl.settings import Settings


def main() -> NoReturn:
    """Entry point. Whatever goes wrong on purpose ends as one line on standard error."""
    try:
        code = cli.main(standalone_mode=False, auto_envvar_prefix="MEDIACTL")
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
    from mediactl.settings import read_config

    config = read_config() if value is None else read_config(value)
    context.default_map = dict.fromkeys(cli.commands, config)
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="mediactl %(version)s")
@click.option("--config", callback=_configured, is_eager=True, expose_value=False, metavar="FILE",
              help="Settings file.  [default: mediactl.toml, if there is one]")  # fmt: skip
def cli() -> None:
    """Batch media processor for folders of photos, videos and sound.

    Run it again at any time: it does only what is missing.
    """


register_journal_commands(cli)


@cli.command()
@click.argument("sources", nargs=-1, required=True, type=Path(), metavar="SOURCE...")
@places
@click.option("--recipe", default="web", show_default=True, help="Built-in recipe, or a .toml file.")
@click.option("--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True,
              help="How urgent these sources are.")  # fmt: skip
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=None, help="Worker processes.  [default: usable cores]"
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done and why; touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="NDJSON events on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what went wrong.")
@click.option("-v", "--verbose", is_flag=True, help="Print each file, also what is ignored and why.")
@click.option(
    "--strict", is_flag=True, help="Start nothing if a manifest has a bad row; exit 1 also for bad sources of old."
)
@click.option("--keep-root", is_flag=True, help="Put each SOURCE folder's own name in front of its outputs.")
@click.option("--follow-symlinks", is_flag=True, help="Follow symbolic links inside folders.")
@click.option("--allow-outside", is_flag=True, help="Let manifests name files outside their own folder.")
@click.option("--grace", type=click.FloatRange(min=0), default=25.0, show_default=True, metavar="S",
              help="Seconds that running jobs get after Ctrl-C or SIGTERM.")  # fmt: skip
@click.option("--max-duration", type=click.FloatRange(min=0), default=None, metavar="S",
              help="Stop cleanly after so many seconds; run again to go on.")  # fmt: skip
@click.option("--lane", "lanes", multiple=True, metavar="NAME=N",
              help="At most N jobs at once of a lane (quick, heavy) or kind (probe, image, video, audio).")  # fmt: skip
@click.option("--memory", default=None, metavar="SIZE",
              help="Start no job beyond this memory, as 6G.  [default: 3/4 of the machine's]")  # fmt: skip
@click.option("--attempts", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
              help="Failed attempts after which a job is given up.")  # fmt: skip
@click.option("--retry-delay", type=click.FloatRange(min=0, max=3600), default=1.0, show_default=True, metavar="S",
              help="The first retry waits up to S seconds, each further one up to 4 times as long.")  # fmt: skip
@click.option("--drain-file", default=None, metavar="PATH", help="Leave, as on SIGTERM, when this file appears.")
@click.option("--drain-url", default=None, metavar="URL", help="Leave when this address answers 200.")
@click.option("--ffmpeg", default=None, metavar="FILE", help="ffmpeg to use.  [default: the one that came along]")
def process(sources: tuple[bytes, ...], out: bytes, state: str | None, **flags: Any) -> int:
    """Make the outputs of every SOURCE complete.

    SOURCE is a folder, a file, a manifest (.jsonl, .csv, .txt), or - for a manifest on standard input.
    """
    from mediactl.model import Priority
    from mediactl.pool.limits import available_cores, available_memory
    from mediactl.settings import Settings, cache_folder

    environment = dict(os.environ)
    if flags["ffmpeg"]:
        environment["MEDIACTL_FFMPEG"] = os.path.abspath(flags["ffmpeg"]) if "/" in flags["ffmpeg"] else flags["ffmpeg"]
    settings = Settings(
        sources=sources,
        out=os.path.abspath(out),
        state=state_folder(out, state),
        recipe=flags["recipe"],
        priority=Priority[flags["priority"].upper()],
        jobs=flags["jobs"] or available_cores(),
        strict=flags["strict"],
        keep_root=flags["keep_root"],
        follow_symlinks=flags["follow_symlinks"],
        allow_outside=flags["allow_outside"],
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        limits=_limits(flags["lanes"]),
        memory=_size(flags["memory"]) if flags["memory"] is not None else available_memory() * 3 // 4,
        attempts=flags["attempts"],
        retry_delay=flags["retry_delay"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        cache=cache_folder(os.environ),
        environment=environment,
    )
    if flags["dry_run"]:
        from mediactl import rehearsal

        for line in rehearsal.lines(settings, sys.stdin.buffer.read, as_json=flags["as_json"]):
            click.echo(line)
        return ExitCode.COMPLETE
    from mediactl.run import process as run

    take, close = _display(settings, as_json=flags["as_json"], quiet=flags["quiet"], verbose=flags["verbose"])
    try:
        return run(settings, take, sys.stdin.buffer.read).exit_code
    finally:
        close()


LIMITED = ("quick", "heavy", "probe", "image", "video", "audio")


def _limits(texts: tuple[str, ...]) -> dict[str, int]:
    limits: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in LIMITED or not number.isdecimal() or int(number) < 1:
            raise click.UsageError(f"--lane {text}: must be NAME=N, NAME one of {', '.join(LIMITED)}, N at least 1")
        limits[name] = int(number)
    return limits


def _size(text: str) -> int:
    number, unit = text[:-1], text[-1:].upper()
    if unit.isdigit():
        number, unit = text, ""
    factor = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(unit)
    if factor is None or not number.isdecimal() or not int(number):
        raise click.UsageError(f"{text}: must be a number of bytes, or one with K, M, G or T behind it, as 6G")
    return int(number) * factor


def _display(
    settings: Settings, *, as_json: bool, quiet: bool, verbose: bool
) -> tuple[Callable[[Event], None], Callable[[], None]]:
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


@cli.group()
def recipe() -> None:
    """Recipes: what is derived from each kind of source."""


@recipe.command("list")
def recipe_list() -> None:
    """Recipes that come with mediactl."""
    from mediactl import recipe as recipes

    for name in recipes.builtin_names():
        click.echo(f"{name:<12}  {recipes.load(name).description}")


@recipe.command("show")
@click.argument("name")
def recipe_show(name: str) -> None:
    """Print a recipe's TOML, to start one of your own from."""
    from mediactl import recipe as recipes

    click.echo(recipes.text_of(name)[0].rstrip("\n"))


@recipe.command("check")
@click.argument("file")
def recipe_check(file: str) -> None:
    """Check a recipe FILE."""
    from mediactl import recipe as recipes
    from mediactl.model import Kind

    checked = recipes.load(file)
    outputs = ", ".join(f"{len(checked.outputs(kind))} of {kind.value}" for kind in Kind if checked.outputs(kind))
    click.echo(f"recipe {checked.name!r} is sound: makes {outputs}")


@cli.command()
@places
@click.option("--ffmpeg", default=None, metavar="FILE", help="ffmpeg to look at.")
def doctor(out: bytes, state: str | None, ffmpeg: str | None) -> int:
    """Look at ffmpeg, libvips, the journal, free space and cores."""
    from mediactl import doctor as doctor_

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
    from mediactl import selftest as selftest_
    from mediactl.pool.limits import available_cores

    many = number or int(seconds * selftest_.JOBS_A_SECOND)
    say: Callable[[str], None] = (lambda line: None) if as_json else click.echo
    result = selftest_.run(many, seed, workers or available_cores(), say)
    for line in selftest_.lines(result, as_json=as_json):
        click.echo(line)
    return ExitCode.OURS if result.invariants["violated"] else ExitCode.COMPLETE


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script: put `source <(mediactl completion bash)` into your .bashrc."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    click.echo(found(cli, {}, "mediactl", "_MEDIACTL_COMPLETE").source())
