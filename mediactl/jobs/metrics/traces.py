"""Traces of sources: which one a source belongs to, whatever run works on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import apsw

from mediactl.core.files import shown
from mediactl.jobs import database
from mediactl.model.events import SourceTrace

CONTINUED = frozenset({"quarantined", "cancelled", "failed"})
"""States from which a retry goes on with the same trace."""


class Traces:
    """Rows of the table "traces". ``parent`` is the traceparent of the run, or ""; None: the run sends no traces."""

    def __init__(self, connection: apsw.Connection, clock: Callable[[], float]) -> None:
        self.parent: str | None = None
        self._connection = connection
        self._clock = clock
        self._sql = database.statements()

    def begin(self, sources: Iterable[int | None]) -> None:
        """Give a trace to each of these sources that has none."""
        if self.parent is not None:
            now = self._clock()
            rows = [(source, self.parent, now) for source in dict.fromkeys(sources) if source is not None]
            self._connection.executemany(self._sql["begin_trace"], rows)

    def attempted(self, source: int | None) -> SourceTrace | None:
        """Return the trace of a source whose attempt has ended; with its state, once nothing is pending of it.

        None: it has none, or this run sends no traces.
        """
        if source is None or self.parent is None:
            return None
        row = self._connection.execute(self._sql["trace"], (source,)).fetchone()
        if row is None:
            return None
        trace, span, parent, began_at, path, size, state, is_live = row
        ended = "" if is_live or state == "pending" else state
        if ended in CONTINUED:
            self._connection.execute(self._sql["continue_trace"], (source, self._clock()))
        elif ended:
            self._connection.execute(self._sql["end_trace"], (source,))
        return SourceTrace(
            trace=trace, span=span, parent=parent, began_at=began_at, path=shown(path), size=size, state=ended
        )

    def of_file(self, key: str, path: str, size: int, began_at: float, state: str) -> SourceTrace | None:
        """Return the trace of a file that is no source, in ``state``; None: the run sends no traces.

        Its IDs follow from the key of its job: whichever run sends it goes on with the same ones.
        """
        if self.parent is None:
            return None
        digest = hashlib.sha256(key.encode()).hexdigest()
        trace = self.parent.split("-")[1] if self.parent else digest[:32]
        return SourceTrace(
            trace=trace, span=digest[-16:], parent=self.parent, began_at=began_at, path=path, size=size, state=state
        )
