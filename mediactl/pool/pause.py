"""When a run starts no jobs though it goes on: it was asked to pause, or it is outside of its hours."""

from __future__ import annotations

import time
from collections.abc import Callable

from mediactl.model.events import PauseCause
from mediactl.model.hours import Hours
from mediactl.pool.contract import Queue


class Pause:
    """Whether jobs may be started. Changes are reported to the queue."""

    def __init__(self, queue: Queue, hours: Hours | None, now: Callable[[], float] = time.time) -> None:
        """``now`` returns seconds since 1970."""
        self._queue = queue
        self._hours = hours
        self._now = now
        self.asked = False
        self.cause: PauseCause | None = None
        """Why no jobs may be started; None: they may."""
        self.suspended_at: float | None = None
        """When running jobs were suspended, by the clock of their limits; None: they run."""
        self._reported: tuple[PauseCause | None, bool] = (None, False)

    @property
    def outside(self) -> bool:
        """Whether it is outside of the run's hours."""
        return self._hours is not None and not self._hours.contain(self._now())

    def update(self) -> bool:
        """Bring ``cause`` up to date, report a change, and return whether jobs may no longer be started since."""
        before = self.cause
        self.cause = PauseCause.COMMAND if self.asked else PauseCause.HOURS if self.outside else None
        state = (self.cause, self.suspended_at is not None)
        if state != self._reported:
            self._reported = state
            if self.cause is None:
                self._queue.resumed()
            else:
                until = self._hours.next_start(self._now()) if self._hours and not self.asked else None
                self._queue.paused(self.cause, suspended=state[1], until=until)
        return before is None and self.cause is not None
