"""Lines for a reader that may be slow or dead: what is dropped is counted, and nothing is waited for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.core.outbox import ASSUMED, CHUNK, Outbox, writer


def marker(missed: int) -> bytes:
    """Return the line that says how many were dropped."""
    return b"missed %d\n" % missed


class Reader:
    """Takes as many bytes as a test allows."""

    def __init__(self) -> None:
        self.room = 0
        self.got = b""

    def __call__(self, data: bytes) -> int:
        """Take what there is room for."""
        taken = data[: self.room]
        self.room -= len(taken)
        self.got += taken
        return len(taken)


@given(
    limit=st.integers(1, 60),
    steps=st.lists(st.one_of(st.just("line"), st.integers(0, 40)), max_size=120),
)
def test_every_line_arrives_or_is_counted_in_its_order_and_the_last_one_arrives(
    limit: int, steps: list[str | int]
) -> None:
    reader = Reader()
    box = Outbox(reader, limit, marker)
    number = 0
    for step in steps:
        if isinstance(step, str):
            box.add(b"line %d\n" % number)
            number += 1
        else:
            reader.room += step
            box.flush()
    reader.room = 1 << 30
    box.finish(1.0, 1.0, lambda: None)
    assert not box
    expected = 0
    for line in reader.got.decode().splitlines():
        word, value = line.split()
        if word == "missed":
            assert int(value) > 0
            expected += int(value)
        else:
            assert int(value) == expected
            expected += 1
    assert expected == number
    if number:
        assert reader.got.endswith(b"line %d\n" % (number - 1))


def test_what_is_kept_has_a_limit() -> None:
    reader = Reader()
    box = Outbox(reader, 1000, marker)
    for _ in range(10_000):
        box.add(b"0123456789")
        box.flush()
    reader.room = 1 << 30
    box.flush()
    assert reader.got == b"0123456789" * 100 + b"missed 9899\n" + b"0123456789"


def test_lines_are_made_only_for_a_reader_that_takes_them() -> None:
    made: list[int] = []

    def line(number: int) -> bytes:
        made.append(number)
        return b"line %d\n" % number

    reader = Reader()
    box = Outbox(reader, 100 * ASSUMED, marker)
    for number in range(100_000):
        box.defer(partial(line, number))
        box.flush()
    assert len(made) < 2 * CHUNK // 7, "no more than are written at once"
    reader.room = 1 << 30
    box.flush()
    *_, gap, last = reader.got.splitlines()
    assert (len(made), last) == (100_000 - int(gap.removeprefix(b"missed ")), b"line 99999")


def test_the_end_waits_for_a_slow_reader_and_not_for_a_dead_one() -> None:
    def seconds(size: int, bytes_a_turn: int) -> float:
        """Return how long the end takes with a reader that takes so many bytes a second."""
        now, reader = 0.0, Reader()

        def wait() -> None:
            nonlocal now
            now += 1.0
            reader.room = bytes_a_turn

        box = Outbox(reader, 10_000, marker)
        box.add(b"x" * size)
        box.finish(5.0, 60.0, wait, lambda: now)
        return now

    assert seconds(300, 10) == 30.0
    assert seconds(300, 0) == 5.0
    assert seconds(10_000, 10) == 60.0, "it is limited in all"


def test_a_reader_that_has_gone_is_reported_once() -> None:
    read, write = os.pipe()
    os.close(read)
    box = Outbox(writer(write), 1000, marker)
    box.add(b"line\n")
    with pytest.raises(BrokenPipeError):
        box.flush()
    box.finish(5.0, 5.0, lambda: pytest.fail("nothing is left"))
    os.close(write)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_full_takes_nothing_and_keeps_its_flags(kind: str) -> None:
    if kind == "pipe":
        read, write = os.pipe()
    else:
        ours, theirs = socket.socketpair()
        read, write = ours.detach(), theirs.detach()
    put = writer(write)
    sent, begun = 0, time.monotonic()
    while number := put(b"x" * 4096):
        sent += number
    assert sent >= 32 << 10
    assert time.monotonic() - begun < 5.0
    assert os.get_blocking(write), "other processes may have the same file open"
    assert len(os.read(read, 8192)) > 0
    while len(os.read(read, 1 << 16)) == 1 << 16:
        pass
    assert put(b"more") == 4
    os.close(read)
    os.close(write)


def test_a_program_that_nobody_reads_goes_on() -> None:
    """Also where its standard output and standard error are one pipe."""
    script = (
        "import sys\nfrom mediactl.core.outbox import ASSUMED, CHUNK, Outbox, writer\n"
        "box = Outbox(writer(1), 1 << 16, lambda n: b'missed %d' % n)\n"
        "for n in range(20_000):\n    box.add(b'x' * 100)\n    box.flush()\n"
        "open(sys.argv[1], 'w').write('done')\n"
    )
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", script, os.devnull], stdout=write, stderr=write)
    os.close(write)
    assert process.wait(60) == 0
    os.close(read)
