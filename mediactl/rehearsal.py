"""--dry-run: what a run would do and why, worked out on a copy of the journal in memory. Touches nothing."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from mediactl import __version__, recipe
from mediactl.adopt import adopt
from mediactl.effort import SECONDS_A_BYTE
from mediactl.intake import Intake
from mediactl.jobs import history
from mediactl.jobs.journal import Journal
from mediactl.media.versions import encoder_versions
from mediactl.model import Event
from mediactl.outputs import OutputCheck
from mediactl.planner import Planner
from mediactl.run import found_sources
from mediactl.settings import Settings
from mediactl.ui.lines import count, duration, size

ENOUGH = 5
"""Measured jobs of a kind from which their median is believed."""
SECONDS_A_SOURCE = {"image": 0.05, "video": 1.0, "audio": 0.2}
"""What each source takes whatever its size."""


def lines(settings: Settings, stdin: Callable[[], bytes], *, as_json: bool) -> Iterator[str]:
    """One line for each source that would be worked on, then the totals. Raises UsageError as a run would."""
    events: list[Event] = []
    seconds = 0.0
    counts: Counter[str] = Counter()
    total_bytes = 0
    with ExitStack() as stack:
        chosen = recipe.load(settings.recipe)
        batches = found_sources(settings, stdin)
        check = OutputCheck(settings.out)
        stack.callback(check.close)
        journal = stack.enter_context(
            Journal.rehearse(settings.state, clock=time.time, random=random.random, version=__version__)
        )
        if journal.fresh and os.path.isdir(settings.out):
            adopt(journal, settings.out, sweep=False)
        planner = Planner(settings, chosen, encoder_versions(settings.environment.get("MEDIACTL_FFMPEG")), journal)
        intake = Intake(settings, journal, planner, batches, check, events.append)
        medians = {kind: history.quantile(each, 0.5) for kind, each in journal.measured(ENOUGH).items()}
        more: bool | None = True
        while more:
            more = intake.step()
            for event in events:
                if event.name == "source.planned":
                    kind, bytes_in = str(event.fields["kind"]), int(str(event.fields["bytes"]))
                    counts[kind] += 1
                    total_bytes += bytes_in
                    guess = SECONDS_A_SOURCE[kind] + SECONDS_A_BYTE[kind] * bytes_in
                    seconds += medians.get(kind) or guess
                if as_json:
                    yield json.dumps({"event": event.name, **event.fields})
                elif event.name == "source.planned":
                    yield f"{event.fields['reason']}: {event.fields['path']}"
                elif event.name == "scan.trouble":
                    yield f"{event.fields['path']}: {event.fields['reason']}"
            events.clear()
    seconds /= settings.jobs
    if as_json:
        yield json.dumps(
            {
                "event": "plan",
                **intake.summary(),
                "kinds": dict(counts),
                "bytes_in": total_bytes,
                "seconds": round(seconds, 1),
            }
        )
        return
    planned = sum(counts.values())
    if not planned:
        yield f"nothing to do: {count(intake.up_to_date, 'source')} up to date"
        return
    kinds = ", ".join(
        count(number, kind if kind != "audio" else "recording") for kind, number in sorted(counts.items())
    )
    why = ", ".join(f"{number:,} {reason}" for reason, number in sorted(intake.reasons.items()))
    yield (
        f"would process {count(planned, 'source')} ({kinds}; {size(total_bytes)}): {why};"
        f" {intake.up_to_date:,} up to date; about {duration(seconds)} with {count(settings.jobs, 'worker')}"
    )
