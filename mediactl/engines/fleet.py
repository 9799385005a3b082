"""The machines of a run: what was published to them, what they report, and which of them are lost.

It stands where a run on one machine has its scheduler (``pool.lanes``). All of it runs in the supervisor's loop.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatchmethod

import msgspec

from mediactl.engines.compatibility import incompatible
from mediactl.engines.heartbeats import by_worker, heartbeat
from mediactl.engines.messages import (
    Advanced,
    Begun,
    HandedBack,
    Machine,
    Mark,
    Outcome,
    Overran,
    Redelivered,
    RemoteJob,
    Report,
)
from mediactl.engines.queues import LANES
from mediactl.engines.traffic import Traffic
from mediactl.model.events import BrokerLost, BrokerReached, Event, MachineUnfit
from mediactl.model.fleet import Heartbeat
from mediactl.model.jobs import HEAVY, QUICK
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment, Busy, Ended, Room
from mediactl.pool.lanes import RemoteProgress
from mediactl.pool.messages import Answer
from mediactl.pool.process import Worker

AHEAD = 2
"""Published jobs a slot: those that run, and as many that follow."""
FEWEST = 2
"""Published jobs of a lane while no machine has reported its slots."""
SILENCES = 3
"""Reports of a machine that may be missing before it is lost."""
UNTAKEN = 30.0
"""Seconds after which a published job that nobody took, and that is in no queue any more, was lost by the broker."""


class Published(msgspec.Struct):
    """A job in the broker, or with a machine."""

    assignment: Assignment
    at: float
    """When it was published, by the supervisor's clock."""
    machine: Machine | None = None
    """The one that took it; None: nobody has."""
    began: float = 0.0
    unlisted_at: float | None = None
    """Since when its machine does not list it any more, though no outcome came."""


class Known(msgspec.Struct):
    """A machine, and when it last reported, by the supervisor's clock."""

    machine: Machine
    seen: float
    unfit: str
    """Why it cannot run jobs of this run; "": it can."""
    first: float
    """Its first report, in seconds since 1970."""
    last: float = 0.0
    """Its last one, the same."""


