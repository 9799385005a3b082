"""NDJSON on standard output: one event a line, last the summary. The schema is docs/events.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import msgspec

from mediactl.model.events import Event

SILENT = frozenset({"tick"})
"""Events that only move the display."""


class NdJson:
    """Writes events as {"event": name, "time": seconds since 1970, ...fields}."""

    def __init__(self, out: BinaryIO, clock: Callable[[], float]) -> None:
        self._out = out
        self._clock = clock

    def take(self, event: Event) -> None:
        """Write one event."""
        if event.name not in SILENT:
            line = {"event": event.name, "time": round(self._clock(), 3), **event.fields}
            self._out.write(msgspec.json.encode(line) + b"\n")
            self._out.flush()

    def close(self) -> None:
        """Nothing is left to write."""
