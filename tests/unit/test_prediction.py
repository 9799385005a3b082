"""Predictions from what was measured: right within what they promise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.jobs import history
from mediactl.jobs.prediction import (
    CALM,
    ENOUGH,
    ENOUGH_FOR_LIMITS,
    LIMIT_FACTOR,
    LIMIT_FLOOR,
    QUANTILE,
    QUICK_SECONDS,
    Predictor,
)
from mediactl.model.jobs import HEAVY, QUICK

LIKE = ("image", "jpeg", 5)
OTHER = ("video", "mp4", 5)
GUESS = 1.0
seconds = st.sampled_from([0.0005, 0.003, 0.02, 0.1, 0.9, 1.9, 2.1, 7.0, 60.0, 900.0])
durations = st.lists(st.tuples(seconds, st.integers(1, 40)), max_size=12).map(
    lambda runs: [each for each, count in runs for _ in range(count)]
)
early = st.lists(seconds, max_size=40)
questions = st.lists(st.booleans(), min_size=1, max_size=7)


def predictor(before: list[float]) -> Predictor:
    """One with a journal in which this was measured of one class, and nothing of others."""
    counts = Counter(map(history.bucket, before))
    return Predictor(lambda like: counts.items() if like == LIKE else ())


def recounted(measured: list[float], q: float) -> float:
    """The quantile of all of it."""
    return history.quantile(Counter(map(history.bucket, measured)).items(), q) or 0.0


def allowed(measured: list[float], loaded: int, q: float) -> set[float]:
    """The quantiles of it without the last ones, one in sixteen at most."""
    fewest = max(loaded, math.ceil(len(measured) * 15 / 16))
    return {recounted(measured[:count], q) for count in range(fewest, len(measured) + 1)}


def follow(
    before: list[float], after: list[float], asked: list[bool], look: Callable[[Predictor, list[float]], None]
) -> None:
    """Learn one after the other, and look now and then: an answer that was kept has to be thrown away in time."""
    predicts = predictor(before)
    measured = list(before)
    look(predicts, measured)
    for number, each in enumerate(after):
        predicts.learn(LIKE, each)
        measured.append(each)
        if asked[number % len(asked)]:
            look(predicts, measured)
    look(predicts, measured)


@REPEATABLE
@given(early, durations, questions)
def test_what_is_expected_is_what_nine_of_ten_took_but_for_the_last_sixteenth(
    before: list[float], after: list[float], asked: list[bool]
) -> None:
    def look(predicts: Predictor, measured: list[float]) -> None:
        found = predicts.expected(LIKE)
        if len(measured) < ENOUGH:
            assert found is None
        else:
            assert found in allowed(measured, len(before), QUANTILE)
        assert predicts.expected(OTHER) is None

    follow(before, after, asked, look)


@REPEATABLE
@given(early, durations, questions)
def test_the_lane_follows_from_what_was_measured_and_from_the_lane_before(
    before: list[float], after: list[float], asked: list[bool]
) -> None:
    lane = QUICK

    def look(predicts: Predictor, measured: list[float]) -> None:
        nonlocal lane
        if len(measured) < ENOUGH:
            possible = {GUESS}
        else:
            possible = allowed(measured, len(before), CALM if lane == HEAVY else QUANTILE)
        assert predicts.seconds(LIKE, GUESS) in possible
        lanes = {QUICK if each <= QUICK_SECONDS else HEAVY for each in possible}
        lane = predicts.lane(LIKE, GUESS)
        assert lane in lanes

    follow(before, after, asked, look)


@REPEATABLE
@given(early, durations, questions, st.floats(1.0, 10_000.0))
def test_a_limit_is_ten_times_what_99_of_100_took_within_its_bounds(
    before: list[float], after: list[float], asked: list[bool], guess: float
) -> None:
    def look(predicts: Predictor, measured: list[float]) -> None:
        found = predicts.limit(LIKE, guess)
        if len(measured) < ENOUGH_FOR_LIMITS:
            assert found == guess
            return
        learnt = {LIMIT_FACTOR * each for each in allowed(measured, len(before), 0.99)}
        assert found in {max(LIMIT_FLOOR, guess / 10, min(guess * 10, each)) for each in learnt}
        assert found >= LIMIT_FLOOR
        assert found >= guess / 10

    follow(before, after, asked, look)


@REPEATABLE
@given(early, durations)
def test_learning_says_when_something_may_have_moved(before: list[float], after: list[float]) -> None:
    """Between two times that it says so, what it tells stays the same."""
    predicts = predictor(before)
    told = predicts.expected(LIKE)
    quiet = 0
    for number, each in enumerate(after):
        moved = predicts.learn(LIKE, each)
        if len(before) + number + 1 > ENOUGH and not moved:
            assert predicts.expected(LIKE) == told
        quiet = 0 if moved else quiet + 1
        assert quiet <= (len(before) + number + 1) / 16
        told = predicts.expected(LIKE)


def test_the_first_sixteen_are_each_counted_at_once() -> None:
    predicts = predictor([])
    measured: list[float] = []
    for number in range(15):
        predicts.learn(LIKE, 0.001 * 2**number)
        measured.append(0.001 * 2**number)
        if number + 1 >= ENOUGH:
            assert predicts.expected(LIKE) == recounted(measured, QUANTILE)


@pytest.mark.parametrize("measured", [0, ENOUGH - 1])
def test_an_overrun_counts_until_enough_was_measured(measured: int) -> None:
    predicts = predictor([0.1] * measured)
    predicts.overran(LIKE, 7.0)
    predicts.overran(LIKE, 5.0)
    assert predicts.seconds(LIKE, GUESS) == 7.0
    assert predicts.seconds(OTHER, GUESS) == GUESS
    for _ in range(ENOUGH - measured):
        predicts.learn(LIKE, 0.1)
    assert predicts.seconds(LIKE, GUESS) == recounted([0.1], QUANTILE)
