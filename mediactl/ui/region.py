"""Rows at the end of a terminal's output that are redrawn in place, with text printed above them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.segment import Segment, SegmentLines
from rich.text import Text

WIDEST = 100
"""Columns that rows take at most: those of a wider terminal can be resized without wrapping them."""


class Region:
    """Rows above the cursor, which stands at the start of an empty line: whatever the terminal echoes (^C) goes there.

    ``reflows``: whether the terminal wraps long lines when it becomes narrower, as nearly all do.
    """

    def __init__(self, console: Console, *, reflows: bool = True) -> None:
        self._console = console
        self._reflows = reflows
        self._widths: list[int] = []
        """Columns that each of the rows takes."""

    def replace(self, above: Iterable[Text] = (), rows: RenderableType | None = None) -> None:
        """Replace the rows; what is printed ``above`` them stays. All is written at once, so that nothing flickers."""
        console, lines = self._console, list[list[Segment]]()
        if rows is not None:
            options = console.options.update(width=min(console.width, WIDEST))
            lines = console.render_lines(rows, options, pad=False)[: max(1, console.height - 1)]
        with console.capture() as captured:
            for line in (line for text in above for line in wrapped(text, console.width)):
                console.print(line, soft_wrap=True)
            console.print(SegmentLines(lines, new_lines=True), end="")
        console.file.write(self._erasing() + captured.get())
        console.file.flush()
        self._widths = [Segment.get_line_length(line) for line in lines]

    def _erasing(self) -> str:
        """Return what moves the cursor to the first of the rows and erases to the end of the screen (ECMA-48: CUU,
        ED)."""
        if not self._widths:
            return ""
        width = max(1, self._console.width)
        rows = sum(math.ceil(each / width) if self._reflows and each else 1 for each in self._widths)
        return f"\r\x1b[{rows}A\x1b[J"


def wrapped(text: Text, width: int) -> Iterator[Text]:
    """Yield the lines of a text, broken between words where they would take more columns than ``width``.

    A word that is longer is left to the terminal, which wraps it so that it can be copied whole: most are paths.
    """
    for line in text.split():
        breaks, used = list[int](), 0
        for word in re.finditer(r"\S+\s*", line.plain):
            if used and used + cell_len(word[0].rstrip()) > width:
                breaks.append(word.start())
                used = 0
            used += cell_len(word[0])
        for part in line.divide(breaks):
            part.rstrip()
            yield part
