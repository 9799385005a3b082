"""What a machine reports: one thread that gathers notes and publishes them, and says regularly that it is there."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any

import msgspec
from celery import Celery

from mediactl.engines.messages import Begun, HandedBack, Machine, Mark, Note, Outcome, Report
from mediactl.engines.queues import fleet_queue, queue

INTERVAL = 10.0
"""Seconds between two reports of a machine that has nothing else to report."""
PAUSE = 1.0
"""Seconds between two attempts to reach the broker."""
KEPT = 60.0
"""Seconds for which a run still gets reports after it had a job here: it will have others."""
UNREAD = 500
"""Reports in the queue of machines from which on none are added: nobody reads them."""


class Reporter:
    """Publishes notes to the queues of outcomes; ``describe`` returns what the machine is, without what it runs."""

    def __init__(self, app: Celery, prefix: str, describe: Callable[[], Machine], interval: float = INTERVAL) -> None:
        self._app = app
        self._fleet = fleet_queue(prefix)
        self._describe = describe
        self._interval = interval
        self._wake = threading.Condition()
        self._notes: dict[str, list[tuple[Note, Future[None]]]] = defaultdict(list)
        self._running: dict[str, set[Mark]] = defaultdict(set)
        self._used: dict[str, float] = {}
        self._closing = self._changed = False
        self._thread = threading.Thread(target=self._lasting, name="reporter", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Publish what is left, for so many seconds at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)

    def note(self, outcomes: str, note: Note) -> Future[None]:
        """Report a note to a queue; the result is there once the broker has it."""
        published: Future[None] = Future()
        with self._wake:
            if isinstance(note, Begun):
                self._running[outcomes].add(note.mark)
            self._notes[outcomes].append((note, published))
            self._used[outcomes] = time.monotonic()
            self._wake.notify()
        return published

    def soon(self) -> None:
        """Report the machine as it is now."""
        with self._wake:
            self._changed = True
            self._wake.notify()

    def _lasting(self) -> None:
        while True:
            with suppress(Exception), closing(self._app.connection_for_write()) as connection:  # it is made again
                connection.connect()
                self._publish_all(self._app.amqp.Producer(connection))
                return
            with self._wake:
                if self._closing and not any(self._notes.values()):
                    return
            time.sleep(PAUSE)

    def _publish_all(self, producer: Any) -> None:
        next_beat = 0.0
        while True:
            with self._wake:
                while not (any(self._notes.values()) or self._closing or self._changed):
                    left = next_beat - time.monotonic()
                    if left <= 0:
                        break
                    self._wake.wait(left)
                beat = time.monotonic() >= next_beat or self._changed or self._closing
                names = self._reported_to() if beat else [name for name, notes in self._notes.items() if notes]
                batch = {name: list(self._notes[name]) for name in names}
                closing, self._changed = self._closing, False
            for name, notes in batch.items():
                self._publish(producer, name, notes)
            if beat:
                self._beat(producer)
                next_beat = time.monotonic() + self._interval
            if closing:
                return

    def _reported_to(self) -> list[str]:
        """Return the queues of the runs that this machine has jobs of, or had."""
        recent = time.monotonic() - KEPT
        return [name for name, used in self._used.items() if used > recent or self._running[name] or self._notes[name]]

    def _publish(self, producer: Any, name: str, notes: list[tuple[Note, Future[None]]]) -> None:
        with self._wake:
            running = set(self._running[name])
        ended = {note.mark for note, _ in notes if isinstance(note, (Outcome, HandedBack))}
        machine = msgspec.structs.replace(self._describe(), running=tuple(running - ended))
        self._send(producer, name, Report(machine, tuple(note for note, _ in notes)))
        with self._wake:
            self._running[name] -= ended
            del self._notes[name][: len(notes)]
        for _, published in notes:
            published.set_result(None)

    def _beat(self, producer: Any) -> None:
        """Report to whoever counts machines, unless nobody reads it."""
        if queue(self._fleet)(producer.channel).queue_declare()[1] < UNREAD:
            self._send(producer, self._fleet, Report(self._describe()))

    def _send(self, producer: Any, name: str, report: Report) -> None:
        producer.publish(
            msgspec.json.encode(report).decode(),
            exchange="",
            routing_key=name,
            declare=[queue(name)],
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
        )
