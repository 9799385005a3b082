"""What a run writes for CI systems beside what it prints: ``--junit``, ``--github``. Imports are lazy."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TextIO, cast

import click

from mediactl.core.errors import UsageError
from mediactl.core.files import shown

if TYPE_CHECKING:
    from mediactl.model.events import Event

Take = Callable[["Event"], None]


def beside(take: Take, flags: Mapping[str, Any], stack: ExitStack) -> Take:
    """Return ``take`` with what the flags ask for beside it. Raises UsageError for files that cannot be written."""
    takes = [take]
    if (path := flags["junit"]) is not None:
        from mediactl.ui.junit import JUnit

        file = cast(BinaryIO, _opened("--junit", path, "wb"))
        junit = JUnit(file)
        stack.callback(_ended, f"--junit {shown(path)}", junit.close, file.close)
        takes.insert(0, junit.take)
    if flags["github"]:
        from mediactl.ui.github import GitHub

        step = os.environ.get("GITHUB_STEP_SUMMARY")
        summary = cast(TextIO, _opened("GITHUB_STEP_SUMMARY", step, "a")) if step else None
        out = sys.stderr if flags["as_json"] else sys.stdout  # the runner reads commands on both
        github = GitHub(out, summary, secrets.token_hex(16), _locate(flags.get("sources", ())))
        steps = (github.close,) if summary is None else (github.close, summary.close)
        stack.callback(_ended, f"GITHUB_STEP_SUMMARY {shown(step or '')}", *steps)
        takes.insert(0, github.take)
    return take if len(takes) == 1 else _all(takes)


def _all(takes: Sequence[Take]) -> Take:
    def take_all(event: Event) -> None:
        for take in takes:
            take(event)

    return take_all


def _ended(what: str, *steps: Callable[[], None]) -> None:
    """Do these steps at the end of a run; that a file cannot be written is reported and changes no exit code."""
    wrong: OSError | None = None
    for step in steps:
        try:
            step()
        except OSError as error:
            wrong = error
    if wrong is not None:
        click.echo(f"mediactl: {what}: cannot be written: {wrong.strerror}", err=True)


def _opened(option: str, path: str, mode: str) -> IO[Any]:
    try:
        return open(path, mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise UsageError(f"{option} {shown(path)}: cannot be written: {error.strerror}") from None


def _locate(sources: Sequence[bytes]) -> Callable[[str], str]:
    """Return the function that finds a source, of a path below one of the SOURCEs, from the current directory."""

    def located(path: str) -> str:
        for source in sources:
            file = os.path.join(source, os.fsencode(path)) if os.path.isdir(source) else source
            if os.path.lexists(file) and file.endswith(os.fsencode(path)):
                return shown(os.path.relpath(file))
        return path

    return located
