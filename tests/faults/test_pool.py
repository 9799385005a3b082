"""Workers that crash, hang, exit, cannot start: each costs its own job, and the run goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest
from support.journals import Rows, new_job, opened
from support.pools import NoIntake, Pool, has_died, odd, run_pool

from mediactl.core.errors import MediactlError
from mediactl.jobs.states import PATIENCE
from mediactl.model.events import Event, JobProgress, Tick
from mediactl.model.jobs import NewJob
from mediactl.model.verdict import Verdict
from mediactl.pool import synthetic
from mediactl.pool.contract import Stopped
from mediactl.pool.supervisor import MAX_STARTS


def kinds(kind: str, count: int, **fields: object) -> list[NewJob]:
    """Some jobs of one kind."""
    return [new_job(f"{kind} {number}", kind=kind, **fields) for number in range(count)]


@pytest.fixture(autouse=True)
def _no_process_is_left() -> object:
    """No worker, no zombie, whatever happened."""
    before = {child.pid for child in pool_workers()}
    yield
    assert {child.pid for child in pool_workers()} == before


def pool_workers() -> list[psutil.Process]:
    """This process's workers, dead ones too; it may have other children, servers of other tests."""
    found = []
    for child in psutil.Process().children():
        try:
            ours = any("mediactl.pool" in word for word in child.cmdline())
        except psutil.ZombieProcess:
            ours = True
        if ours:
            found.append(child)
    return found


def test_all_jobs_are_done_and_the_run_ends(tmp_path: Path) -> None:
    stopped, pool = run_pool(tmp_path, *kinds("empty", 200), call=synthetic.EXECUTE)
    assert stopped is Stopped.COMPLETE
    assert pool.names() == ["plan"] + ["job.done"] * 200
    assert Rows(tmp_path).jobs() == {"done": 200}


def test_a_crash_costs_one_job_and_its_neighbours_finish(tmp_path: Path) -> None:
    stopped, _ = run_pool(tmp_path, *kinds("sleep", 6), new_job("crash", kind="crash"), *kinds("empty", 6))
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 12, "quarantined": 1}
    job = rows.job("crash")
    assert (job.crashes, job.failures, job.reason) == (PATIENCE.crashes, 0, "its worker was killed by SIGSEGV")
    assert [each.outcome for each in rows.attempts("crash")] == ["crashed"] * PATIENCE.crashes


def test_jobs_sent_ahead_behind_a_crash_are_not_blamed(tmp_path: Path) -> None:
    """Very short jobs are sent up to 32 ahead; the one that crashes is of their kind, so that it stands among them."""
    quick = [odd(number) for number in range(100)]
    bad = odd("bad", once=tmp_path / "bad")
    middle = [*quick[:50], bad, *quick[50:]]

    def kill_it_when_it_hangs(pool: Pool) -> None:
        def look(event: Event) -> None:
            if isinstance(event, Tick) and (tmp_path / "bad").exists() and "job.retry" not in pool.names():
                for child in pool_workers():
                    child.kill()
                    has_died(child.pid)

        pool.on_event = look

    stopped, pool = run_pool(tmp_path, *middle, prepare=kill_it_when_it_hangs, workers=1)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 101}
    assert rows.job("bad").crashes == 1
    others = [rows.job(number) for number in range(100)]
    assert {(job.crashes, job.failures) for job in others} == {(0, 0)}
    assert {job.interruptions for job in others} == {0}, "what had not begun was counted"
    again = [number for number in range(100) if len(rows.attempts(number)) > 1]
    assert again, "none was sent ahead, so nothing was tested"
    assert pool.names().count("job.interrupted") >= len(again)


@pytest.mark.parametrize(
    ("kind", "outcome", "count", "reason"),
    [
        ("exit", "crashed", PATIENCE.crashes, "its worker exited with status 3"),
        ("fail", "failed", PATIENCE.failures, "synthetic failure"),
        ("nonsense", "failed", PATIENCE.failures, "ValueError: no synthetic job 'nonsense'"),
    ],
)
def test_a_job_that_never_works_out_is_quarantined_with_its_reason(
    tmp_path: Path, kind: str, outcome: str, count: int, reason: str
) -> None:
    stopped, pool = run_pool(tmp_path, new_job("bad", kind=kind), *kinds("empty", 3))
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 3, "quarantined": 1}
    assert rows.job("bad").reason.startswith(reason)
    assert [each.outcome for each in rows.attempts("bad")] == [outcome] * count
    assert [name for name in pool.names() if name not in ("plan", "job.done")] == [
        *["job.retry"] * (count - 1),
        "job.quarantined",
    ]


