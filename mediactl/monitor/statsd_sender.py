"""Counts and timers of attempts for statsd, over UDP: nobody waits for an answer."""

from __future__ import annotations

import statsd

from mediactl.model.events import AttemptBegun, AttemptEnded, Event
from mediactl.monitor.monitors import Background

PREFIX = "mediactl"


class StatsdSender:
    """Sends ``mediactl.OPERATION.sent``, ``.success``, ``.failure``, ``.retry`` and the timer ``.time``."""

    def __init__(self, host: str, port: int) -> None:
        self.name = f"--statsd {host}:{port}"
        self._address = (host, port)
        self._client: statsd.StatsClient | None = None
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
        if isinstance(event, AttemptBegun | AttemptEnded) and not self.trouble:
            self._background.take(event)

    def close(self, deadline: float) -> None:
        """Send what there is, by then."""
        self._background.close(deadline)

    def _send(self, event: Event) -> None:
        if self._client is None:
            host, port = self._address
            self._client = statsd.StatsClient(host, port, prefix=PREFIX)
        match event:
            case AttemptBegun():
                self._client.incr(f"{event.operation}.sent")
            case AttemptEnded():
                self._client.incr(f"{event.operation}.{event.result}")
                self._client.timing(f"{event.operation}.time", event.seconds * 1000.0)
