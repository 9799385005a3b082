"""A run as a JUnit XML file: one test case a source, for CI systems that list test results.

The format has no specification; this is what Jenkins, GitLab and GitHub's reporters read: a failure is a file that is
invalid or over budget, an error one that mediactl or the machine could not process.
"""

from __future__ import annotations

import re
from typing import BinaryIO
from xml.etree.ElementTree import Element, ElementTree, SubElement

from mediactl.model.events import (
    BudgetBroken,
    Event,
    JobDone,
    JobInternalError,
    JobQuarantined,
    JobRejected,
    JobUnreadable,
    ScanTrouble,
    SourceSettled,
    Summary,
)
from mediactl.ui.lines import over_budget

SUITE = "mediactl"
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document can have (its section 2.2), not even as references."""


class JUnit:
    """Writes a file when the run has ended. ``take`` every event in order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._suite = Element("testsuite", name=SUITE)
        self._counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}

    def take(self, event: Event) -> None:
        """Add the test case of an event, if it has one; with the summary, the duration."""
        match event:
            case JobDone(made=int()):
                self._case(event.label, event.kind, event.seconds)
            case JobRejected():
                self._case(event.label, event.kind, 0.0, "failure", f"rejected: {event.reason}")
            case BudgetBroken():
                self._case(f"{event.path}: {event.file}", "budget", 0.0, "failure", over_budget(event))
            case JobQuarantined():
                self._case(event.label, event.kind, 0.0, "error", f"quarantined: {event.reason}")
            case JobInternalError() | JobUnreadable():
                self._case(event.label, event.kind, 0.0, "error", event.reason)
            case ScanTrouble():
                self._case(event.path, "scan", 0.0, "error", event.reason)
            case SourceSettled():
                self._case(event.path, "source", 0.0, "failure" if event.fails else "skipped", event.reason)
            case Summary():
                self._suite.set("time", f"{event.elapsed_s:.3f}")

    def close(self) -> None:
        """Write the file."""
        root = Element("testsuites", {name: str(number) for name, number in self._counts.items()})
        self._suite.attrib.update(root.attrib)
        root.append(self._suite)
        ElementTree(root).write(self._file, encoding="utf-8", xml_declaration=True)
        self._file.flush()

    def _case(self, name: str, group: str, seconds: float, problem: str = "", message: str = "") -> None:
        self._counts["tests"] += 1
        case = SubElement(
            self._suite, "testcase", name=_possible(name), classname=f"{SUITE}.{group}", time=f"{seconds:.3f}"
        )
        if problem:
            self._counts[_PLURALS[problem]] += 1
            text = _possible(message)
            SubElement(case, problem, message=text).text = text


_PLURALS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def _possible(text: str) -> str:
    return _IMPOSSIBLE.sub("\ufffd", text)
