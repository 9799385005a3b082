"""Types of arguments and options: paths, sizes, durations."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from mediactl.core import quantities
from mediactl.model import hours

if TYPE_CHECKING:
    from mediactl.jobs.report import Report

T = TypeVar("T")


class Path(click.ParamType[bytes]):
    """A path as bytes, exactly as typed. Shells complete files, or only directories."""

    name = "path"

    def __init__(self, *, directory: bool = False) -> None:
        self.directory = directory

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> bytes:
        """Return the bytes of the argument."""
        return value if isinstance(value, bytes) else os.fsencode(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave completion to the shell."""
        return [CompletionItem(incomplete, type="dir" if self.directory else "file")]


class Name(click.ParamType[str]):
    """A path as text, exactly as typed. Shells complete files, or only directories."""

    name = "path"

    def __init__(self, *, directory: bool = False) -> None:
        self.directory = directory

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave completion to the shell."""
        return [CompletionItem(incomplete, type="dir" if self.directory else "file")]


class Recipe(click.ParamType[str]):
    """The name of a bundled recipe, or a file."""

    name = "recipe"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the bundled recipes and the .toml files here that begin so; else leave files to the shell."""
        from glob import glob

        from mediactl.recipe.loader import builtin_names

        names = [name for name in (*builtin_names(), *sorted(glob("*.toml"))) if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


class Job(Path):
    """A job by key or path, as bytes."""

    name = "job"

    def __init__(self, *states: str) -> None:
        super().__init__()
        self.states = states or ("ready", "running", "done", "rejected", "quarantined", "cancelled")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the paths of jobs in the journal that begin so, where it can be read."""
        from mediactl.core.files import shown

        found = _from_journal(ctx, lambda rows: rows.paths(os.fsencode(incomplete), self.states, _COMPLETIONS))
        return [CompletionItem(shown(path)) for path in found]


class BucketUrl(click.ParamType[str]):
    """s3://BUCKET/PREFIX."""

    name = "url"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the buckets and prefixes of uploads in the journal that begin so, where it can be read."""
        found = _from_journal(ctx, lambda rows: rows.buckets(_COMPLETIONS))
        return [CompletionItem(url) for url in found if url.startswith(incomplete)]


_COMPLETIONS = 100
"""Jobs or buckets that a shell offers at most."""


def _from_journal(context: click.Context, ask: Callable[[Report], list[T]]) -> list[T]:
    """Return what the journal of the output directory that was typed so far answers; nothing where there is none."""
    from mediactl.core.errors import MediactlError
    from mediactl.jobs import report

    out, state = os.fsencode(context.params.get("out") or "derived"), context.params.get("state")
    try:
        with report.read(state or os.fsdecode(os.path.join(out, b".mediactl"))) as rows:
            return ask(rows)
    except (MediactlError, OSError):
        return []


class Size(click.ParamType[int]):
    """A size such as 512M or 6G; in bytes."""

    name = "size"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return the bytes of the argument."""
        try:
            return quantities.size(str(value))
        except ValueError as error:
            self.fail(str(error), parameter, context)


class Duration(click.ParamType[float]):
    """A duration such as 90s, 15m or 7d; in seconds. ``minimum`` and ``maximum`` are seconds."""

    name = "duration"

    def __init__(self, minimum: float = 0.0, maximum: float | None = None, *, unit_required: bool = False) -> None:
        self.minimum, self.maximum, self.unit_required = minimum, maximum, unit_required

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Return the seconds of the argument."""
        try:
            seconds = quantities.duration(str(value), unit_required=self.unit_required)
        except ValueError as error:
            self.fail(str(error), parameter, context)
        if seconds < self.minimum:
            self.fail(f"{value}: expected at least {self.minimum:g} s", parameter, context)
        if self.maximum is not None and seconds > self.maximum:
            self.fail(f"{value}: expected at most {self.maximum:g} s", parameter, context)
        return seconds


class HoursOfDay(click.ParamType[hours.Hours]):
    """FROM-TO, such as 22:00-06:00."""

    name = "hours"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> hours.Hours:
        """Return the hours of the argument."""
        try:
            return value if isinstance(value, hours.Hours) else hours.parse(str(value))
        except ValueError as error:
            self.fail(str(error), parameter, context)


class Bounded(click.ParamType[tuple[str, int]]):
    """NAME=N, with one of the ``names`` and N at least 1."""

    name = "limit"

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        """Return name and number."""
        if isinstance(value, tuple):
            return value
        name, _, number = str(value).partition("=")
        if name not in self.names or not number.isdecimal() or int(number) < 1:
            known = ", ".join(self.names)
            self.fail(f"{value}: expected NAME=N, NAME one of {known}, N at least 1", parameter, context)
        return name, int(number)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so."""
        return [CompletionItem(f"{name}=") for name in self.names if name.startswith(incomplete)]


class Tag(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    name = "tag"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, str]:
        """Return name and value."""
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not name or not sign:
            self.fail(f"{value}: expected NAME=VALUE", parameter, context)
        return name, text
