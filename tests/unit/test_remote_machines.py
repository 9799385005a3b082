"""What a run concludes from the reports of its machines."""

from __future__ import annotations

import socket
from typing import Any, cast

import msgspec
import pytest

pytest.importorskip("celery")

from mediactl.commands.shared.brokers import require_broker
from mediactl.core.errors import UsageError
from mediactl.engines.fleet import UNTAKEN, Fleet
from mediactl.engines.messages import SCHEMA, Begun, HandedBack, Machine, Mark, Note, Outcome, Report
from mediactl.engines.traffic import Link
from mediactl.model.verdict import Verdict
from mediactl.pool.contract import Assignment

RUN = "run"
INTERVAL = 10.0


class Broker:
    """Reports that a test makes, in place of the connections of a run."""

    def __init__(self) -> None:
        self.publishing, self.receiving = Link(), Link()
        self.publishing.made()
        self.receiving.made()
        self.reports: list[Report] = []
        self.wakeup = socket.socket()

    def publish(self, job: Any) -> None:
        """Publish nothing."""

    def received(self) -> list[Report]:
        """Return the reports since the last call."""
        found, self.reports = self.reports, []
        return found

    def depth(self, lane: str) -> int | None:
        """Return that queues are empty."""
        return 0


class Run:
    """A run of one job, (1, 1), whose time the test sets."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.fleet = Fleet(cast(Any, self.broker), RUN, lambda _: cast(Any, None), {}, lambda _: None)
        self.at(0.0)
        self.fleet.add([Assignment(1, 1, "image", b"", (), 600.0)])

    def at(self, now: float, *reports: Report) -> list[tuple[Verdict, str]]:
        """Return what ended by these reports and the time."""
        self.broker.reports.extend(reports)
        return [(each.verdict, each.reason) for each in self.fleet.collect(now)[0]]


def report(*notes: Note, running: tuple[Mark, ...] | None = ((RUN, 1, 1),), draining: bool = False) -> Report:
    """Return a report of one machine."""
    machine = Machine("id", "host", 7, "999.0", SCHEMA, {"quick": 0 if draining else 2}, INTERVAL)
    return Report(msgspec.structs.replace(machine, running=running, draining=draining), notes)


def begun() -> Run:
    """Return a run whose job was taken."""
    run = Run()
    assert run.at(1.0, report(Begun(RUN, 1, 1))) == []
    return run


LOST = [(Verdict.INTERRUPTED, "machine host is lost")]


def test_a_draining_machine_that_dies_gives_its_jobs_back() -> None:
    run = begun()
    assert run.at(2.0, report(running=None, draining=True)) == []
    assert run.at(2.0 + 3 * INTERVAL) == []
    assert run.at(2.1 + 3 * INTERVAL) == LOST


def test_a_last_report_without_a_job_that_was_taken_gives_it_back() -> None:
    run = begun()
    assert run.at(2.0, report(running=(), draining=True)) == LOST


def test_a_draining_machine_finishes_what_it_runs() -> None:
    run = begun()
    assert run.at(2.0, report(running=None, draining=True)) == []
    done = Outcome(RUN, 1, 1, Verdict.DONE, "")
    assert run.at(3.0, report(done, running=(), draining=True)) == [(Verdict.DONE, "")]
    assert run.fleet.machines() == []


def test_a_beat_does_not_say_that_nothing_runs() -> None:
    run = begun()
    for second in range(2, 100, 5):
        assert run.at(second, report(running=None), report()) == []


def test_machines_are_given_up_while_only_publishing_fails() -> None:
    run = begun()
    run.broker.publishing.lost(OSError("refused"))
    assert run.at(2.0 + 3 * INTERVAL) == LOST


def test_nobody_is_given_up_while_nothing_can_be_received() -> None:
    run = begun()
    run.broker.receiving.lost(OSError("refused"))
    run.broker.publishing.made()
    assert run.at(100.0) == []
    run.broker.receiving.made()
    assert run.at(101.0) == []
    assert run.at(102.0 + 3 * INTERVAL) == LOST


def test_what_could_not_be_published_was_not_lost_by_the_broker() -> None:
    run = Run()
    run.broker.publishing.lost(OSError("refused"))
    assert run.at(UNTAKEN + 1) == []
    run.broker.publishing.made()
    assert run.at(UNTAKEN + 2) == []
    assert run.at(2 * UNTAKEN + 3) == [(Verdict.INTERRUPTED, "the broker has lost it")]


def test_notes_of_another_journal_are_stale() -> None:
    run = begun()
    other = Outcome("old", 1, 1, Verdict.DONE, "", b"other")
    assert run.at(2.0, report(other), report(HandedBack("old", 1, 1, "none"))) == []
    assert (run.fleet.stale, run.fleet.busy()) == (1, 1)


def test_what_nobody_took_is_withdrawn() -> None:
    assert [each.worker for each in Run().fleet.withdraw("stopped")] == [0]
    run = begun()
    assert run.fleet.withdraw("stopped") == []
    assert [each.worker for each in run.fleet.give_back("stopped")] == [7]


def test_heartbeats_are_those_of_workers_with_what_they_run() -> None:
    run = begun()
    quick = report().machine
    heavy = msgspec.structs.replace(quick, id="other", worker="w", slots={"heavy": 1})
    assert run.at(2.0, Report(msgspec.structs.replace(quick, worker="w")), Report(heavy)) == []
    (beat,) = run.fleet.heartbeats()
    assert (beat.machine, beat.slots, beat.running) == ("w", {"quick": 2, "heavy": 1}, (1,))


@pytest.mark.parametrize("url", ["redis://h:abc/0", "redis://:sec/ret@h:1/0", "amqp://u:secret@h:abc//"])
def test_a_malformed_url_is_one_line_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match=r"^--broker: malformed URL") as raised:
        require_broker(url)
    assert "sec" not in str(raised.value)
