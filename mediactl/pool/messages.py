"""All that crosses the pipe between supervisor and worker: small frozen values, one msgpack frame each."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from mediactl.model.assets import Reuse
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict

T = TypeVar("T")
_LENGTH = struct.Struct("!I")
MAX_FRAME = 64 << 20
"""Bytes; a longer frame is a protocol violation."""


class Run(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker: do this job next."""

    job: int
    attempt: int
    kind: str
    payload: bytes
    reuse: tuple[Reuse, ...] = ()
    due: float = 0.0
    """Of the jobs in the pipe, the one that is due first runs first."""
    time_limit: float = 0.0
    """Seconds after which it is stopped; 0: never."""
    state: bytes = b""
    """State that an earlier attempt noted in the journal."""


class Recall(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker: drop these jobs, if they have not begun, without an answer."""

    jobs: tuple[int, ...]


class Noted(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker: this note is on disk."""

    number: int


class Drain(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> network worker: begin nothing, end what is running within so many seconds."""

    seconds: float


class Hello(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: started, with all imports done."""


class Progress(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: a running job's progress, a sign of life."""

    job: int
    attempt: int
    fraction: float
    sent: int = 0
    """Bytes sent over the network in this attempt so far."""


class Note(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: write this to the journal, and acknowledge it; the job waits for that."""

    job: int
    attempt: int
    number: int
    """Sequence number of this worker's notes."""
    body: bytes


class Answer(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: how an attempt ended."""

    job: int
    attempt: int
    verdict: Verdict
    reason: str
    result: bytes
    """msgpack of what the callable returned; empty unless done."""
    usage: Usage
    next: int = 0
    """The job that it begins now; 0: the next to arrive."""


FromWorker = Hello | Progress | Note | Answer
ToWorker = Run | Recall | Noted | Drain

_encoder = msgspec.msgpack.Encoder()
_decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
_decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode


def frame(message: msgspec.Struct) -> bytes:
    """Return the bytes of a message on a pipe or socket: length, then msgpack."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames(Generic[T]):
    """Cuts a byte stream into messages; keeps what is incomplete for the next bytes."""

    def __init__(self, decode: Callable[[bytes], T]) -> None:
        self._decode = decode
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """Yield all messages that are complete now. Raises ValueError for malformed ones, and frames over MAX_FRAME."""
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, at)
            if length > MAX_FRAME:
                raise ValueError(f"frame of {length} bytes")
            end = at + _LENGTH.size + length
            if len(buffer) < end:
                break
            yield self._decode(bytes(buffer[at + _LENGTH.size : end]))
            at = end
        del buffer[:at]


def frames_to_worker() -> Frames[ToWorker]:
    """Return a parser of what a worker receives."""
    return Frames(_decode_to_worker)


def frames_from_worker() -> Frames[FromWorker]:
    """Return a parser of what a worker sends."""
    return Frames(_decode_from_worker)
