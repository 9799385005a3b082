"""The journal as the pool's backlog: answers become transitions and successors, claims become assignments."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

import msgspec

from mediactl.core import files
from mediactl.jobs.journal import Claim, Journal
from mediactl.jobs.prediction import Class
from mediactl.model.assets import Reuse
from mediactl.model.events import Event
from mediactl.model.jobs import JobResult, MakeTask, PieceTask, Verdict
from mediactl.model.media import Kind
from mediactl.model.uploads import Change, Sent, UploadState, UploadTask
from mediactl.pipeline import publish
from mediactl.pipeline.completer import Completer
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.planning import jobs
from mediactl.planning.cost import Pace, seconds_of
from mediactl.pool.contract import Assignment, Ended, IntakeStep, Noting, Room

LANES = ("quick", "heavy")
RECLAIM_INTERVAL = 0.5
"""Seconds between two looks for runs that died."""

_made = msgspec.msgpack.Decoder(JobResult)
_task = msgspec.json.Decoder(UploadTask)
_sent = msgspec.msgpack.Decoder(Sent)
_change: msgspec.msgpack.Decoder[Change] = msgspec.msgpack.Decoder(Change)


class Steps(Protocol):
    """Where sources come from, step by step (``intake.Intake``)."""

    wakeup: socket.socket | None
    """Readable when there is something to take in after ``step`` found nothing for now."""

    def step(self) -> bool | None:
        """Take some in; None: nothing for now, False: all is taken in."""

    def summary(self) -> dict[str, object]:
        """Fields of the event "plan"; none while it is too early to tell."""


class Dispatcher:
    """Settles and claims in one transaction; tells what happened after it is on disk."""

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
    ) -> None:
        """With ``shipping``, what is made is uploaded. ``lanes``: those that this run serves."""
        self._journal = journal
        self._intake = intake
        self._out = out
        self._emit = emit
        self._clock = clock
        self._publisher = shipping
        self._served = lanes
        self.refused: tuple[Verdict, str] | None = None
        """Why the network lane was closed."""
        self.wakeup = intake.wakeup
        self._claims: dict[tuple[int, int], Claim] = {}
        """By job and attempt: what was given back may run on for a moment, and its answer is nobody's."""
        self._paces: dict[tuple[int, int], Pace] = {}
        """Of the films that are encoded now."""
        self._completer = Completer(journal, planner, out, shipping)
        self._lanes: dict[Class, str] = {}
        self._moves: list[tuple[Class, str]] = []
        """Classes of jobs that were found to belong in another lane, and which."""
        self._joined = False
        """Whether a film was put together from its pieces since the last look at what lies ready."""
        self._next_reclaim = 0.0
        self._planned = False

    # -- what the pool asks ----------------------------------------------------------------------------------------

    def exchange(
        self, ended: Sequence[Ended], room: Room, alone: bool, notes: Sequence[Noting] = ()
    ) -> list[Assignment]:
        """Write notes, settle what ended and claim what there is room for; one commit."""
        self._reclaim()
        with self._journal.transaction(durable=bool(ended or notes)):
            for noting in notes:
                claim = self._claims.get((noting.assignment.job, noting.assignment.attempt))
                if claim is not None:
                    self._journal.uploads.note(_task.decode(claim.payload), _change.decode(noting.body))
            answered = [(end.assignment.job, end.assignment.attempt) for end in ended if end.verdict is Verdict.DONE]
            done = self._journal.finish_done(answered) if answered else set()
            for end in ended:
                self._settle(end, done)
            for like, lane in self._moves:
                self._journal.move_lane(like, lane)
            self._moves.clear()
            assignments = [self._assignment(claim) for claim in self._claim(room, alone)] if room else []
        if self._joined:
            # Only now that these films are done on disk: a kill before would cost all of their pieces.
            self._joined = False
            sweep_work(self._journal)
        for event in self._completer.told():
            self._emit(event)
        return assignments

    def _claim(self, room: Room, alone: bool) -> list[Claim]:
        self._journal.wake()
        if (
            self._takes_alone() and self._journal.alone_is_due()
        ):  # everything else waits, so that it is not passed over for ever
            claims = self._journal.claim(("alone",), 1) if alone else []
            return claims + self._journal.claim((publish.LANE,), room.lanes.get(publish.LANE, 0))
        kinds = dict(room.kinds)
        claims = [
            claim for lane in self._served for claim in self._journal.claim((lane,), room.lanes.get(lane, 0), kinds)
        ]
        if room.overtaking:
            claims += self._journal.claim(("quick",), room.overtaking, kinds, before=room.before)
        if alone and all(claim.lane == publish.LANE for claim in claims) and self._takes_alone():
            claims += self._journal.claim(("alone",), 1)
        return claims

    def _takes_alone(self) -> bool:
        """Whether this run does media work at all."""
        return "quick" in self._served

    def closed(self, lane: str, verdict: Verdict, reason: str) -> None:
        """No more jobs of this lane are run; what waits in it is no reason to go on."""
        self._served = tuple(each for each in self._served if each != lane)
        self.refused = (verdict, reason)
        self._emit(Event("upload.stopped", {"reason": reason}))

    def plan(self) -> IntakeStep:
        """Take in the next batch of sources."""
        before = self._journal.added
        more = self._intake.step()
        if not more and not self._planned and ((summary := self._intake.summary()) or more is False):
            self._planned = True
            self._emit(Event("plan", summary))
        if more is None:
            return IntakeStep.QUIET
        if not more:
            return IntakeStep.DONE
        return IntakeStep.ADDED if self._journal.added > before else IntakeStep.MORE

    def complete(self) -> bool:
        """Whether nothing is left that this run could do or should wait for."""
        self._reclaim()
        lanes = (*self._served, "alone") if self._takes_alone() else self._served
        retry_at, ready, others = self._journal.waiting(lanes)
        if ready or retry_at is not None:
            return False
        # Jobs of another living run on our sources: theirs to finish, ours should they die.
        uploads = self._publisher is not None and self.refused is None
        return not (others and self._journal.sources.any_pending(uploads=uploads))

    def progress(self, job: int, attempt: int, fraction: float, sent: int) -> None:
        """A running job is so far along."""
        claim = self._claims.get((job, attempt))
        if claim is not None:
            more: dict[str, object] = {}
            if claim.kind == publish.KIND:
                more = {"bytes_sent": sent, "size": claim.size}
            elif (pace := self._paces.get((job, attempt))) is not None:
                more = pace.told(fraction, self._clock())
            head = self._completer.head(claim)
            self._emit(Event("job.progress", {**head, "fraction": round(fraction, 4), **more}))

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

    def _settle(self, end: Ended, done: set[int]) -> None:
        claim = self._claims.pop((end.assignment.job, end.assignment.attempt), None)
        self._paces.pop((end.assignment.job, end.assignment.attempt), None)
        if claim is None:
            return  # it was given back before it answered
        dead = end.verdict in (Verdict.CRASHED, Verdict.TIMED_OUT, Verdict.INTERRUPTED)
        if dead and claim.source is not None and claim.kind != publish.KIND:
            # Its worker is dead: what it left half done beside the outputs is nobody's.
            place = self._journal.sources.get(claim.source).source.place
            files.sweep_temporaries(os.path.join(self._out, place), self._journal.run.encode())
        self._joined |= claim.format == jobs.JOINED
        if self._completer.settle(claim, end, done=claim.id in done):
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

    # -- claiming --------------------------------------------------------------------------------------------------

    def _assignment(self, claim: Claim) -> Assignment:
        self._claims[claim.id, claim.attempt] = claim
        if (pace := _pace(claim)) is not None:
            self._paces[claim.id, claim.attempt] = pace
        like = self._class(claim)
        if like not in self._lanes:
            self._lanes[like] = self._predicted(claim, like)
        reuse: tuple[Reuse, ...] = ()
        state = b""
        if claim.kind == publish.KIND:
            remembered = self._journal.uploads.state(_task.decode(claim.payload))
            state = b"" if remembered == UploadState() else msgspec.json.encode(remembered)
        elif claim.kind == jobs.PIECE and claim.source is not None:
            reuse = self._journal.sources.twins(
                claim.source, self._journal.sources.get(claim.source).digest or "", self._out
            )
        elif claim.content is not None and claim.source is not None:
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
            state,
        )

    def _reclaim(self) -> None:
        now = self._clock()
        if now >= self._next_reclaim:
            self._next_reclaim = now + RECLAIM_INTERVAL
            take_over(self._journal, self._out)


