"""The command ``lint``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from mediactl.commands.shared.sections import CHECK, Command
from mediactl.commands.shared.types import Path, Size
from mediactl.core.errors import ExitCode


@click.command(
    cls=Command,
    section=CHECK,
    order=3,
    exits=((0, "Nothing was found."), (1, "A file has to be changed."), (2, "Invalid command line.")),
    examples=("lint photo.jpg talk.mp3", "lint assets/*.jpg --max-bytes 500k", "lint shop.recipe.toml"),
)
@click.argument("files", nargs=-1, required=True, type=Path(), metavar="FILE...")
@click.option("--max-bytes", type=Size(), default=None, metavar="SIZE", help="Maximum size of a media file.")
@click.option("--allow-gps", is_flag=True, help="Accept a GPS position.")
def lint(files: tuple[bytes, ...], max_bytes: int | None, allow_gps: bool) -> int:
    """Check files before they are committed or published.

    Media files must have a valid header, hold no GPS position and be no larger than --max-bytes; recipes (.toml) must
    be valid. Files that are neither are passed over. Nothing is decoded or written.
    """
    from mediactl.core.files import shown

    problems = [f"{shown(file)}: {text}" for file in files for text in _problems(file, max_bytes, allow_gps=allow_gps)]
    for line in problems:
        click.echo(line)
    return ExitCode.BAD_SOURCES if problems else ExitCode.COMPLETE


def _problems(file: bytes, max_bytes: int | None, *, allow_gps: bool) -> Iterator[str]:
    """Yield what is to be changed in a file."""
    from mediactl.core.errors import MediactlError
    from mediactl.core.files import shown

    try:
        yield from _of_recipe(file) if file.endswith(b".toml") else _of_media(file, max_bytes, allow_gps=allow_gps)
    except (MediactlError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else ""
        yield text or str(error).removeprefix(f"{shown(file)}: ")


def _of_recipe(file: bytes) -> Iterator[str]:
    """Yield nothing. Raises UsageError for an invalid recipe."""
    from mediactl.recipe import loader

    loader.load(os.fsdecode(file))
    yield from ()


def _of_media(file: bytes, max_bytes: int | None, *, allow_gps: bool) -> Iterator[str]:
    import msgspec

    from mediactl.core.files import fingerprint
    from mediactl.media.execute import execute
    from mediactl.model.jobs import ProbeTask
    from mediactl.model.media import Limits, Source
    from mediactl.sources import sniff
    from mediactl.ui.lines import size

    folder, name = os.path.split(os.path.abspath(file))
    named = sniff.sniff(sniff.head(folder, name), name)
    if named is None:
        return
    mark = fingerprint(os.stat(file))
    if max_bytes is not None and mark.size > max_bytes:
        yield f"{size(mark.size)}, more than {size(max_bytes)}"
    task = ProbeTask(Source(folder, name, name, mark, *named), Limits(), position=True)
    info = execute("probe", msgspec.json.encode(task), (), b"lint", lambda _: None).info
    if info is not None and "place" in info.tags and not allow_gps:
        yield "holds a GPS position; remove it, or accept it with --allow-gps"
