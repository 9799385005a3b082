"""Machines in trouble: system calls that fail (strace), limits of processes and memory (prlimit), other users."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from conftest import CommandLine, Result

NOBODY = 65534
"""User and group that own nothing."""

Argument = str | bytes | os.PathLike[str]


def failing(path: Path, calls: str, error: str, when: str = "1+") -> list[Argument]:
    """Return the command in front of another that makes system calls about a file fail; skip where there is none.

    ``when`` as strace has it, counted in each process apart: "2+" is all but the first.
    """
    if not _can_trace():
        pytest.skip("making system calls fail requires strace, and permission to trace processes")
    inject = f"inject={calls}:error={error}:when={when}"
    # A path is compared as the call has it: a source's is opened by its name, below its root.
    return ["strace", "-f", "-qq", "-o", os.devnull, "-P", path, "-P", path.name, "-e", f"trace={calls}", "-e", inject]


def limited(option: str) -> list[Argument]:
    """Return the command in front of another that sets a limit ("--as=300000000"), as prlimit has it."""
    if shutil.which("prlimit") is None:
        pytest.skip("limits require prlimit (util-linux)")
    return ["prlimit", option]


def as_nobody() -> list[Argument]:
    """Return the command in front of another that runs it as another user, who can read everything."""
    capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *capability]
    if os.geteuid() or shutil.which("setpriv") is None or subprocess.run([*command, "true"]).returncode:
        pytest.skip("being another user requires root and setpriv (util-linux)")
    return [*command]


def run(
    mediactl: CommandLine,
    before: Sequence[Argument],
    *arguments: Argument,
    environment: Mapping[str, str] | None = None,
    limit: float = 120,
) -> Result:
    """Run mediactl behind another command, to its end."""
    done = subprocess.run(
        [*before, *mediactl.argv(*arguments)],
        cwd=mediactl.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**mediactl.environment, "MEDIACTL_DEBUG": "", **(environment or {})},
        timeout=limit,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@cache
def _can_trace() -> bool:
    command = ["strace", "-f", "-qq", "-o", os.devnull, "true"]
    return shutil.which("strace") is not None and subprocess.run(command, capture_output=True).returncode == 0
