"""The Python API changes on purpose alone: it is compared with the last committed one."""

from __future__ import annotations

from pathlib import Path

import griffe
import pytest
from support import surface

SNAPSHOT = Path(__file__).with_name("python_api.txt")


def breakages(before: str, after: str) -> list[str]:
    """Return what in the API would break callers."""
    with griffe.temporary_visited_module(before, module_name="mediactl") as old:
        with griffe.temporary_visited_module(after, module_name="mediactl") as new:
            return [each.explain(griffe.ExplanationStyle.ONE_LINE) for each in griffe.find_breaking_changes(old, new)]


def test_the_api_is_the_committed_one() -> None:
    now = surface.text()
    assert breakages(SNAPSHOT.read_text(), now) == [], (
        "this breaks callers: raise the version (Semantic Versioning), list it in CHANGELOG, then renew the snapshot"
    )
    assert now == SNAPSHOT.read_text(), (
        "renew it: PYTHONPATH=tests python -m support.surface > tests/unit/python_api.txt"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def process_async(", "def process_later("),
        (", timeout: float | None = None", ""),
        ("out: Path | None = None", "out: Path"),
        ("    def picture(", "    def image("),
        ("    sandbox:", "    sandboxed:"),
        ("class RejectedInput(MediactlError):", "class RejectedInput:"),
    ],
)
def test_breaks_are_found(before: str, after: str) -> None:
    now = surface.text()
    assert before in now
    assert breakages(now, now.replace(before, after))
    assert not breakages(now, now + "\ndef more(): ...\n")
