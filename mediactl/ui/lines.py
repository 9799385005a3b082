"""Plain lines: for pipes, cron and CI. No escape codes; a few lines a run, and one for each thing that went wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from mediactl.model.events import (
    BrokerLost,
    BrokerReached,
    BucketTrouble,
    BudgetBroken,
    CacheUnusable,
    Event,
    EventsMissed,
    ExtraRequired,
    JobCancelled,
    JobDone,
    JobInternalError,
    JobQuarantined,
    JobRejected,
    JobRetry,
    JobUnreadable,
    JournalDamaged,
    JournalRebuilt,
    LeftOutBy,
    MachineUnfit,
    MonitorTrouble,
    PauseCause,
    Plan,
    RunPaused,
    RunResumed,
    RunSnapshot,
    RunStarted,
    RunStopped,
    RunStopping,
    SandboxIncomplete,
    ScanTrouble,
    SocketUnusable,
    SourceEmptied,
    SourceIgnored,
    SourceLeftOut,
    SourceSettled,
    StopCause,
    Summary,
    Tick,
    UploadDone,
    UploadStopped,
    WatchResumed,
    WatchTrouble,
)
from mediactl.ui.tally import Tally, piece_of

FIRST_LINE = 10.0
NEXT_LINES = 60.0
"""Seconds after which a line says how far a run is, and between the next ones."""
WATCH_LINES = 10.0
"""Seconds between two lines of a watch about what it has done. They come when it rests, or after ``NEXT_LINES``."""
NAMED = 3
"""Sources that such a line names."""


def size(count: float) -> str:
    """Return bytes for a person: "4.2 MB" (powers of ten)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return ""


def duration(seconds: float) -> str:
    """Return seconds for a person: "3.2 s", "4 min 05 s", "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def remaining(seconds: float) -> str:
    """Return how long something takes from now on, rounded as people do: "about 25 s left", "about 2 h 10 min left"."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 57.5:
        return f"about {5 * round(seconds / 5)} s left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min left"
    if minutes < 595:
        hours, tens = divmod(round(minutes / 10), 6)
        return f"about {hours} h {10 * tens} min left" if tens else f"about {hours} h left"
    hours = round(minutes / 60)
    return f"about {hours} h left" if hours < 48 else f"about {round(hours / 24)} days left"


