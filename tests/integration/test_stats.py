"""``mediactl stats``: percentiles of run and wait times, against numpy's over the same attempts."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
from support.journals import NOW, Clock, Rows, claim_one, new_job, opened, put

from mediactl.admin import stats
from mediactl.jobs import report
from mediactl.jobs.journal import FILE
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict

SEED = 20
OPERATIONS = ("probe", "image", "video", "upload")
FORMATS = ("jpeg", "png", "mp4", "")


def filled(folder: Path, attempts: int) -> list[dict[str, Any]]:
    """Fill a journal with random attempts, two a job; return what they are."""
    with opened(folder):
        pass
    rng = random.Random(SEED)
    print("seed", SEED)
    made = []
    connection = apsw.Connection(str(folder / FILE))
    with connection:
        for number in range(attempts // 2):
            operation, format_ = rng.choice(OPERATIONS), rng.choice(FORMATS)
            enqueued, wait = NOW + number * 0.01, rng.expovariate(0.1)
            job = {"operation": operation, "format": format_, "lane": "quick" if number % 3 else "heavy"}
            connection.execute(
                "INSERT INTO jobs (id, key, kind, operation, lane, format, payload, priority, enqueued_at, due,"
                " time_limit, state, attempt) VALUES (?, ?, ?, ?, ?, ?, x'', 2, ?, ?, 1, 'done', 2)",
                (number + 1, f"{number:032x}", operation, operation, job["lane"], format_, enqueued, enqueued),
            )
            at = enqueued + wait
            for attempt in (1, 2):
                wall = rng.lognormvariate(0, 2)
                row = {
                    **job, "version": rng.choice(("1.0", "1.1")), "wall": wall, "wait": wait if attempt == 1 else None,
                    "outcome": "failed" if attempt == 1 else "done", "cpu": wall / 2, "ended": at + wall,
                    "memory": rng.randrange(1 << 30),
                }  # fmt: skip
                connection.execute(
                    "INSERT INTO attempts (job, attempt, run, worker, outcome, reason, ended_at, wall, cpu,"
                    " peak_memory, version) VALUES (?, ?, 'r', 1, ?, '', ?, ?, ?, ?, ?)",
                    (
                        number + 1,
                        attempt,
                        row["outcome"],
                        row["ended"],
                        wall,
                        row["cpu"],
                        row["memory"],
                        row["version"],
                    ),
                )
                made.append(row)
                at += wall + 1
    connection.close()
    return made


def percentiles(values: list[float]) -> list[float]:
    """Return P50, P90, P99 and the maximum by another implementation."""
    return [*np.percentile(values, (50, 90, 99), method="inverted_cdf"), max(values)]


def figures(found: stats.Figures | None) -> list[float]:
    assert found is not None
    return [found.p50, found.p90, found.p99, found.max]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A journal of 4,000 attempts."""
    folder = tmp_path_factory.mktemp("journal")
    return folder, filled(folder, 4_000)


@pytest.mark.parametrize("by", stats.GROUPS)
@pytest.mark.parametrize("since", [0.0, NOW + 15.0])
def test_percentiles_are_those_of_all_attempts(
    journal: tuple[Path, list[dict[str, Any]]], by: stats.By, since: float
) -> None:
    folder, made = journal
    made = [each for each in made if each["ended"] >= since]
    with report.read(str(folder)) as rows:
        found = stats.of(rows, by, report.Window(since))
    assert {row.group for row in found.rows} == {each[by] for each in made}
    for row in found.rows:
        mine = [each for each in made if each[by] == row.group]
        assert (row.attempts, row.failed) == (len(mine), sum(each["outcome"] == "failed" for each in mine))
        assert row.memory == max(each["memory"] for each in mine)
        assert row.cpu == pytest.approx(sum(each["cpu"] for each in mine))
        assert figures(row.run) == percentiles([each["wall"] for each in mine])
        waits = [each["wait"] for each in mine if each["wait"] is not None]
        assert figures(row.wait) == pytest.approx(percentiles(waits), abs=1e-5)
    cpu = [row.cpu for row in found.rows]
    assert cpu == sorted(cpu, reverse=True)
    slowest = sorted((each["wall"] for each in made), reverse=True)[: stats.COSTLIEST]
    assert [each.wall for each in found.slowest] == slowest
    assert found.largest[0].peak_memory == max(each["memory"] for each in made)


@pytest.mark.parametrize("sort", stats.SORTS)
def test_every_column_can_be_sorted_by(journal: tuple[Path, list[dict[str, Any]]], sort: str) -> None:
    with report.read(str(journal[0])) as rows:
        found = stats.of(rows, "format", report.Window(), sort=sort)
    what, _, figure = sort.partition("-")
    values = [getattr(getattr(row, what), figure) if figure else getattr(row, what) for row in found.rows]
    assert values == sorted(values, reverse=sort != "group")


def test_a_retry_by_command_waits_from_then_on(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock=clock) as journal:
        put(journal, new_job(1))
        for waited, ran in ((5.0, 2.0), (70.0, 1.0)):
            clock.advance(waited)
            job = claim_one(journal)
            clock.advance(ran)
            with journal.transaction():
                journal.record(job, Verdict.REJECTED, "no", Usage(wall=ran), 1)
                assert journal._run("finish", (job.id, job.attempt, journal.run, "rejected", "no")) is not None
                assert journal.retry(job.id)
        clock.advance(9.0)
        last = claim_one(journal)
        clock.advance(3.0)
        with journal.transaction():
            journal.record(last, Verdict.DONE, "", Usage(wall=3.0), 1)
    assert Rows(tmp_path).attempts(1)
    with report.read(str(tmp_path)) as rows:
        (row,) = stats.of(rows, "operation", report.Window()).rows
    assert row.wait is not None and row.wait.max == pytest.approx(9.0)


def test_an_empty_journal_has_no_attempts(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with report.read(str(tmp_path)) as rows:
        assert list(stats.lines(stats.of(rows, "lane", report.Window()))) == ["no attempts"]


@pytest.mark.sweep
def test_400_000_attempts_take_less_than_two_seconds(tmp_path: Path) -> None:
    filled(tmp_path, 400_000)
    for by in stats.GROUPS:
        began = time.process_time()
        with report.read(str(tmp_path)) as rows:
            stats.of(rows, by, report.Window())
        took = time.process_time() - began
        print(by, round(took, 2), "s")
        assert took < 2
