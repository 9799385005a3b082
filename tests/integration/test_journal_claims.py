"""Claims: in due order, never two of equal content; and what the journal keeps of attempts and sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from support.journals import Clock, Rows, a_source, claim, claim_one, new_job, opened, put, record

from mediactl.jobs import database, report
from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import Journal
from mediactl.jobs.states import State
from mediactl.model.assets import Artefact, OutputFile
from mediactl.model.jobs import JobResult, Priority, Usage
from mediactl.model.media import MediaInfo
from mediactl.model.verdict import Verdict


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal, for which time stands still."""
    with opened(tmp_path, Clock()) as journal:
        yield journal


@pytest.fixture
def rows(journal: Journal, tmp_path: Path) -> Rows:
    """What its file says."""
    return Rows(tmp_path)


def claimed_keys(found: list[Claim]) -> list[str]:
    """Keys in the order of the claim."""
    return [each.key for each in found]


def test_claims_go_by_due_time_over_all_lanes(journal: Journal) -> None:
    put(journal, new_job("slow", priority=Priority.LOW), new_job("film", lane="heavy"), new_job("photo"))
    put(journal, new_job("cloud", lane="network", priority=Priority.URGENT))
    put(journal, new_job("now", lane="heavy", priority=Priority.URGENT))
    wanted = [new_job(name).key for name in ("now", "film", "photo", "slow")]
    assert claimed_keys(claim(journal, 9)) == wanted


def test_no_more_is_claimed_than_there_is_room_for(journal: Journal) -> None:
    put(journal, *(new_job(number, lane=("quick", "heavy")[number % 2]) for number in range(6)))
    assert claimed_keys(claim(journal, 4)) == [new_job(number).key for number in range(4)]
    assert claimed_keys(claim(journal, 4)) == [new_job(number).key for number in (4, 5)]


def test_equal_content_is_never_worked_on_twice_at_once(journal: Journal, rows: Rows, tmp_path: Path) -> None:
    put(journal, *(new_job(name, content="same") for name in "abc"), new_job("d", content="other"))
    first = claim(journal, 9)
    assert claimed_keys(first) == [new_job("a").key, new_job("d").key]
    with opened(tmp_path) as other:
        assert claim(other, 9) == []
    with journal.transaction():
        journal.finish(first[0].id, first[0].attempt, State.DONE)
    assert claimed_keys(claim(journal, 9)) == [new_job("b").key]


def test_an_attempt_is_one_row_of_history_and_feeds_predictions_when_done(journal: Journal, rows: Rows) -> None:
    put(journal, new_job("a", kind="image", format="jpeg", size=1000))
    found = claim_one(journal)
    with journal.transaction():
        journal.interrupt(found.id, found.attempt, "stopped")
        record(journal, found, Verdict.INTERRUPTED)
    found = claim_one(journal)
    with journal.transaction():
        journal.finish(found.id, found.attempt, State.DONE)
        journal.record(found, Verdict.DONE, "", Usage(2.0, 1.5, 10**6), 77)
    first, second = rows.attempts("a")
    assert (first.outcome, first.attempt, first.run) == ("interrupted", 1, journal.run)
    assert (second.outcome, second.wall, second.cpu, second.peak_memory, second.worker) == ("done", 2.0, 1.5, 10**6, 77)
    assert journal.measured(2) == {}
    ((bucket, count),) = journal.measured(1)["image"]
    assert (bucket, count) == (41, 1)


def test_a_done_source_names_its_artefacts_and_needs_what_proves_it(journal: Journal, rows: Rows) -> None:
    with journal.transaction():
        source = journal.sources.put(a_source(), "recipe", "plan", "pending")
    with pytest.raises(apsw.ConstraintError), journal.transaction():
        journal.sources.set_state(source, "done", "")
    with journal.transaction():
        journal.sources.probed(source, "digest", MediaInfo(format="jpeg", width=3, height=2), "plan")
        journal.sources.done(source, JobResult(folder_mtime_ns=5), "plan")
    assert rows.sources() == {"done": 1}