class Fleet:
    """Publishes assignments, and ends them by what is reported.

    ``run`` is the token of its jobs: what is reported of others is stale. ``describe`` makes the message of an
    assignment; ``limits`` caps the jobs of a kind or lane that run at once.
    """

    def __init__(
        self,
        traffic: Traffic,
        run: str,
        describe: Callable[[Assignment], RemoteJob],
        limits: Mapping[str, int],
        report: Callable[[Event], None],
    ) -> None:
        self._traffic = traffic
        self._run = run
        self._describe = describe
        self._limits = limits
        self._report = report
        self._trouble = ""
        self._published: dict[Mark, Published] = {}
        self._machines: dict[str, Known] = {}
        self._ended: list[Ended] = []
        self._progress: list[RemoteProgress] = []
        self._overran: list[tuple[Assignment, float]] = []
        self._now = 0.0
        self.workers: dict[socket.socket, Worker] = {}
        """None: they are on other machines."""
        self.waiting: dict[str, list[Assignment]] = {QUICK: [], HEAVY: []}
        """None: what cannot be published stays in the journal."""
        self.deliveries = 0
        """Jobs that machines have taken."""
        self.stale = 0
        """Outcomes of attempts that were no longer running."""

    # -- as a scheduler --------------------------------------------------------------------------------------------

    @property
    def wakeup(self) -> socket.socket:
        """Readable when something was reported."""
        return self._traffic.wakeup

    def room(self, now: float) -> Room:
        """Return how many more jobs may be published: twice the slots of the machines that take jobs."""
        there = Counter(_lane(each.assignment) for each in self._published.values())
        lanes = {lane: max(0, self._window(lane) - there[lane]) for lane in LANES}
        kinds = Counter(each.assignment.kind for each in self._published.values())
        caps = {kind: max(0, most - kinds[kind]) for kind, most in self._limits.items() if kind not in LANES}
        return Room(lanes, caps)

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Publish these, in due order."""
        for assignment in sorted(assignments, key=lambda each: each.due):
            self._published[self._run, assignment.job, assignment.attempt] = Published(assignment, self._now)
            self._traffic.publish(self._describe(assignment))

    def hand_out(self, now: float) -> set[Worker]:
        """Give nothing to workers of this machine."""
        return set()

    def answered(self, worker: Worker, assignment: Assignment, answer: Answer) -> None:
        """Do nothing: no worker of this machine answers."""

    def held_up(self, now: float) -> list[Worker]:
        """Return none: machines take back by themselves what is held up."""
        return []

    def spare(self) -> list[Worker]:
        """Return none: machines replace their workers by themselves."""
        return []

    def overrunning(self, now: float) -> list[tuple[Assignment, float]]:
        """Return the quick jobs that were reported to take long."""
        found, self._overran = self._overran, []
        return found

    def idle(self) -> bool:
        """Return whether a job that came now could be published at once."""
        return any(self.room(self._now).lanes.values())

    def busy(self) -> int:
        """Return the number of jobs that are published and have not ended."""
        return len(self._published)

    def numbers(self) -> dict[str, tuple[int, int]]:
        """Return how many jobs are running and queued, by lane."""
        found = {}
        for lane in LANES:
            there = [each for each in self._published.values() if _lane(each.assignment) == lane]
            begun = sum(1 for each in there if each.machine)
            found[lane] = begun, len(there) - begun
        return found

    def running(self, now: float) -> list[Busy]:
        """Return the jobs that machines have taken."""
        return [
            Busy(each.machine.pid, _lane(each.assignment), each.assignment, now - each.began)
            for each in self._published.values()
            if each.machine is not None
        ]

    # -- what is reported ------------------------------------------------------------------------------------------

    def collect(self, now: float) -> tuple[list[Ended], list[RemoteProgress]]:
        """Return the attempts that ended since, by a report or because their machine is lost, and progress."""
        self._now = now
        self._follow_broker()
        for report in self._traffic.received():
            self._take(report)
        self._give_up_lost()
        ended, self._ended = self._ended, []
        progress, self._progress = self._progress, []
        return ended, progress

    def _follow_broker(self) -> None:
        publishing, receiving = self._traffic.publishing, self._traffic.receiving
        trouble = receiving.trouble or publishing.trouble
        if bool(trouble) != bool(self._trouble):
            self._report(BrokerLost(reason=trouble) if trouble else BrokerReached())
        self._trouble = trouble
        received, published_again = receiving.reconnected(), publishing.reconnected()
        if received:  # nothing could be received until now
            for known in self._machines.values():
                known.seen = self._now
        if received or published_again:  # nor taken by anybody
            for published in self._published.values():
                published.at = self._now

    def give_back(self, reason: str) -> list[Ended]:
        """Return all that is published, as interrupted; what machines do report of it is stale."""
        return [self._interrupted(each, reason) for each in list(self._published.values())]

    def withdraw(self, reason: str) -> list[Ended]:
        """Return what is published and nobody has taken, as interrupted."""
        return [self._interrupted(each, reason) for each in list(self._published.values()) if each.machine is None]

    def machines(self) -> list[tuple[Machine, float]]:
        """Return the machines that report, and how many seconds ago they did."""
        return [(known.machine, self._now - known.seen) for known in self._machines.values()]

    def heartbeats(self) -> list[Heartbeat]:
        """Return what the journal keeps of the machines that report."""
        running: defaultdict[str, list[int]] = defaultdict(list)
        for each in self._published.values():
            if each.machine is not None:
                running[each.machine.id].append(each.assignment.job)
        return by_worker(
            heartbeat(known.machine, tuple(running[name]), known.first, known.last)
            for name, known in self._machines.items()
        )

    def _take(self, report: Report) -> None:
        machine = report.machine
        known = self._machines.get(machine.id)
        if known is None:
            unfit = incompatible(machine)
            known = self._machines[machine.id] = Known(machine, self._now, unfit, time.time())
            if unfit:
                self._report(MachineUnfit(host=machine.host, reason=unfit))
        known.machine, known.seen, known.last = machine, self._now, time.time()
        for note in report.notes:
            if note.token == self._run:
                self._note(note, known)
            else:
                self.stale += isinstance(note, Outcome)
        if machine.running is None:  # it is there; what it runs is said in the queue of outcomes, in another order
            return
        self._compare(machine, machine.running)
        if machine.draining and not machine.running and not any(machine.slots.values()):
            del self._machines[machine.id]  # its last report

    @singledispatchmethod
    def _note(self, note: object, known: Known) -> None:
        raise TypeError(note)

    @_note.register
    def _begun(self, note: Begun, known: Known) -> None:
        self.deliveries += 1
        published = self._published.get(note.mark)
        if published is not None:
            published.machine, published.began, published.unlisted_at = known.machine, self._now, None

    @_note.register
    def _advanced(self, note: Advanced, known: Known) -> None:
        self._progress.append(RemoteProgress(note.job, note.attempt, note.fraction))

    @_note.register
    def _overrun(self, note: Overran, known: Known) -> None:
        published = self._published.get(note.mark)
        if published is not None:
            self._overran.append((published.assignment, note.seconds))

    @_note.register
    def _outcome(self, note: Outcome, known: Known) -> None:
        published = self._published.pop(note.mark, None)
        if published is None:
            self.stale += 1
            return
        self._ended.append(Ended(published.assignment, note.verdict, note.reason, note.result, note.usage, note.worker))

    @_note.register
    def _redelivered(self, note: Redelivered, known: Known) -> None:
        """A connection that was lost, or a visibility timeout, has every job delivered again, also those that run on.
        Only what no living machine has is begun again, and counted: it may be what ends machines."""
        self.deliveries += 1
        published = self._published.get(note.mark)
        if published is not None and (published.machine is None or published.machine.id not in self._machines):
            self._end(published, "delivered again: the machine that had it is lost", worker=known.machine.pid)

    @_note.register
    def _handed_back(self, note: HandedBack, known: Known) -> None:
        if not known.unfit:
            known.unfit = note.reason
            self._report(MachineUnfit(host=known.machine.host, reason=note.reason))
        published = self._published.get(note.mark)
        if published is not None:
            self._end(published, note.reason, worker=0)

    def _compare(self, machine: Machine, running: tuple[Mark, ...]) -> None:
        """End what a machine has had and lists no longer, though its outcome never came: the broker has lost it."""
        for mark, published in list(self._published.items()):
            if published.machine is None or published.machine.id != machine.id:
                continue
            if mark in running:
                published.unlisted_at = None
            elif published.unlisted_at is None:
                published.unlisted_at = self._now
            elif self._now - published.unlisted_at > SILENCES * machine.interval:
                self._end(published, f"its outcome from {machine.host} was lost")

    def _give_up_lost(self) -> None:
        for known in list(self._machines.values()):
            if self._now - known.seen > SILENCES * known.machine.interval and self._traffic.receiving.connected:
                del self._machines[known.machine.id]
        for published in list(self._published.values()):
            if published.machine is None:
                if self._now - published.at > UNTAKEN and self._gone(published):
                    self._end(published, "the broker has lost it")
            elif published.machine.id not in self._machines:  # it is silent, or has sent its last report without this
                self._end(published, f"machine {published.machine.host} is lost")

    def _gone(self, published: Published) -> bool:
        """Return whether a job's queue is empty, as measured once it should have been there for long."""
        return self._traffic.publishing.connected and self._traffic.depth(_lane(published.assignment)) == 0

    def _end(self, published: Published, reason: str, *, worker: int | None = None) -> None:
        self._ended.append(self._interrupted(published, reason, worker))

    def _interrupted(self, published: Published, reason: str, worker: int | None = None) -> Ended:
        """Take an attempt back; its worker, unless given, is the machine that has it."""
        assignment, machine = published.assignment, published.machine
        del self._published[self._run, assignment.job, assignment.attempt]
        if worker is None:
            worker = 0 if machine is None else machine.pid
        return Ended(assignment, Verdict.INTERRUPTED, reason, worker=worker)

    def _window(self, lane: str) -> int:
        slots = sum(
            known.machine.slots.get(lane, 0)
            for known in self._machines.values()
            if not known.unfit and not known.machine.draining
        )
        return min(max(FEWEST, AHEAD * slots), self._limits.get(lane, 1 << 30))


def _lane(assignment: Assignment) -> str:
    return QUICK if assignment.lane == QUICK else HEAVY
