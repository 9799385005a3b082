"""ffmpeg's command line: sources as an open descriptor, outputs as plain names in the folder of the run.

Built with ffmpeg-python. Sources never reach it by name, and may open nothing else; so no name, playlist or reference
in an untrusted file is ever followed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mediactl.media.ffmpeg import allowed
from mediactl.model.media import Limits


def source(fd: int, threads: int, **options: Any) -> Any:
    """Return the source as an ffmpeg-python input node, with the allow-lists that every run needs."""
    import ffmpeg as graph  # Here and below: importing it takes 100 ms.

    return graph.input("fd:", fd=fd, threads=threads, **allowed.LISTS, **options)


def output(streams: list[Any], file: bytes, muxer: str, limits: Limits, **options: Any) -> Any:
    """Return an ffmpeg-python output node: without the source's metadata, and with the same bytes for the same input.

    ``file`` must be in the folder of the run; ffmpeg sees its name alone, marked as a file's. ``limits`` end it when
    a source lasts longer than its header says. ``metadata`` may hold several "key=value", with "\\0" between them.
    """
    import ffmpeg as graph

    name = "file:" + os.fsdecode(os.path.basename(file))
    common = {"format": muxer, "map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "t": limits.duration + 1}
    return graph.output(*streams, name, **{**common, **options})


def arguments(*outputs: Any, threads: int, also: Sequence[tuple[str, bytes]] = ()) -> list[str]:
    """Return the argv (without the binary) of one run that writes all these outputs, with so many filter threads.

    ``also``: format and path of files of ours in the run's folder that are read besides the (one) source; options name
    them by number, from 1 ("map_metadata": 1).
    """
    import ffmpeg as graph

    parts: list[str] = []
    for part in graph.merge_outputs(*outputs).get_args(overwrite_output=True):
        option = parts[-1:]  # ffmpeg-python has no way to give an option twice.
        parts += f"\0{option[0]}\0".join(part.split("\0")).split("\0") if option == ["-metadata"] else [part]
    for format, file in reversed(also):
        position = parts.index("-i") + 2  # After the source, which is the only input that graphs are made of.
        parts[position:position] = ["-f", format, "-i", "file:" + os.fsdecode(os.path.basename(file))]
    return ["-filter_complex_threads", str(threads), "-filter_threads", str(threads), *parts]
