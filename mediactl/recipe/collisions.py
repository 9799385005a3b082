"""The files that a recipe's outputs may write for one source, and which of them would be the same file.

Some names are known only once a source is: "hls-audio-1-eng.mp4" has the number and the language of a track. They are
compared as patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mediactl.outputs.tables import HlsOutput, Output, StoryboardOutput, SubtitlesOutput

RESERVED = "asset.json"
"""Written beside the artefacts of every source."""
_TRACK = r"\d+(-[a-z0-9]{1,8})?"
"""Number of a track and its language, as ``targets`` writes them."""
_TRACKS = ("1", "1-a")
"""One of each shape of these."""


class File(NamedTuple):
    """A file name, or with ``tracks`` every ``start`` + track + ``end``."""

    start: str
    end: str = ""
    tracks: bool = False

    def shown(self) -> str:
        """As told to a person."""
        return f"{self.start}{'1' if self.tracks else ''}{self.end}"

    def examples(self) -> Iterator[str]:
        """Names such that another pattern which has one in common with this has one of these."""
        yield from ((self.start + each + self.end for each in _TRACKS) if self.tracks else (self.start + self.end,))

    def matches(self, name: str) -> bool:
        """Whether a file of that name is meant."""
        middle = _TRACK if self.tracks else ""
        return re.fullmatch(re.escape(self.start) + middle + re.escape(self.end), name) is not None


def files(output: Output) -> tuple[File, ...]:
    """All that an output may write."""
    name: str = output.name
    if isinstance(output, HlsOutput):
        found = [File(f"{name}.m3u8")]
        for height in sorted(set(output.heights), reverse=True):
            found += [File(f"{name}-{height}.mp4"), File(f"{name}-{height}.m3u8")]
        if output.audio != "none":
            found += [File(f"{name}-audio-", ".mp4", True), File(f"{name}-audio-", ".m3u8", True)]
        if output.subtitles:
            found += [File(f"{name}-text-", ".vtt", True), File(f"{name}-text-", ".m3u8", True)]
        return tuple(found)
    if isinstance(output, StoryboardOutput):
        return File(output.file_name), File(f"{name}.vtt")
    if isinstance(output, SubtitlesOutput):
        return (File(f"{name}-", ".vtt", True),)
    return (File(output.file_name),)


def clash(outputs: Iterable[Output]) -> tuple[int, int, str] | None:
    """The first two outputs, by number, that may write the same file, and its name; -1 stands for asset.json."""
    written: list[tuple[int, File]] = [(-1, File(RESERVED))]
    for number, output in enumerate(outputs):
        for file in files(output):
            for earlier, other in written:
                for name in (*file.examples(), *other.examples()):
                    if earlier != number and file.matches(name) and other.matches(name):
                        return earlier, number, name
        written += [(number, file) for file in files(output)]
    return None
