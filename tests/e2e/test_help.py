"""Help: every command has examples that are valid, and summaries that fit a terminal of 80 columns."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest
from conftest import CommandLine

from mediactl.cli import cli
from mediactl.commands.shared.sections import Command, Group


def commands() -> Iterator[tuple[str, Command]]:
    """Every command and subcommand, by its words."""

    def walk(words: str, group: Group) -> Iterator[tuple[str, Command]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert isinstance(command, Command)
            if isinstance(command, Group):
                yield from walk(f"{words}{name} ", command)
            else:
                yield f"{words}{name}", command

    assert isinstance(cli, Group)
    yield from walk("", cli)


WITHOUT_ARGUMENTS = {"events schema", "events docs", "recipe schema", "config schema", "config docs", "config show"}
"""Commands that an example says no more of than their name."""


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=each[0]) for each in commands()])
def test_every_command_has_examples_that_it_accepts(words: str, command: Command) -> None:
    assert len(command.examples) >= (0 if words in WITHOUT_ARGUMENTS else 2)
    for example in command.examples:
        assert len(f"  mediactl {example}") <= 80, "it would wrap"
        line = example.partition(" | ")[0].partition(" < ")[0].partition(" > ")[0].partition(" >> ")[0]
        assert line.startswith(words)
        context = click.Context(cli, info_name="mediactl")
        command.make_context(words, shlex.split(line)[len(words.split()) :], parent=context)


def test_help_fits_eighty_columns(mediactl: CommandLine) -> None:
    result = mediactl("--help", environment={"COLUMNS": "80"})
    assert max(map(len, result.out.splitlines())) <= 80
    assert "..." not in result.out.replace("[ARGS]...", ""), "a summary was cut off"
    assert "  75  Stopped early" in result.out


def test_the_command_help_prints_what_the_flag_does(mediactl: CommandLine) -> None:
    assert mediactl("help").out == mediactl("--help").out
    assert mediactl("help", "uploads", "abort").out == mediactl("uploads", "abort", "--help").out
    wrong = mediactl("help", "proces")
    assert (wrong.code, wrong.err) == (2, "mediactl: no such command: 'proces'; did you mean 'process'?\n")
