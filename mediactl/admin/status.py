"""What status, jobs, show, why and lanes print: the journal as text and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from mediactl.admin import names, runs
from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.jobs import history
from mediactl.jobs.prediction import ENOUGH, QUANTILE, QUICK_SECONDS
from mediactl.jobs.report import JobRow, Report
from mediactl.media import decoders
from mediactl.model.jobs import Priority
from mediactl.model.verdict import Verdict
from mediactl.ui.lines import count, duration, problem


def status(report: Report, now: float) -> Iterator[str]:
    """Yield sources and jobs by state, depth and age of the queue, active runs, and the last one."""
    yield "sources  " + (_counts(report.sources()) or "none")
    for extra, number in report.required().items():
        yield f"         {problem(decoders.required(extra, number))}"
    yield "jobs     " + (_counts(report.jobs()) or "none")
    for row in report.queue():
        delayed = f", {row.delayed:,} of them delayed retries" if row.delayed else ""
        yield (
            f"pending  {row.depth:,} {Priority(row.priority).name.lower()} in lane {row.lane},"
            f" oldest {duration(max(0.0, now - row.oldest))}{delayed}"
        )
    for run in report.living_runs():
        since = duration(max(0.0, now - run.started_at))
        yield f"running  process {run.pid} (mediactl {run.version}, run {run.id[:8]}) for {since}"
    if last := runs.last_line(report):
        yield f"last     {last}"


def status_json(report: Report, now: float) -> dict[str, object]:
    """Return the same as JSON."""
    return {
        "sources": report.sources(),
        "requires": report.required(),
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
            {"run": run.id, "pid": run.pid, "version": run.version, "started_at": run.started_at}
            for run in report.living_runs()
        ],
        "last_run": runs.last_json(report),
    }


def job_line(job: JobRow) -> str:
    """Return one job as a line."""
    text = f"{job.key[:12]}  {job.state:<11}  {job.kind:<6}  {shown(job.path or b'-')}" + _part(job)
    return f"{text}: {job.reason}" if job.reason and job.state != "running" else text


def job_json(job: JobRow) -> dict[str, object]:
    """Return one job as JSON."""
    fields = msgspec.structs.asdict(job)
    for name in ("root", "folder", "name", "piece", "pieces"):
        del fields[name]
    return {
        **fields,
        "part": "" if job.piece is None else f"{job.piece}/{job.pieces}" if job.piece else "sound",
        "path": None if job.path is None else shown(job.path),
        "place": None if job.name is None else shown(os.path.join(job.folder or b"", job.name)),
        "priority": Priority(job.priority).name.lower(),
    }


def _part(job: JobRow) -> str:
    """Return the suffix that names a job's piece of a video: " (2 of 5)"."""
    if job.piece is None:
        return ""
    return f" ({job.piece} of {job.pieces})" if job.piece else " (audio)"


def named(job: JobRow) -> str:
    """Return a job as sentences name it."""
    return f"{job.kind} job {job.key[:12]}{_part(job)}"


def show(report: Report, jobs: Iterable[JobRow]) -> Iterator[str]:
    """Yield details of these jobs, and their last attempts."""
    for job in jobs:
        yield f"job       {job.key}"
        yield f"kind      {job.kind}{_part(job)}, lane {job.lane}, priority {Priority(job.priority).name.lower()}"
        if job.path is not None and job.root is not None:
            yield f"source    {shown(os.path.join(job.root, job.path))}"
        yield f"state     {job.state}" + (f": {job.reason}" if job.reason else "")
        yield f"enqueued  {_time(job.enqueued_at)}, due {_time(job.due)}"
        if job.run_after is not None:
            yield f"retry     not before {_time(job.run_after)}"
        yield f"counted   {job.failures} failures, {job.crashes} crashes, {job.interruptions} interruptions"
        attempts = report.attempts(job.id)
        if len(attempts) > RECENT:
            yield f"attempts  {len(attempts)}, the last {RECENT} of them:"
        for attempt in attempts[-RECENT:]:
            reason = f": {attempt.reason}" if attempt.reason else ""
            yield (
                f"attempt   {attempt.attempt} at {_time(attempt.ended_at)}: {attempt.outcome}{reason}"
                f" ({attempt.wall:.2f} s, cpu {attempt.cpu:.2f} s, {attempt.peak_memory / 1e6:.0f} MB)"
            )
        yield ""


def show_json(report: Report, jobs: Iterable[JobRow]) -> Iterator[dict[str, object]]:
    """Yield the same as JSON, with all attempts."""
    for job in jobs:
        yield {**job_json(job), "attempts": [msgspec.structs.asdict(each) for each in report.attempts(job.id)]}


RECENT = 10
"""Attempts of a job that fit a screen."""


