"""Help texts, messages, README and docs use the words of the field, and --help fits a terminal."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from conftest import ROOT

from mediactl.cli import cli

SPOT = {
    r"films?|pictures?|sounds?|recordings?": "video, image, audio",
    r"places?": "output directory, location, bucket, temporary path",
    r"tells?|told|telling": "report, warn, log, print",
    r"anew|planned again": "rebuild, re-encode, retry, redefine",
    r"(is|are) (sound|wrong|no (?!longer|more)\w+)": "valid, invalid, malformed",
    r"under way|lies? ready|(that|which|what) waits?|still waits?": "pending, running, due, overdue",
    r"faults? of (ours|mediactl)": "internal error",
    r"(come|came|comes) along": "bundled",
    r"wants?|wanted|knows?|takes? (a|the|what|whatever|only|no)": "requires, supports, rejects",
    r"for ever|(has|have) been still": "watch mode, debounce, settle time",
    r"leave (this|the) machine|leaving": "drain, graceful shutdown",
    r"rehears\w+": "dry run",
    r"crew|backlogs?|settlement": "scheduler, dispatcher, completer",
    r"look(s|ed|ing)? (at|like)|work(s|ed|ing)? on": "probe, decode, check",
    r"shines? through": "has transparency",
    r"strangers?|so-manieth|(is|are) alike|nothing twice": "other writers, n-th, deduplicate, idempotent",
}
"""Pattern -> what the field says instead."""
NAMES = re.compile(r"`[^`\n]*`|\"[\w.]+\"|'[\w.]+'|--?\w[\w-]*|[Rr]eference picture")
"""What is quoted is a name (a recipe key, a JSON field, a flag), not prose; so is a term of H.264."""
UNWRITTEN = re.compile(
    r"(?<![a-z])(films?|recordings?|told|tells?|anew|heard|backlogs?|settlement|crew|faults? of ours)(?![a-z])",
    re.IGNORECASE,
)
"""What no docstring, comment or identifier says either."""
PROSE = ("", "sh", "toml", "ini")
"""Languages of code blocks whose comments and strings are ours; JSON and HTML have names of fields and elements."""
WIDTH = 80


def found(text: str) -> list[str]:
    """Return the private words in a text, each with the words of the field for it."""
    prose = NAMES.sub(" ", text)
    return [
        f"{match[0]!r} (say {instead}): ...{prose[max(0, match.start() - 30) : match.end() + 30]}..."
        for pattern, instead in SPOT.items()
        for match in re.finditer(rf"\b({pattern})\b", prose, re.IGNORECASE)
    ]


def pages() -> list[Path]:
    """Return README, CHANGELOG and every page of the docs."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md", *docs]


def commands(command: click.Command = cli, name: str = "mediactl") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from commands(inner, f"{name} {each}")


def help_of(name: str, command: click.Command) -> str:
    """Return what --help prints on a terminal of ``WIDTH`` columns."""
    return command.get_help(click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH))


def messages(module: Path) -> Iterator[str]:
    """Yield the texts of more than a word in a module that are no docstrings, f-strings with gaps for values."""
    tree = ast.parse(module.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings and " " in str(node.value).strip():
            yield str(node.value)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    text = re.sub(
        r"^```(\w*)\n(.*?)^```",
        lambda block: block[2] if block[1] in PROSE else "",
        page.read_text(),
        flags=re.M | re.S,
    )
    assert found(text) == []


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_help_uses_the_words_of_the_field(name: str, command: click.Command) -> None:
    assert found(help_of(name, command)) == []


@pytest.mark.parametrize(
    "module",
    sorted((ROOT / "mediactl").rglob("*.py")),
    ids=lambda module: str(module.relative_to(ROOT)),
)
def test_messages_use_the_words_of_the_field(module: Path) -> None:
    assert [each for text in messages(module) for each in found(text)] == []


@pytest.mark.parametrize("text", ["class _Film:", "told = 1", "# made anew", "the_crew", "films"])
def test_a_private_name_is_found(text: str) -> None:
    assert UNWRITTEN.search(text)


def test_code_uses_the_words_of_the_field() -> None:
    lines = [
        f"{module.relative_to(ROOT)}:{number}: {line.strip()}"
        for module in sorted((ROOT / "mediactl").rglob("*.*"))
        if module.suffix in (".py", ".sql")  # A bundled recipe's text is frozen: its digest is in journals.
        for number, line in enumerate(module.read_text().splitlines(), 1)
        if UNWRITTEN.search(line)
    ]
    assert lines == []


@pytest.mark.parametrize(
    "word", ["two films", "the sound track", "it is told", "is no image", "Looks at ffmpeg", "place"]
)
def test_a_private_word_is_found(word: str) -> None:
    assert found(f"Some text with {word}, in the middle.")


@pytest.mark.parametrize("text", ["`place` and `<picture>`", 'the field "sound"', "no longer than", "--sound all"])
def test_names_are_not_words(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(("name", "command"), [each for each in commands() if isinstance(each[1], click.Group)])
def test_every_summary_fits_a_terminal(name: str, command: click.Command) -> None:
    text = help_of(name, command)
    assert "..." not in text.partition("\n")[2]
    assert max(map(len, text.splitlines())) <= WIDTH


def test_commands_and_options_are_listed_in_sections() -> None:
    program = help_of("mediactl", cli)
    headings = re.findall(r"^(\S.*):$", program, re.MULTILINE)
    assert headings == ["Options", "Run", "Look", "Change", "Check", "Upload", "Other", "Exit codes"]
    assert program.partition("\nOther:\n")[2].split()[0] == "completion"
    inner = dict(commands())
    process = help_of("mediactl process", inner["mediactl process"])
    headings = re.findall(r"^(\S.*):$", process, re.MULTILINE)
    sections = ["Sources and outputs", "Scheduling", "Uploads", "Other machines", "Output", "Options"]
    assert headings == [*sections, "Examples", "Exit codes"]
    last = process.partition("\nOptions:\n")[2].partition("\n\n")[0]
    assert last.split()[-6:] == ["--help", "Show", "this", "message", "and", "exit."]
    assert "Sources and outputs" not in help_of("mediactl status", inner["mediactl status"])


def test_every_option_is_listed_once() -> None:
    for name, command in commands():
        text = help_of(name, command)
        for option in command.params:
            if isinstance(option, click.Option):
                assert len(re.findall(rf"^  (-\w, |)?{option.opts[-1]}\b(?!-)", text, re.MULTILINE)) == 1, (
                    name,
                    option.opts,
                )
