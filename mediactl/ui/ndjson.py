"""NDJSON on standard output: one event a line, last the summary. The contract is docs/events.md."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import msgspec

from mediactl.core.outbox import Outbox, writer
from mediactl.model.events import Event, EventsMissed, Suspending, Tick

LIMIT = 32 << 20
"""Bytes that a slow reader may be behind, 100,000 events or more; then it misses some."""
STALLED = 5.0
"""Seconds in which a reader takes nothing, at the end, after which the rest is not written."""
MOST = 60.0
"""Seconds that writing the rest takes at most."""
PAUSE = 0.02
"""Seconds between two attempts to write the rest."""


class NdJson:
    """Writes each event, with the time of writing, as a line of JSON. It never waits for a reader but in ``close``."""

    def __init__(self, out: BinaryIO, clock: Callable[[], float]) -> None:
        out.flush()
        self._clock = clock
        self._box = Outbox(writer(out.fileno()), LIMIT, self._missed)

    def take(self, event: Event) -> None:
        """Write one event, or as much as can be written of those before it. Raises OSError where nobody reads."""
        if not isinstance(event, Tick | Suspending):
            self._box.add(self._line(event))
        if self._box:
            self._box.flush()

    def close(self) -> None:
        """Write the rest, unless nobody reads it."""
        self._box.finish(STALLED, MOST, partial(time.sleep, PAUSE))

    def _line(self, event: Event) -> bytes:
        timed = msgspec.structs.replace(event, time=round(self._clock(), 3))
        return msgspec.json.encode(timed) + b"\n"

    def _missed(self, number: int) -> bytes:
        return self._line(EventsMissed(missed=number))
