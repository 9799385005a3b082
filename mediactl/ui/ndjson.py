"""NDJSON on standard output: one event a line, last the summary. The contract is docs/events.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import msgspec

from mediactl.model.events import Event, Suspending, Tick


class NdJson:
    """Writes each event, with the time of writing, as a line of JSON."""

    def __init__(self, out: BinaryIO, clock: Callable[[], float]) -> None:
        self._out = out
        self._clock = clock

    def take(self, event: Event) -> None:
        """Write one event."""
        if not isinstance(event, Tick | Suspending):
            timed = msgspec.structs.replace(event, time=round(self._clock(), 3))
            self._out.write(msgspec.json.encode(timed) + b"\n")
            self._out.flush()

    def close(self) -> None:
        """Nothing is left to write."""
