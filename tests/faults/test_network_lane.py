"""The network lane: many jobs at once in one process, each remembered step by step, none to blame for its death."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from support import odd_uploads
from support.journals import Rows, new_job, opened
from support.odd_uploads import COUNT, upload
from support.pools import Pool, has_died, run_pool

from mediactl.core.errors import MediactlError
from mediactl.jobs.states import Patience
from mediactl.model.events import Event, JobDone, JobProgress, Tick, UploadDone, UploadStopped
from mediactl.model.jobs import NewJob
from mediactl.model.uploads import UploadState, UploadStatus, UploadTask
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Stopped
from mediactl.pool.network import DEPTH, Service

LANES = ("quick", "heavy", "network")
ONCE = Patience(failures=1)


def run(folder: Path, *jobs: NewJob, threads: int = 16, **options: Any) -> tuple[Stopped, Pool]:
    """Work the jobs off, with a network lane."""
    options.setdefault("network", Service(odd_uploads.CALL, json.dumps({"threads": threads})))
    options.setdefault("max_duration", 60.0)
    return run_pool(folder, *jobs, lanes=LANES, **options)


def on_event(look: Callable[[Event, Pool], object]) -> Callable[[Pool], None]:
    """For ``prepare``: called with every event."""

    def prepare(pool: Pool) -> None:
        pool.on_event = lambda event: look(event, pool)

    return prepare


@contextmanager
def locked(file: Path) -> Iterator[Callable[[], None]]:
    """A lock that jobs wait for; the function gives it free."""
    file.touch()
    with file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


def network_worker() -> int:
    """Process id of the lane's worker."""
    (found,) = (
        child.pid for child in psutil.Process().children() if any(odd_uploads.CALL in word for word in child.cmdline())
    )
    return found


def state_of(folder: Path, job: NewJob) -> UploadState:
    """What the journal remembers of an upload."""
    with opened(folder) as journal:
        return journal.uploads.state(msgspec.json.decode(job.payload, type=UploadTask))


def test_as_many_jobs_run_at_once_as_there_are_threads(tmp_path: Path) -> None:
    """None of them ends before all have begun."""
    stopped, _ = run(tmp_path, *(upload(number, together=32) for number in range(32)), threads=32)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 32}


def test_jobs_end_in_any_order(tmp_path: Path) -> None:
    """Each ends after the one that came after it."""
    count = 20
    jobs = [upload(number, after=str(number + 1)) for number in range(count - 1)]
    stopped, _ = run(tmp_path, *jobs, upload(count - 1), threads=count)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": count}


def test_no_more_than_the_depth_is_handed_out_and_all_is_done(tmp_path: Path) -> None:
    running: list[int] = []

    def look(event: Event, pool: Pool) -> None:
        if isinstance(event, Tick):
            running.append(event.running)
            if running[-1] == DEPTH:
                release()

    with locked(tmp_path / "lock") as release:
        jobs = [upload(number, lock=tmp_path / "lock") for number in range(4 * DEPTH)]
        stopped, _ = run(tmp_path, *jobs, prepare=on_event(look))
    assert stopped is Stopped.COMPLETE
    assert max(running) == DEPTH
    assert Rows(tmp_path).jobs() == {"done": 4 * DEPTH}


def test_what_a_job_keeps_is_on_disk_before_it_goes_on(tmp_path: Path) -> None:
    """The job itself looks, through a connection of its own, after each step."""
    jobs = [upload(number, parts=COUNT, journal=tmp_path) for number in range(40)]
    stopped, _ = run(tmp_path, *jobs, patience=ONCE)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": 40}, [rows.job(number).reason for number in range(40)]


def test_the_next_attempt_is_told_what_the_one_before_has_kept(tmp_path: Path) -> None:
    job = upload("job", parts=5, once=tmp_path / "once", **{"raise": "failed"})
    stopped, _ = run(tmp_path, job)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).state("job") == "done"
    assert state_of(tmp_path, job).status is UploadStatus.DONE
    other = tmp_path / "other"
    other.mkdir()
    first = upload("job", parts=5, **{"raise": "failed"})
    run(other, first, patience=ONCE)
    kept = state_of(other, first)
    assert (kept.status, kept.upload_id, len(kept.parts)) == (UploadStatus.UPLOADING, "id", 5)
    again = upload("again", kept=5, parts=7)
    changed = new_job("again").key
    with opened(other) as journal:  # the same object, by another job
        task = msgspec.json.decode(again.payload, type=UploadTask)
        again = msgspec.structs.replace(again, payload=msgspec.json.encode(msgspec.structs.replace(task, key="job")))
        assert journal.uploads.state(msgspec.json.decode(again.payload, type=UploadTask)) == kept
    stopped, pool = run(other, again, patience=ONCE)
    assert [event.job for event in pool.events if isinstance(event, UploadDone)] == [changed]


OUTCOMES = {
    "rejected": ("rejected", "rejected", 0),
    "failed": ("quarantined", "failed", 3),
    "ours": ("quarantined", "failed", 3),
    "mediactl": ("quarantined", "failed", 3),
    "changed": ("cancelled", "changed", 0),
}