def test_a_worker_that_talks_nonsense_is_not_believed(tmp_path: Path) -> None:
    stopped, _ = run_pool(tmp_path, odd("bad", garble=True), *(odd(number) for number in range(20)))
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 20, "quarantined": 1}
    assert rows.job("bad").crashes == PATIENCE.crashes


def test_a_bad_input_is_rejected_at_once(tmp_path: Path) -> None:
    _, pool = run_pool(tmp_path, new_job("bad", kind="reject"))
    assert "job.rejected" in pool.names()
    job = Rows(tmp_path).job("bad")
    assert (job.state, job.attempt, job.reason) == ("rejected", 1, "synthetic rejection")


def test_a_hang_is_ended_by_its_time_limit_with_all_its_processes(tmp_path: Path) -> None:
    hang = odd("hang", child=tmp_path / "children", wait=tmp_path / "fifo", _time_limit=1.0)
    os.mkfifo(tmp_path / "fifo")
    stopped, _ = run_pool(tmp_path, *[odd(number) for number in range(4)], hang, workers=1)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 4, "quarantined": 1}
    job = rows.job("hang")
    assert (job.failures, job.crashes, job.reason) == (PATIENCE.failures, 0, "took longer than its limit of 1 s")
    assert {each.outcome for each in rows.attempts("hang")} == {"timed_out"}
    assert all(each.wall >= 1.0 for each in rows.attempts("hang"))
    started = [line.split() for line in (tmp_path / "children").read_text().splitlines()]
    assert len(started) >= 1
    for worker, child in started:
        assert has_died(int(worker))
        assert has_died(int(child))


@pytest.mark.long
def test_a_job_behind_one_that_answers_at_its_time_limit_is_not_blamed(tmp_path: Path) -> None:
    """The supervisor, busy with a progress message, sees the limit pass before it reads the answer that lies there."""
    os.mkfifo(tmp_path / "fifo")
    quick = [odd(number) for number in range(40)]
    late = odd("late", report=True, wait=tmp_path / "fifo", _time_limit=0.5)
    behind = odd("behind", once=tmp_path / "once", _time_limit=10.0)

    def be_slow(pool: Pool) -> None:
        def let_it_end(event: Event) -> None:
            if isinstance(event, JobProgress):
                open(tmp_path / "fifo", "wb").close()
                time.sleep(0.5)  # waits for nothing: the limit passes

        pool.on_event = let_it_end

    stopped, _ = run_pool(tmp_path, *quick, late, behind, prepare=be_slow, workers=1)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 42}
    assert (rows.job("late").failures, rows.job("behind").failures) == (0, 0)


def test_a_worker_that_dies_in_its_first_job_while_nobody_looks_has_started(tmp_path: Path) -> None:
    """Its greeting and its end are read at once: it is the job that is to blame, not the installation."""

    class LooksAway(NoIntake):
        pool: Pool

        def step(self) -> bool:
            assert all(has_died(child.pid) for child in pool_workers())
            return "job.quarantined" not in self.pool.names()

    intake = LooksAway()
    stopped, _ = run_pool(
        tmp_path,
        new_job("bad", kind="exit"),
        intake=intake,
        prepare=lambda pool: setattr(intake, "pool", pool),
        workers=1,
    )
    assert stopped is Stopped.COMPLETE
    job = Rows(tmp_path).job("bad")
    assert (job.state, job.crashes, job.interruptions) == ("quarantined", PATIENCE.crashes, 0)


