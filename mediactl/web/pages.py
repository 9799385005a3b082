"""The pages: what each shows of a journal, as values for its template."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mediactl.admin import status
from mediactl.jobs.listing.pages import Origin
from mediactl.jobs.report import Attempt, JobRow, Report
from mediactl.model.assets import Artefact
from mediactl.model.media import Kind
from mediactl.model.verdict import Verdict
from mediactl.web import logs, query
from mediactl.web.outputs import Output

ROWS = 100
"""Jobs, runs or uploads of a page."""
MOST_COUNTED = 100_000
RATE_SECONDS = 300.0
"""What the rate is an average of."""
SPANS: dict[str, tuple[float, int]] = {"hour": (3600.0, 60), "day": (86_400.0, 96), "week": (604_800.0, 84)}
"""Name -> seconds, number of intervals."""

Page = dict[str, Any]


def overview(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return lanes, depth and age against the promise, rate and remaining time, and what runs."""
    now = time.time()
    with output.reading() as rows:
        counts, queues = rows.listing.states(), rows.listing.queues()
        ((done, others),) = rows.listing.timeline(now - RATE_SECONDS, RATE_SECONDS + 1, 1)
        rate = (done + others) / RATE_SECONDS
        return {
            "counts": counts,
            "queues": queues,
            "overdue": max((now - each.due for each in queues), default=0.0),
            "rate": rate,
            "remaining": counts.pending / rate if rate and counts.pending else None,
            "running": rows.listing.running(ROWS),
            "runs": rows.living_runs(),
            "last": next((run for run in rows.runs(10) if not run.active), None),
            "now": now,
        }


def history(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return attempts by interval of the last hour, day or week, for a chart."""
    seconds, steps = SPANS.get(parameters.get("span", ""), SPANS["hour"])
    step = seconds / steps
    end = (time.time() // step + 1) * step
    with output.reading() as rows:
        counts = rows.listing.timeline(end - seconds, step, steps)
    return {
        "step": step,
        "time": [round(end - seconds + step * number) for number in range(steps)],
        "done": [done for done, _ in counts],
        "failed": [others for _, others in counts],
    }


def jobs(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return a page of the jobs that the URL names, the newest first."""
    wanted = query.parsed(parameters)
    before = query.page_before(parameters)
    with output.reading() as rows:
        found = rows.listing.page(wanted.filter(time.time()), before, ROWS + 1)
        counts = rows.listing.states()
    listed = [JobRow(*row) for row in found[:ROWS]]
    return {
        "query": wanted,
        "jobs": listed,
        "counts": counts,
        "newest": before is None,
        "older": listed[-1].id if len(found) > ROWS else None,
    }


def count(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return how many jobs the URL names."""
    wanted = query.parsed(parameters)
    with output.reading() as rows:
        number = rows.listing.count(wanted.filter(time.time()), MOST_COUNTED + 1)
    return {"number": min(number, MOST_COUNTED), "more": number > MOST_COUNTED}


def job(output: Output, key: str) -> Page | None:
    """Return one job with its attempts and outputs; None: there is none of this key."""
    with output.reading() as rows:
        found = [each for each in rows.find(key.encode()) if each.key == key]
        if not found:
            return None
        row = found[0]
        attempts = rows.attempts(row.id)
        origin = rows.listing.origin(row.id)
        artefacts = list(rows.listing.artefacts(origin.id)) if origin else []
        why = status.why(rows, row, time.time())
        siblings = _siblings(rows, row)
    return {
        "job": row,
        "why": why,
        "attempts": [(each, _notes(output, row, each)) for each in _last(attempts)],
        "number": len(attempts),
        "origin": origin,
        "artefacts": artefacts,
        "after": compared(origin, artefacts),
        "siblings": siblings,
    }


def failures(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return rejected and quarantined jobs, grouped by reason."""
    with output.reading() as rows:
        groups = rows.listing.failures()
    return {"groups": groups[:ROWS], "more": len(groups) - ROWS, "jobs": sum(each.jobs for each in groups)}


def uploads(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return the uploads that changed last, and how many there are by state."""
    with output.reading() as rows:
        return {"uploads": rows.listing.uploads(ROWS), "states": rows.listing.upload_states()}


def runs(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return the last runs, with versions and results."""
    with output.reading() as rows:
        return {"runs": list(rows.runs(ROWS)), "earlier": rows.earlier_runs(), "now": time.time()}


def folders(output: Output, parameters: Mapping[str, str]) -> Page:
    """Return the directories that sources are from, and the watches that run."""
    with output.reading() as rows:
        watches = [run for run in rows.living_runs() if run.command == "watch"]
        return {"roots": rows.listing.roots(), "watches": watches, "now": time.time()}


def compared(origin: Origin | None, artefacts: list[Artefact]) -> Artefact | None:
    """Return the variant that is shown beside the source: the largest of its proportions; None where there is none."""
    if origin is None or origin.info is None or origin.source.kind is not Kind.IMAGE:
        return None
    width, height = origin.info.width, origin.info.height
    if not width or not height:
        return None
    images = [each for each in artefacts if each.media_type.startswith("image/") and each.width and each.height]
    same = [each for each in images if abs((each.width or 1) / (each.height or 1) * height / width - 1) < 0.02]
    return max(same, key=lambda each: each.width or 0, default=None)


def _notes(output: Output, row: JobRow, attempt: Attempt) -> str:
    return "" if attempt.outcome == Verdict.DONE else logs.about(output.state, attempt.run, row.id, attempt.attempt)


def _last(attempts: list[Attempt]) -> list[Attempt]:
    return attempts[: -status.RECENT - 1 : -1]


def _siblings(rows: Report, row: JobRow) -> list[JobRow]:
    """Return the other jobs of a source."""
    if row.path is None or row.folder is None or row.name is None:
        return []
    directory = row.folder + b"/" + row.name if row.folder else row.name
    return [each for each in rows.find(directory) if each.key != row.key and each.name == row.name][:ROWS]


def moment(seconds: float) -> str:
    """Return seconds since 1970 as a time of HTML, "2026-11-26T20:03:12+01:00"."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="seconds")
