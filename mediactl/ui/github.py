"""A run for GitHub Actions: annotations of files by workflow commands, and the step's summary in Markdown.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TextIO

from mediactl.model.events import (
    BudgetBroken,
    Event,
    JobInternalError,
    JobQuarantined,
    JobRejected,
    JobUnreadable,
    ScanTrouble,
    SourceSettled,
    Summary,
)
from mediactl.ui.lines import duration, over_budget, settled, size

LISTED = 100
"""Problems that the summary lists; a step's summary may have 1 MiB."""
_MARKUP = re.compile(r"[^A-Za-z0-9 /.-]", re.ASCII)


class GitHub:
    """Prints annotations as problems occur, and adds to the summary when the run has ended.

    What a run prints beside them may begin with the name of a file, so workflow commands are stopped meanwhile, by a
    ``token`` that no name can guess. ``located`` returns the path of a source in the repository.
    """

    def __init__(
        self, out: TextIO, summary: TextIO | None, token: str, located: Callable[[str], str] = lambda path: path
    ) -> None:
        self._out = out
        self._summary = summary
        self._token = token
        self._located = located
        self._problems: list[tuple[str, str]] = []
        self._number = 0
        self._ended: Summary | None = None
        self._print(f"::stop-commands::{token}")

    def take(self, event: Event) -> None:
        """Print the annotation of an event, if it has one."""
        match event:
            case JobRejected():
                self._problem(event.label, "rejected", event.reason)
            case JobQuarantined():
                self._problem(event.label, "quarantined", event.reason)
            case JobInternalError() | JobUnreadable():
                self._problem(event.label, "left for the next run", event.reason)
            case BudgetBroken():
                self._problem(event.path, "over budget", over_budget(event).partition(": ")[2])
            case SourceSettled(fails=True):
                self._problem(event.path, f"still {event.state}", settled(event).partition(": ")[2])
            case ScanTrouble():
                self._problem(event.path, "cannot be read", event.reason)
            case Summary():
                self._ended = event

    def close(self) -> None:
        """Let workflow commands be obeyed again, and add to the summary."""
        self._print(f"::{self._token}::")
        if self._summary is not None and self._ended is not None:
            self._summary.write(self._markdown(self._ended))
            self._summary.flush()

    def _problem(self, path: str, title: str, message: str) -> None:
        self._number += 1
        if len(self._problems) < LISTED:
            self._problems.append((path, f"{title}: {message}"))
        command = f"::error file={_property(self._located(path))},title={_property(title)}::{_data(message)}"
        self._print(f"::{self._token}::\n{command}\n::stop-commands::{self._token}")

    def _print(self, lines: str) -> None:
        print(lines, file=self._out, flush=True)

    def _markdown(self, summary: Summary) -> str:
        numbers = {
            "sources": f"{summary.sources:,}", "up to date": f"{summary.up_to_date:,}", "done": f"{summary.done:,}",
            "rejected": f"{summary.rejected:,}", "quarantined": f"{summary.quarantined:,}",
            "unfinished": f"{summary.unfinished:,}", "over budget": f"{summary.over_budget:,}",
            "files made": f"{summary.artefacts:,} ({size(summary.bytes_in)} to {size(summary.bytes_out)})",
            "duration": duration(summary.elapsed_s), "exit code": str(summary.exit_code),
        }  # fmt: skip
        lines = [
            "### mediactl",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {number} |" for name, number in numbers.items()),
        ]
        if self._problems:
            lines += ["", "| file | problem |", "|---|---|"]
            lines += [f"| {_code(path)} | {_code(text)} |" for path, text in self._problems]
        if self._number > len(self._problems):
            lines += ["", f"and {self._number - len(self._problems):,} more"]
        return "\n".join((*lines, "", ""))


def _data(text: str) -> str:
    """Return a message as workflow commands have it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Return the same of a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _code(text: str) -> str:
    """Return a text in Markdown that nothing in it can leave: what could be markup is a character reference."""
    return f"<code>{_MARKUP.sub(lambda found: f'&#{ord(found[0])};', text)}</code>"