@pytest.mark.parametrize("call", ["no_such_module:execute", "support.odd_jobs:no_such_function"])
def test_workers_that_cannot_start_end_the_run_and_cost_no_job_anything(tmp_path: Path, call: str) -> None:
    with pytest.raises(
        MediactlError, match="workers cannot start: its worker exited with status 1; see the newest log"
    ):
        run_pool(tmp_path, *kinds("empty", 5), call=call)
    assert "no_such" in (tmp_path / "log").read_text()
    with opened(tmp_path) as journal:
        journal.reclaim_orphans()
        rows = Rows(tmp_path)
        assert rows.jobs() == {"ready": 5}
        assert all(rows.job(f"empty {number}").crashes == 0 for number in range(5))
        assert sum(rows.job(f"empty {number}").interruptions for number in range(5)) >= MAX_STARTS - 1


def test_a_run_that_must_not_write_its_outputs_is_stopped_for_that(tmp_path: Path) -> None:
    stopped, pool = run_pool(tmp_path, odd("no", forbidden="/out/a.jpg"), workers=1)
    assert stopped is Stopped.FORBIDDEN
    assert pool.supervisor.blocked_by == (
        "cannot write outputs: /out/a.jpg: Permission denied; fix owner or permissions"
    )
    assert (Rows(tmp_path).job("no").state, Rows(tmp_path).job("no").failures) == ("ready", 0)


def test_a_machine_that_cannot_go_on_stops_the_run_and_gives_the_jobs_back(tmp_path: Path) -> None:
    stopped, pool = run_pool(tmp_path, *kinds("empty", 5), new_job("full", kind="block"), *kinds("sleep", 5), workers=1)
    assert stopped is Stopped.BLOCKED
    assert pool.supervisor.blocked_by == "synthetic block"
    rows = Rows(tmp_path)
    assert rows.jobs()["done"] >= 5
    assert set(rows.jobs()) == {"done", "ready"}
    job = rows.job("full")
    assert (job.state, job.interruptions, job.failures, job.crashes) == ("ready", 1, 0, 0)
    assert [each.outcome for each in rows.attempts("full")] == ["blocked"]


def test_messages_larger_than_a_pipe_pass_whole_both_ways(tmp_path: Path) -> None:
    texts = [f"{number} " * 500_000 for number in range(4)]
    stopped, pool = run_pool(tmp_path, *(odd(number, echo=text) for number, text in enumerate(texts)))
    assert stopped is Stopped.COMPLETE
    assert {each.verdict for each in pool.backlog.answers} == {Verdict.DONE}
    echoes = sorted(each.result[-len(texts[0]) :].decode() for each in pool.backlog.answers)
    assert echoes == sorted(texts)


def test_a_job_of_the_lane_alone_runs_while_nothing_else_does(tmp_path: Path) -> None:
    """More jobs come in while it runs; they wait until it is over."""
    note, fifo = tmp_path / "note", tmp_path / "fifo"
    os.mkfifo(fifo)

    class Late(NoIntake):
        pool: Pool
        turns: int | None = None

        def step(self) -> bool:
            if self.turns is None and "job.progress" in self.pool.names():
                self.turns = 0
                with self.pool.journal.transaction():
                    self.pool.journal.add(odd(f"late {number}", note=note) for number in range(6))
            if self.turns is None or self.turns < 10:
                return True
            with open(fifo, "wb"):
                return False

        def count_turns(self, event: Event) -> None:
            if isinstance(event, Tick) and self.turns is not None:
                self.turns += 1

    intake = Late()

    def introduce(pool: Pool) -> None:
        intake.pool, pool.on_event = pool, intake.count_turns

    first = [odd(number, note=note) for number in range(6)]
    alone = odd("alone", note=note, report=True, wait=fifo, _lane="alone")
    stopped, _ = run_pool(tmp_path, alone, *first, intake=intake, prepare=introduce, workers=3)
    assert stopped is Stopped.COMPLETE
    spans = {
        name: (int(start), int(end))
        for name, start, end in (line.rsplit(" ", 2) for line in note.read_text().splitlines())
    }
    assert len(spans) == 13
    start, end = spans.pop("alone")
    assert all(other_end <= start or other_start >= end for other_start, other_end in spans.values())
    assert sum(other_start >= end for other_start, _ in spans.values()) == 6
