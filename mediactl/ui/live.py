"""The live view on a terminal: one bar for the whole, one for each long job, and what goes wrong as it comes."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mediactl.model.events import Event, RunStarted, Summary, Tick
from mediactl.ui.lines import NO_MEDIA, NO_UPLOADS, detail, duration, ending, problem, size
from mediactl.ui.tally import Tally

REFRESH = 0.2
"""Seconds between two drawings."""
RUNNING_ROWS = 4


class LiveView:
    """Draws events on a terminal. Names are put in as text, never as markup."""

    def __init__(self, console: Console, clock: Callable[[], float], *, verbose: bool) -> None:
        self._console = console
        self._clock = clock
        self._verbose = verbose
        self._tally = Tally()
        self._watching = False
        self._nothing = NO_MEDIA
        self._busy = False
        """Whether anything runs."""
        self._started = clock()
        self._next = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def take(self, event: Event) -> None:
        """Draw one event."""
        self._tally.take(event)
        match event:
            case RunStarted():
                self._watching = event.watching
                self._nothing = NO_MEDIA if event.recipe else NO_UPLOADS
            case Tick():
                self._busy = event.running > 0
        if line := problem(event):
            kind, _, rest = line.partition(": ")
            self._console.print(Text.assemble((kind + ": ", "yellow"), rest) if rest else Text(line, "yellow"))
        elif self._verbose and (line := detail(event)):
            self._console.print(Text(line, "dim"))
        if isinstance(event, Summary):
            self.close()
            self._console.print(Text(ending(event, self._nothing), "bold" if event.exit_code else "green"))
        elif self._clock() >= self._next:
            self._next = self._clock() + REFRESH
            self._live.update(self._draw(), refresh=True)

    def close(self) -> None:
        """Remove the view, keep what was printed above it."""
        self._live.stop()

    def _draw(self) -> Group:
        tally = self._tally
        total = tally.planned.sources - tally.planned.up_to_date if tally.planned else None
        fraction = tally.fraction
        elapsed = self._clock() - self._started
        over = tally.assets + tally.rejected + tally.quarantined + tally.removed
        known = f"{total:,}" if total is not None else f"{tally.found:,}+"
        if self._watching and total is not None:
            known = f"{max(over, tally.found):,}"
        left = ""
        counted = not self._watching and total is not None and tally.found + tally.rejected >= total
        if fraction and elapsed > 2 and counted:
            left = f"about {duration(elapsed / fraction * (1 - fraction))} left"
        bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None, animation_time=elapsed)
        head = _row(f"{over:,} of {known} sources", bar, f"{int(100 * (fraction or 0)):3} %  {left}")
        rows: list[Table | Text] = [head]
        for job, (path, part) in list(tally.running.items())[:RUNNING_ROWS]:
            rows.append(_row("  " + path, _bar(part), progress(part, tally.paces.get(job)), share=2))
        sending = tally.upload_fraction
        if sending is not None:
            sent = f"  {size(sending * tally.upload_bytes)} of {size(tally.upload_bytes)} uploaded"
            rows.append(_row(sent, _bar(sending), f"{100 * sending:3.0f} %"))
        if tally.rejected + tally.quarantined:
            rows.append(Text(f"  {tally.rejected} rejected, {tally.quarantined} quarantined", "dim"))
        if self._watching and total is not None and not self._busy:
            rows[0] = Text(f"watching: {over:,} sources done")
        return Group(*rows)


def _row(left: str, bar: ProgressBar, right: str, *, share: int | None = None) -> Table:
    """Return a bar between two texts; with ``share``, the first is cut off where it takes more than that of the bar's
    width."""
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(no_wrap=True, overflow="ellipsis", ratio=share)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    row.add_row(Text(left), bar, Text(right))
    return row


def _bar(fraction: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=fraction)


def progress(part: float, pace: tuple[float, float | None, float | None] | None) -> str:
    """Return how far a running job is: " 42 %"; of a video in media time, "0:25 of 1:00  54 fps  1.8x  20 s left"."""
    if pace is None:
        return f"{int(100 * part):3} %"
    seconds, speed, fps = pace
    text = f"{_clock(part * seconds)} of {_clock(seconds)}"
    if fps:
        text += f"  {fps:.0f} fps"
    if speed:
        text += f"  {speed:.1f}x  {duration((1 - part) * seconds / speed)} left"
    return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
