"""Events from their names and fields, as tables of test cases have them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mediactl.model.events import AnyEvent, Event, Tick


def event_of(name: str, fields: Mapping[str, object]) -> Event:
    """Return the event with this tag and these fields. Raises msgspec.ValidationError."""
    event: Event = msgspec.convert({"event": name, **fields}, AnyEvent | Tick)
    return event