@pytest.mark.parametrize("what", OUTCOMES)
def test_what_a_job_raises_is_its_own_end_and_nobody_elses(tmp_path: Path, what: str) -> None:
    others = [upload(number, parts=2) for number in range(20)]
    stopped, _ = run(tmp_path, *others[:10], upload("odd", **{"raise": what}), *others[10:])
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    state, outcome, failures = OUTCOMES[what]
    assert rows.jobs() == {"done": 20, state: 1}
    assert (rows.job("odd").failures, rows.job("odd").crashes) == (failures, 0)
    assert {attempt.outcome for attempt in rows.attempts("odd")} == {outcome}
    assert "told to" in rows.job("odd").reason
    assert all(rows.job(number).attempt == 1 for number in range(20))


def test_a_job_that_fails_once_is_done_the_second_time(tmp_path: Path) -> None:
    stopped, pool = run(tmp_path, upload("job", once=tmp_path / "once", **{"raise": "failed"}))
    assert stopped is Stopped.COMPLETE
    assert [attempt.outcome for attempt in Rows(tmp_path).attempts("job")] == ["failed", "done"]
    assert pool.names().count("job.retry") == 1


def test_an_interrupted_job_is_ready_at_no_cost(tmp_path: Path) -> None:
    stopped, pool = run(tmp_path, upload("job", once=tmp_path / "once", **{"raise": "interrupted"}))
    assert stopped is Stopped.COMPLETE
    job = Rows(tmp_path).job("job")
    assert (job.state, job.failures, job.crashes) == ("done", 0, 0)
    assert "job.interrupted" in pool.names()


@pytest.mark.parametrize(("what", "verdict"), [("refused", Verdict.REFUSED), ("away", Verdict.AWAY)])
def test_a_closed_lane_gives_all_back_and_the_other_lanes_go_on(tmp_path: Path, what: str, verdict: Verdict) -> None:
    """The quick jobs begin when the lane has been closed."""
    with locked(tmp_path / "lock") as release:

        def look(event: Event, pool: Pool) -> None:
            if isinstance(event, UploadStopped):
                release()

        quick = [
            new_job(f"quick {number}", kind="odd", payload=json.dumps({"note": str(tmp_path / "note")}).encode())
            for number in range(30)
        ]
        waiting = [upload(number, lock=tmp_path / "lock") for number in range(3 * DEPTH)]
        stopped, pool = run(
            tmp_path, upload("odd", _priority=0, **{"raise": what}), *waiting, *quick, prepare=on_event(look)
        )
    assert stopped is Stopped.COMPLETE
    assert pool.backlog.refused == (verdict, "odd was told to")
    assert pool.names().count("upload.stopped") == 1
    rows = Rows(tmp_path)
    assert all(rows.state(f"quick {number}") == "done" for number in range(30))
    odd = rows.job("odd")
    assert (odd.state, odd.failures, odd.crashes) == ("ready", 0, 0)
    states = rows.jobs()
    assert set(states) == {"done", "ready"}
    assert states["ready"] >= 3 * DEPTH - DEPTH + 1, "what was not handed out is not begun any more"
    assert all(rows.job(number).failures == 0 for number in range(3 * DEPTH))


def test_a_blocked_machine_stops_the_whole_run(tmp_path: Path) -> None:
    stopped, pool = run(tmp_path, upload("odd", **{"raise": "blocked"}))
    assert stopped is Stopped.BLOCKED
    assert pool.supervisor.blocked_by == "odd was told to"
    assert Rows(tmp_path).state("odd") == "ready"


def test_a_killed_worker_is_replaced_and_all_it_had_is_done_by_the_next(tmp_path: Path) -> None:
    count, killed = 30, list[int]()
    with locked(tmp_path / "lock") as release:

        def look(event: Event, pool: Pool) -> None:
            if isinstance(event, JobProgress) and not killed:
                killed.append(network_worker())
                os.kill(killed[0], signal.SIGKILL)
                release()

        jobs = [upload(number, parts=2, report=1000, lock=tmp_path / "lock") for number in range(count)]
        stopped, pool = run(tmp_path, *jobs, prepare=on_event(look))
    assert stopped is Stopped.COMPLETE
    assert has_died(killed[0])
    rows = Rows(tmp_path)
    assert rows.jobs() == {"done": count}
    jobs_ = [rows.job(number) for number in range(count)]
    assert {(job.failures, job.crashes) for job in jobs_} == {(0, 0)}
    outcomes = [tuple(attempt.outcome for attempt in rows.attempts(number)) for number in range(count)]
    assert set(outcomes) <= {("interrupted", "done"), ("done",)}
    assert ("interrupted", "done") in outcomes
    assert len([event for event in pool.events if isinstance(event, UploadDone)]) == count


def test_a_service_that_cannot_start_ends_the_run_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(MediactlError, match="workers cannot start"):
        run(tmp_path, upload("job"), network=Service("support.odd_uploads:missing", "{}"))


