"""Frames on the pipe: whole however they are torn."""

from __future__ import annotations

import random

import pytest

from mediactl.model.assets import Artefact, Reuse
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict
from mediactl.pool.messages import (
    MAX_FRAME,
    Answer,
    Frames,
    Hello,
    Progress,
    Recall,
    Run,
    decode_from_worker,
    decode_to_worker,
    frame,
)

MESSAGES: list[Hello | Progress | Answer] = [
    Hello(),
    Progress(1, 2, 0.5),
    Answer(1, 2, Verdict.REJECTED, "is no ☀ image\n", b"\0\xff", Usage(1.0, 2.0, 3)),
    Answer(2, 1, Verdict.DONE, "", b"", Usage()),
]


def test_every_message_of_a_worker_arrives_as_it_was_sent() -> None:
    stream = b"".join(map(frame, MESSAGES))
    assert [decode_from_worker(body) for body in Frames().feed(stream)] == MESSAGES


def test_a_job_arrives_as_it_was_sent() -> None:
    reuse = Reuse("key", b"/out/caf\xe9", Artefact("a.webp", "variant", "image/webp", 3, "sha", "key", width=2))
    run = Run(7, 1, "image", b"{}\0\xff", (reuse,), 1.5, 2.5)
    assert [decode_to_worker(body) for body in Frames().feed(frame(run))] == [run]


def test_what_is_taken_back_arrives_as_it_was_sent() -> None:
    assert [decode_to_worker(body) for body in Frames().feed(frame(Recall((7, 8))))] == [Recall((7, 8))]


def test_a_stream_torn_at_any_byte_gives_the_same_messages() -> None:
    stream = b"".join(map(frame, MESSAGES))
    for cut in range(len(stream) + 1):
        frames = Frames()
        bodies = [*frames.feed(stream[:cut]), *frames.feed(stream[cut:])]
        assert [decode_from_worker(body) for body in bodies] == MESSAGES, cut


def test_a_stream_that_comes_byte_by_byte_gives_the_same_messages() -> None:
    frames = Frames()
    stream = b"".join(map(frame, MESSAGES))
    bodies = [body for byte in stream for body in frames.feed(bytes([byte]))]
    assert [decode_from_worker(body) for body in bodies] == MESSAGES


def test_a_stream_torn_at_random_gives_the_same_messages() -> None:
    seed = 20_241
    print("seed", seed)
    chance = random.Random(seed)
    stream = b"".join(map(frame, MESSAGES * 50))
    for _ in range(20):
        frames, at = Frames(), 0
        bodies: list[bytes] = []
        while at < len(stream):
            size = chance.choice((1, 3, 7, 100, 1000))
            bodies += frames.feed(stream[at : at + size])
            at += size
        assert [decode_from_worker(body) for body in bodies] == MESSAGES * 50


def test_a_message_of_a_megabyte_is_a_message() -> None:
    run = Run(1, 1, "image", bytes(range(256)) * 4096)
    frames = Frames()
    stream = frame(run)
    bodies = [body for at in range(0, len(stream), 65_536) for body in frames.feed(stream[at : at + 65_536])]
    assert [decode_to_worker(body) for body in bodies] == [run]


def test_a_length_that_no_message_has_is_a_torn_stream() -> None:
    with pytest.raises(ValueError, match="frame of"):
        list(Frames().feed((MAX_FRAME + 1).to_bytes(4)))


def test_an_end_in_the_middle_is_no_message() -> None:
    assert list(Frames().feed(frame(MESSAGES[2])[:-1])) == []
    assert list(Frames().feed(b"\0\0")) == []
