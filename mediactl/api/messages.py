"""What crosses the socket between a caller and its host: small frozen values, one msgpack frame each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Self

import msgspec

from mediactl.core.settings import Destination, Settings
from mediactl.model.events import AnyEvent
from mediactl.model.jobs import Priority
from mediactl.model.uploads import Location
from mediactl.pool.messages import Frames


class _Begun(msgspec.Struct, frozen=True):
    settings: Settings
    """Without an environment, and without ``state``, which is a path, and so need not be UTF-8."""
    state: bytes

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the message that a host is started with for these settings."""
        return cls(msgspec.structs.replace(settings, state=""), os.fsencode(settings.state))

    def settings_in(self, environment: Mapping[str, str]) -> Settings:
        """Return the settings of a host with this environment."""
        return msgspec.structs.replace(self.settings, state=os.fsdecode(self.state), environment=environment)


class MakeBegun(_Begun, frozen=True, tag=True):
    """Caller -> host, first: make assets without a journal. ``settings`` have no sources."""


class ProcessBegun(_Begun, frozen=True, tag=True):
    """Caller -> host, first and last: process sources as ``mediactl process`` does."""


class LibraryBegun(_Begun, frozen=True, tag=True):
    """Caller -> host, first: process what is added, with the journal of the output directory."""


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
    folder: bytes
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

_decode_to_host: Callable[[bytes], ToHost] = msgspec.msgpack.Decoder(ToHost).decode
_decode_from_host: Callable[[bytes], FromHost] = msgspec.msgpack.Decoder(FromHost).decode


def frames_to_host() -> Frames[ToHost]:
    """Return a parser of what a host receives."""
    return Frames(_decode_to_host)


def frames_from_host() -> Frames[FromHost]:
    """Return a parser of what a host sends."""
    return Frames(_decode_from_host)
