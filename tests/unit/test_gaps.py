"""Which deviations of time stamps are gaps and which are jitter; which clock interleaved packets are on."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.media.inspect.timing import gaps
from mediactl.media.inspect.timing.clocks import Position, SharedClock

FRAMES = st.sampled_from([960 / 48_000, 1_024 / 48_000, 1_024 / 44_100, 1_152 / 44_100, 1_536 / 48_000])


def stamps(count: int, frame: float, shifts: dict[int, float]) -> list[float]:
    """Return the time of each packet; ``shifts``: packet -> seconds by which it and all that follow are late."""
    return [number * frame + late for number, late in enumerate(accumulate(shifts.get(n, 0.0) for n in range(count)))]


@REPEATABLE
@given(FRAMES, st.dictionaries(st.integers(1, 299), st.floats(0.006, 5.0), min_size=1, max_size=5))
def test_gaps_are_filled_from_five_milliseconds_on(frame: float, shifts: dict[int, float]) -> None:
    assert gaps.threshold(stamps(300, frame, shifts), [frame] * 300) == gaps.SMALLEST


@settings(REPEATABLE, max_examples=20)
@given(FRAMES, st.floats(0.004, 0.045), st.integers(0, 1 << 30))
def test_jitter_hardly_ever_reaches_its_threshold(frame: float, jitter: float, seed: int) -> None:
    chance = random.Random(seed)
    moved = [each + chance.uniform(-jitter, jitter) for each in stamps(400, frame, {})]
    threshold = gaps.threshold(moved, [frame] * 400)
    # What is filled is compared with the stamps before it, which jitter as well.
    steps = [after - before - frame for before, after in pairwise(moved)]
    beyond = sum(abs(step) > threshold for step in steps)
    assert beyond <= len(steps) // 50


@REPEATABLE
@given(FRAMES, st.sampled_from([1e-3, 1 / 90_000, 1 / 12_800]))
def test_stamps_that_are_only_rounded_have_no_gaps(frame: float, unit: float) -> None:
    rounded = [round(each / unit) * unit for each in stamps(2_000, frame, {})]
    assert gaps.threshold(rounded, [frame] * 2_000) == 0.0


@settings(REPEATABLE, max_examples=20)
@given(FRAMES, st.floats(1e-5, 1e-3))
def test_a_clock_that_drifts_does_not_jitter(frame: float, drift: float) -> None:
    drifting = [each * (1 + drift) for each in stamps(1_500, frame, {})]
    assert gaps.threshold(drifting, [frame] * 1_500) in (0.0, gaps.SMALLEST)


@settings(REPEATABLE, max_examples=40)
@given(
    st.floats(-5_000, 5_000).filter(lambda jump: jump > 20 or jump < -1),
    st.integers(3, 8),
    st.floats(0.0, 0.9),
)
def test_streams_go_over_to_a_new_clock_together(jump: float, second: int, lag: float) -> None:
    """The packets of audio come up to a second later in the file than those of video, of before the jump too."""
    video, audio = Position(0), Position(1)
    clock = SharedClock([video, audio])
    packets = [(0.04 * n, 0.04 * n, 0.04, video) for n in range(250)]
    packets += [(0.02 * n + lag, 0.02 * n, 0.02, audio) for n in range(500)]
    for _, time, length, position in sorted(packets, key=lambda packet: packet[0]):
        stamp = time + (jump if time >= second else 0.0)
        clock.follow(position, stamp)
        assert stamp + position.offset == pytest.approx(time, abs=0.001)
        position.last, position.expected = time, time + length
    assert len(clock.moved) == 1


@pytest.mark.parametrize("gap", [12.0, 600.0])
def test_a_gap_in_one_stream_alone_is_no_jump(gap: float) -> None:
    video, audio = Position(0), Position(1)
    clock = SharedClock([video, audio])
    packets = [(0.04 * n, 0.04, video) for n in range(100)] + [(4.0 + gap + 0.04 * n, 0.04, video) for n in range(100)]
    packets += [(0.02 * n, 0.02, audio) for n in range(round((gap + 8) / 0.02))]
    for stamp, length, position in sorted(packets, key=lambda packet: packet[0]):
        clock.follow(position, stamp)
        assert position.offset == 0.0
        position.last, position.expected = stamp, stamp + length
    assert clock.moved == []
