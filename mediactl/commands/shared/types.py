"""Types of arguments and options: paths, sizes, durations."""

from __future__ import annotations

import os
from typing import Any

import click

from mediactl.core import quantities


class Path(click.ParamType[bytes]):
    """A path as bytes, exactly as typed."""

    name = "path"

    def convert(self, value: Any, _parameter: click.Parameter | None, _context: click.Context | None) -> bytes:
        """Return the bytes of the argument."""
        return value if isinstance(value, bytes) else os.fsencode(value)


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
