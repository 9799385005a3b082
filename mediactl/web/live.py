"""Events that say a journal has changed, for pages to read it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from sse_starlette import EventSourceResponse, ServerSentEvent

from mediactl.web.outputs import Output

INTERVAL = 1.0
"""Seconds between two checks for a change, and so between two events at least."""
PING = 15
"""Seconds after which a connection without events is checked."""


def response(output: Output, is_ending: Callable[[], bool]) -> EventSourceResponse:
    """Return the stream of a journal's changes."""
    return EventSourceResponse(_changes(output, is_ending), ping=PING)


async def _changes(output: Output, is_ending: Callable[[], bool]) -> AsyncIterator[ServerSentEvent]:
    """Yield an event once at the beginning, and whenever a transaction was committed since the last."""
    known: tuple[object, ...] | None = None
    while not is_ending():
        version = output.version()
        if version != known:
            known = version
            yield ServerSentEvent(event="changed", data="")
        await asyncio.sleep(INTERVAL)
