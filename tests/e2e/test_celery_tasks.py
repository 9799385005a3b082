"""The tasks that an application of Celery is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from PIL import Image

import mediactl
from mediactl.core.errors import MachineBlocked

pytest.importorskip("celery", reason="Celery is not installed")

import celery

from mediactl.celery import MAX_RETRIES, Tasks, asset_ready, register, route


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    """The tasks of an application that runs them in this process."""
    app = celery.Celery("tests", broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True
    first = register(app)
    assert register(app) == first
    return first


@pytest.fixture
def ready() -> Iterator[list[tuple[str, str, mediactl.Asset]]]:
    """What the signal has reported."""
    found: list[tuple[str, str, mediactl.Asset]] = []

    def take(sender: Any, source: str, asset: mediactl.Asset, **_: Any) -> None:
        found.append((sender.name, source, asset))

    def fail(**_: Any) -> None:
        raise ZeroDivisionError("of a receiver")

    asset_ready.connect(fail)
    asset_ready.connect(take)
    yield found
    asset_ready.disconnect(take)
    asset_ready.disconnect(fail)


def test_an_asset_is_made_once_and_reported_for_each_delivery(
    tasks: Tasks, ready: list[tuple[str, str, mediactl.Asset]], tmp_path: Path
) -> None:
    source = tmp_path / "a.png"
    Image.new("RGB", (64, 48), (1, 200, 3)).save(source)
    first = tasks.make.delay(str(source), out=str(tmp_path / "out"), cache="none", priority="urgent")
    marks = [path.stat().st_ino for path in sorted((tmp_path / "out" / "a.png").iterdir())]
    again = tasks.make.delay(str(source), out=str(tmp_path / "out"), cache="none", priority="urgent")
    assert first.result == again.result == ready[0][2].to_dict()
    assert (first.result["source"]["path"], first.result["schema"]) == ("a.png", 1)
    assert [(name, path) for name, path, _ in ready] == [("mediactl.make", str(source))] * 2
    assert [path.stat().st_ino for path in sorted((tmp_path / "out" / "a.png").iterdir())] == marks
    done = tasks.process.delay([str(source)], out=str(tmp_path / "run"), cache="none").result
    assert (done["done"], done["exit_code"]) == (1, 0)


def test_only_what_the_machine_is_to_blame_for_is_retried(
    tasks: Tasks, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected = tasks.make.delay(str(samples / "truncated.jpg"), out=str(tmp_path / "out"))
    assert rejected.state == "FAILURE" and isinstance(rejected.result, mediactl.RejectedInput)
    for error, retried in (
        (MachineBlocked("disk full"), True),
        (mediactl.Interrupted("stopped"), True),
        (mediactl.JobFailed("three attempts"), False),
        (mediactl.UsageError("no such recipe"), False),
    ):
        calls: list[mediactl.MediactlError] = []

        def fail(
            *_: Any, error: mediactl.MediactlError = error, calls: list[mediactl.MediactlError] = calls, **__: Any
        ) -> None:
            calls.append(error)
            raise error

        monkeypatch.setattr(mediactl, "make", fail)
        failed = tasks.make.delay("a.jpg", out="out")
        assert (failed.state, type(failed.result)) == ("FAILURE", type(error))
        assert len(calls) == (1 + MAX_RETRIES if retried else 1)


def test_the_options_of_tasks_are_those_that_the_docs_promise(tasks: Tasks) -> None:
    for task in tasks:
        assert (task.acks_late, task.reject_on_worker_lost, task.serializer, task.max_retries) == (
            True, True, "json", 8,
        )  # fmt: skip
    app = celery.Celery("other")
    assert register(app, max_retries=2).make.max_retries == 2
    assert route("mediactl.make", (), {"priority": "urgent"}, {}) == {"queue": "mediactl.urgent"}
    assert route("mediactl.process", (), {}, {}) == {"queue": "mediactl.normal"}
    assert route("gallery.derive", (), {}, {}) is None


def test_python_in_the_page_on_migration_is_valid() -> None:
    text = (ROOT / "docs" / "migrating-from-celery.md").read_text()
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 3
    for indent, block in found:
        compile("\n".join(line.removeprefix(indent) for line in block.splitlines()), "block", "exec")
