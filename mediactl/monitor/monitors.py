"""Monitors of a run: what is sent to others while it works. None of them can hold it up, fail it, or end it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from mediactl.core.faults import internal_error
from mediactl.model.events import AttemptEvent, Event, MonitorTrouble, RunFailed, RunStarted, Summary

WAITING = 10_000
"""Events that a monitor may be behind; further ones are dropped."""
FLUSH = 10.0
"""Seconds that all monitors together get at the end of a run."""

Emit = Callable[[Event], None]


class Monitor(Protocol):
    """One of them. Its methods are called by the run and return at once, but for ``close``."""

    name: str
    """As messages name it: the flag, or the host, and never what is secret."""

    @property
    def trouble(self) -> str:
        """What does not work, in words; "" when all does."""

    def start(self) -> None:
        """The run has started, and the journal is there."""

    def take(self, event: Event) -> None:
        """Take an event of the run."""

    def close(self, deadline: float) -> None:
        """Finish by a time of time.monotonic at the latest."""


class Monitors:
    """All monitors of a run, around what displays its events."""

    def __init__(self, monitors: Sequence[Monitor], emit: Emit, flush: float = FLUSH) -> None:
        self._flush = flush
        self._monitors = monitors
        self._emit = emit
        self._reported: set[str] = set()
        self._is_closed = False

    def take(self, event: Event) -> None:
        """Emit an event, and pass it to every monitor; the last one once they have finished."""
        if isinstance(event, Summary):
            self.finish(event)
            self._emit(event)
            return
        if not isinstance(event, AttemptEvent):
            self._emit(event)
        self._pass(event)
        if isinstance(event, RunStarted):
            for monitor in self._monitors:
                monitor.start()
        self._report()

    def finish(self, event: Summary | RunFailed) -> None:
        """Pass the last event, and have all be sent and written, for ``flush`` seconds at most."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pass(event)
        deadline = time.monotonic() + self._flush
        for monitor in self._monitors:
            monitor.close(deadline)
        self._report()

    def _pass(self, event: Event) -> None:
        for monitor in self._monitors:
            monitor.take(event)

    def _report(self) -> None:
        """Report what does not work, once for each monitor."""
        for monitor in self._monitors:
            if monitor.trouble and monitor.name not in self._reported:
                self._reported.add(monitor.name)
                self._emit(MonitorTrouble(monitor=monitor.name, reason=monitor.trouble))


class Unusable:
    """A monitor that was asked for and cannot work."""

    def __init__(self, name: str, trouble: str) -> None:
        self.name = name
        self.trouble = trouble

    def start(self) -> None:
        """Do nothing."""

    def take(self, event: Event) -> None:
        """Do nothing."""

    def close(self, deadline: float) -> None:
        """Do nothing."""


class Background:
    """A thread that handles events one after the other; events that it cannot keep up with are dropped."""

    def __init__(self, name: str, handle: Callable[[Event], None]) -> None:
        self.name = name
        self.trouble = ""
        self._handle = handle
        self._events: queue.Queue[Event | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def take(self, event: Event) -> None:
        """Have an event be handled, in its turn."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self.trouble = self.trouble or "too slow: events are dropped"

    def close(self, deadline: float) -> None:
        """Handle what there is, by then."""
        if not self._thread.ident:
            return
        with suppress(queue.Full):
            self._events.put(None, timeout=max(0.0, deadline - time.monotonic()))
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self.trouble = self.trouble or "does not answer"

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._handle(event)
            except OSError as error:
                self.trouble = self.trouble or str(error.strerror or error)
            except Exception as error:  # noqa: BLE001 - the run goes on, whatever fails here
                self.trouble = self.trouble or internal_error(error)