def why(report: Report, job: JobRow, now: float) -> str:
    """Return why a job has not run, or how it ended, as the rest of a sentence."""
    last = report.attempts(job.id)[-1:]
    if job.state == "ready" and job.run_after is not None and job.run_after > now:
        return f"retries in {duration(job.run_after - now)}; the last attempt failed: {job.reason}"
    if job.state == "ready" and job.lane == "alone":
        return f"runs when no other job does, because its worker crashed {count(job.crashes, 'time')}: {job.reason}"
    if job.state == "ready":
        ahead = report.ahead(job)
        behind = f"behind {ahead:,} due earlier" if ahead else "next in the queue"
        idle = "" if report.living_runs() else "; no run is active, start one with `mediactl process`"
        return f"is pending in lane {job.lane}, {behind} (priority {Priority(job.priority).name.lower()}){idle}"
    if job.state == "running":
        return "is running"
    if job.state == "done":
        took = f" in {duration(last[0].wall)}" if last else ""
        return f"is done{took}, at attempt {job.attempt}"
    again = "; `mediactl retry` makes it pending again"
    if job.state == "rejected":
        return f"was rejected: {job.reason}{again}, and so does a change of the source or of its decoder"
    if job.state == "quarantined":
        counted = f"{count(job.failures, 'failure')} and {count(job.crashes, 'crash', 'crashes')}"
        return f"was quarantined after {counted}: {job.reason}{again}"
    if last and last[0].outcome == Verdict.INTERNAL:
        return f"was cancelled after an {job.reason}; the next run retries its source"
    return f"was cancelled{again}"


def lanes(report: Report) -> Iterator[str]:
    """Yield a table of the measured classes of jobs and the lane of each."""
    yield f"{'job':<8} {'format':<10} {'size up to':>14}  {'lane':<6} {'done':>8} {'p50':>10} {'p90':>10}"
    for each in _classes(report):
        numbers = f"{each.done:>8,} {duration(each.p50):>10} {duration(each.p90):>10}"
        yield f"{each.operation:<8} {each.format:<10} {each.size_up_to:>14,}  {each.lane or '?':<6} {numbers}"
    yield (
        f"a class is quick while 90 % of its jobs take at most {QUICK_SECONDS:.0f} s; once heavy, it needs 95 % to be"
        f" quick again; ?: fewer than {ENOUGH} measurements, estimated by size (pixels, milliseconds or bytes)"
    )


def lanes_json(report: Report) -> Iterator[dict[str, object]]:
    """Yield the same as JSON; seconds, and null for a lane that is estimated."""
    for each in _classes(report):
        yield {**msgspec.structs.asdict(each), "lane": each.lane or None}


class _Class(msgspec.Struct, frozen=True):
    """A class of jobs as measured."""

    operation: str
    format: str
    size_up_to: int
    lane: str
    """"" while there are too few measurements."""
    done: int
    p50: float
    p90: float
    """Seconds."""


def _classes(report: Report) -> Iterator[_Class]:
    for (operation, format_, bucket), counts in report.classes():
        middle, most = (history.quantile(counts, q) or 0.0 for q in (0.5, QUANTILE))
        total = sum(count for _, count in counts)
        lane = "" if total < ENOUGH else "quick" if most <= QUICK_SECONDS else "heavy"
        yield _Class(operation, format_, history.sizes_of(bucket)[1], lane, total, middle, most)


def find(report: Report, what: bytes, out: bytes) -> list[JobRow]:
    """Return the jobs that a key or path names, as it was printed or typed. Raises UsageError when there are none.

    ``out`` is the output directory: paths of outputs name the job that makes them.
    """
    for name in names.meant(what, out, os.getcwdb()):
        if found := report.find(name):
            keys = {job.key for job in found}
            if len(keys) > 1 and all(job.key.encode().startswith(name) for job in found):
                some = ", ".join(sorted(key[:12] for key in keys)[:5])
                raise UsageError(f"{shown(what)}: several jobs begin with this: {some}; give more digits")
            return found
    near = names.near(what, report.some_paths())
    hint = f"did you mean {near}?" if near else "`mediactl jobs` lists them by key and path"
    raise UsageError(f"{shown(what)}: no such job; {hint}")


def current(jobs: list[JobRow]) -> list[JobRow]:
    """Return these jobs without those that were replaced: of a kind (and piece) of a source, the last one is left."""
    last: dict[tuple[object, ...], float] = {}
    for job in jobs:
        last[_role(job)] = max(job.enqueued_at, last.get(_role(job), 0.0))
    return [job for job in jobs if job.enqueued_at == last[_role(job)]]


def _role(job: JobRow) -> tuple[object, ...]:
    """Return what only one current job does; each upload sends an object of its own."""
    return (job.key,) if job.kind == "upload" else (job.folder, job.name, job.kind, job.piece)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(" ", "seconds")
