"""Help texts in sections: the commands of the program, the options of a command with many.

cloup does the same and more, but importing it takes 40 ms, half of what ``mediactl --version`` takes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import click

from mediactl.commands.shared import usage

COMMANDS = RUN, LOOK, CHANGE, CHECK, UPLOAD, OTHER = "Run", "Look", "Change", "Check", "Upload", "Other"
"""Sections of commands, in the order of ``mediactl --help``."""
COMPLETE = (0, "Complete, or nothing to do.")
INVALID = (2, "Invalid command line, settings, recipe or manifest.")
EXITS = (
    COMPLETE,
    (1, "Finished, but some sources were rejected or quarantined, or a file is over budget."),
    (2, "Invalid command line, settings, recipe or manifest; no permission to write to OUT."),
    (70, "Internal error; the next run retries what it left unfinished."),
    (75, "Stopped early (signal, time limit, full disk), or a source could not be read; run again to resume."),
)
"""Exit codes of commands that run jobs, which are those of ``mediactl.core.errors.ExitCode``."""
OPTIONS = SOURCES, SCHEDULING, UPLOADS, MACHINES, OUTPUT, GENERAL = (
    "Sources and outputs", "Scheduling", "Uploads", "Other machines", "Output", "Options",
)  # fmt: skip
"""Sections of options, in the order of a command's ``--help``."""
FILES = "mediactl.settings"
"""Key of the contexts' ``meta``: which settings file each value is from."""
NOTIFY = "mediactl.notify"
"""Key of the contexts' ``meta``: targets of notifications (``monitor.targets``)."""
MANY = 10
"""Options from which a command lists them in sections."""


class Option(click.Option):
    """An option that belongs to a section of its command's help.

    A ``setting`` can stand in the environment (MEDIACTL_PROCESS_JOBS, or MEDIACTL_JOBS for every command) and in
    settings files, under its key. One that must be ``trusted`` names a program to run, an address to contact or a file
    to append to, or lifts a restriction: the current directory's mediactl.toml cannot set it, since that may have come
    with the sources.
    """

    def __init__(
        self, *args: Any, section: str = GENERAL, setting: bool = True, trusted: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.section, self.setting, self.trusted = section, setting, trusted

    @property
    def key(self) -> str:
        """The long flag's name, with "_" for "-": the key in settings files."""
        return next(flag for flag in self.opts if flag.startswith("--"))[2:].replace("-", "_")

    def variables(self, command: str) -> list[str]:
        """Return the environment variables that set it for a command, the first one that is set wins."""
        return (
            [f"MEDIACTL_{command.upper()}_{self.key.upper()}", f"MEDIACTL_{self.key.upper()}"] if self.setting else []
        )

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value in the environment; None: there is none."""
        names = self.variables(str(ctx.info_name))
        return next((value for name in names if (value := os.environ.get(name))), None)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the converted value; errors name the variable or the file that the value is from."""
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            source = ctx.get_parameter_source(str(self.name))
            if source is click.core.ParameterSource.ENVIRONMENT:
                name = next(name for name in self.variables(str(ctx.info_name)) if os.environ.get(name))
                raise click.UsageError(f"{name}: {error.message}", ctx) from None
            if source is click.core.ParameterSource.DEFAULT_MAP:
                raise click.UsageError(f"{ctx.meta[FILES][self.key]}: {self.key}: {error.message}", ctx) from None
            raise

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what help adds to the text: the default, but no range, which errors name."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class Command(click.Command):
    """A command that lists many options in sections.

    A command of the program names its ``section`` of the help; there, commands come by ``order``, module, and line. A
    command without a section belongs to a group. ``examples`` are command lines without their first word; ``exits`` are
    the exit codes that help lists, with their meaning. ``events``: with --json it prints events.
    """

    def __init__(
        self,
        *args: Any,
        section: str = "",
        order: int = 0,
        examples: Iterable[str] = (),
        exits: Iterable[tuple[int, str]] = (),
        events: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._events = events
        self.section, self.order, self.examples, self.exits = section, order, tuple(examples), tuple(exits)

    def prints_events(self, arguments: Sequence[str]) -> bool:
        """Return whether it prints events when it is called with these arguments."""
        return self._events and "--json" in arguments

    def failed(self, line: str, code: int, arguments: Sequence[str]) -> int:
        """Print why it failed, "COMMAND: what is wrong", and return the exit code.

        On standard error, and as an event where the arguments ask for events.
        """
        with suppress(OSError):  # nobody reads it
            print(line, file=sys.stderr, flush=True)
        if self.prints_events(arguments):
            from mediactl.model.events import RunFailed
            from mediactl.ui.ndjson import NdJson

            with suppress(OSError):
                out = NdJson(sys.stdout.buffer, time.time)
                out.take(RunFailed(reason=line.partition(": ")[2], exit_code=code))
                out.close()
        return code

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and exit codes."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{ctx.find_root().info_name} {example}\n")
        if self.exits:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), meaning) for code, meaning in self.exits])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context, with the settings files' values for those options that are settings."""
        if parent is not None:
            values = parent.default_map or {}
            if not isinstance(self, click.Group):
                keys = {each.name for each in self.params if isinstance(each, Option) and each.setting}
                values = {key: value for key, value in values.items() if key in keys}
            extra.setdefault("default_map", values)
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

    def failed(self, line: str, code: int, arguments: Sequence[str]) -> int:
        """Have the command that these arguments call report why it failed."""
        for number, name in enumerate(arguments):
            match self.get_command(click.Context(self), name):
                case Command() as command:
                    return command.failed(line, code, arguments[number + 1 :])
        return super().failed(line, code, arguments)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and the arguments that are left. Raises click.UsageError that says what to type."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(usage.no_such_command(ctx.command_path, args[0], self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)

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
