"""What ``runs`` prints, and the last run in ``status``: the history of runs as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from mediactl.jobs.report import Report
from mediactl.jobs.runs import RunRow
from mediactl.ui.lines import count, duration


def lines(report: Report, limit: int, now: float) -> Iterator[str]:
    """Yield the last runs as lines, the last started first, and what is left of pruned ones. ``limit`` -1: all."""
    for run in report.runs(limit):
        took = "-" if run.killed else duration(max(0.0, (run.ended_at or now) - run.started_at))
        yield f"{moment(run.started_at)}  {run.command or '?':<7}  {_end(run):<7}  {took:>11}  {_result(run)}".rstrip()
    earlier = report.earlier_runs()
    if earlier.since is not None:
        runs = count(earlier.runs, "earlier run")
        yield f"{runs} since {moment(earlier.since)}, pruned: {count(earlier.done, 'source')} done"


def last_line(report: Report) -> str | None:
    """Return the last run that is not active as the rest of a line; None: there was none."""
    run = _last(report)
    if run is None:
        return None
    began, name = moment(run.started_at), run.command or "run"
    if run.ended_at is None:
        return f"{name} of {began} was killed; its jobs are taken over by the next run"
    result = f": {counts}" if (counts := _counts(run)) else ""
    return f"{name} of {began}, exit code {run.exit_code} after {duration(run.ended_at - run.started_at)}{result}"


def last_json(report: Report) -> dict[str, object] | None:
    """Return the same as JSON."""
    run = _last(report)
    return None if run is None else as_json(run)


def as_json(run: RunRow) -> dict[str, object]:
    """Return a run as JSON; times in seconds since 1970."""
    fields = msgspec.structs.asdict(run)
    del fields["active"], fields["boot"]
    took = None if run.ended_at is None else round(run.ended_at - run.started_at, 3)
    return {
        "run": fields.pop("id"),
        "state": "active" if run.active else "killed" if run.killed else "ended",
        **fields,
        "duration_s": took,
    }


def moment(seconds: float) -> str:
    """Return seconds since 1970 as local time: "2026-11-26 20:03:12"."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _last(report: Report) -> RunRow | None:
    active = len(report.living_runs())
    return next((run for run in report.runs(active + 1) if not run.active), None)


def _end(run: RunRow) -> str:
    return "active" if run.active else "killed" if run.killed else f"exit {run.exit_code}"


def _result(run: RunRow) -> str:
    """Return what distinguishes a run from others: version, process while it is active, counts."""
    process = f" (process {run.pid})" if run.active else ""
    return f"{run.version}{process}  {_counts(run)}"


def _counts(run: RunRow) -> str:
    if run.done is None:
        return ""
    numbers = {"rejected": run.rejected, "quarantined": run.quarantined, "unfinished": run.unfinished}
    return ", ".join([f"{run.done:,} done", *(f"{number:,} {state}" for state, number in numbers.items() if number)])
