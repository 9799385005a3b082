"""The loop over the workers: hands out jobs, collects answers, enforces limits, stops gracefully.

A ``Queue`` settles and claims jobs for it, both in one call, so that one transaction can contain them.
"""

from __future__ import annotations

import selectors
import signal
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType

import msgspec

from mediactl.core import machine
from mediactl.core.errors import MachineBlocked, MediactlError
from mediactl.model.events import LaneStatus, PauseCause
from mediactl.model.hours import Hours
from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict
from mediactl.pool.clock import LivedClock
from mediactl.pool.contract import (
    Assignment,
    Busy,
    Clients,
    Ended,
    IntakeStep,
    Noting,
    Queue,
    Room,
    Stopped,
)
from mediactl.pool.forkserver import ForkServer
from mediactl.pool.lanes import MediaLanes, RemoteLanes
from mediactl.pool.messages import Answer, Note, Noted, Progress
from mediactl.pool.network import NETWORK, Network, Service
from mediactl.pool.pause import Pause
from mediactl.pool.process import HARD_EXTRA, LAST_WORDS, Worker
from mediactl.pool.scheduler import Scheduler
from mediactl.pool.signals import Signals, Stops

TICK = 0.1
"""Seconds between two checks of timers and updates of the display, at most."""
IDLE_TICK = 0.5
"""Seconds between two claims while there are no jobs: retries come due, and jobs of runs that died."""
SUSPENDED_TICK = 0.5
"""The same while all workers are suspended and nothing is due."""
SLICE = 0.005
"""Seconds of planning between two polls of the pipes."""
MAX_STARTS = 3
"""Workers that may die in a row before Hello; then the installation is broken."""
WEIGHING_INTERVAL = 0.25
"""Seconds between two measurements of workers' memory: a runaway decoder takes about 1 GB in that time."""
BLOCKED_GRACE = 3.0
"""Seconds that running jobs get where the machine is blocked: most of them will meet the same full disk."""
MOST_PROCESSES = 32
"""Processes of one worker: itself, the one that decodes, and a few of ffmpeg."""
CLOSE_TIMEOUT = 2.0
"""Seconds that an idle worker gets to end by itself."""
SHOWN = 16
"""Jobs of a process of the network lane that are reported as running."""

ENDING = {Verdict.BLOCKED: Stopped.BLOCKED, Verdict.FORBIDDEN: Stopped.FORBIDDEN}
"""Verdicts that end the run."""


