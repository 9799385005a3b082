"""The live view on a terminal: a bar for the whole, one for each long job; what goes wrong is printed above them."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mediactl.model.events import (
    Event,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopping,
    SourceEmptied,
    Summary,
    Suspending,
    Tick,
)
from mediactl.ui.lines import (
    NO_MEDIA,
    NO_UPLOADS,
    beginning,
    count,
    detail,
    emptied,
    ending,
    paused,
    problem,
    remaining,
    size,
    stopping,
)
from mediactl.ui.region import Region
from mediactl.ui.tally import Tally

REFRESH = 0.2
"""Seconds between two drawings."""
RUNNING_ROWS = 4


class LiveView:
    """Draws events on a terminal. Names are put in as text, never as markup."""

    def __init__(self, console: Console, clock: Callable[[], float], *, verbose: bool, reflows: bool = True) -> None:
        self._clock = clock
        self._verbose = verbose
        self._tally = Tally()
        self._watching = False
        self._nothing = NO_MEDIA
        self._running = 0
        """Number of running jobs."""
        self._stopping: tuple[RunStopping, float] | None = None
        """That the run is stopping, and by when it does."""
        self._paused = ""
        """Why no jobs are started, if none are."""
        self._where = ""
        """Recipe and output directory."""
        self._printed: list[Text] = []
        """What is to be printed above the view when it is drawn next."""
        self._started = clock()
        self._next = 0.0
        self._region = Region(console, reflows=reflows)

    def take(self, event: Event) -> None:
        """Draw one event."""
        self._tally.take(event)
        match event:
            case RunStarted():
                self._watching = event.watching
                self._nothing = NO_MEDIA if event.recipe else NO_UPLOADS
                self._where = f"recipe {event.recipe}, outputs in {event.out}" if event.recipe else ""
                self._printed.append(Text(beginning(event), "dim"))
            case RunStopping():
                self._stopping = event, self._clock() + event.grace_s
                self._next = 0.0
            case Tick():
                self._running = event.running
            case RunPaused():
                self._paused = paused(event)
                self._next = 0.0
            case RunResumed():
                self._paused = ""
                self._next = 0.0
            case Suspending():
                self.close()
                self._next = self._clock() + REFRESH
            case Summary():
                self._printed.append(Text(ending(event, self._nothing), "bold" if event.exit_code else "green"))
                if self._where:
                    self._printed.append(Text(self._where, "dim"))
                self.close()
                return
            case SourceEmptied(unmounted=None):
                self._printed.append(Text(emptied(event)))
            case _:
                self._report(event)
        if self._clock() >= self._next:
            self._next = self._clock() + REFRESH
            self._region.replace(self._printed, self._draw())
            self._printed.clear()

    def _report(self, event: Event) -> None:
        if line := problem(event, watching=self._watching):
            kind, _, rest = line.partition(": ")
            self._printed.append(Text.assemble((kind + ": ", "yellow"), rest) if rest else Text(line, "yellow"))
        elif self._verbose and (line := detail(event)):
            self._printed.append(Text(line, "dim"))

    def close(self) -> None:
        """Remove the view, keep what was printed above it."""
        self._region.replace(self._printed)
        self._printed.clear()

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
            left = remaining(elapsed / fraction * (1 - fraction))
        bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None, animation_time=elapsed)
        head = row(f"{over:,} of {known} sources", bar, f"{int(100 * (fraction or 0)):3} %  {left}")
        rows: list[Table | Text] = [head]
        for job, (path, part) in list(tally.running.items())[:RUNNING_ROWS]:
            rows.append(row("  " + path, _bar(part), progress(part, tally.paces.get(job)), share=2))
        sending = tally.upload_fraction
        if sending is not None:
            sent = f"  {size(sending * tally.upload_bytes)} of {size(tally.upload_bytes)} uploaded"
            rows.append(row(sent, _bar(sending), f"{100 * sending:3.0f} %"))
        bad = {"rejected": tally.rejected, "quarantined": tally.quarantined}
        if any(bad.values()):
            rows.append(Text("  " + ", ".join(f"{number:,} {state}" for state, number in bad.items() if number), "dim"))
        if self._watching and total is not None and not self._running:
            rows[0] = Text(f"watching: {count(over, 'source')} done")
        if self._paused and not self._stopping:
            rows.append(Text(self._paused, "bold"))
        if self._stopping:
            event, end = self._stopping
            rows.append(Text(stopping(event, self._running, end - self._clock()), "bold"))
        return Group(*rows)


def row(left: str, bar: ProgressBar, right: str, *, share: int | None = None) -> Table:
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
    """Return how far a running job is: " 42 %"; of a video in media time, "0:25 of 1:00  54 fps  1.8x  about 20 s
    left"."""
    if pace is None:
        return f"{int(100 * part):3} %"
    seconds, speed, fps = pace
    text = f"{_clock(part * seconds)} of {_clock(seconds)}"
    if fps:
        text += f"  {fps:.0f} fps"
    if speed:
        text += f"  {speed:.1f}x  {remaining((1 - part) * seconds / speed)}"
    return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
