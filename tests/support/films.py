"""Films and sounds that tests make for themselves."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import streams
from mediactl.media.inspect.streams import Streams
from mediactl.model.media import Limits


def make(path: Path, *arguments: str) -> Path:
    """A film or a recording, made by ffmpeg; once for all tests that ask for the same, if it is made of nothing."""
    if any(map(os.path.exists, arguments)):
        _run(path, arguments)
    else:
        path.write_bytes(made(path.suffix, *arguments))
    return path


@functools.lru_cache(100)
def made(suffix: str, *arguments: str) -> bytes:
    """The same as bytes, made of nothing."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, f"made{suffix}")
        _run(place, arguments)
        return place.read_bytes()


def _run(path: Path, arguments: tuple[str, ...]) -> None:
    command = [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments, str(path)]
    subprocess.run(command, check=True, timeout=60)


def inspected(path: Path) -> Streams:
    """What is in it."""
    with path.open("rb") as file:
        return streams.inspect(file.fileno(), path.suffix[1:], Limits())
