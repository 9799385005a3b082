"""Films and sounds that tests make for themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import streams
from mediactl.media.inspect.streams import Streams
from mediactl.model.media import Limits


def make(path: Path, *arguments: str) -> Path:
    """A film or a recording, made by ffmpeg."""
    command = [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def inspected(path: Path) -> Streams:
    """What is in it."""
    with path.open("rb") as file:
        return streams.inspect(file.fileno(), path.suffix[1:], Limits())
