"""What status, jobs and show print: the journal in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.jobs import history
from mediactl.jobs.prediction import ENOUGH, QUANTILE, QUICK_SECONDS
from mediactl.jobs.report import JobRow, Report
from mediactl.model.jobs import Priority
from mediactl.model.verdict import Verdict
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
    text = f"{job.key[:12]}  {job.state:<11}  {job.kind:<6}  {shown(job.path or b'-')}" + _part(job)
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


def _part(job: JobRow) -> str:
    """Which piece of a film a job is about, behind what it is told with."""
    if not job.part:
        return ""
    return " (sound)" if job.part == "sound" else f" ({job.part.replace('/', ' of ')})"


def show(report: Report, what: bytes) -> Iterator[str]:
    """All that is known of the jobs that a key, path or place names. Raises UsageError."""
    for job in find(report, what):
        yield f"job       {job.key}"
        yield f"kind      {job.kind}{_part(job)}, lane {job.lane}, priority {Priority(job.priority).name.lower()}"
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


def why(report: Report, what: bytes, now: float) -> Iterator[str]:
    """One sentence a job: what it waits for, or why it ended. Raises UsageError."""
    for job in find(report, what):
        yield f"{job.kind} job {job.key[:12]}{_part(job)} {_why(report, job, now)}"


def _why(report: Report, job: JobRow, now: float) -> str:
    last = report.attempts(job.id)[-1:]
    if job.state == "ready" and job.run_after is not None and job.run_after > now:
        return f"waits {duration(job.run_after - now)} for its next attempt, because the last one failed: {job.reason}"
    if job.state == "ready" and job.lane == "alone":
        return f"waits until nothing else runs, because it took its worker down {job.crashes} times: {job.reason}"
    if job.state == "ready":
        ahead = report.ahead(job)
        behind = f"behind {ahead:,} that are due before it" if ahead else "first in line"
        runs = "" if report.living_runs() else "; no run is going on: start one with `mediactl process`"
        return f"waits in lane {job.lane}, {behind} (priority {Priority(job.priority).name.lower()}){runs}"
    if job.state == "running":
        return "is being worked on"
    if job.state == "done":
        took = f" in {duration(last[0].wall)}" if last else ""
        return f"is done{took}, at attempt {job.attempt}"
    again = "; `mediactl retry` lets it be tried again"
    if job.state == "rejected":
        return f"was rejected, for its source {job.reason}{again}, and so does a change of the file"
    if job.state == "quarantined":
        counted = f"{job.failures} failures and {job.crashes} crashes"
        return f"was given up after {counted}, the last being: {job.reason}{again}"
    if last and last[0].outcome == Verdict.INTERNAL:
        return f"was given up for an {job.reason}; its source is left to the next run"
    return f"was cancelled{again}"


def lanes(report: Report) -> Iterator[str]:
    """What runs in which lane, and why: classes of jobs with what was measured of them."""
    yield f"{'job':<8} {'format':<10} {'work up to':>14}  {'lane':<6} {'done':>8} {'p50':>10} {'p90':>10}"
    for row in report.classes():
        (operation, format_, bucket), counts = row
        middle, most = (history.quantile(counts, q) or 0.0 for q in (0.5, QUANTILE))
        total = sum(count for _, count in counts)
        lane = "?" if total < ENOUGH else "quick" if most <= QUICK_SECONDS else "heavy"
        size = history.sizes_of(bucket)[1]
        times = f"{duration(middle):>10} {duration(most):>10}"
        yield f"{operation:<8} {format_:<10} {size:>14,}  {lane:<6} {total:>8,} {times}"
    yield (
        f"A class is quick while nine of ten take {QUICK_SECONDS:.0f} s at most; once heavy, when nineteen of twenty"
        f" do; ? is guessed by its work until {ENOUGH} are measured. Work: pixels, milliseconds or bytes."
    )


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