def test_quick_jobs_are_not_held_up_by_a_full_network_lane(tmp_path: Path) -> None:
    """The uploads wait until the last quick job is done; were one of these kept waiting by them, none would end."""
    count = 200
    done: list[float] = []
    with locked(tmp_path / "lock") as release:

        def look(event: Event, pool: Pool) -> None:
            if isinstance(event, JobDone):
                done.append(time.monotonic())
                if len(done) == count:
                    release()

        uploads = [upload(number, lock=tmp_path / "lock", _priority=0) for number in range(DEPTH)]
        quick = [new_job(f"quick {number}", kind="empty") for number in range(count)]
        stopped, _ = run(tmp_path, *uploads, *quick, prepare=on_event(look))
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": DEPTH + count}
    print(f"{count} quick jobs beside {DEPTH} uploads in {done[-1] - done[0]:.2f} s")


@pytest.mark.parametrize("lane", ["alone", "heavy"])
def test_a_full_network_lane_does_not_keep_other_lanes_from_beginning(tmp_path: Path, lane: str) -> None:
    with locked(tmp_path / "lock") as release:

        def look(event: Event, pool: Pool) -> None:
            if isinstance(event, JobDone):
                release()

        uploads = [upload(number, lock=tmp_path / "lock") for number in range(2 * DEPTH)]
        stopped, _ = run(tmp_path, *uploads, new_job("other", kind="empty", lane=lane), prepare=on_event(look))
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 2 * DEPTH + 1}


def test_on_leaving_what_goes_on_is_told_and_ends_within_the_grace(tmp_path: Path) -> None:
    """A step that it keeps on its way out is on disk, too."""
    begun: list[float] = []

    def look(event: Event, pool: Pool) -> None:
        if isinstance(event, JobProgress):
            begun.append(time.monotonic())

    leaving = upload("leaving", parts=3, report=1, left=True, last=True, **{"raise": "interrupted"})
    ends = upload("ends", parts=3, report=1, left=True)
    waiting = [upload(number, report=1, left=True) for number in range(20)]
    started = time.monotonic()
    stopped, _ = run(
        tmp_path, leaving, ends, *waiting, threads=2, prepare=on_event(look), drain=lambda: len(begun) >= 2, grace=50.0
    )
    assert stopped is Stopped.DRAIN
    assert time.monotonic() - started < 30.0, "it waited for the whole grace"
    rows = Rows(tmp_path)
    job = rows.job("leaving")
    assert (job.state, job.failures, job.crashes) == ("ready", 0, 0)
    assert rows.state("ends") == "done"
    assert [part.number for part in state_of(tmp_path, leaving).parts] == [1, 2, 3, COUNT]


def test_what_does_not_end_within_the_grace_is_killed_and_given_back(tmp_path: Path) -> None:
    begun: list[int] = []
    jobs = [upload(number, parts=3, report=1, lock=tmp_path / "lock") for number in range(40)]

    def look(event: Event, pool: Pool) -> None:
        if isinstance(event, JobProgress):
            begun.append(network_worker())

    with locked(tmp_path / "lock"):
        stopped, _ = run(tmp_path, *jobs, threads=4, prepare=on_event(look), drain=lambda: len(begun) >= 8, grace=0.5)
        assert stopped is Stopped.DRAIN
        assert has_died(begun[0])
    rows = Rows(tmp_path)
    assert rows.jobs() == {"ready": 40}
    assert {(rows.job(number).failures, rows.job(number).crashes) for number in range(40)} == {(0, 0)}
    assert sum(len(state_of(tmp_path, job).parts) == 3 for job in jobs) == 8, "as many again as there are threads"


def test_what_was_stopped_is_gone_on_with_by_the_next_run(tmp_path: Path) -> None:
    begun: list[str] = []

    def look(event: Event, pool: Pool) -> None:
        if isinstance(event, JobProgress):
            begun.append("one")

    with locked(tmp_path / "lock"):
        job = upload("job", parts=6, report=1, lock=tmp_path / "lock")
        stopped, _ = run(tmp_path, job, prepare=on_event(look), drain=lambda: bool(begun), grace=0.1)
        assert stopped is Stopped.DRAIN
    assert len(state_of(tmp_path, job).parts) == 6
    stopped, _ = run(tmp_path)
    assert stopped is Stopped.COMPLETE
    assert [attempt.outcome for attempt in Rows(tmp_path).attempts("job")] == ["interrupted", "done"]


def test_without_a_service_nothing_of_the_lane_is_begun(tmp_path: Path) -> None:
    stopped, pool = run_pool(tmp_path, upload("upload"), new_job("quick", kind="empty"), max_duration=30.0)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": 1, "ready": 1}
    assert pool.names().count("upload.done") == 0


@pytest.mark.sweep
def test_ten_thousand_uploads_pass_and_it_is_told_how_fast(tmp_path: Path) -> None:
    count = 10_000
    started = time.monotonic()
    stopped, _ = run(tmp_path, *(upload(number) for number in range(count)), threads=32)
    seconds = time.monotonic() - started
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).jobs() == {"done": count}
    print(f"{count / seconds:,.0f} a second")
