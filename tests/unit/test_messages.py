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
    FromWorker,
    Hello,
    Progress,
    Recall,
    Run,
    frame,
    frames_from_worker,
    frames_to_worker,
)

MESSAGES: list[Hello | Progress | Answer] = [
    Hello(),
    Progress(1, 2, 0.5),
    Answer(1, 2, Verdict.REJECTED, "is no ☀ image\n", b"\0\xff", Usage(1.0, 2.0, 3)),
    Answer(2, 1, Verdict.DONE, "", b"", Usage()),
]


def test_every_message_of_a_worker_arrives_as_it_was_sent() -> None:
    stream = b"".join(map(frame, MESSAGES))
    assert list(frames_from_worker().feed(stream)) == MESSAGES


def test_a_job_arrives_as_it_was_sent() -> None:
    reuse = Reuse("key", b"/out/caf\xe9", Artefact("a.webp", "variant", "image/webp", 3, "sha", "key", width=2))
    run = Run(7, 1, "image", b"{}\0\xff", (reuse,), 1.5, 2.5)
    assert list(frames_to_worker().feed(frame(run))) == [run]


def test_what_is_taken_back_arrives_as_it_was_sent() -> None:
    assert list(frames_to_worker().feed(frame(Recall((7, 8))))) == [Recall((7, 8))]


def test_a_stream_torn_at_any_byte_gives_the_same_messages() -> None:
    stream = b"".join(map(frame, MESSAGES))
    for cut in range(len(stream) + 1):
        frames = frames_from_worker()
        arrived = [*frames.feed(stream[:cut]), *frames.feed(stream[cut:])]
        assert arrived == MESSAGES, cut


def test_a_stream_that_comes_byte_by_byte_gives_the_same_messages() -> None:
    frames = frames_from_worker()
    stream = b"".join(map(frame, MESSAGES))
    arrived = [message for byte in stream for message in frames.feed(bytes([byte]))]
    assert arrived == MESSAGES


def test_a_stream_torn_at_random_gives_the_same_messages() -> None:
    seed = 20_241
    print("seed", seed)
    chance = random.Random(seed)
    stream = b"".join(map(frame, MESSAGES * 50))
    for _ in range(20):
        frames, at = frames_from_worker(), 0
        arrived: list[FromWorker] = []
        while at < len(stream):
            size = chance.choice((1, 3, 7, 100, 1000))
            arrived += frames.feed(stream[at : at + size])
            at += size
        assert arrived == MESSAGES * 50


def test_a_message_of_a_megabyte_is_a_message() -> None:
    run = Run(1, 1, "image", bytes(range(256)) * 4096)
    frames = frames_to_worker()
    stream = frame(run)
    arrived = [message for at in range(0, len(stream), 65_536) for message in frames.feed(stream[at : at + 65_536])]
    assert arrived == [run]


def test_a_length_that_no_message_has_is_a_torn_stream() -> None:
    with pytest.raises(ValueError, match="frame of"):
        list(frames_from_worker().feed((MAX_FRAME + 1).to_bytes(4)))


def test_an_end_in_the_middle_is_no_message() -> None:
    assert list(frames_from_worker().feed(frame(MESSAGES[2])[:-1])) == []
    assert list(frames_from_worker().feed(b"\0\0")) == []
