"""Interruptions cost nothing, but are bounded: a job that never comes to its end is not begun for ever."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import Clock, Rows, a_source, claim_one, new_job, opened, put

from mediactl.core import files
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.states import PATIENCE, Patience, State
from mediactl.model.events import Event, JobQuarantined
from mediactl.model.verdict import Verdict
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.recovery import take_over
from mediactl.pool.contract import Ended, Room
from mediactl.recipe import loader

ROOM = Room({"quick": 1})


class NoIntake:
    """All is taken in."""

    wakeup: socket.socket | None = None

    def step(self) -> bool:
        """Nothing is left."""
        return False

    def summary(self) -> None:
        """Nothing was found."""


class Setting:
    """A journal with one job of one source, the backlog on it, and what it tells."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.journal, self.rows = journal, Rows(folder)
        self.events: list[Event] = []
        with journal.transaction():
            self.source = journal.sources.put(a_source(), "", "", "pending")
            journal.add([new_job("a", kind="image", source=self.source)])
        out = os.fsencode(folder / "out")
        planner = Planner(Settings(sources=(), out=out, state=str(folder)), loader.load("web"), {}, journal)
        self.backlog = Dispatcher(journal, planner, NoIntake(), out, self.events.append, Clock())

    def run_and_end(self, verdict: Verdict, worker: int) -> None:
        """One attempt that ends so; worker 0: it never reached one."""
        (assignment,) = self.backlog.exchange([], ROOM, alone=True)
        self.backlog.exchange([Ended(assignment, verdict, "was stopped", worker=worker)], Room(), alone=False)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """All of it."""
    with opened(tmp_path) as journal:
        yield Setting(tmp_path, journal)


@pytest.mark.parametrize("verdict", [Verdict.INTERRUPTED, Verdict.BLOCKED])
def test_a_job_that_was_begun_and_interrupted_too_often_is_quarantined_with_its_source(
    setting: Setting, verdict: Verdict
) -> None:
    for number in range(1, PATIENCE.interruptions):
        setting.run_and_end(verdict, worker=7)
        assert (setting.rows.state("a"), setting.rows.job("a").interruptions) == ("ready", number)
        assert setting.rows.sources() == {"pending": 1}
    setting.run_and_end(verdict, worker=7)
    job = setting.rows.job("a")
    assert (job.state, job.interruptions, job.reason) == ("quarantined", PATIENCE.interruptions, "was stopped")
    assert (job.failures, job.crashes) == (0, 0)
    assert setting.rows.sources() == {"quarantined": 1}
    assert setting.journal.sources.get(setting.source).reason == "was stopped"
    last = setting.events[-1]
    assert isinstance(last, JobQuarantined)
    assert last.reason == "was stopped"
    assert [event.name for event in setting.events].count("job.interrupted") == PATIENCE.interruptions - 1
    assert setting.backlog.exchange([], ROOM, alone=True) == []


def test_what_had_not_begun_is_never_counted(setting: Setting) -> None:
    for _ in range(3 * PATIENCE.interruptions):
        setting.run_and_end(Verdict.INTERRUPTED, worker=0)
    job = setting.rows.job("a")
    assert (job.state, job.interruptions, job.attempt) == ("ready", 0, 3 * PATIENCE.interruptions)
    assert setting.rows.sources() == {"pending": 1}


def test_runs_that_die_count_as_well(tmp_path: Path) -> None:
    """What takes the whole run down each time is begun some times, then no more."""
    with opened(tmp_path) as journal, journal.transaction():
        source = journal.sources.put(a_source(), "", "", "pending")
        journal.add([new_job("a", source=source)])
    rows = Rows(tmp_path)
    for number in range(1, PATIENCE.interruptions + 1):
        with opened(tmp_path) as journal:
            claim_one(journal)
        with opened(tmp_path) as journal:
            assert [(job, of) for _, job, of in journal.reclaim_orphans()] == [(rows.job("a").id, source)]
        assert rows.job("a").interruptions == number
        last = number == PATIENCE.interruptions
        assert (rows.state("a"), rows.sources()) == (
            ("quarantined", {"quarantined": 1}) if last else ("ready", {"pending": 1})
        )
    assert rows.job("a").reason == "its run was killed"
    with opened(tmp_path) as journal:
        assert journal.sources.get(source).reason == "its run was killed too often"
        assert journal.reclaim_orphans() == []
        with journal.transaction():
            assert journal.claim(("quick", "heavy", "alone"), 1) == []
    assert {each.outcome for each in rows.attempts("a")} == {"interrupted"}


def test_a_run_that_dies_as_it_takes_over_leaves_that_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the job is ready, nothing would say any more that temporary files were left."""
    with opened(tmp_path) as journal:
        with journal.transaction():
            journal.add([new_job("a", source=journal.sources.put(a_source(), "", "", "pending"))])
        claim_one(journal)
        left = tmp_path / "out/a.jpg" / f".mediactl-{journal.run}-w1.webp"
        left.parent.mkdir(parents=True)
        left.touch()
    out, rows = os.fsencode(tmp_path / "out"), Rows(tmp_path)
    with monkeypatch.context() as patched, opened(tmp_path) as journal:
        patched.setattr(files, "remove_if_there", sys.exit)
        with pytest.raises(SystemExit):
            take_over(journal, out, lambda _: None)
    assert (rows.state("a"), left.exists()) == ("running", True)
    with opened(tmp_path) as journal:
        take_over(journal, out, lambda _: None)
    assert (rows.state("a"), left.exists()) == ("ready", False)


@pytest.mark.parametrize("most", [1, 3])
def test_the_bound_can_be_set(tmp_path: Path, most: int) -> None:
    with opened(tmp_path, patience=Patience(interruptions=most)) as journal:
        put(journal, new_job("a"))
        for number in range(1, most + 1):
            found = claim_one(journal)
            with journal.transaction():
                state = journal.interrupt(found.id, found.attempt, "stopped")
            assert state is (State.QUARANTINED if number == most else State.READY)


def test_a_retry_clears_interruptions(tmp_path: Path) -> None:
    """Else it would be quarantined again by the first one that comes."""
    with opened(tmp_path, patience=Patience(interruptions=2)) as journal:
        put(journal, new_job("a"))
        for _ in range(2):
            found = claim_one(journal)
            with journal.transaction():
                state = journal.interrupt(found.id, found.attempt, "stopped")
        assert state is State.QUARANTINED
        with journal.transaction():
            assert journal.retry(found.id)
        assert Rows(tmp_path).job("a").interruptions == 0
        found = claim_one(journal)
        with journal.transaction():
            assert journal.interrupt(found.id, found.attempt, "stopped") is State.READY


def test_failures_crashes_and_interruptions_are_counted_apart(tmp_path: Path) -> None:
    with opened(tmp_path, random=lambda: 0.0) as journal:
        put(journal, new_job("a"))
        for ways in range(2):
            for end in (journal.fail, journal.crash, journal.interrupt):
                with journal.transaction():
                    journal.wake()
                    (found,) = journal.claim(("quick", "heavy", "alone"), 1)
                    assert end(found.id, found.attempt, "why") is State.READY, (ways, end)
    job = Rows(tmp_path).job("a")
    assert (job.failures, job.crashes, job.interruptions) == (2, 2, 2)
