"""Sizes and durations: what is read, and what is refused with an example."""

from __future__ import annotations

import pytest

from mediactl.core.quantities import duration, size


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("6G", 6 << 30), ("6g", 6 << 30), ("6GiB", 6 << 30), ("6 GiB", 6 << 30), ("6GB", 6 * 10**9),
        ("250 kB", 250_000), ("1.5M", 3 << 19), ("1T", 1 << 40), ("1048576", 1 << 20), ("5B", 5),
    ],
)  # fmt: skip
def test_sizes_are_bytes_or_have_units(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["6Q", "G", "0", "0G", "-1G", "six", "²G", "", "6", "999", "1e9", "6G 1M", "0.0001K"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected .*[MG]\b"):
        size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("1.5", 1.5), ("0", 0), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("1h 30m", None),
        ("7d", 604800), ("2w", 1209600), ("250ms", 0.25), ("1H", 3600),
    ],
)  # fmt: skip
def test_durations_are_seconds_or_have_units(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="expected a duration"):
            duration(text)
    else:
        assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["soon", "", "-1", "1y", "h", "1hm", "1h30", "٣"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration, e.g. 90s"):
        duration(text)


def test_where_a_number_alone_is_ambiguous_a_unit_is_required() -> None:
    with pytest.raises(ValueError, match="7: expected a duration"):
        duration("7", unit_required=True)
    assert duration("7d", unit_required=True) == 604800
