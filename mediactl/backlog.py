"""The journal as the pool's backlog: answers become transitions and successors, claims become assignments."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from mediactl import files, sniff
from mediactl.effort import seconds_of
from mediactl.files import fingerprint, shown
from mediactl.jobs.journal import Claim, Journal
from mediactl.jobs.prediction import Class
from mediactl.jobs.priority import successor_due
from mediactl.jobs.states import State
from mediactl.model import Event, Made, Priority, Reuse, Verdict
from mediactl.planner import Planner
from mediactl.pool.contract import Assignment, Ended, Planning, Room

LANES = ("quick", "heavy")
MAX_CHANGES = 3
"""Times in one run that a source may change under its job; then it is left to the next run."""
RECLAIM_INTERVAL = 0.5
"""Seconds between two looks for runs that died."""

_made = msgspec.msgpack.Decoder(Made)


class Steps(Protocol):
    """Where sources come from, step by step (``intake.Intake``)."""

    wakeup: socket.socket | None
    """Readable when there is something to take in after ``step`` found nothing for now."""

    def step(self) -> bool | None:
        """Take some in; None: nothing for now, False: all is taken in."""

    def summary(self) -> dict[str, object]:
        """Fields of the event "plan"; none while it is too early to tell."""


class JournalBacklog:
    """Settles and claims in one transaction; tells what happened after it is on disk."""

    def __init__(
        self,
        journal: Journal,
        planner: Planner,
        intake: Steps,
        out: bytes,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._planner = planner
        self._intake = intake
        self._out = out
        self._emit = emit
        self._clock = clock
        self.wakeup = intake.wakeup
        self._claims: dict[tuple[int, int], Claim] = {}
        """By job and attempt: what was given back may run on for a moment, and its answer is nobody's."""
        self._changes: Counter[int] = Counter()
        self._events: list[Event] = []
        self._done_now: set[int] = set()
        """Jobs that the exchange going on has found done."""
        self._lanes: dict[Class, str] = {}
        self._moves: list[tuple[Class, str]] = []
        """Classes of jobs that were found to belong in another lane, and which."""
        self._next_reclaim = 0.0
        self._planned = False

    # -- what the pool asks ----------------------------------------------------------------------------------------

    def exchange(self, ended: Sequence[Ended], room: Room, alone: bool) -> list[Assignment]:
        """Settle what ended and claim what there is room for; one commit."""
        self._reclaim()
        with self._journal.transaction(durable=bool(ended)):
            done = [(end.assignment.job, end.assignment.attempt) for end in ended if end.verdict is Verdict.DONE]
            self._done_now = self._journal.finish_done(done) if done else set()
            for end in ended:
                self._settle(end)
            for like, lane in self._moves:
                self._journal.move_lane(like, lane)
            self._moves.clear()
            assignments = [self._assignment(claim) for claim in self._claim(room, alone)] if room else []
        events, self._events = self._events, []
        for event in events:
            self._emit(event)
        return assignments

    def _claim(self, room: Room, alone: bool) -> list[Claim]:
        self._journal.wake()
        if self._journal.alone_is_due():  # everything else waits, so that it is not passed over for ever
            return self._journal.claim(("alone",), 1) if alone else []
        kinds = dict(room.kinds)
        claims = [claim for lane in LANES for claim in self._journal.claim((lane,), room.lanes.get(lane, 0), kinds)]
        if room.overtaking:
            claims += self._journal.claim(("quick",), room.overtaking, kinds, before=room.before)
        return claims or (self._journal.claim(("alone",), 1) if alone else [])

    def plan(self) -> Planning:
        """Take in the next batch of sources."""
        before = self._journal.added
        more = self._intake.step()
        if not more and not self._planned and ((summary := self._intake.summary()) or more is False):
            self._planned = True
            self._emit(Event("plan", summary))
        if more is None:
            return Planning.QUIET
        if not more:
            return Planning.DONE
        return Planning.ADDED if self._journal.added > before else Planning.MORE

    def complete(self) -> bool:
        """Whether nothing is left that this run could do or should wait for."""
        self._reclaim()
        retry_at, ready, others = self._journal.waiting()
        if ready or retry_at is not None:
            return False
        # Jobs of another living run on our sources: theirs to finish, ours should they die.
        return not (others and self._journal.sources.any_pending())

    def progress(self, job: int, attempt: int, fraction: float) -> None:
        """A running job is so far along."""
        claim = self._claims.get((job, attempt))
        if claim is not None:
            self._emit(Event("job.progress", {**self._head(claim), "fraction": round(fraction, 4)}))

    def overran(self, job: int, attempt: int, seconds: float) -> None:
        """A job of the quick lane runs for so long already: those like it are heavy until measured otherwise."""
        claim = self._claims.get((job, attempt))
        if claim is not None:
            self._journal.predictor.overran(self._class(claim), seconds)
            self._consider(claim)

    def tick(self, running: int) -> None:
        """Let the display move on."""
        self._emit(Event("tick", {"running": running}))

    # -- settling --------------------------------------------------------------------------------------------------

    def _settle(self, end: Ended) -> None:
        claim = self._claims.pop((end.assignment.job, end.assignment.attempt), None)
        if claim is None:
            return  # it was given back before it answered
        if end.verdict in (Verdict.CRASHED, Verdict.TIMED_OUT, Verdict.INTERRUPTED) and claim.source is not None:
            # Its worker is dead: what it left half done beside the outputs is nobody's.
            place = self._journal.sources.get(claim.source).source.place
            files.sweep_temporaries(os.path.join(self._out, place), self._journal.run.encode())
        if self._transition(claim, end):
            self._journal.record(claim, end.verdict, end.reason, end.usage, end.worker)
            if end.verdict is Verdict.DONE and self._journal.predictor.learn(self._class(claim), end.usage.wall):
                self._consider(claim)

    def _consider(self, claim: Claim) -> None:
        """Something was learnt of a class of jobs: what waits of it changes lanes if its lane is another one now."""
        like = self._class(claim)
        lane = self._predicted(claim, like)
        if self._lanes[like] != lane:
            self._lanes[like] = lane
            self._moves.append((like, lane))

    def _predicted(self, claim: Claim, like: Class) -> str:
        return self._journal.predictor.lane(like, seconds_of(claim.kind, claim.size) / claim.cores)

    def _class(self, claim: Claim) -> Class:
        return self._journal.predictor.class_of(claim.kind, claim.format, claim.size)

    def _transition(self, claim: Claim, end: Ended) -> bool:
        job, attempt, reason = claim.id, claim.attempt, end.reason
        if end.verdict is Verdict.DONE:
            return self._done(claim, end)
        if end.verdict is Verdict.REJECTED:
            changed = self._journal.finish(job, attempt, State.REJECTED, reason)
            if changed:
                self._source_state(claim, "rejected", reason)
                self._tell("job.rejected", claim, reason=reason)
            return changed
        if end.verdict is Verdict.CHANGED:
            return self._changed(claim, reason)
        if end.verdict in (Verdict.FAILED, Verdict.TIMED_OUT):
            state = self._journal.fail(job, attempt, reason)
        elif end.verdict is Verdict.CRASHED:
            state = self._journal.crash(job, attempt, reason)
        else:
            state = self._journal.interrupt(job, attempt, reason, begun=end.worker != 0)
            if state is State.READY:
                self._tell("job.interrupted", claim, reason=reason)
                return True
        if state is State.QUARANTINED:
            self._source_state(claim, "quarantined", reason)
            self._tell("job.quarantined", claim, reason=reason)
        elif state is State.READY and end.verdict is not Verdict.INTERRUPTED:
            self._tell("job.retry", claim, reason=reason, attempt=attempt)
        return state is not None

    def _done(self, claim: Claim, end: Ended) -> bool:
        if claim.id not in self._done_now:
            return False
        if claim.source is None:
            self._tell("job.done", claim, seconds=round(end.usage.wall, 3))
            return True
        made = _made.decode(end.result)
        if claim.kind == "probe":
            self._probed(claim, made)
            return True
        row = self._journal.sources.get(claim.source)
        self._changes.pop(claim.source, None)
        if row.plan == claim.plan:  # else it was planned anew meanwhile, and that plan's job will say "done"
            self._journal.sources.done(claim.source, made, claim.plan)
        self._tell(
            "job.done", claim, seconds=round(end.usage.wall, 3), cpu_seconds=round(end.usage.cpu, 3),
            peak_memory=end.usage.peak_memory, made=made.made, bytes_in=row.source.fingerprint.size,
            bytes_out=made.bytes_made, outputs=[file.artefact.name for file in made.files],
            warnings=list(made.warnings), size=claim.size,
        )  # fmt: skip
        return True

    def _probed(self, claim: Claim, made: Made) -> None:
        """A probe's successor: the job that makes what is missing, added in the same transaction."""
        assert claim.source is not None and made.info is not None
        before = self._journal.sources.get(claim.source)
        recipe = self._planner.with_digest(before.recipe)
        plan = self._planner.plans(recipe)[before.source.kind.value]
        self._journal.sources.probed(claim.source, made.digest, made.info, plan)
        row = self._journal.sources.get(claim.source)
        job = self._planner.make_job(
            claim.source, row.source, made.digest, made.info, recipe, row.placeholder, Priority(claim.priority)
        )
        if job is None:
            self._source_state(claim, "ignored", f"recipe {recipe.name!r} makes nothing of it")
            return
        self._journal.add([msgspec.structs.replace(job, due=successor_due(claim.due))])
        self._tell("job.probed", claim, next=job.key, next_kind=job.kind, size=job.size)

    def _changed(self, claim: Claim, reason: str) -> bool:
        """The source is not what was planned: read it anew, if it is still there."""
        if not self._journal.finish(claim.id, claim.attempt, State.CANCELLED, reason):
            return False
        assert claim.source is not None
        row = self._journal.sources.get(claim.source)
        self._changes[claim.source] += 1
        try:
            mark = fingerprint(os.stat(row.source.file))
            named = sniff.sniff(sniff.head(row.source.file), row.source.path) or (row.source.kind, "unknown")
        except OSError:
            self._source_state(claim, "cancelled", "was removed before it was done")
            self._tell("job.cancelled", claim, reason="its source was removed")
            return True
        known = row.source.fingerprint == mark
        if known and (row.state != "pending" or self._journal.sources.has_live_job(claim.source)):
            self._tell("job.changed", claim, reason=reason)  # a watch has taken it in anew already
            return True
        source = msgspec.structs.replace(row.source, fingerprint=mark, kind=named[0], format=named[1])
        self._journal.sources.put(source, row.recipe, row.plan, "pending", reason)
        if self._changes[claim.source] < MAX_CHANGES:
            recipe = self._planner.with_digest(row.recipe)
            self._journal.add([self._planner.probe_job(source, claim.source, recipe, Priority(claim.priority))])
        else:
            del self._changes[claim.source]  # a watch takes it in again should it be found otherwise
        self._tell("job.changed", claim, reason=reason)
        return True

    # -- claiming --------------------------------------------------------------------------------------------------

    def _assignment(self, claim: Claim) -> Assignment:
        self._claims[claim.id, claim.attempt] = claim
        like = self._class(claim)
        if like not in self._lanes:
            self._lanes[like] = self._predicted(claim, like)
        reuse: tuple[Reuse, ...] = ()
        if claim.content is not None and claim.source is not None:
            reuse = self._journal.sources.twins(claim.source, claim.content, self._out)
        return Assignment(
            claim.id,
            claim.attempt,
            claim.kind,
            claim.payload,
            reuse,
            claim.time_limit,
            claim.lane,
            claim.cores,
            claim.stall_limit,
            claim.memory_limit,
            claim.lane == "alone",
            claim.due,
            self._journal.predictor.expected(like),
            claim.memory,
        )

    def _reclaim(self) -> None:
        now = self._clock()
        if now >= self._next_reclaim:
            self._next_reclaim = now + RECLAIM_INTERVAL
            take_over(self._journal, self._out)

    def _source_state(self, claim: Claim, state: str, reason: str) -> None:
        if claim.source is not None:
            self._changes.pop(claim.source, None)
            self._journal.sources.set_state(claim.source, state, reason)

    def _tell(self, name: str, claim: Claim, **fields: object) -> None:
        self._events.append(Event(name, {**self._head(claim), **fields}))

    def _head(self, claim: Claim) -> dict[str, object]:
        head: dict[str, object] = {"job": claim.key, "kind": claim.kind}
        if claim.source is not None:
            source = self._journal.sources.get(claim.source).source
            head["path"] = shown(source.path)
            head["source_kind"] = source.kind.value
            head["bytes"] = source.fingerprint.size
        return head


def take_over(journal: Journal, out: bytes) -> int:
    """Give the jobs of dead runs back, and remove what those runs left half done; how many jobs there were."""
    orphans = journal.reclaim_orphans()
    for owner, _, source in orphans:
        if source is not None:
            place = journal.sources.get(source).source.place
            files.sweep_temporaries(os.path.join(out, place), owner.encode())
    return len(orphans)
