"""The program: finds commands; errors to one line, results to exit codes. Imports are lazy: start-up counts."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, NoReturn

import click

from mediactl import __version__, commands
from mediactl.commands.shared import usage
from mediactl.commands.shared.output import (
    OutputLost,
    broken_pipes_kept,
    leave_no_output_behind,
    open_standard_streams,
    output_is_lost,
)
from mediactl.commands.shared.sections import COMMANDS, EXITS, Command, Group
from mediactl.commands.shared.types import Name
from mediactl.core import system
from mediactl.core.errors import ExitCode, MediactlError


def main() -> NoReturn:
    """Run the command line; report every expected error as one line on standard error."""
    open_standard_streams()
    if not system.SUPPORTED:
        # The wheel is not marked for any system, since it holds Python alone.
        _print(f"mediactl: requires Linux or macOS, and this is {sys.platform}; run it in a Linux container")
        sys.exit(ExitCode.USAGE)
    try:
        _main()
    finally:
        leave_no_output_behind()


def _main() -> NoReturn:
    try:
        code = cli.main(prog_name="mediactl", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else ExitCode.COMPLETE)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        _fail(usage.line(error), ExitCode.USAGE)
    except click.Abort:
        sys.exit(130)
    except MediactlError as error:
        _fail(f"mediactl: {error}", error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and output_is_lost(error):
            if not isinstance(error, OutputLost):  # a reader that has gone wants to hear no more
                _print(f"mediactl: standard output: {error.strerror}")
            sys.exit(ExitCode.STOPPED_EARLY)
        from mediactl.core import machine

        if trouble := machine.blocked(error) or ("out of memory" if isinstance(error, MemoryError) else ""):
            _fail(
                f"mediactl: stopped early: the machine failed: {trouble}; run again to continue", ExitCode.STOPPED_EARLY
            )
        if isinstance(error, PermissionError) and error.filename is not None:
            from mediactl.core.files import shown

            _fail(f"mediactl: {shown(error.filename)}: {error.strerror}; change owner or permissions", ExitCode.USAGE)
        if os.environ.get("MEDIACTL_DEBUG"):
            raise
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        _fail(
            f"mediactl: internal error: {text}; set MEDIACTL_DEBUG=1 for a traceback, and please report it",
            ExitCode.OURS,
        )


def _fail(line: str, code: int) -> NoReturn:
    """Have the command report an error, "COMMAND: what is wrong", and exit."""
    sys.exit(cli.failed(line, code, sys.argv[1:]))


def _print(line: str) -> None:
    with suppress(OSError):  # nobody reads it
        print(line, file=sys.stderr, flush=True)


class Program(Group):
    """The commands in the modules of ``mediactl.commands``, each imported when one of its commands is looked up."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context; help is printed here."""
        with broken_pipes_kept():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with broken_pipes_kept():
            return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, looking first in the module that has its name."""
        name = cmd_name.replace("-", "_")
        for module in sorted(_modules(), key=lambda module: module != name):
            if cmd_name in self.commands:
                break
            self._add(module)
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        found = {name: command for module in _modules() for name, command in self._add(module).items()}
        return sorted(found, key=lambda name: (COMMANDS.index(found[name].section), found[name].order))

    def _add(self, module: str) -> dict[str, Command]:
        """Add the commands in a module, which are those that name a section; return them by name, in order of lines."""
        values = vars(import_module(f"{commands.__name__}.{module}")).values()
        found = {each.name: each for each in values if isinstance(each, Command) and each.section and each.name}
        self.commands.update(found)
        return found


@cache
def _modules() -> list[str]:
    import pkgutil

    return [module.name for module in pkgutil.iter_modules(commands.__path__) if not module.ispkg]


def _configured(context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from mediactl.commands.shared import configuration

    configuration.load(context, value)
    return value


@click.group(
    cls=Program, exits=EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="mediactl %(version)s")
@click.option("--config", type=Name(), envvar="MEDIACTL_CONFIG", callback=_configured, is_eager=True,
              expose_value=False, metavar="FILE", help="Settings file to read instead of ./mediactl.toml.")  # fmt: skip
def cli() -> None:
    """Batch media processor for directories of images, videos and audio.

    Run it again at any time: it does only what is missing.
    """
