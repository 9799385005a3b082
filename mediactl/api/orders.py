"""Sources that are made without a journal, as the pool's queue: each is probed, then made, with retries in between."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from mediactl.api import errors, folder_lock
from mediactl.api.bucket import Bucket, url_of
from mediactl.api.connection import Connection
from mediactl.api.messages import Add, Cancel, Completed, Failed
from mediactl.api.order import Order, Planning
from mediactl.assets import document
from mediactl.core.errors import Interrupted, MediactlError, RejectedInput
from mediactl.core.files import shown
from mediactl.core.settings import Settings
from mediactl.core.verdicts import judge
from mediactl.jobs.states import Patience
from mediactl.model.events import PauseCause
from mediactl.model.jobs import JobResult, NewJob
from mediactl.model.media import REMOTE
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment, Ended, IntakeStep, Noting, Room, Stopped
from mediactl.upload.engine import Tuning

MAX_CHANGES = 3
"""Times that a source may change while it is read."""
RETRIED = frozenset(
    {Verdict.FAILED, Verdict.CRASHED, Verdict.TIMED_OUT, Verdict.UNREADABLE, Verdict.INTERNAL, Verdict.INTERRUPTED}
)
"""Verdicts after which a job gets another attempt; all but the last cost one."""

_result = msgspec.msgpack.Decoder(JobResult)


class Gone(MediactlError):
    """The caller is gone, or has given up all that is running."""


class _Job(msgspec.Struct):
    order: Order
    job: NewJob
    attempt: int = 1
    not_before: float = 0.0
    """Seconds since 1970."""


class Orders:
    """The queue of a host that makes assets; orders come from its caller, outcomes go there."""

    def __init__(
        self, settings: Settings, connection: Connection, environment: Mapping[str, str], *, is_scratch: bool = False
    ) -> None:
        """``is_scratch``: outputs are kept in a bucket alone, and removed from OUT once they are there."""
        self._is_scratch = is_scratch
        self.wakeup: socket.socket | None = connection.peer
        self._connection = connection
        self._out = settings.out
        self._clock: Callable[[], float] = time.time
        self._planning = Planning(settings, environment, self._clock)
        self._patience = Patience(failures=settings.attempts, base=settings.retry_delay)
        self._numbers = itertools.count(1)
        self._orders: dict[int, Order] = {}
        """Those that have not ended, by the number that their caller gave them."""
        self._probed: list[Order] = []
        """Those that can be made once nobody else makes the same."""
        self._ready: list[tuple[float, int, _Job]] = []
        """By due time."""
        self._running: dict[int, _Job] = {}
        self._stopping = ""
        self._bucket = Bucket(Tuning(), self._out)
        self._threads: set[int] = set()
        """Orders of which a thread does something."""
        self._fetching: dict[int, Add] = {}
        """Sources that are fetched, by number."""

    # -- what the pool asks ----------------------------------------------------------------------------------------

    def plan(self) -> IntakeStep:
        """Take in what the caller has sent. Raises Gone when it has closed its end."""
        added = False
        for what, future in self._bucket.taken():
            added = True
            self._arrived(what, future)
        for message in self._connection.received():
            if isinstance(message, Add):
                added = True
                self._begin(message)
            elif isinstance(message, Cancel):
                self._cancel(message.number)
        if self._connection.closed:
            raise Gone("the caller has closed its end")
        return IntakeStep.ADDED if added else IntakeStep.QUIET

    def exchange(
        self, ended: Sequence[Ended], room: Room, alone: bool, notes: Sequence[Noting] = ()
    ) -> list[Assignment]:
        """Go on from what ended, and hand out what there is room for."""
        for end in ended:
            self._settle(end)
        for order in [each for each in self._probed if self._locked(each)]:
            self._probed.remove(order)
            if self._is_scratch and order.add.to is not None:
                self._begin_in_thread(order, self._bucket.document, order.add.to, order.source.directory)
            else:  # OUT has to be complete, too, whatever the bucket has
                self._attempt(order, self._planning.make_job)
        return self._assigned(room)

    def stopping(self, why: Stopped, signal: str | None, running: int, grace: float) -> None:
        """End what has not begun."""
        self._stopping = f"stopped: {why.value}"
        for order in [*self._probed, *(job.order for *_, job in self._ready)]:
            self._fail(order, Interrupted.__name__, self._stopping)

    def complete(self) -> bool:
        """Return whether there is nothing more to come: never so, while the caller is there."""
        return False

    def tick(self, running: int) -> None:
        """Send what the caller had not read."""
        self._connection.flush()

    def closed(self, lane: str, verdict: Verdict, reason: str) -> None:
        """End all that has to go through that lane."""

    def progress(self, job: int, attempt: int, fraction: float, sent: int) -> None:
        """Nobody is interested."""

    def overran(self, job: int, attempt: int, seconds: float) -> None:
        """Nothing is learned from it without a journal."""

    def paused(self, cause: PauseCause, *, suspended: bool, until: float | None) -> None:
        """Nobody is interested."""

    def resumed(self) -> None:
        """Nobody is interested."""

    def suspending(self) -> None:
        """Nobody is interested."""

    # -- orders ------------------------------------------------------------------------------------------------------

    def end(self, error: MediactlError) -> None:
        """Report that all that is left ends with this error."""
        for order in list(self._orders.values()):
            self._fail(order, errors.name_of(error), str(error))
        for number in self._fetching:
            self._connection.send(Failed(number, errors.name_of(error), str(error)))

    def close(self) -> None:
        """End what threads do, and remove what was fetched."""
        self._bucket.close()

    def _begin(self, add: Add) -> None:
        """Begin with a source, which is fetched first where it is an object."""
        if add.source.startswith(REMOTE):
            self._fetching[add.number] = add
            self._bucket.start(add.number, self._bucket.fetch, add)
        else:
            self._enter(add, add.source)

    def _arrived(self, what: object, future: Future[Any]) -> None:
        """Go on from what a thread has done."""
        if isinstance(what, int):
            add = self._fetching.pop(what, None)
            if add is None:  # cancelled
                self._remove(b"" if future.exception() else future.result())
                return
            try:
                self._enter(add, future.result(), fetched=future.result())
            except Exception as error:  # noqa: BLE001 - the others are none of its business
                self._connection.send(_failure(add.number, error))
            return
        assert isinstance(what, Order)
        self._threads.discard(what.add.number)
        try:
            self._follow_thread(what, future.result())
        except Exception as error:  # noqa: BLE001 - as above
            self._end(what, _failure(what.add.number, error, shown(what.add.source)))

    def _follow_thread(self, order: Order, found: str | document.Asset | None) -> None:
        """Go on from the bucket's asset.json, or from the URL that all was uploaded to."""
        to = order.add.to
        assert to is not None
        if order.abandoned:
            self._end(order)
        elif isinstance(found, str):
            self._complete(order, os.fsencode(found))
        elif found is not None and self._planning.is_made(order, found):
            url = url_of(to, order.source.directory)
            self._end(order, Completed(order.add.number, os.fsencode(url), document.encode(found)))
        else:
            self._attempt(order, self._planning.make_job)

    def _begin_in_thread(self, order: Order, function: Callable[..., Any], *arguments: Any) -> None:
        self._threads.add(order.add.number)
        self._bucket.start(order, function, *arguments)

    def _enter(self, add: Add, file: bytes, fetched: bytes = b"") -> None:
        try:
            order = self._planning.order(add, file, fetched)
        except Exception as error:  # noqa: BLE001 - the others are none of its business
            self._remove(fetched)
            self._connection.send(_failure(add.number, error, shown(add.source)))
            return
        self._orders[add.number] = order
        self._attempt(order, self._planning.probe_job)

    def _attempt(self, order: Order, planned: Callable[[Order], NewJob]) -> None:
        """Have the next job of an order run, from its first attempt on."""
        order.failures = 0
        try:
            self._push(_Job(order, planned(order)))
        except Exception as error:  # noqa: BLE001 - as above
            self._end(order, _failure(order.add.number, error, shown(order.add.source)))

    def _push(self, job: _Job) -> None:
        self._ready.append((job.job.due or 0.0, next(self._numbers), job))
        self._ready.sort(key=lambda each: each[:2])

    def _cancel(self, number: int) -> None:
        """Drop an order; what is running of it goes on, unless the caller ends this host."""
        self._fetching.pop(number, None)
        order = self._orders.get(number)
        if order is None:
            return
        order.abandoned = True
        if number not in self._threads and not any(job.order is order for job in self._running.values()):
            self._end(order)

    def _locked(self, order: Order) -> bool:
        try:
            order.lock = folder_lock.taken(self._out, order.source.directory)
        except OSError as error:
            self._end(order, _failure(order.add.number, error, shown(order.add.source)))
        return order.lock is not None

    def _assigned(self, room: Room) -> list[Assignment]:
        lanes, kinds, now = dict(room.lanes), dict(room.kinds), self._clock()
        taken = []
        for entry in list(self._ready):
            number, job = entry[1], entry[2]
            lane, kind = job.job.lane, job.job.kind
            if job.not_before > now or not lanes.get(lane) or not kinds.get(kind, 1):
                continue
            lanes[lane] -= 1
            if kind in kinds:
                kinds[kind] -= 1
            self._ready.remove(entry)
            self._running[number] = job
            taken.append(_assignment(number, job))
        return taken

    def _settle(self, end: Ended) -> None:
        """Go on from how an attempt ended; what goes wrong then ends the order."""
        job = self._running.pop(end.assignment.job)
        try:
            self._follow(job, end)
        except Exception as error:  # noqa: BLE001 - as above
            self._end(job.order, _failure(job.order.add.number, error, shown(job.order.add.source)))

    def _follow(self, job: _Job, end: Ended) -> None:
        order = job.order
        if order.abandoned:
            self._end(order)
        elif end.verdict is Verdict.DONE:
            self._done(order, _result.decode(end.result))
        elif end.verdict is Verdict.CHANGED and order.changes < MAX_CHANGES:
            self._begin_again(order)
        elif end.verdict in RETRIED and not self._stopping and self._patient(order, end):
            delay = 0.0 if end.verdict is Verdict.INTERRUPTED else self._patience.delay(order.failures, random.random())
            self._push(_Job(order, job.job, job.attempt + 1, self._clock() + delay))
        else:
            self._fail(order, errors.of_verdict(end.verdict), end.reason)

    def _patient(self, order: Order, end: Ended) -> bool:
        order.failures += end.verdict is not Verdict.INTERRUPTED
        return order.failures < self._patience.failures

    def _done(self, order: Order, result: JobResult) -> None:
        if order.probed is None:
            order.probed = result
            self._probed.append(order)
            return
        if (to := order.add.to) is None:
            self._complete(order, self._planning.folder(order.source))
        else:
            self._begin_in_thread(order, self._bucket.upload, to, self._out, order.source.directory, result.files)

    def _complete(self, order: Order, where: bytes) -> None:
        folder = self._planning.folder(order.source)
        with open(os.path.join(folder, document.NAME), "rb") as file:
            content = file.read()
        self._end(order, Completed(order.add.number, where, content))

    def _begin_again(self, order: Order) -> None:
        """Read a source that has changed once more."""
        self._end(order)
        self._begin(order.add)
        if (again := self._orders.get(order.add.number)) is not None:
            again.changes = order.changes + 1

    def _remove(self, file: bytes) -> None:
        """Remove the directory of a file that nobody needs any more; b"": there is none."""
        if file:
            shutil.rmtree(os.path.dirname(file), ignore_errors=True)

    def _fail(self, order: Order, error: str, reason: str) -> None:
        self._end(order, Failed(order.add.number, error, f"{shown(order.add.source)}: {reason}"))

    def _end(self, order: Order, outcome: Completed | Failed | None = None) -> None:
        """Forget an order, after its outcome is sent."""
        if self._is_scratch and order.lock is not None:  # else another order may be writing there
            self._remove(os.path.join(self._planning.folder(order.source), b""))
        order.release()
        self._remove(order.fetched)
        self._orders.pop(order.add.number, None)
        self._probed = [each for each in self._probed if each is not order]
        self._ready = [each for each in self._ready if each[2].order is not order]
        if outcome is not None and not order.abandoned:
            self._connection.send(outcome)


def _failure(number: int, error: Exception, name: str = "") -> Failed:
    """Return how an order ends that could not go on; a source that is rejected is named."""
    if isinstance(error, MediactlError):
        start = f"{name}: " if name and isinstance(error, RejectedInput) else ""
        return Failed(number, errors.name_of(error), f"{start}{error}")
    verdict, reason = judge(error)
    return Failed(number, errors.of_verdict(verdict), reason)


def _assignment(number: int, running: _Job) -> Assignment:
    job = running.job
    return Assignment(
        job=number, attempt=running.attempt, kind=job.kind, payload=job.payload, reuse=(), time_limit=job.time_limit,
        lane=job.lane, cores=job.cores, stall_limit=job.stall_limit, memory_limit=job.memory_limit, due=job.due or 0.0,
        memory=job.memory,
    )  # fmt: skip
