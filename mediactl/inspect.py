"""What status, jobs and show print: the journal in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from mediactl.errors import UsageError
from mediactl.files import shown
from mediactl.jobs.report import JobRow, Report
from mediactl.model import Priority
from mediactl.ui.lines import duration


def status(report: Report, now: float) -> Iterator[str]:
    """Sources and jobs by state, depth and age of what waits, runs that are going on."""
    yield "sources  " + (_counts(report.sources()) or "none")
    yield "jobs     " + (_counts(report.jobs()) or "none")
    for row in report.queue():
        delayed = f", {row.delayed:,} of them retries to come" if row.delayed else ""
        yield (
            f"waiting  {row.depth:,} {Priority(row.priority).name.lower()} in lane {row.lane},"
            f" the oldest for {duration(max(0.0, now - row.oldest))}{delayed}"
        )
    for run, pid, version, started in report.living_runs():
        yield f"running  process {pid} (mediactl {version}, run {run[:8]}) for {duration(max(0.0, now - started))}"


def status_json(report: Report, now: float) -> dict[str, object]:
    """The same for programs."""
    return {
        "sources": report.sources(),
        "jobs": report.jobs(),
        "queue": [
            {
                "lane": row.lane,
                "priority": Priority(row.priority).name.lower(),
                "depth": row.depth,
                "oldest_age_s": round(max(0.0, now - row.oldest), 3),
                "delayed": row.delayed,
            }
            for row in report.queue()
        ],
        "runs": [
            {"run": run, "pid": pid, "version": version, "started_at": started}
            for run, pid, version, started in report.living_runs()
        ],
    }


def job_line(job: JobRow) -> str:
    """One job on one line."""
    text = f"{job.key[:12]}  {job.state:<11}  {job.kind:<6}  {shown(job.path or b'-')}"
    return f"{text}: {job.reason}" if job.reason and job.state != "running" else text


def job_json(job: JobRow) -> dict[str, object]:
    """One job for programs."""
    fields = msgspec.structs.asdict(job)
    for name in ("root", "folder", "name"):
        del fields[name]
    return {
        **fields,
        "path": None if job.path is None else shown(job.path),
        "place": None if job.name is None else shown(os.path.join(job.folder or b"", job.name)),
        "priority": Priority(job.priority).name.lower(),
    }


def show(report: Report, what: bytes) -> Iterator[str]:
    """All that is known of the jobs that a key, path or place names. Raises UsageError."""
    for job in find(report, what):
        yield f"job       {job.key}"
        yield f"kind      {job.kind}, lane {job.lane}, priority {Priority(job.priority).name.lower()}"
        if job.path is not None and job.root is not None:
            yield f"source    {shown(os.path.join(job.root, job.path))}"
        yield f"state     {job.state}" + (f": {job.reason}" if job.reason else "")
        yield f"enqueued  {_time(job.enqueued_at)}, due {_time(job.due)}"
        if job.run_after is not None:
            yield f"retry     not before {_time(job.run_after)}"
        yield f"counted   {job.failures} failures, {job.crashes} crashes, {job.interruptions} interruptions"
        for attempt in report.attempts(job.id):
            reason = f": {attempt.reason}" if attempt.reason else ""
            yield (
                f"attempt   {attempt.attempt} at {_time(attempt.ended_at)}: {attempt.outcome}{reason}"
                f" ({attempt.wall:.2f} s, cpu {attempt.cpu:.2f} s, {attempt.peak_memory / 1e6:.0f} MB)"
            )
        yield ""


def find(report: Report, what: bytes) -> list[JobRow]:
    """The jobs that a key, path or place names. Raises UsageError when there are none."""
    found = report.find(what)
    if not found:
        raise UsageError(f"{shown(what)}: no such job; `mediactl jobs` lists them by key and path")
    return found


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(" ", "seconds")
