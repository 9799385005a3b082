"""The live view on a terminal: one bar for the whole, one for each long job, and what goes wrong as it comes."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mediactl.model.events import Event
from mediactl.ui.lines import NO_MEDIA, NO_UPLOADS, describe, duration, ending, problem, size
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
        if event.name == "run.started":
            self._watching = bool(event.fields["watching"])
            self._nothing = NO_MEDIA if event.fields["recipe"] else NO_UPLOADS
        elif event.name == "tick":
            self._busy = bool(event.fields["running"])
        if line := problem(event):
            kind, _, rest = line.partition(": ")
            self._console.print(Text.assemble((kind + ": ", "yellow"), rest) if rest else Text(line, "yellow"))
        elif self._verbose and (line := describe(event)):
            self._console.print(Text(line, "dim"))
        if event.name == "summary":
            self.close()
            good = event.fields["exit_code"] == 0
            self._console.print(Text(ending(event.fields, self._nothing), "green" if good else "bold"))
        elif self._clock() >= self._next:
            self._next = self._clock() + REFRESH
            self._live.update(self._draw(), refresh=True)

    def close(self) -> None:
        """Remove the view, keep what was printed above it."""
        self._live.stop()

    def _draw(self) -> Group:
        tally = self._tally
        total = tally.planned["sources"] - tally.planned["up_to_date"] if tally.planned else None
        fraction = tally.fraction
        elapsed = self._clock() - self._started
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        over = tally.assets + tally.rejected + tally.quarantined + tally.removed
        known = f"{total:,}" if total is not None else f"{tally.found:,}+"
        if self._watching and total is not None:
            known = f"{max(over, tally.found):,}"
        left = ""
        counted = not self._watching and total is not None and tally.found + tally.rejected >= total
        if fraction and elapsed > 2 and counted:
            left = f"about {duration(elapsed / fraction * (1 - fraction))} left"
        head.add_row(
            Text(f"{over:,} of {known} sources"),
            ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None, animation_time=elapsed),
            Text(f"{int(100 * (fraction or 0)):3} %  {left}"),
        )
        rows: list[Table | Text] = [head]
        for job, (path, part) in list(tally.running.items())[:RUNNING_ROWS]:
            row = Table.grid(padding=(0, 1), expand=True)
            row.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
            row.add_column(ratio=1)
            row.add_column(no_wrap=True, justify="right")
            row.add_row(
                Text("  " + path), ProgressBar(total=1.0, completed=part), Text(progress(part, tally.paces.get(job)))
            )
            rows.append(row)
        sending = tally.upload_fraction
        if sending is not None:
            row = Table.grid(padding=(0, 1), expand=True)
            row.add_column(no_wrap=True)
            row.add_column(ratio=1)
            row.add_column(no_wrap=True, justify="right")
            there = size(sending * tally.upload_bytes)
            row.add_row(
                Text(f"  {there} of {size(tally.upload_bytes)} uploaded"),
                ProgressBar(total=1.0, completed=sending),
                Text(f"{100 * sending:3.0f} %"),
            )
            rows.append(row)
        if tally.rejected + tally.quarantined:
            rows.append(Text(f"  {tally.rejected} rejected, {tally.quarantined} quarantined", "dim"))
        if self._watching and total is not None and not self._busy:
            rows[0] = Text(f"watching: {over:,} sources done")
        return Group(*rows)


def progress(part: float, pace: tuple[float, float | None, float | None] | None) -> str:
    """How far a running job is: " 42 %"; of a film in media time, "0:25 of 1:00  54 fps  1.8x  20 s left"."""
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
