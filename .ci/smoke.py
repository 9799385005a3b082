"""What .ci/interpreters and .ci/newest share: interpreters, fresh copies of the checkout, what must come of samples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
BROKEN = {"truncated.jpg", "notes.jpg"}
"""Samples that are to be rejected."""
SHOWN = 20
"""Last lines of a failed command."""
KINDS = {"image", "video", "audio"}


Ended = subprocess.CompletedProcess[str]


class CheckFailed(Exception):
    """What is not as it must be, and the last lines of the command that showed it."""

    def __init__(self, what: str, ended: Ended) -> None:
        super().__init__("\n    ".join([what, *ended.stdout.splitlines()[-SHOWN:]]))


def interpreter(version: str) -> Path | None:
    """An interpreter of this minor version: on PATH, else the newest of pyenv's; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    ours = sorted(pyenv.glob(f"{version}.*/bin/python3"), key=lambda path: _numbers(path.parts[-3]), reverse=True)
    named = shutil.which(f"python{version}")
    for path in [*([Path(named)] if named else []), *ours]:
        asked = [str(path), "-c", "import sys, venv, pip; print('%d.%d' % sys.version_info[:2])"]
        told = subprocess.run(asked, capture_output=True, text=True)
        if told.returncode == 0 and told.stdout.strip() == version:  # a shim of pyenv's may name what is not chosen
            return path
    return None


@contextmanager
def fresh_copy() -> Iterator[Path]:
    """The checkout as it is, without what git ignores, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="mediactl-ci-") as folder:
        copy = Path(folder) / "mediactl"
        listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0"):
            if name and (ROOT / name).exists():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        yield copy


def environment(copy: Path, python: Path) -> dict[str, str]:
    """One in which ``python3`` is this interpreter and nothing is known from earlier runs."""
    folder = copy.parent / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (folder / "python3").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIACTL_", "VIRTUAL_ENV"))}
    cache = str(copy.parent / "cache")
    return {
        **kept,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "MEDIACTL_CACHE": cache,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def samples_are_done(copy: Path, ended: Ended) -> str:
    """Every sample but the broken ones has its outputs, of all three kinds. Raises CheckFailed."""
    if ended.returncode != 1:
        raise CheckFailed(
            f"exit code {ended.returncode}; it is 1 when all is well: two samples are broken on purpose", ended
        )
    wanted = {path.name for path in (copy / "samples").iterdir() if path.suffix != ".py"} - BROKEN
    assets = list((copy / "derived").glob("*/asset.json"))
    done = {path.parent.name for path in assets}
    if done != wanted:
        raise CheckFailed(f"not done: {sorted(wanted - done)}, done but broken: {sorted(done - wanted)}", ended)
    kinds = {json.loads(path.read_text())["source"]["kind"] for path in assets}
    if kinds != KINDS:
        raise CheckFailed(f"no sample of {sorted(KINDS - kinds)}", ended)
    return f"{len(done)} samples done"


def run(command: str | list[str], copy: Path, variables: dict[str, str]) -> Ended:
    """Run a command, or a line for bash, in the copy; its standard output and error are kept together."""
    argv = ["bash", "-c", command] if isinstance(command, str) else command
    return subprocess.run(argv, cwd=copy, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def doctor_is_content(copy: Path, variables: dict[str, str]) -> None:
    """Raises CheckFailed."""
    ended = run([".venv/bin/mediactl", "doctor"], copy, variables)
    if ended.returncode:
        raise CheckFailed("mediactl doctor found a fault", ended)


def versions(copy: Path, names: list[str]) -> str:
    """What of these is installed."""
    code = (
        "import sys; from importlib.metadata import version as v; print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
    )
    return subprocess.run(
        [str(copy / ".venv/bin/python"), "-c", code, *names], check=True, capture_output=True, text=True
    ).stdout.strip()


def topics(copy: Path) -> list[str]:
    """Pages that `mediactl help` prints."""
    text = (copy / "mediactl/commands/help.py").read_text()
    (listed,) = re.findall(r"^TOPICS = \((.*?)\)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'"(\w+)"', listed)


def say(line: str) -> None:
    """Print it at once."""
    print(line, flush=True)


def fail(line: str) -> None:
    """The end of the script."""
    sys.exit(f"{Path(sys.argv[0]).name}: {line}")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