def count(number: int, one: str, many: str = "") -> str:
    """Return a number of things: "1 file", "1,200 files"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def problem(event: Event, *, watching: bool = False) -> str | None:
    """Return the line of an event that reports something wrong; None for any other.

    What is rejected because an extra is missing has one line for all, but in a watch, which may not end for months.
    """
    match event:
        case JobRejected(requires=str()) if not watching:
            return None
        case ExtraRequired():
            files = count(event.sources, f"{event.format} file")
            return f"{files} {'requires' if event.sources == 1 else 'require'} the extra {event.extra}: {event.install}"
        case JobRejected():
            return f"rejected: {event.label}: {event.reason}"
        case JobQuarantined():
            return f"quarantined: {event.label}: {event.reason}"
        case JobInternalError():
            return f"left unfinished: {event.label}: {event.reason}"
        case JobUnreadable():
            return f"left for the next run: {event.label}: {event.reason}"
        case JobRetry():
            return f"will be retried: {event.label}: {event.reason}"
        case SourceSettled(fails=True):
            return settled(event)
        case ScanTrouble() | WatchTrouble():
            return f"{event.path}: {event.reason}"
        case SourceEmptied(unmounted=str()):
            return emptied(event)
        case BudgetBroken():
            return over_budget(event)
        case CacheUnusable():
            return f"cache: cannot be used: {event.reason}; continuing without it; remove it, or set MEDIACTL_CACHE"
        case BucketTrouble():
            return f"bucket: {event.reason}"
        case MonitorTrouble():
            return f"{event.monitor}: {event.reason}; the run goes on"
        case SandboxIncomplete():
            return f"sandbox: {'; '.join(f'{layer}: {why}' for layer, why in event.missing.items())}"
        case JournalDamaged():
            rebuilt = f"rebuilt from {count(event.adopted, 'asset.json file')}"
            return f"the journal was damaged: set aside as {event.set_aside} and {rebuilt}"
        case JournalRebuilt():
            return f"the journal was lost: rebuilt from {count(event.adopted, 'asset.json file')}"
        case BrokerLost():
            return f"broker: cannot be reached, trying again every second: {event.reason}"
        case BrokerReached():
            return "broker: reached again"
        case MachineUnfit():
            return f"machine {event.host}: hands jobs back: {event.reason}"
        case SocketUnusable():
            return f"event socket: cannot be created: {event.reason}; top, pause and events do not reach this run"
        case EventsMissed():
            return f"{count(event.missed, 'event')} missed: this reader was too slow"
        case UploadStopped():
            return f"uploads stopped: {event.reason}"
        case RunStopping(cause=StopCause.SIGNAL) if event.jobs:
            return stopping(event, event.jobs, event.grace_s)
        case RunStopped():
            return f"stopped early: {event.reason}; run again to continue"
    return None


def over_budget(event: BudgetBroken) -> str:
    """Return the line of an artefact that is over a budget."""
    if event.bytes is not None:
        what = f"{event.bytes:,} bytes, {event.output} allows {event.bytes_allowed:,}"
    else:
        what = f"similarity {event.similarity:g}, {event.output} requires {event.similarity_required:g}"
    return f"over budget: {event.path}: {event.file}: {what}"


def settled(event: SourceSettled) -> str:
    """Return the line of a source that ended in an earlier run."""
    return f"still {event.state}: {event.path}: {event.reason}"


def detail(event: Event) -> str | None:
    """Return the line that --verbose adds for an event, if any."""
    match event:
        case JobDone(outputs=tuple(outputs)):
            warnings = "".join(f"; {warning}" for warning in event.warnings or ())
            return f"done: {event.label}: {', '.join(outputs)} in {event.seconds} s{warnings}"
        case JobDone(piece=int()):
            return f"done: {event.label}: {piece_of(event)} in {event.seconds} s"
        case UploadDone():
            return f"{event.status}: {event.url}"
        case SourceSettled():
            return settled(event)
        case SourceIgnored():
            return f"ignored: {event.path}: {event.reason}"
        case SourceLeftOut():
            default = "default rule " if event.reason is LeftOutBy.DEFAULT else ""
            return f"left out: {event.path}: {default}{event.rule}"
        case JobRejected():
            return f"rejected: {event.label}: {event.reason}"
        case JobCancelled():
            return f"removed before it was done: {event.label}"
    return None


def beginning(event: RunStarted) -> str:
    """Return the line that a run begins with: version, recipe, workers and output directory."""
    if not event.recipe:
        return f"mediactl {event.version}: uploads" + (f" to {event.out}" if event.out else "")
    return f"mediactl {event.version}: recipe {event.recipe}, {count(event.workers, 'worker')}, to {event.out}"


def emptied(event: SourceEmptied) -> str:
    """Return the line of a directory in which nothing is left."""
    sources = count(event.sources, "source")
    if event.unmounted is not None:
        return (
            f"{event.path}: empty, but had {sources} on {event.unmounted}, which is not mounted; mount it and run again"
        )
    gone = f"{sources} of earlier runs {'is' if event.sources == 1 else 'are'} gone"
    return f"{event.path}: empty; {gone}, `mediactl prune` lists the outputs"


def stopping(event: RunStopping, jobs: int, left: float) -> str:
    """Return what a stopping run does: the number of its running jobs, seconds left for them, and how to end it now."""
    why = "" if event.cause is StopCause.SIGNAL else f"{event.reason}; "
    if not jobs:
        return f"Stopping: {why}no jobs are running."
    text = f"Stopping: {why}finishing {count(jobs, 'job')}, up to {max(0, math.ceil(left))} s."
    if event.signal == "SIGINT":
        return f"{text} Ctrl-C again stops now."
    return f"{text} Another signal stops now." if event.signal else text


def paused(event: RunPaused) -> str:
    """Return the line of a run that starts no jobs for now."""
    if event.cause is PauseCause.HOURS:
        until = "" if event.until is None else f" until {time.strftime('%H:%M', time.localtime(event.until))}"
        return f"paused{until}: outside of --hours"
    jobs = "running jobs are suspended" if event.suspended else "running jobs finish"
    return f"paused: {jobs}; `mediactl resume` continues"


def snapshot(event: RunSnapshot) -> str:
    """Return how a run stands."""
    found = "" if event.planned else "+"
    state = "paused, " if event.paused else ""
    running = ", ".join(sorted({each.path or each.job for each in event.running})[:NAMED])
    return (
        f"{state}{event.done:,} of {event.sources:,}{found} sources done, {count(len(event.running), 'job')} running"
        + (f": {running}" if running else "")
    )


NO_MEDIA = "no images, videos or audio found"
NO_UPLOADS = "no pending uploads"
OURS = "internal errors are not caused by the file: run `mediactl doctor`, report them, and run again after a fix"


def left_out(numbers: Mapping[LeftOutBy, int]) -> str:
    """Return what was left out, by reason, as the end of a sentence: "; 6 links left out (--follow-symlinks)"."""
    parts = []
    for by in LeftOutBy:
        number = numbers.get(by, 0)
        match by:
            case _ if not number:
                continue
            case LeftOutBy.HIDDEN:
                parts.append(f"; {number:,} hidden left out")
            case LeftOutBy.SPECIAL | LeftOutBy.OUTPUTS:
                many = "output directories" if by is LeftOutBy.OUTPUTS else ""
                parts.append(f"; {count(number, by.value, many)} left out")
            case LeftOutBy.SYMLINK:
                parts.append(f"; {count(number, 'link')} left out (--follow-symlinks)")
            case LeftOutBy.DEFAULT:
                parts.append(f"; {number:,} left out by default (--no-default-excludes)")
            case _:
                parts.append(f"; {number:,} left out by {by}")
    return "".join(parts)


def ending(summary: Summary, nothing: str = NO_MEDIA) -> str:
    """Return the summary as one or two sentences; ``nothing`` says what was not found where there are no sources."""
    if not summary.sources:
        text = f"nothing to do: {nothing}"
    elif not summary.jobs and summary.unfinished == summary.cancelled:
        text = f"nothing to do: {count(summary.sources, 'source')}, {summary.up_to_date:,} up to date"
    else:
        parts = []
        if summary.done or not (summary.uploaded or summary.up_to_date):
            parts.append(f"{count(summary.done, 'source')} done")
        if summary.artefacts:
            parts.append(made(summary.artefacts, summary.bytes_in, summary.bytes_out))
        elif summary.done and not summary.uploaded and not summary.recalled:
            parts.append("0 files made")
        if summary.recalled:
            parts.append(f"{summary.recalled:,} found in the bucket")
        if summary.uploaded or summary.bytes_sent:
            parts.append(f"{summary.uploaded:,} uploaded ({size(summary.bytes_sent)} sent)")
        if summary.up_to_date:
            parts.append(f"{summary.up_to_date:,} up to date")
        text = ", ".join(parts)
    bad = {
        "rejected": summary.rejected,
        "quarantined": summary.quarantined,
        "cancelled": summary.cancelled,
        "unfinished": summary.unfinished - summary.cancelled,
    }
    text += "".join(f", {number:,} {state}" for state, number in bad.items() if number)
    if summary.over_budget:
        text += f", {count(summary.over_budget, 'file')} over budget"
    if summary.ignored:
        text += f"; {count(summary.ignored, 'other file')} ignored"
    text += left_out(summary.left_out or {})
    if summary.troubles:
        text += f"; {count(summary.troubles, 'thing')} could not be read"
    text += f" in {duration(summary.elapsed_s)}"
    if summary.internal_errors:
        more = f", and {summary.internal_errors - 1:,} more" if summary.internal_errors > 1 else ""
        text += f"\n{summary.internal_error}{more}\n{OURS}"
    return text


def made(files: int, bytes_in: float, bytes_out: float) -> str:
    """Return how many files were made of how many bytes; those of an equal key are hard links, which write none."""
    if files and not bytes_out:
        return f"{count(files, 'file')} linked"
    return f"{count(files, 'file')} made ({size(bytes_in)} -> {size(bytes_out)})"


class Lines:
    """Draws events as lines of text. ``quiet``: only what went wrong. ``verbose``: also each file, done or ignored.

    ``stamp``: returns the time that each line begins with.
    """

    def __init__(
        self, out: TextIO, clock: Callable[[], float], *, quiet: bool, verbose: bool,
        stamp: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        self._out = out
        self._stamp = stamp
        self._clock = clock
        self._quiet = quiet
        self._verbose = verbose
        self._tally = Tally()
        self._next = clock() + FIRST_LINE
        self._watching = False
        self._nothing = NO_MEDIA
        self._reported = (0, 0, 0, 0, 0)
        """A watch: the totals that its last line has reported."""
        self._names: list[str] = []
        self._said = self._expected = False
        """Whether a line was printed; whether the run stopped because it was limited to a time."""

    def take(self, event: Event) -> None:
        """Draw one event."""
        if isinstance(event, SourceLeftOut) and not self._verbose:
            return  # there may be very many
        self._tally.take(event)
        line = self._quietly(event) if self._quiet else self._problem(event) or self._line(event)
        if line is not None:
            self._said = True
            start = "" if self._stamp is None else self._stamp() + " "
            print("\n".join(start + each for each in line.split("\n")), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to draw."""

    def _quietly(self, event: Event) -> str | None:
        """Return a problem; the summary where the exit code has to be explained, and nothing else was printed.

        That the time limit was reached is no problem: it was set for that.
        """
        match event:
            case RunStopped(cause=StopCause.TIME_LIMIT | StopCause.HOURS):
                self._expected = True
                return None
            case JobRetry():
                return None  # how it ends is reported
            case Summary() if event.exit_code and not (self._said or self._expected):
                return ending(event, self._nothing)
        return self._problem(event)

    def _problem(self, event: Event) -> str | None:
        return problem(event, watching=self._watching)

    def _line(self, event: Event) -> str | None:
        match event:
            case Summary():
                return ending(event, self._nothing)
            case SourceEmptied():
                return emptied(event)
            case RunStarted():
                return self._start(event)
            case RunStopping(jobs=0):
                return None
            case RunPaused():
                return paused(event)
            case RunResumed():
                return "resumed"
            case RunSnapshot():
                return snapshot(event)
            case RunStopping():
                return stopping(event, event.jobs, event.grace_s)
        line = self._watched(event) if self._watching else self._progress(event)
        return line or (detail(event) if self._verbose else None)

    def _start(self, event: RunStarted) -> str:
        self._watching = event.watching
        if event.watching:
            self._next = self._clock()
        if not event.recipe:
            self._nothing = NO_UPLOADS
        return beginning(event)

    def _progress(self, event: Event) -> str | None:
        """How far a long run is, now and then."""
        if not isinstance(event, Tick) or self._clock() < self._next:
            return None
        self._next = self._clock() + NEXT_LINES
        tally = self._tally
        parts = []
        if tally.found:
            parts.append(f"{tally.assets:,} of {tally.found:,} sources done")
        if tally.fraction is not None:
            parts.append(f"{int(100 * tally.fraction)} % of the work")
        if tally.upload_fraction is not None:
            total = tally.upload_bytes
            parts.append(f"{size(tally.upload_fraction * total)} of {size(total)} uploaded")
        return ", ".join(parts) or "0 sources done"

    def _watched(self, event: Event) -> str | None:
        """What a watch reports of the good things: little, for it may run for months."""
        match event:
            case Plan():
                found = count(event.sources, "source")
                return f"watching: {found} found, {event.up_to_date:,} up to date, {event.planned:,} to be done"
            case WatchResumed():
                return f"{event.path}: is back"
            case JobDone(made=int()) if len(self._names) < NAMED:
                self._names.append(event.label)
            case Tick() if self._clock() >= self._next + (NEXT_LINES if event.running else 0.0):
                return self._news()
        return None

    def _news(self) -> str | None:
        """What a watch has done since its last line, if anything."""
        tally = self._tally
        now = (tally.assets, tally.artefacts, tally.bytes_in, tally.bytes_out, tally.removed)
        sources, files, bytes_in, bytes_out, removed = (new - old for new, old in zip(now, self._reported, strict=True))
        if not (sources or removed):
            return None
        self._next = self._clock() + WATCH_LINES
        more = f" and {sources - len(self._names):,} more" if sources > len(self._names) else ""
        parts = []
        if sources:
            parts.append(f"done: {', '.join(self._names)}{more}: {made(files, bytes_in, bytes_out)}")
        if removed:
            parts.append(f"{count(removed, 'source')} removed before done")
        self._reported, self._names = now, []
        return ", ".join(parts)
