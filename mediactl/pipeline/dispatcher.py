"""The journal as the pool's queue: how attempts ended goes to the completer, claims become assignments."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from mediactl.core.faults import internal_error
from mediactl.core.files import Anchor
from mediactl.jobs.barrier import barrier, together_or_singly
from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import Journal
from mediactl.model.buckets.memory import RECALL, REMEMBER
from mediactl.model.events import (
    AttemptBegun,
    AttemptEnded,
    Event,
    JobFields,
    PauseCause,
    Plan,
    RunPaused,
    RunResumed,
    RunStopping,
    SourceTrace,
    StopCause,
    Suspending,
    Tick,
    UploadStopped,
)
from mediactl.model.fleet import BEAT, Heartbeat
from mediactl.model.jobs import HEAVY, QUICK, Usage
from mediactl.model.verdict import Verdict
from mediactl.pipeline import publish
from mediactl.pipeline.buckets.memory import Memory
from mediactl.pipeline.completer import Completer
from mediactl.pipeline.fetching import jobs as fetches
from mediactl.pipeline.fetching.scratch import Scratch
from mediactl.pipeline.handlers.base import Context, Handler
from mediactl.pipeline.handlers.budget_check import BudgetCheck
from mediactl.pipeline.handlers.registry import Handlers
from mediactl.pipeline.lane_learning import Lanes
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.pipeline.recovery import given_up, sweep_work, take_over
from mediactl.planning.cost import Pace
from mediactl.pool.contract import Assignment, Ended, IntakeStep, Noting, Room, Stopped

LANES = (QUICK, HEAVY)
NO_USAGE = Usage()
CAUSES = {
    Stopped.ASKED: StopCause.SIGNAL,
    Stopped.DRAIN: StopCause.DRAIN,
    Stopped.TIME_UP: StopCause.TIME_LIMIT,
    Stopped.HOURS: StopCause.HOURS,
    Stopped.BLOCKED: StopCause.BLOCKED,
    Stopped.FORBIDDEN: StopCause.FORBIDDEN,
}
OUTCOMES = {"success": "done", "failure": "failed", "retry": ""}
"""Result of an attempt -> state of a file that is no source after it; "": another attempt follows."""
RECLAIM_INTERVAL = 0.5
"""Seconds between two looks for runs that died."""
DEADLY = frozenset({Verdict.CRASHED, Verdict.TIMED_OUT, Verdict.INTERRUPTED, Verdict.UNREADABLE})
"""Verdicts that end the worker, too, or may."""


class Running(msgspec.Struct, frozen=True):
    """A job that the pool has, with what is known of its kind."""

    claim: Claim
    handler: Handler
    pace: Pace | None


_End = tuple[Running, Ended]


class Steps(Protocol):
    """Where sources come from, step by step (``intake.batches.Intake``)."""

    wakeup: socket.socket | None
    """Readable when there is something to take in after ``step`` found nothing for now."""

    def step(self) -> bool | None:
        """Take some in; None: nothing for now, False: all is taken in."""

    def summary(self) -> Plan | None:
        """Return the event "plan"; None while it is too early for it."""


class Dispatcher:
    """Completes and claims in one transaction; reports what happened after it is on disk."""

    def __init__(
        self,
        journal: Journal,
        planner: Planner,
        intake: Steps,
        out: bytes,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        shipping: Publisher | None = None,
        lanes: tuple[str, ...] = LANES,
        *,
        attempt_events: bool = False,
        memory: Memory | None = None,
        scratch: Scratch | None = None,
        budgets: BudgetCheck | None = None,
        machines: Callable[[], list[Heartbeat]] | None = None,
    ) -> None:
        """With ``shipping``, what is made is uploaded. ``lanes``: those that this run serves. With ``attempt_events``,
        each attempt is reported for monitors. Without ``scratch`` nothing is fetched. With ``budgets``, each source
        that is over one is reported as it is done. ``machines``: those of a broker."""
        self._attempt_events = attempt_events
        self._machines = machines
        self._next_heartbeats = 0.0
        self._journal = journal
        self._intake = intake
        self._out = out
        self._anchor = Anchor(out, "output directory") if os.path.isdir(out) else None
        self._emit = emit
        self._clock = clock
        self._publisher = shipping
        self._served = lanes
        self._scratch = scratch
        uploads = shipping is not None or QUICK not in lanes
        kinds = {publish.KIND: uploads, RECALL: uploads, REMEMBER: uploads, fetches.KIND: scratch is not None}
        self._not_served = [kind for kind, served in kinds.items() if not served]
        """Kinds of the network lane that other runs have left, and that are none of this one's business."""
        self.refused: tuple[Verdict, str] | None = None
        """Why the network lane was closed."""
        self.forbidden = 0
        """Sources whose outputs permissions forbid to write."""
        self.wakeup = intake.wakeup
        self._memory = memory
        self._context = Context(journal, planner, out, shipping, memory, budgets=budgets)
        self._handlers = Handlers(self._context)
        self._completer = Completer(journal)
        self._lanes = Lanes(journal)
        self._running: dict[tuple[int, int], Running] = {}
        """By job and attempt: what was given back may run on for a moment, and its answer is nobody's."""
        self._faults: dict[tuple[int, int], Exception] = {}
        """By job and attempt: what went wrong while it was reported; its source ends with it."""
        self._fractions: dict[tuple[int, int], float] = {}
        """By job and attempt: how far those are that report progress."""
        self._pieces_freed = False
        """Whether pieces may be of no more use since they were last swept."""
        self._next_reclaim = 0.0
        self._planned = False

    # -- what the pool asks ----------------------------------------------------------------------------------------

    def exchange(
        self, ended: Sequence[Ended], room: Room, alone: bool, notes: Sequence[Noting] = ()
    ) -> list[Assignment]:
        """Write notes, complete what ended and claim what there is room for; one commit."""
        self._reclaim()
        with self._journal.transaction(durable=bool(ended or notes)):
            for noting in notes:
                self._note(noting)
            self._complete(ended)
            self._lanes.move()
            assignments = self._assigned(self._claim(room, alone) if room else [])
        if self._pieces_freed:
            # Only now that these videos are done on disk: a kill before would cost all of their pieces.
            self._pieces_freed = False
            sweep_work(self._journal)
        if self._memory is not None:
            self._memory.remove_released()
            self._memory.remember_now_and_then(self._clock())
        more = room.lanes.get(publish.LANE, 0) - sum(each.lane == publish.LANE for each in assignments)
        if self._scratch is not None and self._scratch.release() and more > 0:
            with self._journal.transaction(durable=False):
                assignments += self._assigned(self._fetches(more))
        events, self._context.events = self._context.events, []
        for event in events:
            self._emit(event)
        return assignments

    def _claim(self, room: Room, alone: bool) -> list[Claim]:
        self._journal.wake()
        claim = partial(self._journal.claim, give_up=self._give_up_unclaimed)
        kinds = dict(room.kinds) | dict.fromkeys(self._not_served, 0)
        if self._scratch is not None:
            kinds[fetches.KIND] = self._fetchable(self._scratch, room.lanes.get(publish.LANE, 0))
        if self._takes_alone() and self._journal.alone_is_due():  # everything else waits, so that it does not starve
            claims = claim(("alone",), 1) if alone else []
            return claims + claim((publish.LANE,), room.lanes.get(publish.LANE, 0), kinds)
        claims = [each for lane in self._served for each in claim((lane,), room.lanes.get(lane, 0), kinds)]
        if room.overtaking:
            claims += claim((QUICK,), room.overtaking, kinds, before=room.before)
        if alone and all(each.lane == publish.LANE for each in claims) and self._takes_alone():
            claims += claim(("alone",), 1)
        return claims

    def _fetches(self, most: int) -> list[Claim]:
        """Claim what there is room for on disk now that files were removed."""
        assert self._scratch is not None
        number = self._fetchable(self._scratch, most)
        kinds = {publish.KIND: 0, RECALL: 0, REMEMBER: 0, fetches.KIND: number}
        return self._journal.claim((publish.LANE,), number, kinds, give_up=self._give_up_unclaimed)

    def _fetchable(self, scratch: Scratch, most: int) -> int:
        """Return how many objects may be fetched now."""
        self._context.events += scratch.reject_too_large(most)
        return scratch.room(most, all_planned=self._planned)

    def _takes_alone(self) -> bool:
        """Whether this run does media work at all."""
        return QUICK in self._served

    def closed(self, lane: str, verdict: Verdict, reason: str) -> None:
        """No more jobs of this lane are run; what is pending in it does not keep the run alive."""
        self._served = tuple(each for each in self._served if each != lane)
        self.refused = (verdict, reason)
        if self._memory is not None and lane == publish.LANE:
            with self._journal.transaction(durable=False):
                self._memory.pass_over()
        self._emit(UploadStopped(reason=reason))

    def plan(self) -> IntakeStep:
        """Take in the next batch of sources."""
        before = self._journal.added
        more = self._intake.step()
        if not more and not self._planned and (planned := self._intake.summary()) is not None:
            self._planned = True
            self._emit(planned)
        if more is None:
            return IntakeStep.QUIET
        if not more:
            return IntakeStep.DONE
        return IntakeStep.ADDED if self._journal.added > before else IntakeStep.MORE

    def complete(self) -> bool:
        """Whether nothing is left that this run could do or should wait for."""
        self._reclaim()
        lanes = (*self._served, "alone") if self._takes_alone() else self._served
        retry_at, ready, others = self._journal.waiting(lanes, self._not_served)
        if ready or retry_at is not None:
            return False
        # Jobs of another living run on our sources: theirs to finish, ours should they die.
        uploads = self._publisher is not None and self.refused is None
        if others and self._journal.sources.any_pending(uploads=uploads):
            return False
        return self._memory is None or not self._memory.remember()

    def progress(self, job: int, attempt: int, fraction: float, sent: int) -> None:
        """A running job is so far along."""
        running = self._running.get((job, attempt))
        if running is not None:
            self._fractions[job, attempt] = fraction
            with barrier(lambda error: self._remember(job, attempt, error)):
                self._emit(running.handler.progress(running.claim, running.pace, fraction, sent, self._clock()))

    def overran(self, job: int, attempt: int, seconds: float) -> None:
        """A job of the quick lane runs for so long already: those like it are heavy until measured otherwise."""
        running = self._running.get((job, attempt))
        if running is not None:
            with barrier(lambda error: self._remember(job, attempt, error)):
                self._lanes.overran(running.claim, seconds)

    def stopping(self, why: Stopped, signal: str | None, running: int, grace: float) -> None:
        """Running jobs are finished, and no others are taken."""
        self._emit(RunStopping(reason=why.value, cause=CAUSES[why], signal=signal, jobs=running, grace_s=grace))

    def paused(self, cause: PauseCause, *, suspended: bool, until: float | None) -> None:
        """No jobs are started for now."""
        self._emit(RunPaused(cause=cause, suspended=suspended, until=until))

    def resumed(self) -> None:
        """Jobs are started again."""
        self._emit(RunResumed())

    def described(self, job: int, attempt: int) -> tuple[JobFields, float | None] | None:
        """Return what a running job is of, and how far it is; None: it has ended."""
        running = self._running.get((job, attempt))
        if running is None:
            return None
        return running.handler.head(running.claim), self._fractions.get((job, attempt))

    def suspending(self) -> None:
        """Let the display get out of the way."""
        self._emit(Suspending())

    def tick(self, running: int) -> None:
        """Let the display move on."""
        self._journal.beat()
        if self._machines is not None and self._clock() >= self._next_heartbeats and (beats := self._machines()):
            self._next_heartbeats = self._clock() + BEAT
            with self._journal.transaction(durable=False):
                self._journal.machines.beat(beats)
        self._emit(Tick(running=running))

    # -- completing and claiming -----------------------------------------------------------------------------------

    def _complete(self, ended: Sequence[Ended]) -> None:
        """Complete attempts; what was given back before it answered is nobody's."""
        ends: list[_End] = []
        for end in ended:
            mark = (end.assignment.job, end.assignment.attempt)
            running, fault = self._running.pop(mark, None), self._faults.pop(mark, None)
            self._fractions.pop(mark, None)
            if running is not None and fault is not None:
                self._give_up(running.claim, fault, end.usage, end.worker)
            elif running is not None:
                ends.append((running, end))
        together_or_singly(
            ends, self._context.part, self._handle,
            lambda each, error: self._give_up(each[0].claim, error, each[1].usage, each[1].worker),
        )  # fmt: skip

    def _handle(self, ends: Sequence[_End]) -> None:
        answered = [(running.claim.id, running.claim.attempt) for running, end in ends if end.verdict is Verdict.DONE]
        done = self._journal.finish_done(answered) if answered else set()
        for running, end in ends:
            self._handle_one(running, end, done)

    def _handle_one(self, running: Running, end: Ended, done: set[int]) -> None:
        claim, handler = running.claim, running.handler
        if self._scratch is not None:
            self._scratch.ended(claim.source)
        if end.verdict in DEADLY:
            handler.died(claim)
        self._pieces_freed |= handler.frees_pieces
        self.forbidden += end.verdict is Verdict.UNWRITABLE
        if self._completer.complete(handler, claim, end, done=claim.id in done):
            self._journal.record(claim, end.verdict, end.reason, end.usage, end.worker)
            if end.verdict is Verdict.DONE:
                self._lanes.took(claim, end.usage.wall)
            self._report_attempt(claim, end.verdict, end.usage, handler.bytes_sent(end))

    def _report_attempt(self, claim: Claim, verdict: Verdict, usage: Usage, sent: int | None = None) -> None:
        if not self._attempt_events:
            return
        result = "success"
        if verdict is not Verdict.DONE:
            result = "retry" if self._journal.is_ready(claim.id) else "failure"
        self._context.events.append(
            AttemptEnded(
                time=time.time(), operation=claim.operation, result=result, seconds=usage.wall, lane=claim.lane,
                attempt=claim.attempt, outcome=verdict.value, sent=sent, piece=claim.piece,
                trace=self._trace(claim, result),
            )
        )  # fmt: skip

    def _trace(self, claim: Claim, result: str) -> SourceTrace | None:
        """Return the trace of a job's source, or of its file where it has none (`mediactl upload`), or None."""
        traces = self._journal.traces
        if traces.parent is None or claim.source is not None:
            return traces.attempted(claim.source)
        path = self._handlers.of(claim).head(claim).get("path")
        if path is None:
            return None
        return traces.of_file(claim.key, path, claim.size, claim.enqueued_at, OUTCOMES[result])

    def _note(self, noting: Noting) -> None:
        job, attempt = noting.assignment.job, noting.assignment.attempt
        running = self._running.get((job, attempt))
        if running is not None:
            with barrier(lambda error: self._remember(job, attempt, error)), self._context.part():
                running.handler.note(running.claim, noting.body)

    def _remember(self, job: int, attempt: int, error: Exception) -> None:
        """Keep what went wrong while a job runs until it ends."""
        self._faults.setdefault((job, attempt), error)

    def _give_up(self, claim: Claim, error: Exception, usage: Usage = NO_USAGE, worker: int = 0) -> None:
        """Quarantine a job and its source for a fault of mediactl's in handling them."""
        reason = internal_error(error)
        if self._scratch is not None:
            self._scratch.ended(claim.source)
        self._running.pop((claim.id, claim.attempt), None)
        self._fractions.pop((claim.id, claim.attempt), None)
        event = given_up(self._journal, claim.id, claim.attempt, reason)
        with barrier(lambda _: None), self._journal.part():  # the history does without it, should that be what failed
            self._journal.record(claim, Verdict.INTERNAL, reason, usage, worker)
            self._report_attempt(claim, Verdict.INTERNAL, usage)
        self._context.events.append(event)

    def _give_up_unclaimed(self, job: int, error: Exception) -> None:
        self._context.events.append(given_up(self._journal, job, None, internal_error(error)))

    def _assigned(self, claims: list[Claim]) -> list[Assignment]:
        """Return the assignments of claims; a source for which preparing it failed is given up."""
        assigned = together_or_singly(
            claims, self._context.part, lambda each: [self._assignment(claim) for claim in each], self._give_up
        )
        return [assignment for each in assigned for assignment in each]

    def _assignment(self, claim: Claim) -> Assignment:
        handler = self._handlers.of(claim)
        if self._scratch is not None:
            self._scratch.claimed(claim.source, claim.kind, claim.size)
        self._running[claim.id, claim.attempt] = Running(claim, handler, handler.pace(claim))
        if self._attempt_events:
            self._journal.traces.begin((claim.source,))  # where a run without traces has added the job
            self._context.events.append(AttemptBegun(operation=claim.operation))
        return Assignment(
            job=claim.id,
            attempt=claim.attempt,
            kind=claim.kind,
            payload=claim.payload,
            reuse=handler.reuse(claim),
            time_limit=claim.time_limit,
            lane=claim.lane,
            cores=claim.cores,
            stall_limit=claim.stall_limit,
            memory_limit=claim.memory_limit,
            alone=claim.lane == "alone",
            due=claim.due,
            expected=self._lanes.begun(claim),
            memory=claim.memory,
            state=handler.state(claim),
        )

    def _reclaim(self) -> None:
        now = self._clock()
        if now >= self._next_reclaim:
            self._next_reclaim = now + RECLAIM_INTERVAL
            self._journal.require_in_place()
            if self._anchor is not None:
                self._anchor.require()
            take_over(self._journal, self._out, self._emit)