def test_a_job_of_a_source_that_has_moved_on_is_not_retried(journal: Journal, rows: Rows) -> None:
    with journal.transaction():
        source = journal.sources.put(a_source(), "", "", "pending")
        journal.add([new_job("old", source=source)])
    old = claim_one(journal)
    with journal.transaction():
        journal.finish(old.id, old.attempt, State.REJECTED, "is broken")
        journal.sources.set_state(source, "rejected", "is broken")
        # Mended by its owner, it was found again.
        journal.sources.put(a_source(), "", "", "pending")
        journal.add([new_job("new", source=source)])
        assert not journal.retry(old.id)
    assert (rows.state("old"), rows.state("new")) == ("rejected", "ready")


def test_of_many_sources_with_equal_content_each_artefact_is_offered_once(journal: Journal, tmp_path: Path) -> None:
    info = MediaInfo(format="jpeg", width=3, height=2)
    files = tuple(
        OutputFile(Artefact(name, "variant", "image/webp", 1, "sha", f"key of {name}"), 5, 6) for name in ("a", "b")
    )
    with journal.transaction():
        for number in range(50):
            twin = journal.sources.put(a_source(b"twins/%d" % number), "", "", "pending")
            journal.sources.probed(twin, "digest", info, "")
            journal.sources.done(twin, JobResult(files=files), "")
        last = journal.sources.put(a_source(b"last"), "", "", "pending")
        journal.sources.probed(last, "digest", info, "")
    offered = journal.sources.twins(last, "digest", b"/out")
    assert sorted(each.key for each in offered) == ["key of a", "key of b"]
    assert all(each.file.startswith(b"/out/twins/") for each in offered)
    assert journal.sources.twins(last, "another", b"/out") == ()


def test_a_source_that_is_gone_is_told_unless_it_is_worked_on(journal: Journal, tmp_path: Path) -> None:
    with journal.transaction():
        for name in (b"a.jpg", b"b.jpg"):
            row = journal.sources.put(a_source(name), "", "", "pending")
            journal.add([new_job(name.decode(), source=row)])
    claim_one(journal)
    with report.read(str(tmp_path)) as rows:
        ((root, gone),) = rows.each_source()
        assert root == b"/photos"
        assert gone is not None
        found = rows.gone(gone)
    assert found is not None
    assert found[1:] == (b"/photos/b.jpg", b"b.jpg", [])


def test_sources_and_jobs_are_counted_in_every_state_of_the_schema(journal: Journal, tmp_path: Path) -> None:
    states = {
        table: re.findall(r"'(\w+)'", checked)
        for table, checked in re.findall(
            r"CREATE TABLE (sources|jobs) \(.*?CHECK \(state IN \((.*?)\)\)", database._text("schema.sql"), re.DOTALL
        )
    }
    with journal.transaction():
        for number, state in enumerate(states["sources"]):
            row = journal.sources.put(a_source(b"%d" % number), "", "", "pending" if state == "done" else state)
            if state == "done":
                journal.sources.probed(row, "digest", MediaInfo(format="jpeg"), "")
                journal.sources.done(row, JobResult(files=()), "")
            journal.sources.mark_met([row])
    assert journal.sources.met() == dict.fromkeys(states["sources"], 1)
    with journal.transaction():
        journal.sources.mark_mine(range(1, 1 + len(states["sources"])))
    assert journal.sources.met() == {}
    assert journal.sources.mine() == dict.fromkeys(states["sources"], 1)
    with report.read(str(tmp_path)) as rows:
        assert rows.sources() == dict.fromkeys(states["sources"], 1)
        columns = [name for name, *_ in rows._run("jobs").get_description()]
    assert sorted(columns) == sorted(states["jobs"])
