"""Admission by memory: what running jobs are expected to take together stays within what they may."""

from __future__ import annotations

import os
import time
from itertools import combinations
from pathlib import Path

import pytest
from support.journals import Rows
from support.pools import NoIntake, Pool, odd, run_pool, spans

from mediactl.model.events import Event
from mediactl.model.jobs import NewJob
from mediactl.pool.contract import Stopped

MIB = 1 << 20
BUDGET = 1 << 30


def side_by_side(note: Path) -> set[frozenset[str]]:
    """Pairs of jobs that ran at the same time."""
    return {
        frozenset((one, other))
        for (one, start, end), (other, other_start, other_end) in combinations(spans(note), 2)
        if start < other_end and other_start < end
    }


def jobs_of(lane: str, note: Path, count: int, mib: int) -> list[NewJob]:
    """Some jobs that take long enough to meet."""
    return [
        odd(f"{lane} {number}", note=note, seconds=0.15, _lane=lane, _memory=mib * MIB, _format=lane)
        for number in range(count)
    ]


@pytest.mark.parametrize("lane", ["quick", "heavy"])
def test_jobs_that_do_not_fit_together_never_run_side_by_side_though_workers_are_free(
    tmp_path: Path, lane: str
) -> None:
    for budget, meet in ((BUDGET, False), (None, True)):
        folder = tmp_path / str(budget)
        folder.mkdir()
        jobs = jobs_of(lane, folder / "note", 6, 600)
        stopped, _ = run_pool(folder, *jobs, workers=3, memory=budget)
        assert stopped is Stopped.COMPLETE
        assert Rows(folder).jobs() == {"done": 6}
        assert bool(side_by_side(folder / "note")) == meet


def test_quick_and_heavy_jobs_share_one_budget(tmp_path: Path) -> None:
    note = tmp_path / "note"
    both = [*jobs_of("quick", note, 4, 600), *jobs_of("heavy", note, 4, 600)]
    stopped, _ = run_pool(tmp_path, *both, workers=3, memory=BUDGET)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 8}
    assert side_by_side(note) == set()


def test_small_jobs_run_beside_a_large_one_as_far_as_they_fit(tmp_path: Path) -> None:
    """The large one ends when all small ones have."""
    note, meet = tmp_path / "note", tmp_path / "meet"
    os.mkfifo(meet)
    large = odd("large", note=note, wait=meet, _lane="heavy", _memory=600 * MIB)

    def prepare(pool: Pool) -> None:
        def look(_: Event) -> None:
            if pool.names().count("job.done") == 20:
                let_go(meet)

        pool.on_event = look

    small = [odd(number, note=note, _memory=400 * MIB) for number in range(20)]
    stopped, _ = run_pool(tmp_path, large, *small, prepare=prepare, memory=BUDGET, max_duration=60.0, grace=0.0)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 21}
    assert [name for name, _, _ in spans(note)][-1] == "large"


def let_go(fifo: Path) -> None:
    """Release whoever waits there, if anybody does."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        pass


@pytest.mark.parametrize("lane", ["quick", "heavy"])
def test_a_job_that_expects_more_than_all_of_it_runs_alone_and_the_others_before_and_after(
    tmp_path: Path, lane: str
) -> None:
    note = tmp_path / "note"
    some = [odd(number, note=note, seconds=0.02, _memory=100 * MIB) for number in range(20)]
    films = jobs_of("heavy", note, 4, 300)
    giant = odd("giant", note=note, seconds=0.3, _lane=lane, _memory=3 * BUDGET, _format="giant")
    stopped, _ = run_pool(tmp_path, *some[:10], *films[:2], giant, *some[10:], *films[2:], workers=3, memory=BUDGET)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 25}
    assert not [pair for pair in side_by_side(note) if "giant" in pair]
    assert side_by_side(note), "nothing ran side by side, so nothing was tested"
    order = [name for name, _, _ in spans(note)]
    assert 0 < order.index("giant") < len(order) - 1


def test_a_budget_of_nothing_lets_one_job_after_the_other_run(tmp_path: Path) -> None:
    note = tmp_path / "note"
    jobs = [*jobs_of("quick", note, 3, 100), *jobs_of("heavy", note, 3, 100)]
    stopped, _ = run_pool(tmp_path, *jobs, workers=3, memory=1)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 6}
    assert side_by_side(note) == set()


class Endless(NoIntake):
    """Two quick jobs wait at any time, until the heavy one is done."""

    def __init__(self, note: Path) -> None:
        self.note = note
        self.number = 0
        self.pool: Pool | None = None
        self.until = time.monotonic() + 15.0

    def prepare(self, pool: Pool) -> None:
        """Know the pool."""
        self.pool = pool

    def step(self) -> bool | None:
        """Add when few are left."""
        assert self.pool is not None
        if (self.note.exists() and "large" in self.note.read_text()) or time.monotonic() > self.until:
            return False
        if self.pool.names().count("job.done") < self.number - 4:
            return None
        with self.pool.journal.transaction():
            for _ in range(4):
                self.number += 1
                job = odd(self.number, note=self.note, seconds=0.05, _memory=300 * MIB)
                self.pool.journal.add([job])
        return True


@pytest.mark.parametrize("mib", [600, 3072], ids=["fits beside one", "fits beside none"])
def test_a_large_job_that_is_due_is_not_kept_out_for_ever_by_small_ones_that_fit(tmp_path: Path, mib: int) -> None:
    """It is due before every one of them."""
    note = tmp_path / "note"
    intake = Endless(note)
    large = odd("large", note=note, _lane="heavy", _memory=mib * MIB, _due=0.0)
    stopped, _ = run_pool(
        tmp_path, *jobs_of("quick", note, 4, 300), large, intake=intake, prepare=intake.prepare, memory=BUDGET,
        workers=3, max_duration=30.0,
    )  # fmt: skip
    assert stopped is Stopped.COMPLETE
    after = [name for name, _, _ in spans(note)].index("large")
    assert after < 60, f"{after} jobs that were due later went before it"
