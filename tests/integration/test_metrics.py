"""Metrics of a journal: what Prometheus' parser reads of them is what happened, and counters never fall."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support.journals import Clock, claim, new_job, opened, put

from mediactl.jobs import report
from mediactl.jobs.journal import Journal
from mediactl.jobs.metrics.totals import EDGES
from mediactl.jobs.runs import Counts
from mediactl.jobs.states import State
from mediactl.model.figures import AttemptCount, Build, Figures
from mediactl.model.jobs import Priority, Usage
from mediactl.model.verdict import Verdict
from mediactl.monitor.openmetrics import openmetrics_text, prometheus_text

DAY = 86_400.0
HISTORY = 90 * DAY
BUILD = Build("1.2.3", "9.0", "8.18")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """(name, labels) -> value of every sample, as Prometheus' own parser of OpenMetrics reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def scraped(folder: Path, clock: Clock) -> Samples:
    """The metrics of a journal."""
    with report.read(str(folder)) as rows:
        return parsed(openmetrics_text(rows.figures(clock()), BUILD))


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The key of a sample."""
    return name, tuple(sorted(labels.items()))


def end(journal: Journal, clock: Clock, verdict: Verdict, seconds: float = 1.0, sent: int = 0) -> None:
    """Run the next job for so many seconds, and end it."""
    (one,) = claim(journal)
    clock.advance(seconds)
    with journal.transaction():
        if verdict is Verdict.DONE:
            journal.count_made(1000, 300, {"variant": 2, "poster": 1})
            journal.finish_done([(one.id, one.attempt)])
        elif verdict is Verdict.REJECTED:
            journal.finish(one.id, one.attempt, State.REJECTED, "is damaged")
        else:
            journal.fail(one.id, one.attempt, "disk error")
        journal.record(one, verdict, "", Usage(wall=seconds, sent=sent), 1)


def a_run(folder: Path, clock: Clock, *names: str, seconds: float = 1.0, code: int = 0) -> None:
    """A run that does some jobs, one after the other, and prunes."""
    with Journal.open(
        str(folder), clock=clock, random=lambda: 0.5, version="1", command="process", workers=4
    ) as journal:
        put(journal, *(new_job(name) for name in names))
        for _ in names:
            end(journal, clock, Verdict.DONE, seconds)
        journal.end(code, Counts(len(names), 0, 0, 0))
        journal.prune(HISTORY, compact=True)


def counters(samples: Samples) -> Samples:
    """Those that must never fall: totals, and the buckets, sums and counts of histograms."""
    return {each: value for each, value in samples.items() if each[0].endswith(("_total", "_bucket", "_sum", "_count"))}


def test_counters_never_fall_across_three_runs_and_a_prune(tmp_path: Path) -> None:
    clock, seen = Clock(), []
    for number in range(3):
        a_run(tmp_path, clock, f"a{number}", f"b{number}")
        seen.append(scraped(tmp_path, clock))
        clock.advance(50 * DAY)
    with report.read(str(tmp_path)) as rows:
        attempts = rows._connection.execute("SELECT count(*) FROM attempts").get
    assert attempts is not None and attempts < 6, "the history was pruned"
    done = key("mediactl_attempts_total", operation="empty", outcome="done")
    assert [each[done] for each in seen] == [2, 4, 6]
    for before, after in itertools.pairwise(seen):
        assert counters(before).keys() <= counters(after).keys()
        assert all(after[each] >= value for each, value in counters(before).items())
    assert seen[-1][key("mediactl_bytes_total", direction="in")] == 6000
    assert seen[-1][key("mediactl_bytes_total", direction="out")] == 1800
    assert seen[-1][key("mediactl_artefacts_total", role="variant")] == 12
    assert seen[-1][key("mediactl_job_duration_seconds_count", operation="empty")] == 6
    assert seen[-1][key("mediactl_last_exit_code")] == 0


def test_the_last_success_outlives_the_history(tmp_path: Path) -> None:
    clock = Clock()
    a_run(tmp_path, clock, "a")
    succeeded = clock.now
    for number in range(3):
        clock.advance(60 * DAY)
        a_run(tmp_path, clock, f"b{number}", code=75)
    found = scraped(tmp_path, clock)
    assert found[key("mediactl_last_success_timestamp_seconds")] == succeeded
    assert found[key("mediactl_last_exit_code")] == 75


def test_what_is_pending_has_age_promise_and_predicted_seconds(tmp_path: Path) -> None:
    clock = Clock()
    a_run(tmp_path, clock, *(f"known {number}" for number in range(5)), seconds=2.0)
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("late"), new_job("urgent", priority=Priority.URGENT))
        clock.advance(700)
        put(journal, new_job("heavy", lane="heavy", kind="video", size=30_000))
        found = scraped(tmp_path, clock)
        normal = {"lane": "quick", "priority": "normal"}
        assert found[key("mediactl_jobs", state="ready", **normal)] == 1
        assert found[key("mediactl_jobs", state="done", **normal)] == 5
        assert found[key("mediactl_oldest_age_seconds", **normal)] == 700
        assert found[key("mediactl_oldest_overdue_seconds", **normal)] == 100
        assert found[key("mediactl_oldest_overdue_seconds", lane="quick", priority="urgent")] == 700
        assert found[key("mediactl_oldest_overdue_seconds", lane="heavy", priority="normal")] == 0
        assert found[key("mediactl_work_seconds", lane="quick")] == pytest.approx(2 * 2.0, rel=0.1)
        assert found[key("mediactl_work_seconds", lane="heavy")] == pytest.approx(10.0)


def test_workers_are_those_of_active_runs(tmp_path: Path) -> None:
    clock = Clock()
    with Journal.open(
        str(tmp_path), clock=clock, random=lambda: 0.5, version="1", command="watch", workers=4
    ) as journal:
        put(journal, *(new_job(number) for number in range(3)))
        claim(journal, 3)
        found = scraped(tmp_path, clock)
        assert [found[key("mediactl_workers", state=state)] for state in ("busy", "idle")] == [3, 1]
        clock.advance(4)
        journal.beat()
        with report.read(str(tmp_path)) as rows:
            (active,) = rows.figures(clock()).active
        assert (active.id, active.command, active.heartbeat) == (journal.run, "watch", 4)
        clock.advance(2)
        journal.beat()
        with report.read(str(tmp_path)) as rows:
            assert [each.heartbeat for each in rows.figures(clock()).active] == [0]
    found = scraped(tmp_path, clock)
    assert [found[key("mediactl_workers", state=state)] for state in ("busy", "idle")] == [0, 0]
    with report.read(str(tmp_path)) as rows:
        assert rows.figures(clock()).lost_watch, "it has no end and nobody holds its lock"


@pytest.mark.parametrize("seconds", [0.0001, 0.005, 0.9, 1.0, 7.0, 5000.0, 1e6])
def test_histograms_are_cumulative_and_their_edges_included(tmp_path: Path, seconds: float) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("a"))
        clock.advance(30)
        end(journal, clock, Verdict.DONE, seconds)
        put(journal, new_job("b"))
        end(journal, clock, Verdict.REJECTED, sent=77)
    found = scraped(tmp_path, clock)
    for edge in EDGES:
        le = "+Inf" if math.isinf(edge) else str(edge)
        assert found[key("mediactl_job_duration_seconds_bucket", operation="empty", le=le)] == (seconds <= edge)
        waits = found[key("mediactl_job_wait_seconds_bucket", operation="empty", le=le)]
        assert waits == 1 + (edge >= 30.0), "those that are rejected have waited, too"
    assert found[key("mediactl_job_duration_seconds_sum", operation="empty")] == pytest.approx(seconds)
    assert found[key("mediactl_attempts_total", operation="empty", outcome="rejected")] == 1
    assert found[key("mediactl_bytes_total", direction="sent")] == 77


def test_what_is_undone_is_not_counted(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("a"))
        with journal.transaction():
            journal.count_made(1, 1, {"variant": 1})
            with pytest.raises(ZeroDivisionError), journal.part():
                journal.count_made(10, 10, {"poster": 1})
                raise ZeroDivisionError
    found = scraped(tmp_path, clock)
    assert found[key("mediactl_bytes_total", direction="in")] == 1
    assert key("mediactl_artefacts_total", role="poster") not in found


def test_jobs_of_a_killed_run_count_as_interrupted(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("a"))
        claim(journal)
    with opened(tmp_path, clock) as journal:
        assert journal.reclaim_orphans()
    found = scraped(tmp_path, clock)
    assert found[key("mediactl_attempts_total", operation="empty", outcome="interrupted")] == 1


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_an_output_is_named_stays_text(text: str) -> None:
    """Roles and operations are named by plug-ins."""
    figures = Figures(time=0.0, attempts=(AttemptCount(text, "done", 3),), artefacts={text: 5})
    found = parsed(openmetrics_text(figures, BUILD))
    assert found[key("mediactl_attempts_total", operation=text, outcome="done")] == 3
    assert found[key("mediactl_artefacts_total", role=text)] == 5
    families = text_string_to_metric_families(prometheus_text(figures, BUILD))
    old = {sample.name: sample for family in families for sample in family.samples}
    assert old["mediactl_artefacts_total"].labels == {"role": text}


def test_no_label_can_hold_a_path_or_a_bucket() -> None:
    texts = msgspec.json.schema(Figures)
    fields = {name for each in texts["$defs"].values() for name in each.get("properties", ())}
    assert not fields & {"path", "bucket", "file", "reason", "url", "destination", "key"}
