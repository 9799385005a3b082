"""All that crosses the pipe between supervisor and worker: small frozen values, one msgpack frame each."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from mediactl.model.assets import Reuse
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict

_LENGTH = struct.Struct("!I")
MAX_FRAME = 64 << 20
"""Bytes; a longer frame is a torn stream, not a message."""


class Run(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker: do this job next."""

    job: int
    attempt: int
    kind: str
    payload: bytes
    reuse: tuple[Reuse, ...] = ()
    due: float = 0.0
    """What is due first goes first, of what waits in the pipe."""
    time_limit: float = 0.0
    """Seconds after which it is to give up; 0: never."""
    state: bytes = b""
    """What the journal remembers of an earlier attempt."""


class Recall(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker: leave out these jobs, if they have not begun; no answer to them is wanted."""

    jobs: tuple[int, ...]


class Noted(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker: this note is on disk."""

    number: int


class Leave(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Supervisor -> worker of a lane with many jobs at once: begin nothing, end what goes on within so many seconds."""

    seconds: float


class Hello(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: started, with everything imported that it needs to take jobs."""


class Progress(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: still alive, and so far along."""

    job: int
    attempt: int
    fraction: float
    sent: int = 0
    """Bytes that left for the network in this attempt so far."""


class Note(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker -> supervisor: put this into the journal, and say so; the job waits for that."""

    job: int
    attempt: int
    number: int
    """Of the notes of this worker."""
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
    """The job that it begins now; 0: the first that comes out of the pipe."""


FromWorker = Hello | Progress | Note | Answer
ToWorker = Run | Recall | Noted | Leave

_encoder = msgspec.msgpack.Encoder()
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode


def frame(message: ToWorker | FromWorker) -> bytes:
    """The bytes of a message on the pipe: length, then msgpack."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a byte stream into frames; keeps what is incomplete for the next bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies of all frames that are complete now. Raises ValueError on a frame longer than MAX_FRAME."""
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
            yield bytes(buffer[at + _LENGTH.size : end])
            at = end
        del buffer[:at]
