"""Histograms of durations: small, mergeable, good enough to predict from."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.jobs.history import GROWTH, bucket, quantile, size_bucket

seconds = st.floats(1e-5, 1e6)


def test_nothing_measured_predicts_nothing() -> None:
    assert quantile([], 0.5) is None
    assert quantile([(3, 0)], 0.5) is None


@REPEATABLE
@given(st.lists(seconds, min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_is_never_too_low_and_at_most_a_bucket_too_high(durations: list[float], q: float) -> None:
    found = quantile(Counter(map(bucket, durations)).items(), q)
    assert found is not None
    ordered = sorted(durations)
    true = ordered[max(0, min(len(ordered) - 1, -(-int(q * len(ordered) * 1000) // 1000) - 1))]
    below = sum(1 for each in durations if each <= found * 1.000001)
    assert below >= q * len(durations) - 1e-6
    assert found <= ordered[-1] * GROWTH * 1.000001
    assert found * 1.000001 >= true


@REPEATABLE
@given(st.lists(seconds, min_size=1, max_size=30), st.lists(seconds, min_size=1, max_size=30))
def test_two_histograms_add_up_to_that_of_both(one: list[float], other: list[float]) -> None:
    merged = Counter(map(bucket, one)) + Counter(map(bucket, other))
    assert merged == Counter(map(bucket, one + other))


@REPEATABLE
@given(seconds, seconds)
def test_longer_durations_are_never_in_lower_buckets(one: float, other: float) -> None:
    assert (bucket(one) <= bucket(other)) if one <= other else (bucket(one) >= bucket(other))


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-12])
def test_a_duration_of_nothing_has_a_bucket_too(value: float) -> None:
    assert bucket(value) == bucket(1e-6)


def test_sizes_of_one_bucket_differ_by_less_than_four_times() -> None:
    assert size_bucket(0) == size_bucket(1) == 0
    assert size_bucket(-5) == 0
    for power in range(1, 20):
        assert size_bucket(2 ** (2 * power - 1)) == size_bucket(2 ** (2 * power + 1) - 1) == power
