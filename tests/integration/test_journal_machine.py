"""Whatever two runs do to one journal, in any order: every job is in exactly one state, the one that the rules say."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from journals import Clock, Rows, new_job, opened, record

from mediactl.jobs.journal import Claim, Journal
from mediactl.jobs.states import PATIENCE, TRANSITIONS, State
from mediactl.model import Priority, Verdict

JOBS = range(6)
RUNS = range(2)
LANES = ("quick", "heavy", "alone")
# Nothing is tested here that a power cut could take, so the journal may lie in memory.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Expected:
    """What a job must look like."""

    def __init__(self, lane: str) -> None:
        self.state = State.READY
        self.lane = lane
        self.attempt = self.failures = self.crashes = self.interruptions = self.recorded = 0
        self.run_after: float | None = None
        self.owner: int | None = None

    def end(self, state: State) -> None:
        """It runs no more."""
        self.state, self.owner = state, None


class Machine(RuleBasedStateMachine):
    """Two runs on one journal, and a model of it that is a few lines long."""

    @initialize()
    def begin(self) -> None:
        """An empty journal, opened twice."""
        self.folder = Path(tempfile.mkdtemp(dir=FAST, prefix="journal-"))
        self.clock = Clock()
        self.stacks = [ExitStack() for _ in RUNS]
        self.runs: list[Journal] = [self._open(number) for number in RUNS]
        self.rows = Rows(self.folder)
        self.expected: dict[int, Expected] = {}
        self.claims: list[tuple[int, int, Claim]] = []
        """(run, job, claim): all that were ever handed out, most of them stale by now."""
        self.seen: dict[int, tuple[State, int]] = {}

    def _open(self, number: int) -> Journal:
        self.stacks[number] = ExitStack()
        return self.stacks[number].enter_context(opened(self.folder, self.clock))

    def teardown(self) -> None:
        """Leave nothing in memory."""
        if hasattr(self, "folder"):
            for stack in self.stacks:
                stack.close()
            self.rows.connection.close()
            shutil.rmtree(self.folder)

    @rule(run=st.sampled_from(RUNS), job=st.sampled_from(JOBS), priority=st.sampled_from(Priority), heavy=st.booleans())
    def add(self, run: int, job: int, priority: Priority, heavy: bool) -> None:
        """A job is asked for, perhaps again."""
        lane = "heavy" if heavy else "quick"
        content = f"content {job // 2}"
        with self.runs[run].transaction():
            added = self.runs[run].add([new_job(job, priority=priority, lane=lane, content=content)])
        old = self.expected.get(job)
        fresh = old is None or old.state not in (State.READY, State.RUNNING)
        assert added == fresh
        if fresh:
            self.expected[job] = Expected(lane)
            if old is not None:
                self.expected[job].attempt, self.expected[job].recorded = old.attempt, old.recorded

    @rule(run=st.sampled_from(RUNS), room=st.integers(1, 4), lanes=st.sets(st.sampled_from(LANES), min_size=1))
    def claim(self, run: int, room: int, lanes: set[str]) -> None:
        """A run takes jobs."""
        busy = {job // 2 for job, each in self.expected.items() if each.state is State.RUNNING}
        with self.runs[run].transaction():
            found = self.runs[run].claim(sorted(lanes), room)
        assert len(found) <= room
        taken = []
        for claim in found:
            (job,) = [job for job in JOBS if new_job(job).key == claim.key]
            each = self.expected[job]
            assert each.state is State.READY
            assert each.run_after is None
            assert each.lane in lanes
            assert job // 2 not in busy
            busy.add(job // 2)
            each.state, each.owner, each.attempt = State.RUNNING, run, each.attempt + 1
            assert claim.attempt == each.attempt
            self.claims.append((run, job, claim))
            taken.append((claim.due, claim.id))
        assert taken == sorted(taken)
        if not found:
            assert not [
                job
                for job, each in self.expected.items()
                if each.state is State.READY and each.run_after is None and each.lane in lanes and job // 2 not in busy
            ]

    @rule(data=st.data(), run=st.sampled_from(RUNS), verdict=st.sampled_from(Verdict))
    def answer(self, data: st.DataObject, run: int, verdict: Verdict) -> None:
        """Somebody answers for some claim: its owner or not, for the first time or not, in time or not."""
        if not self.claims:
            return
        owner, job, claim = data.draw(st.sampled_from(self.claims))
        journal, each = self.runs[run], self.expected[job]
        valid = each.state is State.RUNNING and each.owner == run == owner and each.attempt == claim.attempt
        with journal.transaction():
            changed = self._answer(journal, claim, verdict)
            assert bool(changed) == valid
            if valid:
                record(journal, claim, verdict)
                each.recorded += 1
                self._expect(each, verdict)
        if changed not in (True, False, None):
            assert changed == each.state

    @staticmethod
    def _answer(journal: Journal, claim: Claim, verdict: Verdict) -> bool | State | None:
        job, attempt = claim.id, claim.attempt
        if verdict in (Verdict.FAILED, Verdict.TIMED_OUT):
            return journal.fail(job, attempt, "failed")
        if verdict is Verdict.CRASHED:
            return journal.crash(job, attempt, "crashed")
        if verdict in (Verdict.INTERRUPTED, Verdict.BLOCKED):
            return journal.interrupt(job, attempt, "interrupted")
        final = {Verdict.DONE: State.DONE, Verdict.REJECTED: State.REJECTED, Verdict.CHANGED: State.CANCELLED}
        return journal.finish(job, attempt, final[verdict])

    def _expect(self, each: Expected, verdict: Verdict) -> None:
        each.end(State.READY)
        if verdict in (Verdict.FAILED, Verdict.TIMED_OUT):
            each.failures += 1
            if each.failures == PATIENCE.failures:
                each.end(State.QUARANTINED)
            else:
                each.run_after = self.clock.now + 0.5 * 4.0 ** (each.failures - 1)
        elif verdict is Verdict.CRASHED:
            each.crashes += 1
            if each.crashes == PATIENCE.crashes:
                each.end(State.QUARANTINED)
            elif each.crashes == PATIENCE.crashes - 1:
                each.lane = "alone"
        elif verdict in (Verdict.INTERRUPTED, Verdict.BLOCKED):
            each.interruptions += 1
        elif verdict is Verdict.DONE:
            each.end(State.DONE)
        else:
            each.end(State.REJECTED if verdict is Verdict.REJECTED else State.CANCELLED)

    @rule(run=st.sampled_from(RUNS), seconds=st.sampled_from([0.0, 0.1, 1.0, 2.0, 3600.0]))
    def time_passes(self, run: int, seconds: float) -> None:
        """Retries whose time has come may be claimed."""
        self.clock.advance(seconds)
        with self.runs[run].transaction():
            self.runs[run].wake()
        for each in self.expected.values():
            if each.run_after is not None and each.run_after <= self.clock.now:
                each.run_after = None

    @rule(run=st.sampled_from(RUNS), job=st.sampled_from(JOBS))
    def retry(self, run: int, job: int) -> None:
        """A person lets a job be tried again."""
        if job not in self.expected:
            return
        each = self.expected[job]
        with self.runs[run].transaction():
            changed = self.runs[run].retry(self.rows.job(job).id)
        stopped = each.state in (State.REJECTED, State.QUARANTINED, State.CANCELLED)
        assert changed == (stopped or each.run_after is not None)
        if changed:
            each.end(State.READY)
            each.failures = each.crashes = 0
            each.run_after = None
            each.lane = "heavy" if each.lane == "alone" else each.lane

    @rule(run=st.sampled_from(RUNS), job=st.sampled_from(JOBS))
    def cancel(self, run: int, job: int) -> None:
        """A person cancels a job."""
        if job not in self.expected:
            return
        each = self.expected[job]
        with self.runs[run].transaction():
            changed = self.runs[run].cancel(self.rows.job(job).id)
        assert changed == (each.state is State.READY)
        if changed:
            each.end(State.CANCELLED)
            each.run_after = None

    @rule(run=st.sampled_from(RUNS))
    def die(self, run: int) -> None:
        """A run ends without settling; the other one takes its jobs over, at once."""
        other = self.runs[1 - run]
        assert other.reclaim_orphans() == [], "the living keep theirs"
        dead = self.runs[run].run
        self.stacks[run].close()
        orphans = other.reclaim_orphans()
        mine = {self.rows.job(job).id for job, each in self.expected.items() if each.owner == run}
        assert {job for _, job, _ in orphans} == mine
        assert {owner for owner, _, _ in orphans} <= {dead}
        for each in self.expected.values():
            if each.owner == run:
                each.end(State.READY)
                each.interruptions += 1
                each.recorded += 1
        self.runs[run] = self._open(run)

    @invariant()
    def every_job_is_as_the_rules_say(self) -> None:
        """State, lane and counters; attempts and history agree; no state was reached by a forbidden way."""
        if not hasattr(self, "expected"):
            return
        assert sum(self.rows.jobs().values()) == len(self.expected)
        for job, each in self.expected.items():
            row = self.rows.job(job)
            assert (row.state, row.lane, row.run_after) == (each.state, each.lane, each.run_after)
            assert (row.attempt, row.failures, row.crashes) == (each.attempt, each.failures, each.crashes)
            assert row.interruptions == each.interruptions
            running = each.state is State.RUNNING
            assert len(self.rows.attempts(job)) == each.recorded == row.attempt - running
            before, attempt = self.seen.get(job, (State.READY, 0))
            assert row.attempt >= attempt, "attempts only grow"
            assert each.state is before or any(
                each.state in TRANSITIONS[way] for way in (before, *TRANSITIONS[before])
            ), "one rule makes two steps at the most"
            self.seen[job] = (each.state, row.attempt)


Machine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,  # the same runs every time, here and in CI
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
test_any_order_of_events_keeps_every_job_in_the_state_that_the_rules_say = Machine.TestCase
