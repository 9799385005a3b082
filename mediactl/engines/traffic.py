"""A run's connections to its broker, each with a thread: one publishes jobs, one receives reports.

While the broker is gone, both wait for it, and nothing else of the run does.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
from celery import Celery

from mediactl.engines.messages import RemoteJob, Report
from mediactl.engines.queues import CONNECT_TIMEOUT, LANES, TASK, fleet_queue, lane_queue, outcomes_queue, queue
from mediactl.model.jobs import HEAVY, QUICK

_report = msgspec.json.Decoder(Report)

PAUSE = 1.0
"""Seconds between two attempts to reach the broker."""
PATIENCE = 0.5
"""Seconds that a thread waits for something to do before it checks whether to end."""
DEPTHS = 5.0
"""Seconds between two measurements of queues."""


class Link:
    """How one of the connections fares: each is lost and comes back by itself."""

    def __init__(self) -> None:
        self.connected = False
        self.trouble = ""
        """Why the broker cannot be reached; "" while it can, and before the first attempt."""
        self._again = threading.Event()

    def made(self) -> None:
        """It is connected now."""
        self.connected, self.trouble = True, ""
        self._again.set()

    def lost(self, error: Exception) -> None:
        """It is not connected any more, or could not be."""
        self.connected, self.trouble = False, " ".join(str(error).split()) or type(error).__name__

    def reconnected(self) -> bool:
        """Return whether it has been connected since the last call."""
        again = self._again.is_set()
        self._again.clear()
        return again


class Traffic:
    """Publishes to the queues of lanes, and receives from those of outcomes and of machines."""

    def __init__(self, app: Celery, prefix: str, journal: str) -> None:
        """``journal`` names the queue of outcomes."""
        self._app = app
        self._prefix = prefix
        self.outcomes = outcomes_queue(prefix, journal)
        self.publishing, self.receiving = Link(), Link()
        self._jobs: SimpleQueue[RemoteJob] = SimpleQueue()
        self._reports: deque[Report] = deque()
        self._depths: dict[str, int] = {}
        self._closed = threading.Event()
        self.wakeup, self._theirs = socket.socketpair()
        for end in (self.wakeup, self._theirs):
            end.setblocking(False)
        self._threads = [
            threading.Thread(target=self._lasting, args=(loop, link), name=loop.__name__, daemon=True)
            for loop, link in ((self._publish, self.publishing), (self._receive, self.receiving))
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads; what was not published is not. One that a broker does not answer is left behind."""
        self._closed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(CONNECT_TIMEOUT)
        self.wakeup.close()
        self._theirs.close()

    def publish(self, job: RemoteJob) -> None:
        """Publish a job as soon as the broker can be reached."""
        self._jobs.put(job)

    def received(self) -> list[Report]:
        """Return what was reported since the last call."""
        with suppress(BlockingIOError):
            while self.wakeup.recv(4096):
                pass
        found = []
        while self._reports:
            found.append(self._reports.popleft())
        return found

    def depth(self, lane: str) -> int | None:
        """Return how many jobs were in the queue of a lane some seconds ago; None: it is unknown."""
        return self._depths.get(lane)

    # -- the threads -----------------------------------------------------------------------------------------------

    def _lasting(self, loop: Callable[[Any], None], link: Link) -> None:
        """Run a loop with a connection, and again with another one whenever that is lost."""
        while not self._closed.is_set():
            with ExitStack() as stack:
                try:
                    connection = self._app.connection_for_write()
                    stack.callback(_release, connection)
                    connection.connect()
                    loop(connection)
                except Exception as error:  # noqa: BLE001 - any library: nobody misses a thread that ends
                    link.lost(error)
                    self._depths.clear()
                    self._wake()
                    self._closed.wait(PAUSE)

    def _publish(self, connection: Any) -> None:
        producer = self._app.amqp.Producer(connection)
        self.publishing.made()
        self._wake()
        job: RemoteJob | None = None
        try:
            while not self._closed.is_set():
                with suppress(Empty):
                    job = self._jobs.get(timeout=PATIENCE)
                    name = lane_queue(self._prefix, QUICK if job.lane == QUICK else HEAVY)
                    body = msgspec.to_builtins(job)
                    self._app.send_task(TASK, (body,), queue=name, producer=producer, retry=False, ignore_result=True)
                    job = None
        finally:
            if job is not None:
                self._jobs.put(job)

    def _receive(self, connection: Any) -> None:
        queues = [queue(self.outcomes), queue(fleet_queue(self._prefix))]
        with connection.Consumer(queues, on_message=self._take, no_ack=True, accept=["json"]):
            self.receiving.made()
            self._wake()
            measured = 0.0
            while not self._closed.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=PATIENCE)
                if time.monotonic() - measured > DEPTHS:
                    measured = time.monotonic()
                    self._measure(connection)

    def _take(self, message: Any) -> None:
        body = message.body if isinstance(message.body, bytes) else message.body.encode()
        with suppress(msgspec.DecodeError):  # of another schema, or not ours
            self._reports.append(_report.decode(body))
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # it is readable already, or the run has ended
            self._theirs.send(b"\0")

    def _measure(self, connection: Any) -> None:
        with connection.channel() as channel:
            for lane in LANES:
                declared = self._app.amqp.queues[lane_queue(self._prefix, lane)](channel)
                self._depths[lane] = declared.queue_declare()[1]


def _release(connection: Any) -> None:
    with suppress(Exception):  # it is lost already
        connection.release()
