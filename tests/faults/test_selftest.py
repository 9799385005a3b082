"""The selftest: jobs that crash, hang, stall and hog among thousands, on the real journal and pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import CommandLine
from support.journals import Rows, new_job
from support.pools import run_pool

from mediactl.pool import synthetic
from mediactl.pool.contract import Stopped


def test_a_small_selftest_violates_nothing_and_tells_its_seed(mediactl: CommandLine) -> None:
    run = mediactl("selftest", "--number", "120", "--seed", "7", "--json")
    assert run.code == 0, run
    found = json.loads(run.out)
    assert (found["event"], found["jobs"], found["seed"]) == ("selftest", 120, 7)
    assert found["invariants"]["violated"] == []
    assert sum(found["states"].values()) == 120
    assert found["states"]["quarantined"] > 0
    assert set(found["wait_ms"]["normal/quick"]) == {"p50", "p99", "max"}


def test_a_selftest_for_a_person_is_a_table_of_80_columns(mediactl: CommandLine) -> None:
    run = mediactl("selftest", "--number", "30", "--seed", "3")
    assert run.code == 0, run
    assert run.out.startswith("seed 3: 30 jobs: ")
    assert run.out.splitlines()[-1].endswith("0 violated")


def test_a_job_that_takes_more_memory_than_it_may_is_stopped_and_its_neighbours_finish(tmp_path: Path) -> None:
    hog = new_job("hog", kind="hog", memory_limit=128 << 20)
    stopped, _ = run_pool(tmp_path, hog, *[new_job(f"{n}", kind="empty") for n in range(20)], call=synthetic.EXECUTE)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 20, "quarantined": 1}
    assert "of memory, more than its limit of 128 MiB" in rows.job("hog").reason
    assert rows.job("hog").lane == "alone"


@pytest.mark.sweep
@pytest.mark.timeout(3600)
def test_twenty_thousand_jobs_with_crashes_hangs_and_hogs(mediactl: CommandLine) -> None:
    run = mediactl("selftest", "--number", "20000", limit=3000)
    print(run.out)
    assert run.code == 0