def _pace(claim: Claim) -> Pace | None:
    """Of a job that encodes a film, or a piece of one."""
    if claim.kind == jobs.PIECE:
        piece = msgspec.json.decode(claim.payload, type=PieceTask)
        video = piece.info.video
        rate = float(Fraction(video.rate)) if video and video.rate else 0.0
        if piece.number == jobs.SOUND or not rate:
            return Pace(piece.info.duration or 0.0, 0.0)
        return Pace(piece.frames / rate, rate)
    if claim.kind == Kind.VIDEO and claim.format != jobs.JOINED:
        info = msgspec.json.decode(claim.payload, type=MakeTask).info
        return Pace(info.duration or 0.0, (info.video.fps if info.video else None) or 0.0)
    return None


def take_over(journal: Journal, out: bytes) -> int:
    """Give the jobs of dead runs back, and remove what those runs left half done; how many jobs there were."""
    orphans = journal.reclaim_orphans()
    for owner, _, source in orphans:
        if source is not None:
            row = journal.sources.get(source)
            files.sweep_temporaries(os.path.join(out, row.source.place), owner.encode())
            if row.digest is not None and row.source.kind is Kind.VIDEO:
                files.sweep_temporaries(files.work_folder(journal.state, row.digest), owner.encode())
    return len(orphans)


def sweep_work(journal: Journal) -> None:
    """Remove the pieces of films that nothing is to be made of any more: rejected ones, and those that are gone."""
    folder = os.path.join(os.fsencode(journal.state), files.WORK)
    try:
        left = os.listdir(folder)
    except FileNotFoundError:
        return
    wanted = journal.sources.unfinished() if left else set()
    for name in left:
        if os.fsdecode(name) not in wanted:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
