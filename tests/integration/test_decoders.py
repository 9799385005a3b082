"""What was rejected or ignored is tried again once something else may read it; what is done is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_backlog import source_of
from test_planned_anew import FIRST, SECOND, Runs

from mediactl.core import distributions
from mediactl.media import decoders
from mediactl.model.events import Reason
from mediactl.model.media import Kind
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment

VERSIONS = {"pyvips-binary": "8.18.0", "pillow": "12.1.0", "pi-heif": "1.1.1", "av": "18.1.0"}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Versions of packages that are installed, to be changed."""
    versions = dict(VERSIONS)
    monkeypatch.setattr(distributions, "version", versions.get)
    forget()
    yield versions
    forget()


def forget() -> None:
    """As in another process."""
    decoders.digest.cache_clear()
    decoders.missing_extra.cache_clear()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """A folder with a file that is rejected, one that is done, and one that is ignored."""
    with ExitStack() as stack:
        made = Runs(tmp_path, stack, Kind.IMAGE)
        (tmp_path / "good.jpg").write_bytes(made.file.read_bytes() + b"another")
        (tmp_path / "notes.txt").write_text("no media")
        run, _ = made.begin(FIRST)
        held = made.turn(run)
        while held:
            held = made.turn(run, *(made.ended(each, verdict_of(each)) for each in held))
        yield made


def verdict_of(assignment: Assignment) -> Verdict:
    """What a worker would answer."""
    return Verdict.REJECTED if source_of(assignment).path == b"a.jpg" else Verdict.DONE


def planned(runs: Runs) -> dict[object, int]:
    """Why the next run plans what, and how many files it ignores anew; the one that is done has no outputs here."""
    run, reasons = runs.begin(FIRST)
    found: dict[object, int] = dict(reasons.items())
    assert found.pop(Reason.MISSING_OUTPUT) == 1
    if again := sum(event.name == "source.ignored" for event in run.events):
        found["ignored"] = again
    return found


def test_nothing_is_tried_again_while_nothing_has_changed(runs: Runs) -> None:
    assert planned(runs) == {}


@pytest.mark.parametrize(("what", "value"), [("RECOGNITION", 2), ("__version__", "99.0")])
def test_a_new_mediactl_tries_what_was_rejected_and_ignored(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, what: str, value: object
) -> None:
    monkeypatch.setattr(decoders, what, value)
    forget()
    assert planned(runs) == {Reason.DECODER_CHANGED: 1, "ignored": 1}


@pytest.mark.parametrize(
    ("package", "version", "tried"),
    [
        ("pillow", "12.1.9", False),
        ("pillow", "12.2.0", True),
        ("av", "19.0.0", False),
        ("pillow-jxl-plugin", "1.3", False),
    ],
)
def test_a_decoder_tries_what_it_may_read(
    runs: Runs, installed: dict[str, str], package: str, version: str, tried: bool
) -> None:
    installed[package] = version
    forget()
    assert planned(runs) == ({Reason.DECODER_CHANGED: 1} if tried else {})


def test_a_changed_recipe_is_the_reason_where_both_have_changed(runs: Runs, installed: dict[str, str]) -> None:
    installed["pillow"] = "13.0"
    forget()
    _, reasons = runs.begin(SECOND)
    assert reasons == {Reason.RECIPE_CHANGED: 2}


def test_an_extra_is_missing_until_all_its_packages_are_there(installed: dict[str, str]) -> None:
    assert (decoders.missing_extra("jxl"), decoders.missing_extra("jpeg"), decoders.missing_extra("unknown")) == (
        "jxl", "", "",
    )  # fmt: skip
    before = decoders.digest("jxl"), decoders.digest("jpeg")
    installed["pillow-jxl-plugin"] = "1.3.8"
    forget()
    assert decoders.missing_extra("jxl") == ""
    assert decoders.digest("jxl") != before[0] and decoders.digest("jpeg") == before[1]