class Supervisor:
    """Runs the jobs of a queue in worker processes.

    ``call`` names the workers' function ("module:function"); ``token`` marks their temporary files; ``log`` is a file
    descriptor for whatever they print. ``grace`` and ``max_duration`` are seconds. ``limits`` caps the jobs of a lane
    or kind that run at once, ``memory`` (bytes) what they are expected to take together; ``drain``, called many times a
    second, returns whether the machine is being drained. Without ``network`` no job of that lane is taken; its worker
    has ``network_environment``, where that is given. ``forks`` forks the other workers; the caller closes it.
    Jobs are started within ``hours``; outside of them the run waits, or ends where ``ends_with_hours``. ``clients`` may
    call ``pause`` and ``resume`` when they are served. With ``remote``, media jobs run there, and no worker here.
    ``signals`` says when to stop, where that is not up to the signals of this process.
    """

    def __init__(
        self,
        call: str,
        queue: Queue,
        *,
        workers: int,
        token: str,
        environment: Mapping[str, str],
        network_environment: Mapping[str, str] | None = None,
        log: int,
        grace: float = 25.0,
        max_duration: float | None = None,
        limits: Mapping[str, int] = MappingProxyType({}),
        memory: int | None = None,
        network: Service | None = None,
        forks: ForkServer | None = None,
        drain: Callable[[], bool] = lambda: False,
        hours: Hours | None = None,
        ends_with_hours: bool = False,
        clients: Clients | None = None,
        remote: RemoteLanes | None = None,
        signals: Stops | None = None,
    ) -> None:
        self._call = call
        self._queue = queue
        self._drain = drain
        self._token = token
        self._environment = environment
        self._network_environment = environment if network_environment is None else network_environment
        self._log = log
        self._forks = forks
        self._grace = grace
        self._clock = LivedClock()
        """While this process is stopped, no time passes for any limit."""
        self._end = None if max_duration is None else self._clock() + max_duration
        self._selector = selectors.DefaultSelector()
        self._scheduler: MediaLanes = remote or Scheduler(workers, self._start, limits, memory)
        self._remote = remote
        self._network = Network(network, self._start_network)
        self._notes: list[tuple[Worker, Note]] = []
        self._ended: list[Ended] = []
        self._failed_starts = 0
        self._planning = IntakeStep.MORE
        self._signals: Stops = signals or Signals()
        self._stopping: Stopped | None = None
        self._pause = Pause(queue, hours)
        self._ends_with_hours = ends_with_hours
        self._clients = clients
        self._deadline = 0.0
        self._next_weighing = 0.0
        self.blocked_by = ""

    def run(self) -> Stopped:
        """Work until the queue is complete, or until asked to stop, and return which.

        The first SIGINT or SIGTERM claims nothing more and lets running jobs finish for ``grace`` seconds; the second
        ends them at once. What did not finish is given back as interrupted. No worker is left when this returns.
        """
        next_look = 0.0
        with self._signals, self._clock.pulse():
            self._selector.register(self._signals.wakeup, selectors.EVENT_READ)
            self._follow_intake(True)
            if self._clients is not None:
                self._selector.register(self._clients, selectors.EVENT_READ)
            if self._remote is not None:
                self._selector.register(self._remote.wakeup, selectors.EVENT_READ)
            self._follow_hours()
            try:
                while True:
                    if not self._stopping and self._pause.suspended_at is None and self._plan():
                        next_look = 0.0
                        self._begin_new()
                    room = self._room()
                    if self._ended or self._notes or (room and self._clock() >= next_look):
                        taken = self._exchange(room)
                        # Without new jobs, claim again after a while, or at once after the next answer.
                        next_look = 0.0 if taken or self._ended else self._clock() + IDLE_TICK
                    self._hand_out()
                    busy = self._scheduler.busy() + self._network.busy()
                    if not busy and not self._ended and not self._waiting():
                        if self._stopping:
                            return self._stopping
                        if (
                            (next_look or self._pause.cause)
                            and self._planning is IntakeStep.DONE
                            and self._queue.complete()
                        ):
                            return Stopped.COMPLETE
                    self._wait(self._patience())
                    self._collect()
                    self._watch_the_clock()
                    if self._signals.to_suspend:
                        self._suspend()
                    self._queue.tick(busy)
            finally:
                self._close()

    # -- one turn of the loop --------------------------------------------------------------------------------------

    def _plan(self) -> bool:
        """Plan for a while, or until there are jobs for an idle worker; return whether jobs were added."""
        until = self._clock() + SLICE
        added = False
        while self._planning is not IntakeStep.DONE:
            self._planning = self._queue.plan()
            if self._planning is IntakeStep.DONE:
                self._follow_intake(False)  # at its end it would be readable forever
            added = added or self._planning is IntakeStep.ADDED
            if not self._more_to_plan() or (added and self._scheduler.idle()) or self._clock() >= until:
                break
        return added

    def _begin_new(self) -> None:
        """Hand out new jobs before answers are settled: settling waits for the disk, and urgent jobs need not."""
        if self._ended and not self._pause.cause and (room := self._scheduler.room(self._clock())):
            ended, self._ended = self._ended, []
            notes, self._notes = self._notes, []
            self._exchange(room)
            self._hand_out()
            self._ended = ended + self._ended
            self._notes = notes + self._notes

    def _room(self) -> Room:
        if self._stopping or self._pause.cause:
            return Room()
        room = self._scheduler.room(self._clock())
        network = self._network.room()
        return msgspec.structs.replace(room, lanes={**room.lanes, NETWORK: network}) if network else room

    def _waiting(self) -> bool:
        return bool(self._network.waiting) or any(self._scheduler.waiting.values())

    def _more_to_plan(self) -> bool:
        return self._planning in (IntakeStep.MORE, IntakeStep.ADDED)

    def _exchange(self, room: Room) -> int:
        ended, self._ended = self._ended, []
        notes, self._notes = self._notes, []
        for end in ended:
            if end.verdict in ENDING:
                self.blocked_by = end.reason
                self._stop(ENDING[end.verdict])
            elif end.verdict in (Verdict.REFUSED, Verdict.AWAY) and not self._network.closed:
                self._network.closed = (end.verdict, end.reason)
                self._queue.closed(NETWORK, end.verdict, end.reason)
        room = Room() if self._stopping else room
        # Jobs of the lane "alone" have a machine to themselves; of many machines, one.
        alone = self._remote is not None or not (self._scheduler.busy() or any(self._scheduler.waiting.values()))
        known = [(worker.working_on(note.job), note) for worker, note in notes]
        noting = [Noting(assignment, note.body) for assignment, note in known if assignment is not None]
        taken = self._queue.exchange(ended, room, alone, noting)
        for worker, note in notes:
            worker.send(Noted(note.number))
            self._flush(worker)
        self._scheduler.add(assignment for assignment in taken if assignment.lane != NETWORK)
        self._network.add(assignment for assignment in taken if assignment.lane == NETWORK)
        return len(taken)

    def _wait(self, timeout: float) -> None:
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._signals.wakeup:
                self._signals.drain()
                continue
            if key.fileobj is self._queue.wakeup:
                continue  # planning reads it
            if self._clients is not None and key.fileobj is self._clients:
                self._clients.serve()
                continue
            if self._remote is not None and key.fileobj is self._remote.wakeup:
                continue  # ``_collect`` reads it
            worker: Worker = key.data
            if events & selectors.EVENT_WRITE and not worker.flush():
                self._selector.modify(worker.pipe, selectors.EVENT_READ, worker)
            if events & selectors.EVENT_READ:
                self._read(worker)

    def _collect(self) -> None:
        """Take what other machines have reported."""
        if self._remote is not None:
            ended, progress = self._remote.collect(self._clock())
            self._ended.extend(ended)
            for each in progress:
                self._queue.progress(each.job, each.attempt, each.fraction, 0)

    def _read(self, worker: Worker) -> None:
        messages = worker.receive()
        if messages is None:
            self._lost(worker)
            return
        for message in messages:
            if isinstance(message, Answer):
                self._answered(worker, message)
            elif isinstance(message, Progress):
                # Whatever the fraction: that of a video longer than its header says stays the same.
                worker.advanced = self._clock()
                self._queue.progress(message.job, message.attempt, message.fraction, message.sent)
            elif isinstance(message, Note):
                worker.advanced = self._clock()
                self._notes.append((worker, message))
            else:
                self._failed_starts, worker.greeted = 0, True
                worker.started = worker.advanced = self._clock()  # start-up does not count as the job's time

    def _answered(self, worker: Worker, answer: Answer) -> None:
        try:
            assignment = worker.answered(answer)
        except ValueError:
            worker.kill()  # protocol violation; the next read finds it dead
            return
        if worker.verdict is not None:  # it was killed, but had answered: that verdict was not for the next job
            worker.verdict = (Verdict.INTERRUPTED, "its worker was killed")
        worker.started = worker.advanced = self._clock()
        usage = answer.usage
        if worker.lane != NETWORK:
            usage = worker.without_suspension(usage)
            self._scheduler.answered(worker, assignment, answer)
        self._ended.append(Ended(assignment, answer.verdict, answer.reason, answer.result, usage, worker.pid))

    def _lost(self, worker: Worker) -> None:
        """End the jobs of a worker that died: the one that ran is to blame, if any is."""
        self._selector.unregister(worker.pipe)
        (self._network if worker.lane == NETWORK else self._scheduler).workers.pop(worker.pipe)
        self._notes = [(each, note) for each, note in self._notes if each is not worker]
        how = worker.bury(0.0 if worker.verdict else LAST_WORDS)
        shortage = "" if worker.verdict else machine.shortage()
        if not worker.greeted and worker.verdict is None:
            self._failed_starts += 1
            if self._failed_starts >= MAX_STARTS and shortage:
                raise MachineBlocked(f"workers cannot start: {how}; {shortage}")
            if self._failed_starts >= MAX_STARTS:
                raise MediactlError(f"workers cannot start: {how}; see the newest log in the journal's folder")
        if worker.lane == NETWORK:
            self._ended.extend(self._network.lost(worker, how))
            return
        # Of its jobs the first ran, if it had started; those behind it only waited.
        begun, waited = list(worker.sent)[: int(worker.greeted)], list(worker.sent)[int(worker.greeted) :]
        for assignment in begun:
            crashed = (Verdict.UNREADABLE, f"{how}; {shortage}") if shortage else (Verdict.CRASHED, how)
            verdict, reason = worker.verdict or crashed
            usage = Usage(wall=self._clock() - worker.started)
            self._ended.append(Ended(assignment, verdict, reason, usage=usage, worker=worker.pid))
        self._give_back(waited, "its worker died before it began")

    def _watch_the_clock(self) -> None:
        """Do what is due: stop, end what exceeds its limits, take back what is held up, replace workers."""
        now = self._clock()
        if self._stopping is None and (why := self._asked_to_stop(now)):
            self._stop(why)
        if self._stopping and (self._signals.count > 1 or now >= self._deadline):
            self._kill_busy()
        self._follow_hours()
        if self._pause.suspended_at is not None:
            return
        self._enforce_limits(now)
        for assignment, seconds in self._scheduler.overrunning(now):
            self._queue.overran(assignment.job, assignment.attempt, seconds)
        for worker in self._scheduler.held_up(now):
            self._give_back(worker.recall(), "waited behind a job that takes long")
            self._flush(worker)
        for worker in self._scheduler.spare():
            self._selector.unregister(worker.pipe)
            del self._scheduler.workers[worker.pipe]
            worker.close(CLOSE_TIMEOUT)

    def _asked_to_stop(self, now: float) -> Stopped | None:
        if self._signals.count:
            return Stopped.ASKED
        if self._end is not None and now >= self._end:
            return Stopped.TIME_UP
        return Stopped.DRAIN if self._drain() else None

    def _kill_busy(self) -> None:
        for worker in self._all_workers():
            if worker.sent and worker.verdict is None:
                worker.kill_for(Verdict.INTERRUPTED, "stopped before it was done")
        if self._remote is not None:
            self._ended.extend(self._remote.give_back("stopped before it was done"))

    def _enforce_limits(self, now: float) -> None:
        """Kill workers that did not start, or whose job exceeds its limits of time and memory."""
        for worker in self._scheduler.workers.values():
            if worker.stuck(now):
                worker.kill()
            elif reason := worker.exceeded(now):
                worker.kill_for(Verdict.TIMED_OUT, reason)
        for worker in self._network.silent(now):
            worker.kill()
        if now >= self._next_weighing:
            self._next_weighing = now + WEIGHING_INTERVAL
            self._weigh()

    def _weigh(self) -> None:
        for worker in self._scheduler.workers.values():
            if not worker.sent or worker.verdict is not None:
                continue
            limit, processes = worker.sent[0].memory_limit, worker.processes()
            if len(processes) > MOST_PROCESSES:
                worker.kill_for(Verdict.CRASHED, f"started more than {MOST_PROCESSES} processes")
            elif limit is not None and (used := worker.memory(processes)) > limit:
                reason = f"took {used >> 20} MiB of memory, more than its limit of {limit >> 20} MiB"
                worker.kill_for(Verdict.CRASHED, reason)

    def _give_back(self, assignments: Iterable[Assignment], reason: str) -> None:
        self._ended.extend(Ended(assignment, Verdict.INTERRUPTED, reason) for assignment in assignments)

    # -- workers ---------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        if self._stopping:
            for queue in self._scheduler.waiting.values():
                self._give_back(queue, "stopped before it began")
                queue.clear()
        if self._stopping or self._network.closed:
            why = self._network.closed[1] if self._network.closed else "stopped before it began"
            self._ended.extend(self._network.give_back(why))
        now = self._clock()
        for worker in self._scheduler.hand_out(now) | self._network.hand_out(now):
            self._flush(worker)

    def _flush(self, worker: Worker) -> None:
        if worker.flush():
            self._selector.modify(worker.pipe, selectors.EVENT_READ | selectors.EVENT_WRITE, worker)

    def _start(self) -> Worker:
        return self._started(self._call, self._environment, forks=self._forks)

    def _start_network(self, service: Service) -> Worker:
        return self._started(service.call, self._network_environment, service.options)

    def _started(
        self, call: str, environment: Mapping[str, str], options: str | None = None, forks: ForkServer | None = None
    ) -> Worker:
        try:
            worker = Worker(call, self._token, environment, self._log, options, forks)
        except OSError as error:
            if error.errno in machine.SHORTAGES:
                raise MachineBlocked(f"workers cannot be started: {error.strerror}") from error
            raise
        self._selector.register(worker.pipe, selectors.EVENT_READ, worker)
        return worker

    def _all_workers(self) -> list[Worker]:
        return [*self._scheduler.workers.values(), *self._network.workers.values()]

    # -- pausing ---------------------------------------------------------------------------------------------------

    def pause(self, *, now: bool) -> None:
        """Start no more jobs until ``resume``; ``now``: suspend the running ones, too, and their limits with them."""
        self._pause.asked = True
        if now and self._pause.suspended_at is None:
            self._pause.suspended_at = self._clock()
            self._follow_intake(False)
            for worker in self._all_workers():
                worker.send_signal(signal.SIGSTOP)
        self._update_pause()

    def resume(self) -> None:
        """Start jobs again, unless it is outside of the run's hours, and continue those that were suspended."""
        self._pause.asked = False
        self._continue()
        self._update_pause()

    def _continue(self) -> None:
        """Continue what was suspended, as if no time had passed."""
        if self._pause.suspended_at is None:
            return
        skipped = self._clock() - self._pause.suspended_at
        self._pause.suspended_at = None
        self._follow_intake(self._planning is not IntakeStep.DONE)
        for worker in self._all_workers():
            worker.skip(skipped)
            worker.send_signal(signal.SIGCONT)

    def _follow_hours(self) -> None:
        """Stop, or wait, outside of the hours."""
        if self._stopping is not None:
            return
        if not self._ends_with_hours:
            self._update_pause()
        elif self._pause.outside:
            self._stop(Stopped.HOURS)

    def _update_pause(self) -> None:
        """Take back, where jobs may no longer be started, those that have not begun."""
        if self._pause.update():
            why = "paused before it began"
            for queue in self._scheduler.waiting.values():
                self._give_back(queue, why)
                queue.clear()
            self._ended.extend(self._network.give_back(why))
            for worker in self._scheduler.workers.values():
                self._give_back(worker.recall(), why)
                self._flush(worker)

    def _follow_intake(self, follow: bool) -> None:
        """Wake up, or no longer, when there is something to plan."""
        wakeup = self._queue.wakeup
        if wakeup is None or follow == (wakeup in self._selector.get_map()):
            return
        if follow:
            self._selector.register(wakeup, selectors.EVENT_READ)
        else:
            self._selector.unregister(wakeup)

    # -- what others may see ---------------------------------------------------------------------------------------

    @property
    def pause_cause(self) -> PauseCause | None:
        """Why no jobs are started; None: they are."""
        return self._pause.cause

    @property
    def is_suspended(self) -> bool:
        """Whether running jobs are suspended."""
        return self._pause.suspended_at is not None

    @property
    def stopping(self) -> Stopped | None:
        """Why the run is stopping; None: it is not."""
        return self._stopping

    def lanes(self) -> dict[str, LaneStatus]:
        """Return how many jobs are running and queued, by lane."""
        found = {lane: LaneStatus(*numbers) for lane, numbers in self._scheduler.numbers().items()}
        if self._network.workers or self._network.waiting:
            found[NETWORK] = LaneStatus(self._network.busy(), len(self._network.waiting))
        return found

    def running(self) -> list[Busy]:
        """Return the running jobs; of a process of the network lane, its first ones."""
        now = self._clock() if self._pause.suspended_at is None else self._pause.suspended_at
        busy = [
            Busy(worker.pid, worker.lane, worker.sent[0], max(0.0, now - worker.started) if worker.greeted else 0.0)
            for worker in self._scheduler.workers.values()
            if worker.sent
        ]
        busy += [] if self._remote is None else self._remote.running(now)
        for worker in self._network.workers.values():
            busy += [Busy(worker.pid, NETWORK, each, None) for each in islice(worker.sent, SHOWN)]
        return busy

    # -- stopping --------------------------------------------------------------------------------------------------

    def _stop(self, why: Stopped) -> None:
        if self._stopping is None:
            self._stopping = why
            self._continue()
            grace = self._grace_of(why)
            self._deadline = self._clock() + grace
            if self._remote is not None:
                self._ended.extend(self._remote.withdraw("stopped before it began"))
            running = self._scheduler.busy() + self._network.busy()
            self._queue.stopping(why, self._signals.first, running, grace)
            for worker in self._network.drain(min(grace, self._grace)):
                self._flush(worker)

    def _grace_of(self, why: Stopped) -> float:
        """Return the seconds that running jobs get to finish."""
        if why is Stopped.HOURS:  # all that they may take: no hour of encoding is lost because the night is over
            limits = (busy.assignment.time_limit for busy in self.running() if busy.lane != NETWORK)
            return max(self._grace, max(limits, default=0.0) + HARD_EXTRA)
        return min(self._grace, BLOCKED_GRACE) if why is Stopped.BLOCKED else self._grace

    def _patience(self) -> float:
        """Return the seconds until there is something to do, at most."""
        if self._pause.suspended_at is not None:
            return SUSPENDED_TICK
        return TICK if self._stopping or not self._more_to_plan() else 0.0

    def _suspend(self) -> None:
        """Stop together with all workers (Ctrl-Z) until continued (fg): they are in sessions of their own, which the
        terminal's signals do not reach."""
        self._queue.suspending()
        for worker in self._all_workers():
            worker.send_signal(signal.SIGSTOP)
        if self._forks is not None:
            self._forks.send_signal(signal.SIGSTOP)
        self._signals.suspend()
        if self._forks is not None:
            self._forks.send_signal(signal.SIGCONT)
        for worker in self._all_workers() if self._pause.suspended_at is None else ():
            worker.send_signal(signal.SIGCONT)

    def _close(self) -> None:
        """End all workers. Busy ones (on an error) are killed; their jobs stay claimed by this run, whose lock is about
        to be released: the next run reclaims them."""
        for worker in self._all_workers():
            if worker.sent:
                worker.kill()
                worker.bury()
        for worker in self._all_workers():
            if not worker.sent:
                worker.close(CLOSE_TIMEOUT)
        self._scheduler.workers.clear()
        self._network.workers.clear()
        self._selector.close()
