"""How much at once, how fast, and in whose turn; by a clock that the tests hold."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.upload.engine import FIRST_PATIENCE, Engine, Stopped, Tuning, Turn
from mediactl.upload.fair_queue import FairQueue, Job
from mediactl.upload.store import Expired, Refused, StoreError, Throttled, Unavailable, Unreachable
from mediactl.upload.throttle import Bandwidth, Concurrency


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_concurrency_halves_once_a_round_and_grows_by_one_a_round() -> None:
    concurrency = Concurrency(16)
    round_ = concurrency.round
    for _ in range(16):  # all that were under way get SlowDown
        concurrency.throttled(round_)
    assert concurrency.limit == 8
    for expected in (9, 10, 11):
        for _ in range(expected - 1):
            concurrency.succeeded()
        assert concurrency.limit == expected
    for _ in range(1000):
        concurrency.succeeded()
    assert concurrency.limit == 16
    for _ in range(9):
        concurrency.throttled(concurrency.round)
    assert concurrency.limit == 1


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=200))
def test_concurrency_stays_within_its_bounds(ceiling: int, answers: list[bool]) -> None:
    concurrency = Concurrency(ceiling)
    for good in answers:
        if good:
            concurrency.succeeded()
        else:
            concurrency.throttled(concurrency.round)
        assert 1 <= concurrency.limit <= ceiling


def test_bandwidth_is_kept_over_time_whatever_the_sizes() -> None:
    clock = Clock()
    bandwidth = Bandwidth(1000.0, clock, clock.sleep)
    sizes = [100, 5000, 1, 899, 4000]
    for size in sizes:
        bandwidth.take(size)
    assert clock.now - 1000.0 == pytest.approx(sum(sizes[:-1]) / 1000)
    clock.now += 1000  # idle time is not made up for
    started = clock.now
    for _ in range(3):
        bandwidth.take(1000)
    assert clock.now - started == pytest.approx(2.0)
    with pytest.raises(ValueError, match="bandwidth"):
        Bandwidth(0, clock, clock.sleep)


def calls(engine: Engine, *answers: StoreError | None) -> int:
    """Requests until the engine is done with one whose answers come in that order."""
    left, made = list(answers), 0

    def request() -> str:
        nonlocal made
        made += 1
        answer = left.pop(0) if left else None
        if answer is not None:
            raise answer
        return "well"

    with engine.turn(engine.job("place"), 10) as turn:
        assert turn.call(request, 10) == "well"
    return made


def test_retries_wait_with_full_jitter_and_are_bounded() -> None:
    clock = Clock()
    engine = Engine(Tuning(attempts=4, base=1, cap=5), clock=clock, dice=lambda: 0.5, sleep=clock.sleep)
    assert calls(engine, Unavailable("500"), Unavailable("500"), Unavailable("500")) == 4
    assert clock.slept == [1.0, 2.0, 2.5]
    with pytest.raises(Unavailable):
        calls(engine, *[Unavailable("500")] * 4)


def test_a_network_that_is_gone_burns_no_attempt_but_not_for_ever() -> None:
    clock = Clock()
    engine = Engine(Tuning(attempts=2, patience=600), clock=clock, dice=lambda: 1.0, sleep=clock.sleep)
    engine.answered = True
    assert calls(engine, *[Unreachable("no route")] * 12, Unavailable("500")) == 14
    pauses = clock.slept[:12]
    assert pauses == sorted(pauses)
    assert max(pauses) == 30
    clock.slept.clear()
    with pytest.raises(Unreachable):
        calls(engine, *[Unreachable("no route")] * 1000)
    assert 600 <= sum(clock.slept) <= 630


def test_a_store_that_never_answered_is_not_waited_for_as_long() -> None:
    clock = Clock()
    engine = Engine(Tuning(attempts=2, patience=600), clock=clock, dice=lambda: 1.0, sleep=clock.sleep)
    with pytest.raises(Unreachable):
        calls(engine, *[Unreachable("no route")] * 1000)
    assert FIRST_PATIENCE <= sum(clock.slept) <= 2 * FIRST_PATIENCE


def test_what_was_failing_before_the_network_came_back_still_counts() -> None:
    clock = Clock()
    engine = Engine(Tuning(attempts=2), clock=clock, sleep=clock.sleep)
    made = [Unavailable("500"), Unreachable("no route"), Unavailable("500"), Unavailable("one more")]
    with pytest.raises(Unavailable, match="500"):
        calls(engine, *made)


def test_slowdown_halves_for_all() -> None:
    clock = Clock()
    engine = Engine(Tuning(concurrency=8), clock=clock, sleep=clock.sleep)
    calls(engine, Throttled("SlowDown"), Throttled("SlowDown"))
    assert most_at_once(engine, 30) == 2


def test_bandwidth_counts_every_attempt() -> None:
    clock = Clock()
    engine = Engine(Tuning(bandwidth=10.0, base=0.001), clock=clock, dice=lambda: 0.0, sleep=clock.sleep)
    calls(engine, Unavailable("500"), Unavailable("500"))
    assert clock.now - 1000 == pytest.approx(2.0)


@pytest.mark.parametrize("error", [Refused("access denied"), Expired("token expired")])
def test_a_refusal_is_for_all_of_its_place_and_for_no_other(error: StoreError) -> None:
    engine = Engine(Tuning())
    with pytest.raises(type(error)):
        calls(engine, error)
    with pytest.raises(type(error), match=str(error)):
        calls(engine)
    with engine.turn(engine.job("another place")) as turn:
        turn.call(lambda: None)


def most_at_once(engine: Engine, count: int, size: int = 1) -> int:
    """How many of so many units ran at once, at most."""
    lock, now, most = threading.Lock(), 0, 0

    def work(turn: Turn) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    assert sum(map(len, engine.gather(engine.job("place"), [(size, work)] * count))) == count
    return most


def test_slots_and_bytes_are_both_bounded() -> None:
    assert most_at_once(Engine(Tuning(concurrency=5)), 30) == 5
    assert most_at_once(Engine(Tuning(concurrency=5, budget=100)), 30, size=30) == 3
    assert most_at_once(Engine(Tuning(concurrency=5, budget=100)), 4, size=1000) == 1, "alone rather than never"


def test_a_rest_gives_its_slot_to_others() -> None:
    engine = Engine(Tuning(concurrency=1, base=0.2), dice=lambda: 1.0)
    order: list[str] = []

    def first(turn: Turn) -> None:
        answers = [Unavailable("500"), None]

        def request() -> None:
            order.append("first")
            _raise(answers.pop(0))

        turn.call(request)

    def second(turn: Turn) -> None:
        turn.call(lambda: order.append("second"))

    list(engine.gather(engine.job("place"), [(10, first), (10, second)]))
    assert order == ["first", "second", "first"]


def test_when_one_fails_those_that_wait_are_not_begun() -> None:
    engine, begun = Engine(Tuning(concurrency=1)), list[int]()

    def work(number: int, turn: Turn) -> int:
        begun.append(number)
        time.sleep(0.02)
        if number == 2:
            raise RuntimeError("2")
        return number

    results: list[int] = []
    with pytest.raises(RuntimeError, match="2"):
        for some in engine.gather(engine.job("place"), [(1, partial(work, number)) for number in range(50)]):
            results += some
    assert {0, 1} <= set(results) <= {0, 1, 3}
    assert len(begun) <= 4, "one more may be under way"


def test_a_rest_keeps_its_bytes() -> None:
    engine = Engine(Tuning(concurrency=1, budget=100, attempts=2, base=0.2), dice=lambda: 1.0)
    order: list[str] = []
    resting = threading.Event()

    def failing() -> None:
        order.append("failed" if not order else "again")
        if len(order) == 1:
            resting.set()
            raise Unavailable("500")
        raise RuntimeError("stop here")

    def other() -> None:
        resting.wait(5)
        with engine.turn(engine.job("place"), 10) as turn:
            turn.call(lambda: order.append("other"))

    thread = threading.Thread(target=other)
    thread.start()
    with engine.turn(engine.job("place"), 1000) as turn:  # more than the budget: it can come back all the same
        with pytest.raises(RuntimeError, match="stop here"):
            turn.call(failing)
    thread.join(5)
    assert order == ["failed", "again", "other"], "its 1000 bytes left no room for another body"


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def test_turns_go_round_the_jobs() -> None:
    queue = FairQueue(Concurrency(1), 1000)
    huge, small, order = Job("p"), [Job("p") for _ in range(3)], []
    queue.enter(huge, 1)
    running = [huge]

    def submit(job: Job, name: str) -> None:
        def admitted() -> None:
            running.append(job)
            order.append(name)

        queue.submit(job, 1, admitted, lambda error: order.append(f"{name} dropped"))

    for number in range(100):
        submit(huge, f"part {number}")
    for number, job in enumerate(small):
        submit(job, f"small {number}")
    for _ in range(5):
        queue.release(running.pop(), 1)
    assert order == ["part 0", "small 0", "small 1", "small 2", "part 1"]
    queue.cancel(huge, Stopped("x"))
    assert order[5:] == [f"part {number} dropped" for number in range(2, 100)]


ROOMS = st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 60)), st.lists(st.integers(1, 40), max_size=12)))


@given(ROOMS, st.integers(1, 8), st.integers(1, 100), st.randoms(use_true_random=False))
def test_no_job_has_more_in_flight_than_its_room_and_none_keeps_others_out(
    jobs: list[tuple[int | None, list[int]]], concurrency: int, budget: int, dice: random.Random
) -> None:
    queue = FairQueue(Concurrency(concurrency), budget)
    running: list[tuple[Job, int]] = []
    ended: dict[Job, list[int]] = {}
    units = [(Job("p", room), sizes) for room, sizes in jobs]
    for job, sizes in units:
        for size in sizes:
            queue.submit(job, size, partial(running.append, (job, size)), _raise)
    while running:
        taken = {job: [size for each, size in running if each is job] for job, _ in units}
        assert len(running) <= concurrency
        for job, sizes in taken.items():
            assert job.room is None or len(sizes) <= 1 or sum(sizes) <= job.room
        done = running.pop(dice.randrange(len(running)))
        ended.setdefault(done[0], []).append(done[1])
        queue.release(*done)
    assert {job: sorted(sizes) for job, sizes in ended.items()} == {job: sorted(sizes) for job, sizes in units if sizes}


def test_a_job_at_its_room_lets_others_pass() -> None:
    queue = FairQueue(Concurrency(16), 1000)
    large, other = Job("p", room=20), Job("p")
    order: list[str] = []
    for number in range(4):
        queue.submit(large, 10, partial(order.append, f"part {number}"), _raise)
    queue.submit(other, 10, partial(order.append, "other"), _raise)
    assert order == ["part 0", "part 1", "other"]
    queue.release(large, 10)
    assert order[3:] == ["part 2"]


@pytest.mark.parametrize(
    "end", [lambda engine: engine.stop(), lambda engine: engine.queue.fail("place", Refused("no"))]
)
def test_an_end_reaches_those_who_wait_and_those_who_sleep(end: Callable[[Engine], None]) -> None:
    engine = Engine(Tuning(concurrency=2, base=1000, cap=1000), dice=lambda: 1.0)
    errors: list[str] = []
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with engine.turn(engine.job("place")) as turn:
            turn.call(holding.set)
            release.wait(5)

    def sleep() -> None:
        try:
            with engine.turn(engine.job("place")) as turn:
                turn.call(lambda: _raise(Unavailable("500")))
        except StoreError as error:
            errors.append(type(error).__name__)
        except Stopped:
            errors.append("Stopped")

    def wait() -> None:
        try:
            list(engine.gather(engine.job("place"), [(10, lambda turn: turn.call(release.wait))] * 9))
        except (Stopped, Refused) as error:
            errors.append(type(error).__name__)

    threads = [threading.Thread(target=target, daemon=True) for target in (hold, sleep, wait)]
    for thread in threads:
        thread.start()
    assert holding.wait(5)
    time.sleep(0.1)
    started = time.monotonic()
    end(engine)
    release.set()
    for thread in (threads[0], threads[2]):
        thread.join(5)
    if len(errors) == 1:  # a refusal does not wake those who sleep on a retry: they see it when they come back
        engine.stop()
    threads[1].join(5)
    assert time.monotonic() - started < 4
    assert len(errors) == 2


def test_units_end_with_their_reader() -> None:
    """When the reader of results is killed, nothing of the job runs on behind it."""
    engine, running = Engine(Tuning(concurrency=2)), threading.Semaphore(0)
    done: list[int] = []

    def work(turn: Turn) -> None:
        running.release()
        time.sleep(0.05)
        done.append(1)

    class Killed(BaseException):
        pass

    def read() -> None:
        for _ in engine.gather(engine.job("place"), [(1, work)] * 20):
            raise Killed

    with pytest.raises(Killed):
        read()
    count = len(done)
    time.sleep(0.15)
    assert len(done) == count <= 5
