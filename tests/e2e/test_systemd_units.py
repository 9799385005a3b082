"""The systemd units are valid, hardened, and run what this mediactl understands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from conftest import ROOT

from mediactl.cli import cli

UNITS = sorted((ROOT / "packaging" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
EXPOSURE = 15
"""Tenths, as systemd-analyze rates it: up to 2.0 is "safe"."""
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a program and a user that exist here."""
    for unit in UNITS:
        text = unit.read_text().replace("/opt/mediactl/bin/mediactl", "/bin/true").replace("User=mediactl", "User=root")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One run of systemd-analyze."""
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
def test_they_are_valid(installed: Path) -> None:
    result = analyze("verify", "--man=no", *(installed / unit.name for unit in UNITS))
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.name)
def test_they_are_hardened(installed: Path, service: Path) -> None:
    result = analyze("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", installed / service.name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.name)
def test_their_command_lines_are_understood(service: Path) -> None:
    text = service.read_text()
    (line,) = re.findall(r"^ExecStart=/opt/mediactl/bin/mediactl (.+)$", text, re.M)
    name, *arguments = line.split()
    context = click.Context(cli, info_name="mediactl")
    command = cli.get_command(context, name)
    assert command is not None
    made = command.make_context(name, arguments, parent=context)
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)s$", text, re.M)
    assert made.params["grace"] < int(stop)
    assert "75" in re.findall(r"^SuccessExitStatus=(.+)$", text, re.M)
