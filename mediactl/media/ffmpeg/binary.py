"""The ffmpeg binary: where it is, and what it can do."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess

from mediactl.core import machine
from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.core.files import shown
from mediactl.media.ffmpeg.bundled import bundled_ffmpeg, series

VARIABLE = "MEDIACTL_FFMPEG"
"""Environment variable that names another binary than the bundled one."""


def find(configured: str | None = None) -> str:
    """Return the path of the binary.

    That is ``configured`` (a path or a name on PATH), else the environment's, else the one bundled with imageio-ffmpeg,
    else the one on PATH.

    Raises UsageError when the named one does not exist, MachineBlocked when there is none at all.
    """
    named = configured or os.environ.get(VARIABLE)
    return _named(named) if named else _bundled()


def version(binary: str | None = None) -> str:
    """Return the series of the binary, "9.0"; for a development build its whole version word. Raises as ``find``."""
    binary = binary or find()
    word = re.match(r"ffmpeg version (\S+)", _ask(binary, "-version"))
    if not word:
        raise UsageError(f"{shown(binary)} is not ffmpeg: `-version` names another program; set {VARIABLE} to one")
    return series(word[1])


def encoders(binary: str | None = None) -> frozenset[str]:
    """Return the names of the encoders that the binary has."""
    return _listed(binary or find(), "-encoders")


def decoders(binary: str | None = None) -> frozenset[str]:
    """Return the names of the decoders that the binary has."""
    return _listed(binary or find(), "-decoders")


def filters(binary: str | None = None) -> frozenset[str]:
    """Return the names of the filters that the binary has."""
    return _listed(binary or find(), "-filters")


def check(needed: set[str], binary: str | None = None) -> None:
    """Raise UsageError, naming what to do, unless ffmpeg exists, starts, and has every encoder in ``needed``."""
    path = binary or find()
    if missing := sorted(needed - encoders(path)):
        raise UsageError(
            f"ffmpeg at {shown(path)} has no encoder {', '.join(missing)}; "
            f"unset {VARIABLE} (and --ffmpeg) to use the bundled one, or name a complete build"
        )


def environment() -> dict[str, str]:
    """Return the child's environment: nothing that could make it write reports, use a proxy or load modules; and
    SVT-AV1, which has a log of its own, reports errors only."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1", "SVT_LOG": "1"}


def _named(name: str) -> str:
    path = shutil.which(name)
    if not path:
        raise UsageError(f"ffmpeg: {shown(name)} is not an executable file; correct or unset {VARIABLE} (or --ffmpeg)")
    return os.path.abspath(path)


@functools.cache
def _bundled() -> str:
    path = bundled_ffmpeg() or shutil.which("ffmpeg")
    if not path:
        raise MachineBlocked(f"ffmpeg is missing: reinstall imageio-ffmpeg, or set {VARIABLE} to an ffmpeg binary")
    return os.path.abspath(path)


@functools.cache
def _ask(binary: str, question: str) -> str:
    try:
        answer = subprocess.run(
            [binary, "-hide_banner", question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            env=environment(),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = shown(str(error))
        if machine.trouble(error) or machine.shortage():
            raise MachineBlocked(f"ffmpeg at {shown(binary)} cannot be started: {reason}") from error
        raise UsageError(f"ffmpeg at {shown(binary)} does not work: {reason}; correct {VARIABLE}") from error
    return answer.stdout.decode("utf-8", "replace")


@functools.cache
def _listed(binary: str, question: str) -> frozenset[str]:
    """Return the second column of what ``-encoders`` or ``-filters`` prints: " V....D libx264   description"."""
    return frozenset(re.findall(r"^ [A-Z.|]{2,6} ([\w-]+) +\S", _ask(binary, question), re.MULTILINE))
