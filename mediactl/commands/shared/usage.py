"""Usage errors as one line that says what to type."""

from __future__ import annotations

import os

import click

_EXAMPLES = {"SOURCE...": "./uploads", "FILE...": "./videos", "JOB": "trip/IMG_1.jpg"}
"""What to type for an argument that is missing, by its name in the help."""


def line(error: click.ClickException) -> str:
    """Return an error of click as one line: the command, what is wrong, and what to do."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mediactl"
    return f"{command}: {_problem(error, command)}"


def _problem(error: click.ClickException, command: str) -> str:
    match error:
        case click.MissingParameter(param=click.Argument() as argument):
            name = argument.make_metavar(error.ctx) if error.ctx else str(argument.name)
            example = f"{command} {_EXAMPLES.get(name, name)}"
            return f"no {name.removesuffix('...')} given; for example: {example}"
        case click.MissingParameter(param=click.Option() as option):
            return f"{option.opts[-1]}: required; see {command} --help"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)}: {_lowered(error.message)}"
        case click.NoSuchOption():
            close = (error.possibilities or [""])[0]
            hint = f"did you mean {close}?" if close else f"see {command} --help"
            return f"no such option: {error.option_name}; {hint}"
        case click.UsageError():
            return _lowered(error.message)
    return error.format_message()


def no_such_command(group: str, name: str, known: list[str]) -> str:
    """Return what is wrong with a first argument of a ``group`` that is no command, and what to type instead."""
    if group == "mediactl" and os.path.exists(name):
        return f"no such command: {name!r}; to process it, type: mediactl process {name}"
    from mediactl.core.suggestions import did_you_mean

    return f"no such command: {name!r}; {did_you_mean(name, known, f'see {group} --help')}"


def _name(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len) if isinstance(parameter, click.Option) else str(parameter.human_readable_name)


def _lowered(message: str) -> str:
    """Return a message of click in the form of our own: lower case, no full stop, quotes left as they are."""
    message = " ".join(message.split()).removesuffix(".")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message
