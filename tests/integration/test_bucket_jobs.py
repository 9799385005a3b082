"""Jobs that count on what a bucket has, among those of runs to other buckets or to none."""

from __future__ import annotations

from pathlib import Path

from support.journals import opened


def test_a_start_reads_no_jobs_but_those_of_other_buckets(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        statement = "EXPLAIN QUERY PLAN " + journal.buckets._sql["cancel_for_others"]
        plan = [str(row[3]) for row in journal._connection.execute(statement, ("d",)).fetchall()]
    assert len(plan) == 1 and "INDEX jobs_destined" in plan[0], plan
