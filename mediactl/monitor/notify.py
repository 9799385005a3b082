"""Notifications of a run: a thread for each target sends them, and tries again while that fails."""

from __future__ import annotations

import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import tenacity

from mediactl.core.errors import MediactlError
from mediactl.core.faults import internal_error
from mediactl.model.events import Event, JobQuarantined, RunFailed, RunStarted, Summary
from mediactl.model.figures import Figures
from mediactl.monitor import apprise_sender
from mediactl.monitor.check import about
from mediactl.monitor.notices import Notice, Undelivered, request
from mediactl.monitor.targets import Format, Occasion, Target

TIMEOUT = 10.0
"""Seconds that a receiver may take to answer."""
ATTEMPTS = 8
"""Of one notification: over about four minutes."""
PAUSE = 60.0
"""Seconds between two notifications of quarantined sources, and between two looks for overdue jobs."""
NAMED = 10
"""Sources that a notification names, and lines of problems that one of the end has."""
WAITING = 1000
"""Events that a target may be behind."""

DELIVERIES: dict[Format, Callable[[Target, Notice], None]] = {Format.APPRISE: apprise_sender.deliver}
"""Formats that are no single request, and what sends one notice. Raises Undelivered."""

Lines = Callable[[Event], str | None]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without a body."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Return None: the redirect is an error."""


class Notifier:
    """Notifies one target."""

    takes = (Event,)

    def __init__(
        self,
        target: Target,
        read: Callable[[], Figures],
        problem: Callable[[Event], str | None],
        ending: Callable[[Summary], str],
        pause: float = PAUSE,
    ) -> None:
        """``problem`` and ``ending`` return the lines of events; ``read`` returns the figures of the journal."""
        self.name = target.name
        self.trouble = ""
        self._target = target
        self._read = read
        self._problem = problem
        self._ending = ending
        self._pause = pause
        self._problems: deque[str] = deque(maxlen=NAMED)
        self._quarantined: list[JobQuarantined] = []
        self._is_overdue = False
        self._next_look = 0.0
        self._events: queue.Queue[Event | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._opener = urllib.request.build_opener(_NoRedirects)

    def start(self) -> None:
        """Start the thread."""
        if not self._thread.ident:
            self._thread.start()

    def take(self, event: Event) -> None:
        """Keep what may be notified of."""
        if line := self._problem(event):
            self._problems.append(line)
        if isinstance(event, RunStarted | JobQuarantined | Summary | RunFailed):
            with suppress(queue.Full):  # a receiver that hangs
                self._events.put_nowait(event)

    def close(self, deadline: float) -> None:
        """Send what is there, by then."""
        self.start()
        with suppress(queue.Full):
            self._events.put_nowait(None)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self.trouble = self.trouble or "does not answer"

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # noqa: BLE001 - the run goes on, whatever fails here
            self.trouble = internal_error(error)

    def _step(self) -> bool:
        """Send what the next event asks for, or what is due meanwhile; False: there will be no other event."""
        with suppress(queue.Empty):
            event = self._events.get(timeout=max(0.01, min(self._pause, self._next_look - time.monotonic())))
            if isinstance(event, JobQuarantined):
                self._quarantined.append(event)
            else:
                if event is None or isinstance(event, Summary | RunFailed):
                    self._send_all(self._sources())
                if event is None:
                    return False
                self._send_all(self._of_run(event))
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._pause
            self._send_all(self._sources())
            if Occasion.OVERDUE in self._target.on:
                self._send_all(self._overdue())
        return True

    def _of_run(self, event: Event) -> Iterator[Notice]:
        now = time.time()
        match event:
            case RunStarted():
                text = f"mediactl {event.version}: run {event.run[:8]} has started, to {event.out}"
                yield Notice(Occasion.START, text, msgspec.to_builtins(event), now)
            case Summary() | RunFailed():
                text = event.reason if isinstance(event, RunFailed) else self._ending(event)
                occasion = Occasion.FAIL if event.exit_code else Occasion.FINISH
                wanted = {occasion, Occasion.FINISH}
                if wanted & set(self._target.on):
                    lines = "\n".join((f"mediactl: exit code {event.exit_code}: {text}", *self._problems))
                    yield Notice(occasion, lines, msgspec.to_builtins(event), now, event.exit_code)

    def _sources(self) -> Iterator[Notice]:
        """Yield one notice of all sources that were quarantined since the last."""
        found, self._quarantined = self._quarantined, []
        if found:
            named = [f"{event.label}: {event.reason}" for event in found[:NAMED]]
            more = [f"and {len(found) - NAMED:,} more"] if len(found) > NAMED else []
            text = "\n".join((f"mediactl: {len(found):,} quarantined", *named, *more))
            data = {"number": len(found), "sources": [{"path": e.label, "reason": e.reason} for e in found[:NAMED]]}
            yield Notice(Occasion.QUARANTINED, text, data, time.time())

    def _overdue(self) -> Iterator[Notice]:
        """Yield a notice when jobs have become overdue; the next one only once none has been meanwhile."""
        with suppress(MediactlError):
            late = [each for each in self._read().oldest if each.overdue > 0.0]
            if late and not self._is_overdue:
                lines = (f"{e.priority.name.lower()} jobs of lane {e.lane}: {about(e.overdue)}" for e in late)
                text = "\n".join(("mediactl: jobs are overdue", *lines))
                jobs = [
                    {"lane": e.lane, "priority": e.priority.name.lower(), "overdue_s": round(e.overdue, 3)}
                    for e in late
                ]
                yield Notice(Occasion.OVERDUE, text, {"jobs": jobs}, time.time())
            self._is_overdue = bool(late)

    def _send_all(self, notices: Iterator[Notice]) -> None:
        for notice in notices:
            ended = notice.exit_code is not None  # ``_of_run`` has judged by both occasions of the end
            if ended or notice.occasion in self._target.on:
                try:
                    self._send(notice)
                except Undelivered as error:
                    self.trouble = str(error)

    def _send(self, notice: Notice) -> None:
        """Send a notice, with further attempts while its receiver may accept it. Raises Undelivered."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(max=PAUSE),
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, Undelivered) and error.again),
            reraise=True,
        )
        retrying(self._delivery(notice))

    def _delivery(self, notice: Notice) -> Callable[[], None]:
        """Return what sends a notice once; whenever it is repeated, the notice has the same ID."""
        deliver = DELIVERIES.get(self._target.format)
        if deliver is not None:
            return partial(deliver, self._target, notice)
        message = request(self._target, notice, f"msg_{uuid.uuid4().hex}")
        posted = urllib.request.Request(message.url, message.body, message.headers, method="POST")
        return partial(self._post, posted)

    def _post(self, message: urllib.request.Request) -> None:
        """Post once. Raises Undelivered, whose text has neither URL nor answer."""
        try:
            with self._opener.open(message, timeout=TIMEOUT):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            again = error.code >= 500 or error.code in (408, 429)
            raise Undelivered(f"answered {error.code}", again=again) from None
        except (OSError, http.client.HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            text = getattr(cause, "strerror", None) or ("timed out" if isinstance(cause, TimeoutError) else "")
            raise Undelivered(str(text or type(cause).__name__), again=True) from None
