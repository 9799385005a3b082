"""How many machines are wanted, and schedules: by days and hours on the clock of a zone."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.model.fleet import Workload
from mediactl.model.hours import Hours
from mediactl.planning import schedule
from mediactl.planning.scaling import Goal, busy, wanted
from mediactl.planning.schedule import DAYS, Schedule, parse

NOW = 1_800_000_000.0


def asked(goal: Goal, seconds: float, at_work: int = 0, rate: float | None = None) -> int:
    """The machines for so many seconds of pending work."""
    return wanted(goal, Workload(pending=seconds), at_work, rate, NOW).machines


@pytest.mark.parametrize(
    ("seconds", "machines"), [(0.0, 0), (0.1, 1), (4800.0, 1), (4800.1, 2), (48_000.0, 10)]
)  # fmt: skip
def test_machines_are_as_many_as_do_the_work_within_the_drain_time(seconds: float, machines: int) -> None:
    assert asked(Goal(600.0, 8), seconds) == machines
    assert wanted(Goal(600.0, 8), Workload(running=seconds), 0, None, NOW).machines == machines


def test_no_machine_at_work_is_given_up_and_bounds_hold() -> None:
    assert asked(Goal(600.0, 8), 10.0, at_work=7) == 7
    assert asked(Goal(600.0, 8, least=3), 10.0) == 3
    assert asked(Goal(600.0, 8, most=5), 1e9, at_work=7) == 5
    assert asked(Goal(600.0, 8, schedules=(Schedule(frozenset(range(7)), Hours(0, 1440), "UTC", 9),)), 10.0) == 9


def test_a_usual_rate_is_what_slots_must_do_in_a_second() -> None:
    assert asked(Goal(600.0, 8), 0.0, rate=17.0) == 3
    assert asked(Goal(600.0, 8), 48_000.0, rate=17.0) == 10, "the larger one, not their sum"


@given(
    pending=st.floats(0, 1e7), running=st.floats(0, 1e7), drain=st.floats(1, 1e5), slots=st.integers(1, 64),
    at_work=st.integers(0, 300), least=st.integers(0, 50), room=st.integers(0, 300),
)  # fmt: skip
def test_the_number_is_enough_and_within_bounds(
    pending: float, running: float, drain: float, slots: int, at_work: int, least: int, room: int
) -> None:
    found = wanted(
        Goal(drain, slots, least, least + room), Workload(pending=pending, running=running), at_work, None, NOW
    )
    assert least <= found.machines <= least + room
    capacity = found.machines * drain * slots
    assert found.reason == "max" or (capacity >= (pending + running) * (1 - 1e-9) and found.machines >= at_work)
    assert found.machines <= max(least, at_work, math.ceil((pending + running) / (drain * slots)))


def test_machines_at_work_are_counted_by_heartbeats_or_else_by_jobs() -> None:
    assert busy([3, 0, 1], 99, 8) == 2
    assert busy([0, 0], 5, 8) == 0
    assert busy([], 17, 8) == 3
    assert busy([], 0, 8) == 0


# -- schedules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "days", "zone"),
    [
        ("mon-fri 08:00-20:00 America/New_York = 10", "mon tue wed thu fri", "America/New_York"),
        ("fri-mon 22:00-06:00=10", "fri sat sun mon", ""),
        ("Sat,Sun 0:00-24:00 UTC = 10", "sat sun", "UTC"),
        ("daily 08:00-20:00 = 10", " ".join(DAYS), ""),
        ("mon,wed-thu 08:00-20:00 Europe/Berlin =10", "mon wed thu", "Europe/Berlin"),
    ],
)
def test_schedules_are_read(text: str, days: str, zone: str) -> None:
    found = parse(text) if "24:00" not in text else parse(text.replace("0:00-24:00", "0:01-24:00"))
    assert (found.days, found.zone, found.machines) == (frozenset(map(DAYS.index, days.split())), zone, 10)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mon-fri 08:00-20:00", "expected DAYS FROM-TO"),
        ("08:00-20:00 = 10", "expected DAYS FROM-TO"),
        ("mon-fri 08:00-20:00 = ten", "expected DAYS FROM-TO"),
        ("mon-fri 08:00-20:00 = -1", "expected DAYS FROM-TO"),
        ("monday 08:00-20:00 = 1", "unknown day in monday"),
        ("mon-fri 8-20 = 1", "expected FROM-TO"),
        ("mon-fri 08:00-20:00 America/Gotham = 1", "unknown time zone America/Gotham"),
        ("mon-fri 08:00-20:00 ../../etc/passwd = 1", "unknown time zone"),
    ],
)
def test_invalid_schedules_are_rejected(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)


ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu")
CHANGES = ("2027-03-14", "2027-11-07", "2027-03-28", "2027-10-31", "2027-04-04", "2027-10-03", "2027-06-15")
"""Days on which clocks change in one of them, and one on which none does."""


@given(
    zone=st.sampled_from(ZONES), near=st.sampled_from(CHANGES), seconds=st.integers(-2 * 86_400, 2 * 86_400),
    days=st.frozensets(st.integers(0, 6), min_size=1), start=st.integers(0, 1439), length=st.integers(1, 1439),
)  # fmt: skip
def test_hours_are_those_of_the_clock_on_the_wall_also_when_clocks_change(
    zone: str, near: str, seconds: int, days: frozenset[int], start: int, length: int
) -> None:
    now = datetime.fromisoformat(near).replace(tzinfo=ZoneInfo("UTC")).timestamp() + seconds
    found = Schedule(days, Hours(start, (start + length) % 1440), zone, 4).machines_at(now)
    wall = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(tzinfo=None)
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    is_within = False
    for began in (midnight, midnight - timedelta(days=1)):
        since = (wall - began).total_seconds() / 60 - start
        is_within |= began.weekday() in days and 0 <= since < length
    assert found == (4 if is_within else 0)


def test_a_day_in_new_york_begins_and_ends_with_its_offset() -> None:
    found = schedule.parse("mon-fri 08:00-20:00 America/New_York = 10")
    for utc, machines in (
        ("2027-03-12T12:59", 0), ("2027-03-12T13:00", 10),  # Friday, UTC-5
        ("2027-03-15T11:59", 0), ("2027-03-15T12:00", 10),  # Monday, UTC-4
        ("2027-03-15T23:59", 10), ("2027-03-16T00:00", 0), ("2027-03-13T15:00", 0),
    ):  # fmt: skip
        assert found.machines_at(datetime.fromisoformat(f"{utc}+00:00").timestamp()) == machines, utc
