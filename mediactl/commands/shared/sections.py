"""Help texts in sections: the commands of the program, the options of a command with many.

cloup does the same and more, but importing it takes 40 ms, half of what ``mediactl --version`` takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

COMMANDS = RUN, LOOK, CHANGE, CHECK, UPLOAD, OTHER = "Run", "Look", "Change", "Check", "Upload", "Other"
"""Sections of commands, in the order of ``mediactl --help``."""
OPTIONS = SOURCES, SCHEDULING, UPLOADS, OUTPUT, GENERAL = (
    "Sources and outputs", "Scheduling", "Uploads", "Output", "Options",
)  # fmt: skip
"""Sections of options, in the order of a command's ``--help``."""
MANY = 10
"""Options from which a command lists them in sections."""


class Option(click.Option):
    """An option that belongs to a section of its command's help."""

    def __init__(self, *args: Any, section: str = GENERAL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command that lists many options in sections.

    A command of the program names its ``section`` of the help; there, commands come by ``order``, module, and line. A
    command without a section belongs to a group.
    """

    def __init__(self, *args: Any, section: str = "", order: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section, self.order = section, order

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context, with the defaults of its parent: settings files make no difference between commands."""
        if parent is not None:
            extra.setdefault("default_map", parent.default_map)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in sections when there are many."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        records = [(getattr(each, "section", GENERAL), each.get_help_record(ctx)) for each in options]
        rows = [(section, record) for section, record in records if record is not None]
        if len(rows) < MANY:
            rows = [(GENERAL, record) for _, record in rows]
        _write(formatter, OPTIONS, rows)


class Group(Command, click.Group):
    """A group of commands that lists them in sections, or under one heading when they have none."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, first added first."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their summaries."""
        names = self.list_commands(ctx)
        width = formatter.width - 6 - max(map(len, names), default=0)
        commands = [command for name in names if (command := self.get_command(ctx, name))]
        rows = [
            (getattr(command, "section", "") or "Commands", (str(command.name), command.get_short_help_str(width)))
            for command in commands
        ]
        _write(formatter, ("Commands", *COMMANDS), rows)


def _write(formatter: click.HelpFormatter, order: Iterable[str], rows: list[tuple[str, tuple[str, str]]]) -> None:
    for heading in order:
        if records := [record for section, record in rows if section == heading]:
            with formatter.section(heading):
                formatter.write_dl(records)
