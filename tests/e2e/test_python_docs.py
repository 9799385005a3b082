"""The examples of docs/python-api.md, and what is exported."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

import mediactl


def test_the_examples_run(tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").mkdir()
    for name in ("pines.jpg", "truncated.jpg"):
        (tmp_path / "samples" / name).symlink_to(samples / name)
    for name in ("balloon.png", "aurora.avif", "harbour.jpg"):  # what is shown of these, small ones show as well
        Image.new("RGB", (64, 48), (200, 20, 20)).save(tmp_path / "samples" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = doctest.testfile(
        str(ROOT / "docs" / "python-api.md"), module_relative=False, optionflags=doctest.REPORT_NDIFF
    )
    assert found.attempted > 12
    assert not found.failed


def test_all_that_is_exported_is_there_and_documented() -> None:
    text = (ROOT / "docs" / "python-api.md").read_text()
    for name in mediactl.__all__:
        assert getattr(mediactl, name) is not None
        assert name in text or name in ("__version__", "Artefact", "Event", "Summary", "Asset")
    stub = (ROOT / "mediactl" / "__init__.pyi").read_text()
    assert {line.rpartition(" ")[2] for line in stub.splitlines() if line.startswith("from")} == set(
        mediactl.__all__
    ) - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'mk'"):
        mediactl.mk  # type: ignore[attr-defined]  # noqa: B018


def test_the_command_line_imports_none_of_it() -> None:
    code = "import sys, mediactl.cli; print(*[name for name in sys.modules if name.startswith('mediactl.api')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "\n"
