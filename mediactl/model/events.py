"""What a run reports while it works."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Reason(StrEnum):
    """Why a source is planned."""

    NEW = "new"
    CHANGED = "changed"
    ADOPTED = "adopted"
    """Its outputs are there and the journal was lost: it is read to see whether they are its own."""
    RECIPE_CHANGED = "recipe changed"
    ENCODER_CHANGED = "encoder changed"
    MISSING_OUTPUT = "missing output"
    UNFINISHED = "unfinished"
    NOT_UPLOADED = "to be uploaded"


class Event(msgspec.Struct, frozen=True):
    """Something that a person, cron or CI may want to know; one line of NDJSON."""

    name: str
    fields: dict[str, object]
