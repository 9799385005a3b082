"""The options of commands that do the work (process, watch), and the Settings that they make. Imports are lazy."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mediactl.cli_journal import PRIORITIES, Path, places, state_folder

if TYPE_CHECKING:
    from mediactl.settings import Settings, Watching

LIMITED = ("quick", "heavy", "probe", "image", "video", "audio")


def work_options(priority: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What every command takes that runs jobs; ``priority`` is the default of the sources that it finds."""
    options: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.argument("sources", nargs=-1, required=True, type=Path(), metavar="SOURCE..."),
        places,
        click.option("--recipe", default="web", show_default=True, help="Built-in recipe, or a .toml file."),
        click.option("--priority", type=click.Choice(PRIORITIES), default=priority, show_default=True,
                     help="How urgent these sources are."),
        click.option("-j", "--jobs", type=click.IntRange(min=1), default=None,
                     help="Worker processes.  [default: usable cores]"),
        click.option("--json", "as_json", is_flag=True, help="NDJSON events on standard output."),
        click.option("-q", "--quiet", is_flag=True, help="Print only what went wrong."),
        click.option("-v", "--verbose", is_flag=True, help="Print each file, also what is ignored and why."),
        click.option("--keep-root", is_flag=True, help="Put each SOURCE folder's own name in front of its outputs."),
        click.option("--follow-symlinks", is_flag=True, help="Follow symbolic links inside folders."),
        click.option("--grace", type=click.FloatRange(min=0), default=25.0, show_default=True, metavar="S",
                     help="Seconds that running jobs get after Ctrl-C or SIGTERM."),
        click.option("--max-duration", type=click.FloatRange(min=0), default=None, metavar="S",
                     help="Stop cleanly after so many seconds; run again to go on."),
        click.option("--lane", "lanes", multiple=True, metavar="NAME=N",
                     help="At most N jobs at once of a lane (quick, heavy) or kind (probe, image, video, audio)."),
        click.option("--memory", default=None, metavar="SIZE",
                     help="Start no job beyond this memory, as 6G.  [default: 3/4 of the machine's]"),
        click.option("--attempts", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
                     help="Failed attempts after which a job is given up."),
        click.option("--retry-delay", type=click.FloatRange(min=0, max=3600), default=1.0, show_default=True,
                     metavar="S", help="The first retry waits up to S seconds, each next one up to 4 times as long."),
        click.option("--drain-file", default=None, metavar="PATH",
                     help="Leave, as on SIGTERM, when this file appears."),
        click.option("--drain-url", default=None, metavar="URL", help="Leave when this address answers 200."),
        click.option("--ffmpeg", default=None, metavar="FILE",
                     help="ffmpeg to use.  [default: the one that came along]"),
    ]  # fmt: skip

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def settings_of(flags: dict[str, Any], watching: Watching | None = None) -> Settings:
    """What these flags ask for; those that a command does not have are as ``Settings`` says. Raises UsageError."""
    from mediactl.model import Priority
    from mediactl.pool.limits import available_cores, available_memory
    from mediactl.settings import Settings, cache_folder

    ffmpeg = flags["ffmpeg"]
    environment = dict(os.environ)
    if ffmpeg:
        environment["MEDIACTL_FFMPEG"] = os.path.abspath(ffmpeg) if "/" in ffmpeg else ffmpeg
    return Settings(
        sources=flags["sources"],
        out=os.path.abspath(flags["out"]),
        state=state_folder(flags["out"], flags["state"]),
        recipe=flags["recipe"],
        priority=Priority[flags["priority"].upper()],
        jobs=flags["jobs"] or available_cores(),
        strict=flags.get("strict", False),
        keep_root=flags["keep_root"],
        follow_symlinks=flags["follow_symlinks"],
        allow_outside=flags.get("allow_outside", False),
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        limits=_limits(flags["lanes"]),
        memory=_size(flags["memory"]) if flags["memory"] is not None else available_memory() * 3 // 4,
        attempts=flags["attempts"],
        retry_delay=flags["retry_delay"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        watching=watching,
        cache=cache_folder(os.environ),
        environment=environment,
    )


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
