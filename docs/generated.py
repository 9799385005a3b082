"""Pages that are made from the program itself, each time the site is built: commands, exit codes, man pages.

They are written to docs/reference/ and are not kept in the repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from mediactl.cli import cli
from mediactl.commands.shared.sections import COMMANDS, EXITS, Command, Group

FOLDER = "reference"
WIDTH = 88


def commands() -> Iterator[tuple[str, Command]]:
    """Yield the commands of the program, in the order of its help."""
    context = click.Context(cli, info_name="mediactl")
    for name in cli.list_commands(context):  # type: ignore[attr-defined]
        command = cli.get_command(context, name)
        assert isinstance(command, Command)
        yield name, command


def help_of(words: str, command: click.Command) -> str:
    """Return what --help prints."""
    parent = None
    for word in words.split()[:-1]:
        parent = click.Context(cli, info_name=word, parent=parent)
    info = words.split()[-1]
    context = click.Context(command, parent, info, terminal_width=WIDTH, max_content_width=WIDTH)
    return command.get_help(context)


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    return command.get_short_help_str(120).rstrip(".")


def page(name: str, command: Command) -> str:
    """Return the page of a command, with those of its subcommands."""
    lines = [f"# mediactl {name}", "", f"{summary(command)}.", "", *_block(f"mediactl {name}", command)]
    if isinstance(command, Group):
        context = click.Context(command, info_name=name)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            lines += ["", f"## mediactl {name} {inner}", "", *_block(f"mediactl {name} {inner}", found)]
    return "\n".join([*lines, ""])


def _block(words: str, command: click.Command) -> list[str]:
    return ["```text", *help_of(words, command).rstrip().splitlines(), "```"]


def index() -> str:
    """Return the page that lists the commands, by the sections of the help."""
    lines = ["# Commands", "", "What `mediactl COMMAND --help` prints, made from the program.", ""]
    by_section = {section: [(n, c) for n, c in commands() if c.section == section] for section in COMMANDS}
    for section, found in by_section.items():
        lines += [f"## {section}", "", "| command | |", "|---|---|"]
        lines += [f"| [`{name}`](command-{name}.md) | {summary(command)} |" for name, command in found]
        lines.append("")
    lines += ["```{toctree}", ":hidden:", *(f"command-{name}" for name, _ in commands()), "```", ""]
    return "\n".join(lines)


def exit_codes() -> str:
    """Return the page on exit codes."""
    lines = ["# Exit codes", "", "Of commands that run jobs. What others mean is in the help of each.", ""]
    lines += ["| code | meaning |", "|---|---|", *(f"| {code} | {meaning} |" for code, meaning in EXITS), ""]
    return "\n".join(lines)


def write(docs: Path) -> None:
    """Write all pages that differ from what is there, so that an unchanged site is not built again."""
    pages = {"commands": index(), "exit-codes": exit_codes()}
    pages |= {f"command-{name}": page(name, command) for name, command in commands()}
    folder = docs / FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    for file in folder.glob("*.md"):
        if file.stem not in pages:
            file.unlink()


def man_pages(author: str) -> list[tuple[str, str, str, str, int]]:
    """Return the man pages of Sphinx: one for each command, and one of each topic of ``mediactl help``."""
    found = [
        (f"{FOLDER}/command-{name}", f"mediactl-{name}", summary(command), author, 1) for name, command in commands()
    ]
    return [
        (f"{FOLDER}/commands", "mediactl", "batch media processor", author, 1),
        *found,
        ("recipes", "mediactl-recipes", "recipes of mediactl", author, 5),
        ("settings", "mediactl.toml", "settings of mediactl", author, 5),
        ("events", "mediactl-events", "events of mediactl --json", author, 5),
    ]
