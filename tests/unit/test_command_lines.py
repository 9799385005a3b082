"""Command lines of tests are forked from a server: started by themselves, they take most of the time of the suite."""

from __future__ import annotations

import importlib
import os

import pytest
from conftest import CommandLine


def test_they_are_forked_whatever_was_imported_before(mediactl: CommandLine) -> None:
    importlib.import_module("mediactl.media.image.vips")
    assert "VIPS_CONCURRENCY" in os.environ, "it sets what is read at a start"
    line = CommandLine(mediactl.folder)
    assert "VIPS_CONCURRENCY" not in line.environment
    (server,) = line.servers
    assert server.serves(line.environment)


def test_variables_that_a_test_sets_reach_them(mediactl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert CommandLine(mediactl.folder).environment["TZ"] == "Asia/Tokyo"
