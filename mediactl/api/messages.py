"""What crosses the socket between a caller and its host: small frozen values, one msgpack frame each."""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec

from mediactl.core.settings import Destination, Settings
from mediactl.model.events import AnyEvent
from mediactl.model.jobs import Priority
from mediactl.model.uploads import Location
from mediactl.pool.messages import Frames

_LENGTH = struct.Struct("!I")
"""As in ``pool.messages``, whose frames these are."""


class MakeBegun(msgspec.Struct, frozen=True, tag=True):
    """Caller -> host, first: make assets without a journal. ``settings`` have neither sources nor an environment."""

    settings: Settings


class ProcessBegun(msgspec.Struct, frozen=True, tag=True):
    """Caller -> host, first and last: process sources as ``mediactl process`` does."""

    settings: Settings


class LibraryBegun(msgspec.Struct, frozen=True, tag=True):
    """Caller -> host, first: process what is added, with the journal of the output directory."""

    settings: Settings


class Add(msgspec.Struct, frozen=True, tag=True):
    """Caller -> host: one more source."""

    number: int
    """Counted from 1; its outcome has the same."""
    source: bytes
    """Absolute path, or the s3:// URL of an object."""
    recipe: str
    priority: Priority
    name: bytes | None = None
    """Directory of its outputs, relative to the output directory; None: its own name."""
    to: Destination | None = None
    """Where its outputs are uploaded to; None: nowhere, or where the settings say."""
    access: Location | None = None
    """How to reach the bucket of a source that is an object."""


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Caller -> host: nobody needs the outcome of this source any more."""

    number: int


class Finish(msgspec.Struct, frozen=True, tag=True):
    """Caller -> host: there are no more sources; end once all of them are done."""


class Reported(msgspec.Struct, frozen=True, tag=True):
    """Host -> caller: an event of the run."""

    event: AnyEvent


class Completed(msgspec.Struct, frozen=True, tag=True):
    """Host -> caller: a source is done."""

    number: int
    folder: str
    """Directory or s3:// URL of its outputs."""
    document: bytes
    """Content of its asset.json."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Host -> caller: a source, or the host as a whole (number 0), ended otherwise."""

    number: int
    error: str
    """Name of a class of ``core.errors``."""
    reason: str


Begun = MakeBegun | ProcessBegun | LibraryBegun
ToHost = MakeBegun | ProcessBegun | LibraryBegun | Add | Cancel | Finish
FromHost = Reported | Completed | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode_to_host: Callable[[bytes], ToHost] = msgspec.msgpack.Decoder(ToHost).decode
_decode_from_host: Callable[[bytes], FromHost] = msgspec.msgpack.Decoder(FromHost).decode


def frame(message: ToHost | FromHost) -> bytes:
    """Return the bytes of a message: its length, then msgpack."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def frames_to_host() -> Frames[ToHost]:
    """Return a parser of what a host receives."""
    return Frames(_decode_to_host)


def frames_from_host() -> Frames[FromHost]:
    """Return a parser of what a host sends."""
    return Frames(_decode_from_host)
