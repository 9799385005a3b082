"""Counts and timers of attempts for statsd, over UDP: nobody waits for an answer."""

from __future__ import annotations

from collections import Counter

import statsd

from mediactl.model.events import AttemptBegun, AttemptEnded, Event
from mediactl.monitor.monitors import Background

PREFIX = "mediactl"
DATAGRAM = 1432
"""Bytes of a datagram that Ethernet carries undivided:
https://github.com/statsd/statsd/blob/master/docs/metric_types.md#multi-metric-packets."""


class StatsdSender:
    """Sends ``mediactl.OPERATION.sent``, ``.success``, ``.failure``, ``.retry`` and the timer ``.time``."""

    takes = (AttemptBegun, AttemptEnded)

    def __init__(self, host: str, port: int) -> None:
        self.name = f"--statsd {host}:{port}"
        self._address = (host, port)
        self._client: statsd.StatsClient | None = None
        self._is_unusable = False
        self._background = Background(self.name, self._send)

    @property
    def trouble(self) -> str:
        """What does not work, in words."""
        return self._background.trouble

    def start(self) -> None:
        """Start the thread: resolving the host may take long."""
        self._background.start()

    def take(self, event: Event) -> None:
        """Have an attempt be sent."""
        if not self._is_unusable:
            self._background.take(event)

    def close(self, deadline: float) -> None:
        """Send what there is, by then."""
        self._background.close(deadline)

    def _send(self, events: list[Event]) -> None:
        if self._client is None:
            self._client = self._opened()
        counts: Counter[str] = Counter()
        with self._client.pipeline() as datagrams:
            for event in events:
                match event:
                    case AttemptBegun():
                        counts[f"{event.operation}.sent"] += 1
                    case AttemptEnded():
                        counts[f"{event.operation}.{event.result}"] += 1
                        datagrams.timing(f"{event.operation}.time", event.seconds * 1000.0)
            for name, count in counts.items():
                datagrams.incr(name, count)

    def _opened(self) -> statsd.StatsClient:
        """Return a client. Raises OSError where the host cannot be resolved; then nothing more is sent."""
        host, port = self._address
        try:
            return statsd.StatsClient(host, port, prefix=PREFIX, maxudpsize=DATAGRAM)
        except OSError:
            self._is_unusable = True
            raise
