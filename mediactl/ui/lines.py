"""Plain lines: for pipes, cron and CI. No escape codes; a few lines a run, and one for each thing that went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from mediactl.model.events import Event
from mediactl.ui.tally import Tally

FIRST_LINE = 10.0
NEXT_LINES = 60.0
"""Seconds after which a line says how far a run is, and between the next ones."""
WATCH_LINES = 10.0
"""Seconds between two lines of a watch about what it has done. They come when it rests, or after ``NEXT_LINES``."""
NAMED = 3
"""Sources that such a line names."""


def size(count: float) -> str:
    """Bytes for a person: "4.2 MB" (powers of ten)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return ""


def duration(seconds: float) -> str:
    """Seconds for a person: "3.2 s", "4 min 05 s", "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 file", "1,200 files"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def problem(event: Event) -> str | None:
    """The one line that an event is worth when something went wrong, else None."""
    fields = event.fields
    if event.name in ("job.rejected", "job.quarantined"):
        return f"{event.name[4:]}: {fields.get('path', fields['job'])}: {fields['reason']}"
    if event.name == "job.internal_error":
        return f"left unfinished: {fields.get('path', fields['job'])}: {fields['reason']}"
    if event.name == "job.retry":
        return f"will be tried again: {fields.get('path', fields['job'])}: {fields['reason']}"
    if event.name == "job.unreadable":
        return f"left for the next run: {fields['path']}: {fields['reason']}"
    if event.name == "scan.trouble":
        return f"{fields['path']}: {fields['reason']}"
    if event.name == "watch.trouble":
        return f"{fields['path']}: {fields['reason']}"
    if event.name == "cache.unusable":
        return f"cache: cannot be used: {fields['reason']}; going on without; remove it, or set MEDIACTL_CACHE"
    if event.name == "journal.damaged":
        return (
            f"the journal was damaged; it was set aside as {fields['set_aside']} and rebuilt from"
            f" {fields['adopted']} asset.json files"
        )
    if event.name == "journal.rebuilt":
        return f"the journal was lost; it was rebuilt from {fields['adopted']} asset.json files"
    if event.name == "upload.stopped":
        return f"uploads stopped: {fields['reason']}"
    if event.name == "run.stopped":
        return f"stopped early: {fields['reason']}; run again to go on"
    return None


def describe(event: Event) -> str | None:
    """The line that --verbose adds for an event, if any."""
    fields: dict[str, Any] = event.fields
    if event.name == "job.done" and "outputs" in fields:
        warnings = "".join(f"; {warning}" for warning in fields["warnings"])
        return f"done: {fields['path']}: {', '.join(fields['outputs'])} in {fields['seconds']} s{warnings}"
    if event.name == "job.done" and fields["kind"] == "piece":
        what = f"piece {fields['piece']} of {fields['pieces']}" if fields["piece"] else "sound"
        return f"done: {fields['path']}: {what} in {fields['seconds']} s"
    if event.name == "upload.done":
        return f"{fields['status']}: {fields['url']}"
    if event.name == "source.ignored":
        return f"ignored: {fields['path']}: {fields['reason']}"
    if event.name == "job.cancelled":
        return f"removed before it was done: {fields.get('path', fields['job'])}"
    return None


NO_MEDIA = "no images, videos or sound found"
NO_UPLOADS = "nothing waits to be uploaded"
OURS = "an internal error is no fault of the file: see `mediactl doctor`, report it, and run again once it is fixed"


def ending(fields: dict[str, Any], nothing: str = NO_MEDIA) -> str:
    """The summary as one or two sentences; ``nothing`` is what there was where there was nothing."""
    bad = [f"{fields[key]:,} {key}" for key in ("rejected", "quarantined", "unfinished") if fields[key]]
    if not fields["sources"]:
        text = f"nothing to do: {nothing}"
    elif not fields["jobs"] and not fields["unfinished"]:
        text = f"nothing to do: {count(fields['sources'], 'source')}, {fields['up_to_date']:,} up to date"
    else:
        text = f"{count(fields['done'], 'source')} done"
        if fields["artefacts"] or not fields["uploaded"]:
            made = f"{size(fields['bytes_in'])} -> {size(fields['bytes_out'])}"
            text += f", {count(fields['artefacts'], 'file')} made ({made})"
        if fields["uploaded"] or fields["bytes_sent"]:
            text += f", {fields['uploaded']:,} uploaded ({size(fields['bytes_sent'])} sent)"
        if fields["up_to_date"]:
            text += f", {fields['up_to_date']:,} up to date"
    if bad:
        text += ", " + ", ".join(bad)
    if fields["ignored"]:
        text += f"; {count(fields['ignored'], 'other file')} ignored"
    if fields["troubles"]:
        text += f"; {count(fields['troubles'], 'thing')} could not be read"
    text = f"{text} in {duration(fields['elapsed_s'])}"
    if fields.get("internal_errors"):
        more = fields["internal_errors"] - 1
        text += f"\n{fields['internal_error']}{f', and {more:,} more' if more else ''}\n{OURS}"
    return text


class Lines:
    """Draws events as lines of text. ``quiet``: only what went wrong. ``verbose``: also each file, done or ignored."""

    def __init__(self, out: TextIO, clock: Callable[[], float], *, quiet: bool, verbose: bool) -> None:
        self._out = out
        self._clock = clock
        self._quiet = quiet
        self._verbose = verbose
        self._tally = Tally()
        self._next = clock() + FIRST_LINE
        self._watching = False
        self._nothing = NO_MEDIA
        self._told = (0, 0, 0, 0, 0)
        """A watch: what its last line has counted up to."""
        self._names: list[str] = []

    def take(self, event: Event) -> None:
        """Draw one event."""
        self._tally.take(event)
        line = problem(event) or (None if self._quiet else self._line(event))
        if line is not None:
            print(line, file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to draw."""

    def _line(self, event: Event) -> str | None:
        fields: dict[str, Any] = event.fields
        if event.name == "summary":
            return ending(fields, self._nothing)
        if event.name == "run.started":
            self._watching = fields["watching"]
            if self._watching:
                self._next = self._clock()
            if not fields["recipe"]:
                self._nothing = NO_UPLOADS
                return f"mediactl {fields['version']}: uploads" + (f" to {fields['out']}" if fields["out"] else "")
            workers = count(fields["workers"], "worker")
            return f"mediactl {fields['version']}: recipe {fields['recipe']}, {workers}, to {fields['out']}"
        if self._watching and (line := self._watched(event)):
            return line
        if event.name == "tick" and not self._watching and self._clock() >= self._next:
            self._next = self._clock() + NEXT_LINES
            fraction = self._tally.fraction
            done = f"{self._tally.assets:,} of {self._tally.found:,} sources done" if self._tally.found else ""
            if fraction is not None:
                done += f", {int(100 * fraction)} % of the work"
            sent = self._tally.upload_fraction
            if sent is not None:
                total = self._tally.upload_bytes
                done += f"{', ' if done else ''}{size(sent * total)} of {size(total)} uploaded"
            return done or "0 sources done"
        return describe(event) if self._verbose else None

    def _watched(self, event: Event) -> str | None:
        """What a watch says of the good things: little, for it may run for months."""
        fields: dict[str, Any] = event.fields
        if event.name == "plan":
            found = count(fields["sources"], "source")
            return f"watching: {found} there, {fields['up_to_date']:,} up to date, {fields['planned']:,} to be done"
        if event.name == "watch.resumed":
            return f"{fields['path']}: is back"
        tally = self._tally
        if event.name == "job.done" and "made" in fields and len(self._names) < NAMED:
            self._names.append(fields["path"])
        if event.name != "tick" or self._clock() < self._next + (NEXT_LINES if fields["running"] else 0.0):
            return None
        now = (tally.assets, tally.artefacts, tally.bytes_in, tally.bytes_out, tally.removed)
        sources, made, bytes_in, bytes_out, removed = (new - old for new, old in zip(now, self._told, strict=True))
        if not (sources or removed):
            return None
        self._next = self._clock() + WATCH_LINES
        more = f" and {sources - len(self._names):,} more" if sources > len(self._names) else ""
        parts = []
        if sources:
            what = f"{count(made, 'file')} made ({size(bytes_in)} -> {size(bytes_out)})"
            parts.append(f"done: {', '.join(self._names)}{more}: {what}")
        if removed:
            parts.append(f"{count(removed, 'source')} removed before done")
        self._told, self._names = now, []
        return ", ".join(parts)
