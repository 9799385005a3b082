"""Pages of the documentation: links and anchors that exist, commands that parse, topics that `help` prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from conftest import ROOT

from mediactl.cli import cli
from mediactl.commands.help import TOPICS
from mediactl.recipe import loader

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/decisions").glob("*.md"))]
MADE = "reference/"
"""Pages below it are made when the site is built."""
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if re.match(r"\w+:", target) or target.startswith(MADE):
            continue
        file = page.parent / target if target else page
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_every_page_is_on_the_site() -> None:
    listed = re.findall(r"^([\w-]+)$", (ROOT / "docs/index.md").read_text(), re.MULTILINE)
    pages = {page.stem for page in PAGES if page.parent.name == "docs"}
    assert pages - {"index"} == set(listed)


def command_lines() -> list[tuple[str, str]]:
    """Page and command of every line of shell that calls mediactl."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"\s\|\|?\s|&&|;\s", re.split(r"\s#|\s[<>]", line)[0]):
                    if match := re.match(r"\s*(?:\w+=\S* )*mediactl (\S.*)", part):
                        found.append((page.name, match[1]))
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_parse(page: str, line: str) -> None:
    words = shlex.split(line)
    context, command = click.Context(cli, info_name="mediactl"), cli.get_command(click.Context(cli), words[0])
    assert command is not None, line
    made = command.make_context(words[0], words[1:], parent=context)
    while isinstance(command, click.Group) and made._protected_args:
        name, inner, rest = command.resolve_command(made, [*made._protected_args, *made.args])
        assert inner is not None
        command, made = inner, inner.make_context(name, rest, parent=made)


def test_many_commands_were_found() -> None:
    assert len(command_lines()) > 60


@pytest.mark.parametrize("topic", TOPICS)
def test_topics_have_a_page_and_no_command_has_their_name(topic: str) -> None:
    assert (ROOT / "docs" / f"{topic}.md").exists()
    assert cli.get_command(click.Context(cli), topic) is None
    text = cli.get_command(click.Context(cli), "help")
    assert text is not None and topic in str(text.help)


RECIPES = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs/cookbook.md").read_text(), re.DOTALL | re.MULTILINE)


def test_the_cookbook_has_fifteen_recipes_with_names_of_their_own() -> None:
    names = [loader.parse(text, "recipe.toml").name for text in RECIPES]
    assert len(names) == len(set(names)) == 15
