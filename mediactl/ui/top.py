"""What ``mediactl top`` shows: lanes, workers and failures of a run, from its events and from its journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum

import msgspec
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mediactl.model.events import (
    ControlAnswer,
    Event,
    JobProgress,
    PauseCause,
    RunPaused,
    RunResumed,
    RunSnapshot,
    RunStarted,
    RunStopping,
    Summary,
    WorkerStatus,
)
from mediactl.ui.lines import beginning, count, duration, ending, paused, problem, remaining, size, stopping
from mediactl.ui.live import progress, row

KEPT = 500
"""Failures that are kept, for the filter."""
WINDOW = 10.0
"""Seconds that the rate is measured over."""
KEYS = "q quit   p pause or resume   P suspend now   b bump   / filter"
_ENTER, _ESCAPE, _ERASE = ("\n", "\r"), "\x1b", ("\x7f", "\b")


class Depth(msgspec.Struct, frozen=True):
    """Pending jobs of a lane and priority; times in seconds."""

    lane: str
    priority: str
    jobs: int
    age: float
    """Since the oldest was enqueued."""
    promise: float
    """Within which it is due."""

    @property
    def is_overdue(self) -> bool:
        """Whether the oldest has waited longer than promised."""
        return self.age > self.promise


class Act(Enum):
    """What a key asks for."""

    QUIT = "quit"
    PAUSE = "pause"
    SUSPEND = "suspend"
    RESUME = "resume"
    COUNT = "count what would be bumped"
    BUMP = "bump"


class Top:
    """The state of the view. ``take`` every event, ``press`` every key."""

    def __init__(self) -> None:
        self.depths: Sequence[Depth] = ()
        self.filter = ""
        """A part of the paths that are shown, in any case."""
        self.note = ""
        """What the last key led to."""
        self.summary: Summary | None = None
        self.left = False
        """Whether the viewer has quit."""
        self._started: RunStarted | None = None
        self._snapshot: RunSnapshot | None = None
        self._state = ""
        """Why the run starts no jobs, if it does not."""
        self._progress: dict[str, JobProgress] = {}
        self._failures: deque[str] = deque(maxlen=KEPT)
        self._marks: deque[tuple[float, int, int]] = deque()
        """(seconds since the start, jobs, bytes read) of the last snapshots."""
        self._typing = self._asking = False

    # -- what happens ----------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case RunStarted():
                self._started = event
            case RunSnapshot():
                self._stands(event)
            case JobProgress():
                self._progress[event.job] = event
            case RunPaused():
                self._state = paused(event)
            case RunResumed():
                self._state = ""
            case RunStopping():
                self._state = stopping(msgspec.structs.replace(event, signal=None), event.jobs, event.grace_s)
            case ControlAnswer():
                self.note = event.reason
            case Summary():
                self.summary = event
            case _:
                if line := problem(event, watching=True):
                    self._failures.append(line)

    def _stands(self, event: RunSnapshot) -> None:
        self._snapshot = event
        running = {each.job for each in event.running}
        self._progress = {job: each for job, each in self._progress.items() if job in running}
        if event.stopping is None:
            suspended = RunPaused(cause=event.paused or PauseCause.COMMAND, suspended=event.suspended)
            self._state = (self._state or paused(suspended)) if event.paused else ""
        self._marks.append((event.elapsed_s, event.jobs, event.bytes_in))
        while len(self._marks) > 2 and self._marks[1][0] < event.elapsed_s - WINDOW:
            self._marks.popleft()

    def press(self, key: str) -> Act | None:
        """Take a key; return what it asks for, if anything."""
        if self._typing:
            self._type(key)
            return None
        if self._asking:
            self._asking, self.note = False, ""
            return Act.BUMP if key in ("y", "Y") else None
        self.note = ""
        match key:
            case "q" | "Q" | "\x03":
                return Act.QUIT
            case "p":
                return Act.RESUME if self._is_paused() else Act.PAUSE
            case "P":
                return Act.SUSPEND
            case "/":
                self._typing, self.filter = True, ""
            case "b" if self.filter:
                return Act.COUNT
            case "b":
                self.note = "bump: press / and type a part of the path first"
            case "\x1b":
                self.filter = ""
        return None

    def ask(self, jobs: int) -> None:
        """Ask whether so many pending jobs, which match the filter, are to be bumped."""
        self._asking = jobs > 0
        matching = f"{count(jobs, 'pending job')} matching {self.filter!r}"
        self.note = f"bump {matching}? y or n" if jobs else f"nothing to bump: {matching}"

    def matches(self, text: str) -> bool:
        """Return whether the filter lets a path, or a line, through."""
        return self.filter.casefold() in text.casefold()

    def _type(self, key: str) -> None:
        if key in _ENTER:
            self._typing = False
        elif key == _ESCAPE:
            self._typing, self.filter = False, ""
        elif key in _ERASE:
            self.filter = self.filter[:-1]
        elif key.isprintable():
            self.filter += key

    def _is_paused(self) -> bool:
        return self._snapshot is not None and self._snapshot.paused is PauseCause.COMMAND

    # -- what is shown ---------------------------------------------------------------------------------------------

    def draw(self, rows: int) -> RenderableType:
        """Return what fits so many rows."""
        if self._snapshot is None:
            return Text("connecting")
        parts = [*self._head(self._snapshot), Text(), *self._lanes(self._snapshot), Text(), *self._workers()]
        room = max(0, rows - len(parts) - 3)
        failures = [line for line in self._failures if self.matches(line)][-room:] if room else []
        parts.append(Text())
        parts += [Text(line, "yellow", no_wrap=True, overflow="ellipsis") for line in failures]
        return Group(*parts[: max(1, rows - 1)], self._foot())

    def _head(self, snapshot: RunSnapshot) -> Iterator[RenderableType]:
        if self._started is not None:
            yield _line(beginning(self._started), "bold")
        more = "" if snapshot.planned else "+"
        bad = {"rejected": snapshot.rejected, "quarantined": snapshot.quarantined}
        text = f"{snapshot.done:,} of {snapshot.sources:,}{more} sources done"
        text += "".join(f", {number:,} {state}" for state, number in bad.items() if number)
        text += f", {count(snapshot.jobs, 'job')} in {duration(snapshot.elapsed_s)}{self._rate()}"
        yield _line(text)
        fraction = snapshot.fraction
        bar = ProgressBar(total=1.0, completed=fraction or 0.0)
        yield row(f"{int(100 * (fraction or 0)):3} %", bar, self._eta(snapshot))
        if self._state:
            yield _line(self._state, "bold yellow")

    def _eta(self, snapshot: RunSnapshot) -> str:
        fraction = snapshot.fraction
        if not fraction or not snapshot.planned or snapshot.paused or snapshot.elapsed_s < 2:
            return ""
        if self._started is not None and self._started.watching:
            return ""
        return remaining(snapshot.elapsed_s / fraction * (1 - fraction))

    def _rate(self) -> str:
        """Return jobs and bytes a second, over the last seconds."""
        first, last = self._marks[0], self._marks[-1]
        seconds = last[0] - first[0]
        if seconds <= 0:
            return ""
        return f": {(last[1] - first[1]) / seconds:.1f} jobs/s, {size((last[2] - first[2]) / seconds)}/s"

    def _lanes(self, snapshot: RunSnapshot) -> Iterator[RenderableType]:
        for lane, numbers in snapshot.lanes.items():
            yield _line(f"{lane:<8} {numbers.running:>4,} running {numbers.queued:>6,} queued")
        for depth in self.depths:
            waited = f"oldest {duration(depth.age)}, promised {duration(depth.promise)}"
            late = ", overdue" if depth.is_overdue else ""
            yield _line(f"{depth.lane:<8} {depth.jobs:>4,} pending {depth.priority:>8}: {waited}{late}",
                        "bold yellow" if late else "")  # fmt: skip

    def _workers(self) -> Iterator[RenderableType]:
        assert self._snapshot is not None
        for each in self._snapshot.running:
            name = each.path or each.job[:12]
            if self.matches(name):
                part = f" ({each.piece} of {each.pieces})" if each.piece else ""
                yield _columns(
                    f"{each.pid:>8} {each.lane:<7} {each.kind:<6} {name}{part}", self._bar(each), _time(each)
                )

    def _bar(self, worker: WorkerStatus) -> RenderableType:
        """Return how far a worker is: of a video in media time."""
        event = self._progress.get(worker.job)
        if event is not None:
            pace = None if event.seconds is None else (event.seconds, event.speed, event.fps)
            return Text(progress(event.fraction, pace), no_wrap=True, overflow="ellipsis")
        return Text("" if worker.fraction is None else progress(worker.fraction, None))

    def _foot(self) -> Text:
        if self._typing:
            return _line(f"/{self.filter}", "reverse")
        shown = f"   filter: {self.filter} (Esc clears it)" if self.filter else ""
        return _line(self.note or KEYS + shown, "reverse")

    def end(self) -> str:
        """Return the line that is left when the view closes."""
        return "" if self.summary is None else ending(self.summary)


def _time(worker: WorkerStatus) -> str:
    return "" if worker.seconds is None else duration(worker.seconds)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _columns(left: str, middle: RenderableType, right: str) -> Table:
    made = Table.grid(padding=(0, 1), expand=True)
    made.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    made.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    made.add_column(no_wrap=True, justify="right")
    made.add_row(_line(left), middle, Text(right))
    return made
