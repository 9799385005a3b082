"""``mediactl check``: situations, the line that each prints, and its exit code, with a clock that is passed in."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediactl.jobs.priority import SLACK
from mediactl.model.figures import ActiveRun, Figures, JobCount, Oldest
from mediactl.model.jobs import Priority
from mediactl.monitor.check import Limits, Status, Thresholds, about, judged, line

NOW = 1_800_000_000.0
HOUR = 3600.0


def pending(priority: Priority = Priority.NORMAL, age: float = 0.0, lane: str = "quick", jobs: int = 1) -> Figures:
    """Pending jobs of a lane and priority, the oldest of this age in seconds."""
    oldest = Oldest(lane, priority, age, max(0.0, age - SLACK[priority]))
    return Figures(time=NOW, jobs=(JobCount(lane, priority, "ready", jobs),), oldest=(oldest,))


def with_(figures: Figures, **changes: Any) -> Figures:
    """The same with changes."""
    return msgspec.structs.replace(figures, **changes)


EMPTY = Figures(time=NOW)
WATCH = ActiveRun("8a3f1c2e0000", "watch", 2.0)
SITUATIONS: list[tuple[str, Figures, dict[str, Any], Status, str]] = [
    ("empty", EMPTY, {}, Status.OK, "nothing pending | pending=0;;;0 quarantined=0;0;;0"),
    (
        "all done",
        with_(EMPTY, last_success=NOW - 3 * HOUR),
        {},
        Status.OK,
        "nothing pending; last success 3 h ago | pending=0;;;0 quarantined=0;0;;0",
    ),
    (
        "not due yet",
        pending(age=600.0),
        {},
        Status.OK,
        "1 pending, none overdue | overdue_normal=0s;0;600;0 pending=1;;;0 quarantined=0;0;;0",
    ),
    (
        "overdue",
        pending(age=601.0),
        {},
        Status.WARNING,
        "oldest normal job overdue 1 s (promised 10 min) | overdue_normal=1s;0;600;0 pending=1;;;0 quarantined=0;0;;0",
    ),
    (
        "overdue by twice the promise, and quarantined",
        with_(pending(age=600.0 + 21 * 60), quarantined=3),
        {},
        Status.CRITICAL,
        "oldest normal job overdue 21 min (promised 10 min); 3 quarantined"
        " | overdue_normal=1260s;0;600;0 pending=1;;;0 quarantined=3;0;;0",
    ),
    (
        "an urgent job gets a minute",
        pending(Priority.URGENT, 60.0),
        {},
        Status.OK,
        "1 pending, none overdue | overdue_urgent=0s;0;60;0 pending=1;;;0 quarantined=0;0;;0",
    ),
    (
        "an urgent job is late",
        pending(Priority.URGENT, 150.0),
        {},
        Status.CRITICAL,
        "oldest urgent job overdue 90 s (promised 60 s) | overdue_urgent=90s;0;60;0 pending=1;;;0 quarantined=0;0;;0",
    ),
    (
        "quarantined",
        with_(EMPTY, quarantined=3),
        {},
        Status.WARNING,
        "3 quarantined | pending=0;;;0 quarantined=3;0;;0",
    ),
    (
        "so many are expected",
        with_(EMPTY, quarantined=3),
        {"failed": Limits(3, 10)},
        Status.OK,
        "nothing pending | pending=0;;;0 quarantined=3;3;10;0",
    ),
    (
        "deep",
        pending(jobs=1500),
        {"depth": Limits(1000, 10_000)},
        Status.WARNING,
        "1,500 jobs pending (limit 1,000) | overdue_normal=0s;0;600;0 pending=1500;1000;10000;0 quarantined=0;0;;0",
    ),
    (
        "an age in place of the promise",
        pending(age=3 * HOUR, lane="heavy"),
        {"ages": {"heavy": Limits(2 * HOUR, 6 * HOUR)}},
        Status.WARNING,
        "oldest job of lane heavy pending for 3 h (limit 2 h)"
        " | age_heavy=10800s;7200;21600;0 pending=1;;;0 quarantined=0;0;;0",
    ),
    (
        "stale",
        with_(EMPTY, last_success=NOW - 27 * HOUR),
        {"fresh": 26 * HOUR},
        Status.CRITICAL,
        "last success 27 h ago (limit 26 h) | pending=0;;;0 quarantined=0;0;;0 since_success=97200s;;93600;0",
    ),
    (
        "never",
        EMPTY,
        {"fresh": 26 * HOUR},
        Status.CRITICAL,
        "no run has succeeded | pending=0;;;0 quarantined=0;0;;0",
    ),
    (
        "a watch is up to date",
        with_(EMPTY, active=(WATCH,), lost_watch=True),
        {"fresh": 26 * HOUR},
        Status.OK,
        "nothing pending | pending=0;;;0 quarantined=0;0;;0 since_success=0s;;93600;0",
    ),
    (
        "a watch that hangs",
        with_(EMPTY, active=(msgspec.structs.replace(WATCH, heartbeat=150.0),)),
        {},
        Status.WARNING,
        "watch 8a3f1c2e without heartbeat for 2 min | pending=0;;;0 quarantined=0;0;;0",
    ),
    (
        "a watch that hangs is no success",
        with_(EMPTY, active=(msgspec.structs.replace(WATCH, heartbeat=700.0),)),
        {"fresh": 26 * HOUR},
        Status.CRITICAL,
        "watch 8a3f1c2e without heartbeat for 11 min; no run has succeeded | pending=0;;;0 quarantined=0;0;;0",
    ),
    (
        "a watch was killed",
        with_(EMPTY, lost_watch=True),
        {},
        Status.CRITICAL,
        "the last watch was killed and none is active | pending=0;;;0 quarantined=0;0;;0",
    ),
]


@pytest.mark.parametrize(
    ("figures", "thresholds", "status", "text"), [pytest.param(*each[1:], id=each[0]) for each in SITUATIONS]
)
def test_each_situation_has_its_line(figures: Figures, thresholds: dict[str, Any], status: Status, text: str) -> None:
    verdict = judged(figures, Thresholds(promises=SLACK, **thresholds))
    assert (verdict.status, verdict.line) == (status, f"MEDIACTL {status.name} - {text}")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (9e6, "104 d"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert about(seconds) == text


PERFDATA = re.compile(r"[a-z_]+=\d+s?;\d*;\d*;0")


@settings(deadline=None)
@given(
    age=st.floats(0, 1e8), priority=st.sampled_from(Priority), quarantined=st.integers(0, 10**6),
    jobs=st.integers(0, 10**7), beat=st.floats(0, 1e6), fresh=st.none() | st.floats(1, 1e7),
)  # fmt: skip
def test_every_line_is_one_that_monitoring_parses(
    age: float, priority: Priority, quarantined: int, jobs: int, beat: float, fresh: float | None
) -> None:
    run = msgspec.structs.replace(WATCH, heartbeat=beat)
    figures = with_(pending(priority, age, jobs=jobs), quarantined=quarantined, active=(run,))
    verdict = judged(figures, Thresholds(promises=SLACK, fresh=fresh and round(fresh)))
    text, bar, data = verdict.line.partition(" | ")
    assert text.startswith(f"MEDIACTL {verdict.status.name} - ") and "|" not in text and "\n" not in verdict.line
    assert bar and all(PERFDATA.fullmatch(each) for each in data.split(" ")), data
    assert bool(verdict.problems) == (verdict.status is not Status.OK)


def test_a_message_cannot_begin_performance_data() -> None:
    assert line(Status.UNKNOWN, "no journal in /a|b=1") == "MEDIACTL UNKNOWN - no journal in /a/b=1"
