"""kill -9 and SIGTERM in the middle of uploads: what the store has is never sent again, and what arrives is whole."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import CommandLine
from support.invariants import assert_holds
from support.pools import has_died
from support.proxy import Fault, Proxy, Request, proxied
from support.servers import Server, free_port
from support.shipped import (
    PART,
    Bucket,
    Put,
    Run,
    a_bucket,
    a_command_line,
    picture,
    port_of,
    recorded,
    running,
    sent,
    sha256,
    statuses,
)

from mediactl.upload.multipart.parts import room

pytestmark = pytest.mark.timeout(300)

SEED = 20_261_122
MIB = 1 << 20
KEY = "p/large.bin"
CONCURRENCY = 8
SMALL = 10_000
"""Bytes of an object that is one request."""


Step = Callable[[str, str], bool]
"""(method, path) -> is it this one?"""


def nothing(method: str, path: str) -> bool:
    """No request at all."""
    return False


class Door(Proxy):
    """A proxy that notes which parts are sent, and may stop a request before or after the server has done it."""

    def __init__(self, server: Server, listen: int = 0) -> None:
        super().__init__(port_of(server), self._note, listen=listen)
        self.puts: list[Put] = []
        self.stop_before: Step = nothing
        self.stop_after: Step = nothing
        self.reached = threading.Event()
        """Something was stopped."""
        self.seen = threading.Condition()
        self.passed: set[int] = set()
        """Numbers of the parts that the server may have."""
        self._open = threading.Event()
        self._opened = 0
        self._mine = threading.local()

    def _note(self, request: Request) -> Fault | None:
        self._mine.opened = self._opened
        with self.seen:
            if found := re.search(r"partNumber=(\d+)", request.path):
                self.puts.append(Put(int(found[1]), request.size))
            self.seen.notify_all()
        return None

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.stop_before(handler.command, handler.path):
            self._stop()
        if self._mine.opened != self._opened:
            return 503, [], b""  # whoever sent it is dead, or has been told to leave
        if found := re.search(r"partNumber=(\d+)", handler.path):
            self.passed.add(int(found[1]))
        answer = super()._forward(handler, body)
        if self.stop_after(handler.command, handler.path):
            self._stop()
        return answer

    def _stop(self) -> None:
        self.reached.set()
        self._open.wait()

    def wait(self, requests: int, seconds: float) -> bool:
        """Wait until so many requests have come in all."""
        with self.seen:
            return self.seen.wait_for(lambda: self.requests >= requests, seconds)

    def open(self) -> None:
        """Drop what was begun until now, and stop nothing any more."""
        self._opened += 1
        self.stop_before = self.stop_after = nothing
        self._open.set()
        self._open = threading.Event()
        self.reached.clear()


@contextlib.contextmanager
def a_door(server: Server, listen: int = 0) -> Iterator[Door]:
    """One in front of a server; where an earlier one was, should a port be given."""
    door = Door(server, listen)
    try:
        yield door
    finally:
        door.open()
        door.close()


@pytest.fixture
def door(ministack_server: Server) -> Iterator[Door]:
    """In front of a store that knows conditions."""
    with a_door(ministack_server) as found:
        yield found


@pytest.fixture
def bucket(ministack_server: Server) -> Bucket:
    """An empty one."""
    return a_bucket(ministack_server)


@pytest.fixture
def mediactl(tmp_path: Path) -> CommandLine:
    """The command line with the servers' credentials."""
    return a_command_line(tmp_path)


def a_file(folder: Path, size: int, seed: int = 1, name: str = "large.bin") -> Path:
    """A file of noise, no two MiB of it alike."""
    numbers = random.Random(seed)
    with (folder / name).open("wb") as file:
        for left in range(size, 0, -MIB):
            file.write(numbers.randbytes(min(left, MIB)))
    return folder / name


def upload(file: Path, bucket: Bucket, door: Proxy, *more: str) -> list[str]:
    """The command that uploads a file."""
    return ["upload", str(file), *bucket.to(door.url), *more]


def arrived(bucket: Bucket, file: Path, key: str = KEY) -> None:
    """The object is the file, and nothing is left open."""
    digest = sha256(file)
    assert bucket.sha256(key) == digest
    marks = bucket.head(key)["Metadata"]
    assert marks.get("mediactl-sha256", digest) == digest
    assert len(marks.keys() & {"mediactl-sha256", "mediactl-part-size"}) == 1
    assert bucket.open_uploads() == []
    assert_holds(next(out for each in file.parents if (out := each / "derived").is_dir()))


