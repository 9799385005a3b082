"""What clients of a run's event socket see of it and may ask for."""

from __future__ import annotations

import time
from collections.abc import Callable

from mediactl.core.faults import internal_error
from mediactl.jobs.barrier import ENDS_THE_RUN, barrier
from mediactl.jobs.journal import Journal
from mediactl.model.control import MOST_JOBS, AnyRequest, Bump, Pause, Resume, Snapshot
from mediactl.model.events import ControlAnswer, RunSnapshot, WorkerStatus
from mediactl.pipeline.dispatcher import CAUSES, Dispatcher
from mediactl.pool.supervisor import Supervisor
from mediactl.ui.lines import count
from mediactl.ui.tally import Tally


class RunControl:
    """The supervisor and the journal of a run, as clients may use them; called from the supervisor's loop."""

    def __init__(
        self,
        pool: Supervisor,
        dispatcher: Dispatcher,
        journal: Journal,
        tally: Tally,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._dispatcher, self._journal, self._tally = pool, dispatcher, journal, tally
        self._workers = workers
        self._clock = clock
        self._started = clock()

    def snapshot(self) -> RunSnapshot:
        """Return how the run stands."""
        pool, tally = self._pool, self._tally
        fraction = tally.fraction
        return RunSnapshot(
            elapsed_s=round(self._clock() - self._started, 3),
            lanes=pool.lanes(),
            running=self._running(),
            workers=self._workers,
            planned=tally.planned is not None,
            sources=tally.found,
            done=tally.assets,
            rejected=tally.rejected,
            quarantined=tally.quarantined,
            jobs=tally.jobs,
            artefacts=tally.artefacts,
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            fraction=None if fraction is None else round(fraction, 4),
            paused=pool.pause_cause,
            suspended=pool.is_suspended,
            stopping=None if pool.stopping is None else CAUSES.get(pool.stopping),
        )

    def carry_out(self, request: AnyRequest) -> ControlAnswer:
        """Do what is asked for, and say what was done; what goes wrong ends the request, not the run."""
        name = str(request.__struct_config__.tag)
        try:
            done, reason = self._carried_out(request)
        except ENDS_THE_RUN:
            raise
        except Exception as error:  # noqa: BLE001 - no client may end a run
            done, reason = False, internal_error(error)
        return ControlAnswer(request=name, done=done, reason=reason)

    def _carried_out(self, request: AnyRequest) -> tuple[bool, str]:
        match request:
            case Pause():
                return self._pause(request)
            case Resume():
                return self._resume()
            case Bump():
                return self._bump(request)
            case Snapshot():
                return False, "answered by a snapshot"

    def _pause(self, request: Pause) -> tuple[bool, str]:
        if self._pool.stopping is not None:
            return False, f"the run is stopping: {self._pool.stopping.value}"
        self._pool.pause(now=request.now)
        running = count(len(self._pool.running()), "running job")
        if self._pool.is_suspended:
            return True, f"paused; {running} suspended"
        return True, f"paused; {running} will finish"

    def _resume(self) -> tuple[bool, str]:
        if self._pool.pause_cause is None:
            return True, "is not paused"
        self._pool.resume()
        if self._pool.pause_cause is not None:
            return True, "resumed; it waits for the hours of --hours"
        return True, "resumed"

    def _bump(self, request: Bump) -> tuple[bool, str]:
        if len(request.jobs) > MOST_JOBS:
            return False, f"more than {MOST_JOBS:,} jobs"
        with self._journal.transaction():
            bumped = sum(self._journal.bump(job, request.priority) for job in request.jobs)
        return True, f"{count(bumped, 'job')} now {request.priority.name.lower()}"

    def _running(self) -> list[WorkerStatus]:
        found = []
        for busy in self._pool.running():
            described = None
            with barrier(lambda _: None):
                described = self._dispatcher.described(busy.assignment.job, busy.assignment.attempt)
            if described is not None:
                head, fraction = described
                found.append(
                    WorkerStatus(
                        pid=busy.pid, lane=busy.lane, job=head["job"], kind=head["kind"], path=head.get("path"),
                        piece=head.get("piece"), pieces=head.get("pieces"),
                        seconds=None if busy.seconds is None else round(busy.seconds, 3),
                        fraction=None if fraction is None else round(fraction, 4),
                    )
                )  # fmt: skip
        return found
