"""Machines, workload and arrivals in the journal: what fleet and scale read there."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import NOW, Clock, a_source, claim, new_job, opened, put

from mediactl.jobs import report
from mediactl.jobs.fleet.arrivals import HOUR, INTERVAL, KEPT
from mediactl.jobs.journal import Journal
from mediactl.jobs.priority import successor_due
from mediactl.model.fleet import LOST, Heartbeat, Machine, MachineState, Workload
from mediactl.model.jobs import HEAVY, Priority, Usage
from mediactl.model.verdict import Verdict

WEEK = 7 * 86_400.0


def a_beat(machine: str, sent_at: float, **fields: object) -> Heartbeat:
    """A heartbeat of a machine with four slots."""
    values = {"host": "h", "pid": 7, "version": "1", "slots": {"quick": 1, "heavy": 3}, "started_at": 5.0}
    return Heartbeat(machine=machine, sent_at=sent_at, **{**values, **fields})  # type: ignore[arg-type]


def machines(folder: Path) -> dict[str, Machine]:
    """The machines of a journal by their identity."""
    with report.read(str(folder)) as rows:
        return {each.id: each for each in rows.machines()}


def workload(folder: Path, most: float = 1e9) -> Workload:
    """What there is to do."""
    with report.read(str(folder)) as rows:
        return rows.workload(most)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(order=st.permutations(range(6)), repeated=st.integers(0, 5))
def test_the_newest_heartbeat_stays_in_whatever_order_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], repeated: int
) -> None:
    states = [MachineState.WORKING] * 4 + [MachineState.DRAINING, MachineState.STOPPED]
    beats = [a_beat("m", 10.0 * number, running=(number,), state=state) for number, state in enumerate(states)]
    folder = tmp_path_factory.mktemp("journal")
    with opened(folder) as journal:
        for number in (*order, repeated):
            with journal.transaction():
                journal.machines.beat([beats[number]])
    (found,) = machines(folder).values()
    assert (found.state, found.running, found.slots) == (MachineState.STOPPED, (5,), {"quick": 1, "heavy": 3})
    assert not found.is_live(NOW)


def test_a_machine_is_lost_without_heartbeats_and_forgotten_an_hour_later(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal, journal.transaction():
        journal.machines.beat([a_beat("old", 1.0), a_beat("new", 1.0)])
        assert {name: each.is_live(clock()) for name, each in machines(tmp_path).items()} == {}, "not committed"
    clock.advance(LOST)
    assert machines(tmp_path)["old"].is_live(clock())
    with opened(tmp_path, clock) as journal:
        clock.advance(1.0)
        with journal.transaction():
            journal.machines.beat([a_beat("new", 2.0)])
        assert {name: each.is_live(clock()) for name, each in machines(tmp_path).items()} == {"new": True, "old": False}
        clock.advance(3600.0)
        with journal.transaction():
            journal.machines.beat([a_beat("new", 3.0)])
    assert list(machines(tmp_path)) == ["new"]


def test_a_machine_is_asked_to_drain_until_it_does(tmp_path: Path) -> None:
    with opened(tmp_path) as journal, journal.transaction():
        journal.machines.beat([a_beat("a", 1.0), a_beat("b", 1.0)])
        assert not journal.machines.drain("c")
        assert journal.machines.drain("a")
        journal.machines.beat([a_beat("a", 2.0)])
        assert journal.machines.to_drain() == ("a",), "it may not have received that yet"
        journal.machines.beat([a_beat("a", 3.0, state=MachineState.DRAINING)])
        assert journal.machines.to_drain() == ()
        assert not journal.machines.drain("a"), "it does already"
    assert machines(tmp_path)["a"].drain_at == NOW


def done(journal: Journal, clock: Clock, seconds: float, *lanes: str) -> None:
    """Run the next job for so many seconds."""
    (one,) = claim(journal, 1, *lanes)
    clock.advance(seconds)
    with journal.transaction():
        journal.finish_done([(one.id, one.attempt)])
        journal.record(one, Verdict.DONE, "", Usage(wall=seconds), 1)


def test_workload_is_by_what_jobs_like_them_took_and_none_counts_more_than_the_most(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        for number in range(3):
            put(journal, new_job(f"l{number}", kind="long"))
            done(journal, clock, 100.0)
        put(journal, *(new_job(f"p{number}", kind="long") for number in range(4)))
        put(journal, new_job("two", kind="video", size=3_000_000, cores=2, lane=HEAVY))  # 1,000 s of one core, guessed
        put(journal, new_job("sent", kind="upload", lane="network", size=10**12))
        claim(journal, 1)
        found = workload(tmp_path)
        assert (found.pending_jobs, found.running_jobs) == (4, 1)
        assert found.running == pytest.approx(100.0, rel=0.1)
        assert found.pending == pytest.approx(3 * 100.0 + 1000.0, rel=0.1)
        capped = workload(tmp_path, 30.0)
        assert (capped.running, capped.pending) == (30.0, 3 * 30.0 + 2 * 30.0)
        with journal.transaction():
            journal.fail(1, 1, "late")  # stale: changes nothing
            journal.fail(4, 1, "disk error")
        assert (workload(tmp_path).pending_jobs, workload(tmp_path).running_jobs) == (5, 0), (
            "a delayed retry is pending"
        )


def test_what_follows_a_probe_counts_before_it_is_planned(tmp_path: Path) -> None:
    with opened(tmp_path) as journal, journal.transaction():
        for number in range(10):
            name = b"%d.jpg" % number
            row = journal.sources.put(a_source(name), "recipe", "plan", "pending")
            journal.add([new_job(number, kind="probe", source=row, size=100)])
    guessed = workload(tmp_path).pending
    assert 0.0 < guessed < 1.0, "ten photos of 100 bytes"
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        for number in range(3):
            put(journal, new_job(f"i{number}", kind="image", format="jpeg", size=4**number, priority=Priority.URGENT))
            done(journal, clock, 5.0)
    left = workload(tmp_path)
    assert left.pending_jobs == 10
    assert left.pending == pytest.approx(10 * 5.0, rel=0.1)


def test_workload_reads_no_jobs_that_have_ended(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("one"))
        connection = journal._connection
        sql = journal.machines._sql
        for name in ("work", "unprobed"):
            plan = [str(row[3]) for row in connection.execute("EXPLAIN QUERY PLAN " + sql[name]).fetchall()]
            scans = [step for step in plan if " jobs" in step]
            assert len(scans) == 3 and all("INDEX jobs_" in step for step in scans), plan


# -- arrivals ----------------------------------------------------------------------------------------------------------


def rate(folder: Path, at: float, zone: str = "UTC") -> float | None:
    """The usual rate around a time."""
    with report.read(str(folder)) as rows:
        return rows.usual_rate(at, ZoneInfo(zone))


def fill(journal: Journal, rows: dict[float, float]) -> None:
    """Put measured seconds at times."""
    for at, seconds in rows.items():
        journal._connection.execute(journal.machines._sql["add_arrivals"], (int(at) // INTERVAL * INTERVAL, 1, seconds))


@pytest.mark.parametrize("priority", [Priority.URGENT, Priority.NORMAL, Priority.BACKFILL])
def test_work_arrives_with_its_source_however_long_its_jobs_were_pending(tmp_path: Path, priority: Priority) -> None:
    clock = Clock(NOW // INTERVAL * INTERVAL + 100.0)
    began = clock()
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("probe", priority=priority))
        clock.advance(2000.0)
        (probe,) = claim(journal)
        clock.advance(3.0)
        with journal.transaction():
            journal.finish_done([(probe.id, probe.attempt)])
            journal.record(probe, Verdict.DONE, "", Usage(wall=3.0), 1)
            journal.add([new_job("make", priority=priority, due=successor_due(probe.due), cores=2)])
        clock.advance(5000.0)
        done(journal, clock, 7.0)
        found = journal._connection.execute("SELECT start, jobs, seconds FROM arrivals").fetchall()
    assert found == [(began // INTERVAL * INTERVAL, 2, 3.0 + 2 * 7.0)]


def test_a_job_that_was_retried_arrives_when_it_was(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        put(journal, new_job("one", priority=Priority.BACKFILL))
        with journal.transaction():
            journal.cancel(1)
        clock.advance(50_000.0)
        with journal.transaction():
            assert journal.retry(1)
        done(journal, clock, 7.0)
        found = journal._connection.execute("SELECT start FROM arrivals").get
    assert found == (NOW + 50_000.0) // INTERVAL * INTERVAL


def test_failed_attempts_and_what_is_rolled_back_do_not_arrive(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("one"), new_job("two"))
        one, two = claim(journal, 2)
        with journal.transaction():
            journal.record(one, Verdict.FAILED, "", Usage(wall=7.0), 1)
        with pytest.raises(RuntimeError), journal.transaction():
            journal.record(two, Verdict.DONE, "", Usage(wall=7.0), 1)
            raise RuntimeError
        with journal.transaction():
            pass
        assert journal._connection.execute("SELECT count(*) FROM arrivals").get == 0


def test_the_usual_rate_is_that_of_the_same_hour_of_past_weeks(tmp_path: Path) -> None:
    at = NOW // HOUR * HOUR
    with opened(tmp_path) as journal, journal.transaction():
        assert rate(tmp_path, at) is None
        for week, seconds in enumerate((100.0, 300.0, 200.0), start=1):
            middle = at - week * WEEK
            fill(journal, {middle - 1500: seconds, middle + 1500: seconds, middle - 3600: 9e9, middle + 3600: 9e9})
        fill(journal, {at - 3 * WEEK - HOUR: 1.0})
    assert rate(tmp_path, at) == pytest.approx(2 * 200.0 / HOUR)
    assert rate(tmp_path, at + 6 * HOUR) == 0.0, "nothing arrived then"


@pytest.mark.parametrize(
    ("zone", "after"),
    [
        ("America/New_York", "2027-03-16T09:00"),
        ("Europe/Berlin", "2027-10-31T12:00"),
        ("Asia/Kathmandu", "2027-10-31T12:00"),
    ],
)
def test_the_same_hour_is_that_of_the_clock_on_the_wall(tmp_path: Path, zone: str, after: str) -> None:
    here = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    with opened(tmp_path) as journal, journal.transaction():
        for week in (1, 2, 3, 4):
            before = datetime.fromisoformat(after).timestamp() - week * WEEK  # naive: moved to the zone below
            wall = datetime.fromtimestamp(before).replace(tzinfo=ZoneInfo(zone))
            assert (wall.hour, wall.weekday()) == (here.hour, here.weekday())
            fill(journal, {wall.timestamp(): 1800.0})
        fill(journal, {here.timestamp() - 5 * WEEK: 1.0})
    assert rate(tmp_path, here.timestamp(), zone) == pytest.approx(0.5)
    assert rate(tmp_path, here.timestamp() + 2 * HOUR, zone) == 0.0


def test_arrivals_are_kept_for_the_weeks_that_are_looked_back(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path, clock) as journal:
        for number in itertools.count():
            put(journal, new_job(number))
            done(journal, clock, 1.0)
            if clock() - NOW > KEPT + 10 * 86_400.0:
                break
            clock.advance(3 * 86_400.0)
        oldest = journal._connection.execute("SELECT min(start) FROM arrivals").get
        assert oldest >= clock() - KEPT - 86_400.0 - INTERVAL
