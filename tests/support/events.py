"""Events as tests make and read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from mediactl.model.events import AnyEvent, Event, Suspending, Tick

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(AnyEvent)


def event_of(name: str, fields: Mapping[str, object]) -> Event:
    """Return the event with this tag and these fields. Raises msgspec.ValidationError."""
    event: Event = msgspec.convert({"event": name, **fields}, AnyEvent | Tick | Suspending)
    return event


def parsed(line: str | bytes) -> dict[str, Any]:
    """Return a line of ``--json``; an event must be what its Struct encodes to, byte for byte.

    Raises ValueError for what is no JSON, such as a line that was cut off.
    """
    value: dict[str, Any] = json.loads(line)
    if "event" in value:
        check(line)
    return value


def check(line: str | bytes) -> None:
    """Fail unless a line is an event: no unknown field, none missing, of another type, or out of order, no null."""
    text = line.encode() if isinstance(line, str) else line
    assert msgspec.json.encode(_decoder.decode(text)) == text.strip(), text
