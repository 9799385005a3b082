"""Hours of the day in which jobs may be started."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.model.hours import Hours, parse

DAY = 86_400


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def minute(now: float) -> int:
    """Return the minute of the local day."""
    local = time.localtime(now)
    return 60 * local.tm_hour + local.tm_min


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("22:00-06:00", Hours(1320, 360)),
        ("8:30-17:05", Hours(510, 1025)),
        ("00:00-24:00", None),
        ("18:00-24:00", Hours(1080, 1440)),
        ("06:00-06:00", None),
        ("24:00-06:00", None),
        ("22:00-24:30", None),
        ("22-6", None),
        ("22:60-06:00", None),
        ("", None),
        ("22:00-06:00 ", Hours(1320, 360)),
    ],
)
def test_hours_are_read_or_rejected(text: str, hours: Hours | None) -> None:
    if hours is None:
        with pytest.raises(ValueError, match="expected FROM-TO in local time"):
            parse(text)
    else:
        assert parse(text) == hours
        assert parse(str(hours)) == hours


@given(start=st.integers(0, 1439), length=st.integers(1, 1439))
def test_each_minute_of_a_day_is_within_them_or_not(start: int, length: int) -> None:
    hours = Hours(start, (start + length) % 1440)
    inside = {(start + each) % 1440 for each in range(length)}
    midnight = 1_767_225_600  # of a day without a change of the clock
    for each in (*range(0, 1440, 37), start, (start + length) % 1440, (start - 1) % 1440):
        now = midnight + 60 * each + 30
        assert hours.contain(now) == (minute(now) in inside)


@pytest.mark.usefixtures("zone")
def test_they_start_next_at_their_minute_also_where_the_clock_is_changed() -> None:
    hours = Hours(22 * 60, 6 * 60)
    for day in range(0, 365, 3):
        for second in (0, 5 * 3600, 79_100, 79_200, 86_399):
            now = 1_767_225_600 + day * DAY + second
            start = hours.next_start(now)
            assert now < start <= now + DAY + 3600
            assert minute(start) == 22 * 60
            assert hours.contain(start) and not hours.contain(start - 60)
