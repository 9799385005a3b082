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

TIMERS = 200
"""Timers of one operation that are sent at once; of more, a sample with its rate."""


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
        ended = [event for event in events if isinstance(event, AttemptEnded)]
        counts = Counter(f"{event.operation}.sent" for event in events if isinstance(event, AttemptBegun))
        counts.update(f"{event.operation}.{event.result}" for event in ended)
        rates = {name: min(1.0, TIMERS / number) for name, number in Counter(e.operation for e in ended).items()}
        with self._client.pipeline() as datagrams:
            for name, count in counts.items():
                datagrams.incr(name, count)
            for event in ended:
                datagrams.timing(f"{event.operation}.time", event.seconds * 1000.0, round(rates[event.operation], 3))

    def _opened(self) -> statsd.StatsClient:
        """Return a client. Raises OSError where the host cannot be resolved; then nothing more is sent."""
        host, port = self._address
        try:
            return statsd.StatsClient(host, port, prefix=PREFIX, maxudpsize=DATAGRAM)
        except OSError:
            self._is_unusable = True
            raise
