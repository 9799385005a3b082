"""Monitors of a run: what is sent to others while it works. None of them can hold it up, fail it, or end it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mediactl.core.faults import internal_error
from mediactl.model.events import AttemptEvent, Event, MonitorTrouble, RunFailed, RunStarted, Summary, Tick

WAITING = 10_000
"""Events that a monitor may be behind; further ones are dropped."""
INTERVAL = 0.2
"""Seconds in which events are collected before a thread handles them."""
FLUSH = 10.0
"""Seconds that all monitors together get at the end of a run."""

Emit = Callable[[Event], None]


class Monitor(Protocol):
    """One of them. Its methods are called by the run and return at once, but for ``close``."""

    name: str
    """As messages name it: the flag, or the host, and never what is secret."""

    @property
    def takes(self) -> tuple[type[Event], ...]:
        """The events that ``take`` is called for."""

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
        self._takers = _Takers(monitors)
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
        for take in self._takers[type(event)]:
            take(event)
        if isinstance(event, RunStarted):
            for monitor in self._monitors:
                monitor.start()
        if isinstance(event, RunStarted | Tick):  # once a turn of the loop
            self._report()

    def finish(self, event: Summary | RunFailed) -> None:
        """Pass the last event, and have all be sent and written, for ``flush`` seconds at most."""
        if self._is_closed:
            return
        self._is_closed = True
        for take in self._takers[type(event)]:
            take(event)
        deadline = time.monotonic() + self._flush
        for monitor in self._monitors:
            monitor.close(deadline)
        self._report()

    def _report(self) -> None:
        """Report what does not work, once for each monitor."""
        for monitor in self._monitors:
            if monitor.trouble and monitor.name not in self._reported:
                self._reported.add(monitor.name)
                self._emit(MonitorTrouble(monitor=monitor.name, reason=monitor.trouble))


class _Takers(dict[type[Event], list[Emit]]):
    """Type of an event -> the monitors that take it."""

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self._monitors = monitors

    def __missing__(self, kind: type[Event]) -> list[Emit]:
        """Find them, the first time."""
        found = self[kind] = [each.take for each in self._monitors if issubclass(kind, each.takes)]
        return found


class Unusable:
    """A monitor that was asked for and cannot work."""

    takes = ()

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
    """A thread that handles events, many at once; events that it cannot keep up with are dropped.

    ``handle`` gets those of ``interval`` seconds, in their order: to wake a thread for each would cost the run more
    than to handle it.
    """

    def __init__(self, name: str, handle: Callable[[list[Event]], None], interval: float = INTERVAL) -> None:
        self.name = name
        self.trouble = ""
        self._handle = handle
        self._interval = interval
        self._waiting: deque[Event] = deque()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def take(self, event: Event) -> None:
        """Have an event be handled, in its turn."""
        if len(self._waiting) < WAITING:
            self._waiting.append(event)
        else:
            self.trouble = self.trouble or "too slow: events are dropped"

    def close(self, deadline: float) -> None:
        """Handle what there is, by then."""
        if not self._thread.ident:
            return
        self._is_ending.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self.trouble = self.trouble or "does not answer"

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._is_ending.wait(self._interval)
            events = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                if events:
                    self._handle(events)
            except OSError as error:
                self.trouble = self.trouble or str(error.strerror or error)
            except Exception as error:  # noqa: BLE001 - the run goes on, whatever fails here
                self.trouble = self.trouble or internal_error(error)
