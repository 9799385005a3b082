"""The files that a recipe's outputs may write for one source, and which of them would be the same file.

Some names depend on the source: "hls-audio-1-eng.mp4" has the number and the language of a track. They are
compared as patterns.
"""

from __future__ import annotations

from collections.abc import Iterable

from mediactl.outputs.base import File, Output

RESERVED = "asset.json"
"""Written beside the artefacts of every source."""


def clash(outputs: Iterable[Output]) -> tuple[int, int, str] | None:
    """The first two outputs, by number, that may write the same file, and its name; -1 stands for asset.json."""
    written: list[tuple[int, File]] = [(-1, File(RESERVED))]
    for number, output in enumerate(outputs):
        files = output.files()
        for file in files:
            for earlier, other in written:
                for name in (*file.examples(), *other.examples()):
                    if earlier != number and file.matches(name) and other.matches(name):
                        return earlier, number, name
        written += [(number, file) for file in files]
    return None
