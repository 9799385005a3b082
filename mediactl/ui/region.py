"""Rows at the end of a terminal's output that are redrawn in place, with text printed above them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.segment import Segment, SegmentLines

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

    def replace(self, above: Iterable[RenderableType] = (), rows: RenderableType | None = None) -> None:
        """Replace the rows; what is printed ``above`` them stays. All is written at once, so that nothing flickers."""
        console, lines = self._console, list[list[Segment]]()
        if rows is not None:
            options = console.options.update(width=min(console.width, WIDEST))
            lines = console.render_lines(rows, options, pad=False)[: max(1, console.height - 1)]
        with console.capture() as captured:
            for each in above:
                console.print(each, soft_wrap=True)  # a path that is wrapped by the terminal can be copied
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