def all_but(door: Door, count: int) -> Step:
    """Every part behind the first so many that come from now on."""
    passed = 0

    def step(method: str, path: str) -> bool:
        nonlocal passed
        if "partNumber=" not in path:
            return False
        with door.seen:
            passed += 1
            return passed > count

    return step


# -- the sweep -----------------------------------------------------------------------------------------------------


def killed_at_random(mediactl: CommandLine, bucket: Bucket, size: int, kills: int, seed: int) -> None:
    """Upload a large file through so many kills of everything at once.

    After each of them no part is sent again that was recorded before it, and of the others no more than were in flight.
    Each run has a door of its own at the same address: what a dead one had begun is none of the next one's requests.
    """
    print(f"seed {seed}, {size >> 20} MiB, {kills} kills")
    dice = random.Random(seed)
    file = a_file(mediactl.folder, size)
    count, passed, begun, port = -(-size // PART), set[int](), 0, free_port()
    for turn in range(kills):
        known = recorded(mediactl.folder)
        passes = min(dice.randint(0, 2 * count // kills), count - len(passed) - 1)  # one is left for the last run
        with a_door(bucket.server, port) as door:
            door.stop_before = all_but(door, passes)
            command = upload(file, bucket, door, "--upload-concurrency", str(CONCURRENCY))
            with running(mediactl, *command) as run:
                if dice.random() < 0.75:
                    assert door.reached.wait(60)  # so many have passed, as many as may be at once are in flight
                    moment = dice.uniform(0.0, 0.1)
                else:
                    moment = dice.uniform(0.0, 1.0)  # anywhere: it starts, it reads the file, it asks what is there
                threading.Event().wait(moment)
                run.kill_all()
        assert run.process.returncode == -signal.SIGKILL, f"kill {turn}: it had ended before: {run.events[-3:]}"
        _nothing_twice(door.puts, known, size, f"kill {turn}")
        print(f"kill {turn}: {len(known)} parts known, {len(door.puts)} begun, {passes} might pass")
        begun += sum(put.size for put in door.puts)
        passed |= door.passed
    known = recorded(mediactl.folder)
    with a_door(bucket.server, port) as door:
        last = mediactl(*command, "--json", limit=250)
        assert last.code == 0, last.out
        _nothing_twice(door.puts, known, size, "the last run")
        (done,) = sent(last)
        assert done["bytes_sent"] == sum(put.size for put in door.puts) <= size - sum(part.size for part in known)
        arrived(bucket, file)
        again = mediactl(*command, "--json")
        assert (again.code, again.summary["jobs"], again.summary["bytes_sent"]) == (0, 0, 0)
    ratio = (begun + done["bytes_sent"]) / size
    print(f"bytes sent / size: {ratio:.3f} with {kills} kills")
    assert ratio <= 1 + kills * CONCURRENCY * PART / size


def _nothing_twice(puts: list[Put], known: list[Put], size: int, when: str) -> None:
    again = {put.number for put in puts} & {part.number for part in known}
    assert not again, f"{when}: sent again though recorded: {sorted(again)}"
    left = size - sum(part.size for part in known)
    assert sum(put.size for put in puts) <= left + CONCURRENCY * PART, when
    assert len({put.number for put in puts}) == len(puts), f"{when}: one run sent a part twice"


def test_an_upload_killed_at_three_random_moments_sends_no_recorded_part_again(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    killed_at_random(mediactl, bucket, 48 * MIB, 3, SEED)


@pytest.mark.long
def test_an_upload_killed_more_often_than_a_job_may_be_stopped_goes_on_all_the_same(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    """Costs nothing, as long as it gets on."""
    killed_at_random(mediactl, bucket, 40 * MIB, 22, SEED + 1)


def killed_once(mediactl: CommandLine, bucket: Bucket, door: Door, size: int, passes: int) -> float:
    """Kill everything when so many parts have passed and one more is held up; what was in flight then is lost. The next
    run ends it. Return the bytes that were sent in all, a part that was begun being sent, in sizes of the file."""
    file = a_file(mediactl.folder, size)
    command = upload(file, bucket, door)
    door.stop_before = all_but(door, passes)
    with running(mediactl, *command) as run:
        assert door.reached.wait(120)
        run.kill_all()
    door.open()
    assert run.process.returncode == -signal.SIGKILL
    begun, known = len(door.puts), recorded(mediactl.folder)
    assert 0 < len(known) < size // PART
    assert mediactl(*command).code == 0
    arrived(bucket, file)
    ratio = sum(put.size for put in door.puts) / size
    print(f"{begun} parts begun, {len(known)} known, bytes sent / size: {ratio:.3f}")
    assert not {put.number for put in door.puts[begun:]} & {part.number for part in known}
    return ratio


@pytest.mark.long
def test_one_kill_of_a_large_upload_costs_what_was_in_flight(mediactl: CommandLine, bucket: Bucket, door: Door) -> None:
    size = 128 * MIB
    assert 1.0 < killed_once(mediactl, bucket, door, size, 10) <= 1 + room(size) / size


@pytest.mark.sweep
@pytest.mark.timeout(3600)
def test_a_gibibyte_killed_at_fifty_random_moments(mediactl: CommandLine, bucket: Bucket) -> None:
    killed_at_random(mediactl, bucket, 1024 * MIB, 50, SEED)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("turn", range(3))
def test_a_gibibyte_killed_once_costs_a_fiftieth_at_most(
    mediactl: CommandLine, bucket: Bucket, door: Door, turn: int
) -> None:
    passes = random.Random(SEED + turn).randrange(20, 1024 * MIB // PART - 1)
    assert 1.0 <= killed_once(mediactl, bucket, door, 1024 * MIB, passes) <= 1.02


# -- at a chosen step ----------------------------------------------------------------------------------------------

STEPS: dict[str, Step] = {
    "create": lambda method, path: method == "POST" and "uploads" in path,
    "part": lambda method, path: method == "PUT" and "partNumber=3&" in path + "&",
    "complete": lambda method, path: method == "POST" and "uploadId=" in path,
}


def killed_at_a_step(mediactl: CommandLine, bucket: Bucket, door: Door, command: list[str]) -> int:
    """Kill everything when the door stops a request; how many parts were begun until then."""
    with running(mediactl, *command) as run:
        assert door.reached.wait(60), run.ended()
        run.kill_all()
    door.open()
    return len(door.puts)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_or_after_the_store_has_done_a_step_the_next_run_sends_what_is_missing(
    mediactl: CommandLine, bucket: Bucket, door: Door, step: str, when: str
) -> None:
    """One request at a time, so that it is known what the store has."""
    file = a_file(mediactl.folder, 5 * PART)
    if when == "before":
        door.stop_before = STEPS[step]
    else:
        door.stop_after = STEPS[step]
    command = upload(file, bucket, door, "--upload-concurrency", "1")
    before = killed_at_a_step(mediactl, bucket, door, command)
    run = mediactl(*command, "--json")
    assert run.code == 0, run.out
    numbers = [put.number for put in door.puts[before:]]
    expected = {
        ("create", "before"): [1, 2, 3, 4, 5],
        ("create", "after"): [1, 2, 3, 4, 5],
        ("part", "before"): [3, 4, 5],
        ("part", "after"): [4, 5],
        ("complete", "before"): [],
        ("complete", "after"): [],
    }[step, when]
    assert numbers == expected
    assert run.summary["bytes_sent"] == len(expected) * PART
    arrived(bucket, file)


def test_killed_between_completes_sending_and_its_answer_it_is_found_done_by_its_token(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    file = a_file(mediactl.folder, 3 * PART)
    door.stop_after = STEPS["complete"]
    command = upload(file, bucket, door)
    killed_at_a_step(mediactl, bucket, door, command)
    token, asked = bucket.tokens()[KEY], len(door.log)
    run = mediactl(*command, "--json")
    assert run.code == 0, run.out
    assert statuses(run) == {"present"}
    assert (run.summary["bytes_sent"], run.summary["uploaded"]) == (0, 0)
    assert {line.split()[0] for line in door.log[asked:]} <= {"HEAD", "GET"}, "it was only looked at"
    assert bucket.tokens()[KEY] == token
    arrived(bucket, file)


def test_a_small_object_whose_answer_was_lost_with_everything_is_not_sent_again(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    file = a_file(mediactl.folder, SMALL)
    door.stop_after = lambda method, path: method == "PUT"
    command = upload(file, bucket, door)
    killed_at_a_step(mediactl, bucket, door, command)
    token = bucket.tokens()[KEY]
    run = mediactl(*command, "--json")
    assert (run.code, run.summary["bytes_sent"]) == (0, 0), run.out
    assert bucket.tokens()[KEY] == token
    arrived(bucket, file)


def test_a_source_changed_while_nothing_ran_is_begun_anew_and_nothing_is_left_open(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    file = a_file(mediactl.folder, 5 * PART)
    door.stop_before = STEPS["part"]
    command = upload(file, bucket, door, "--upload-concurrency", "1")
    before = killed_at_a_step(mediactl, bucket, door, command)
    file = a_file(mediactl.folder, 5 * PART, seed=2)
    run = mediactl(*command, "--json")
    assert run.code == 0, run.out
    assert [put.number for put in door.puts[before:]] == [1, 2, 3, 4, 5]
    arrived(bucket, file)


# -- one of the two ------------------------------------------------------------------------------------------------


def half_way(mediactl: CommandLine, door: Door, command: list[str]) -> contextlib.AbstractContextManager[Run]:
    """A run of which some parts are there, and those behind them are held up at the door."""

    @contextlib.contextmanager
    def held() -> Iterator[Run]:
        door.stop_before = all_but(door, 2)
        with running(mediactl, *command) as run:
            assert door.reached.wait(60)
            yield run

    return held()


def until_recorded(folder: Path, count: int) -> list[Put]:
    """What the journal has, once that is so many parts: another process commits, so there is nothing to be told by."""
    deadline = time.monotonic() + 30
    while len(found := recorded(folder)) < count and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert len(found) >= count
    return found


def test_a_killed_supervisor_takes_its_worker_along_and_the_next_run_goes_on(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    file = a_file(mediactl.folder, 6 * PART)
    command = upload(file, bucket, door, "--upload-concurrency", "2")
    with half_way(mediactl, door, command) as run:
        worker = run.network_worker
        known = until_recorded(mediactl.folder, 2)
        run.process.kill()
        assert has_died(worker)
    door.open()
    before = len(door.puts)
    again = mediactl(*command, "--json")
    assert again.code == 0, again.out
    assert not {put.number for put in door.puts[before:]} & {part.number for part in known}
    assert again.summary["bytes_sent"] <= 6 * PART - sum(part.size for part in known)
    arrived(bucket, file)


def test_a_killed_network_worker_is_replaced_in_the_same_run_and_sends_what_is_missing(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    file = a_file(mediactl.folder, 6 * PART)
    command = upload(file, bucket, door, "--upload-concurrency", "2")
    with half_way(mediactl, door, command) as run:
        known = until_recorded(mediactl.folder, 2)
        before = len(door.puts)
        os.kill(run.network_worker, signal.SIGKILL)
        door.open()
        assert run.ended() == 0, run.events
    assert not {put.number for put in door.puts[before:]} & {part.number for part in known}
    (done,) = sent(run.events)
    assert (done["parts_kept"], done["parts_sent"]) == (len(known), 6 - len(known))
    arrived(bucket, file)


# -- SIGTERM -------------------------------------------------------------------------------------------------------


def test_sigterm_in_the_middle_of_an_upload_ends_it_soon_and_the_next_run_sends_the_rest(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    """8 MiB a second: of 12 s of sending one or two are over."""
    file = a_file(mediactl.folder, 12 * PART)
    command = upload(file, bucket, door, "--upload-concurrency", "2", "--grace", "60")
    with running(mediactl, *command, "--bandwidth", "8M") as run:
        assert door.wait(6, 60)
        until_recorded(mediactl.folder, 1)
        asked = time.monotonic()
        run.process.terminate()
        assert run.ended() == 75, run.events
        took = time.monotonic() - asked
    assert took < 15, "the grace is for those that need it"
    known, before = recorded(mediactl.folder), len(door.puts)
    assert len(known) == before, "what was under way was finished and recorded"
    assert run.events[-1]["exit_code"] == 75
    assert run.events[-1]["unfinished"] == 1
    assert run.events[-1]["bytes_sent"] == sum(put.size for put in door.puts)
    again = mediactl(*command, "--json")
    assert again.code == 0, again.out
    assert again.summary["bytes_sent"] == sum(put.size for put in door.puts[before:])
    assert len(door.puts) == 12
    arrived(bucket, file)
    print(f"ended {took:.1f} s after SIGTERM")


def test_sigterm_ends_an_upload_whose_store_is_silent_when_the_grace_is_over(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    file = a_file(mediactl.folder, 6 * PART)
    command = upload(file, bucket, door, "--upload-concurrency", "2", "--grace", "3")
    with half_way(mediactl, door, command) as run:
        known = until_recorded(mediactl.folder, 2)
        asked = time.monotonic()
        run.process.terminate()
        assert run.ended() == 75, run.events
        took = time.monotonic() - asked
    assert took < 10
    door.open()
    before = len(door.puts)
    assert mediactl(*command).code == 0
    assert not {put.number for put in door.puts[before:]} & {part.number for part in known}
    arrived(bucket, file)


def test_sigterm_while_a_photo_is_uploaded_by_process_keeps_its_asset_json_back_until_all_is_there(
    mediactl: CommandLine, bucket: Bucket, door: Door
) -> None:
    picture(mediactl.folder / "in/a.jpg", size=6 * PART)
    command = ["process", "in", "--recipe", "small.toml", "--include-originals", *bucket.to(door.url)]
    command += ["--upload-concurrency", "2", "--grace", "3"]
    with half_way(mediactl, door, command) as run:
        known = until_recorded(mediactl.folder, 2)
        run.process.terminate()
        assert run.ended() == 75, run.events
    assert "p/a.jpg/asset.json" not in bucket.objects()
    door.open()
    before = len(door.puts)
    again = mediactl(*command, "--json")
    assert again.code == 0, again.out
    assert sent(again)[-1]["url"].endswith("/asset.json")
    assert not {put.number for put in door.puts[before:]} & {part.number for part in known}
    arrived(bucket, mediactl.folder / "in/a.jpg", "p/a.jpg/original.jpg")


# -- two hosts -----------------------------------------------------------------------------------------------------


def two_hosts(tmp_path: Path, bucket: Bucket, door: Door, files: list[Path]) -> list[Run]:
    """Two that know nothing of one another upload to the same key; no part arrives before both have begun."""
    both = threading.Barrier(2)

    def meet(method: str, path: str) -> bool:
        if STEPS["create"](method, path):
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(60)
        return False

    door.stop_before = meet
    runs = []
    with contextlib.ExitStack() as stack:
        for file in files:
            host = a_command_line(file.parent)
            runs.append(stack.enter_context(running(host, *upload(file, bucket, door))))
        for run in runs:
            assert run.ended() in (0, 1), run.events
    assert not both.broken, "they never met"
    return runs


def test_two_hosts_that_upload_the_same_file_at_once_both_see_it_done(
    tmp_path: Path, bucket: Bucket, door: Door
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    files = [a_file(tmp_path / name, 4 * PART) for name in ("a", "b")]
    runs = two_hosts(tmp_path, bucket, door, files)
    assert [run.process.returncode for run in runs] == [0, 0]
    ends = [sent(run.events)[0]["status"] for run in runs]
    assert "sent" in ends
    assert set(ends) <= {"sent", "present", "adopted"}
    arrived(bucket, files[0])


def test_two_hosts_that_upload_different_files_to_one_key_never_make_a_mixture(
    tmp_path: Path, bucket: Bucket, door: Door
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    files = [a_file(tmp_path / name, 4 * PART, seed) for seed, name in enumerate(("a", "b"))]
    runs = two_hosts(tmp_path, bucket, door, files)
    there = bucket.sha256(KEY)
    (winner,) = (number for number, file in enumerate(files) if sha256(file) == there)
    assert sent(runs[winner].events)[0]["status"] == "sent"
    assert runs[winner].process.returncode == 0
    loser = runs[1 - winner]
    if loser.process.returncode:
        (conflict,) = (event for event in loser.events if event["event"] == "job.rejected")
        assert KEY in conflict["reason"]
    arrived(bucket, files[winner])


def test_two_hosts_that_process_the_same_photos_at_once_leave_every_object_whole(
    tmp_path: Path, bucket: Bucket
) -> None:
    hosts = [a_command_line(tmp_path / name) for name in ("a", "b")]
    for host in hosts:
        for number in range(12):
            picture(host.folder / f"in/{number}.jpg", number)
    with proxied(port_of(bucket.server), lambda request: None) as proxy, contextlib.ExitStack() as stack:
        command = ["process", "in", "--recipe", "small.toml", *bucket.to(proxy.url)]
        runs = [stack.enter_context(running(host, *command)) for host in hosts]
        assert [run.ended() for run in runs] == [0, 0]
    ends = [{event["status"] for event in sent(run.events)} for run in runs]
    assert all(end <= {"sent", "present", "adopted"} for end in ends)
    there = bucket.objects()
    for host in hosts:
        out = host.folder / "derived"
        for file in (path for path in out.rglob("*") if path.is_file() and ".mediactl" not in path.parts):
            assert there[f"p/{file.relative_to(out)}"] == file.read_bytes()
    assert len(there) == 36
