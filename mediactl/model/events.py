"""What a run reports while it works."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something that a person, cron or CI may want to know; one line of NDJSON."""

    name: str
    fields: dict[str, object]
