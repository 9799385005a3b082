"""What a recipe says of a job's limits: put into its jobs, and no reason to make anything anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.journals import opened

from mediactl.core.errors import UsageError
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import SourceRow
from mediactl.model.jobs import NewJob, Priority, Usage
from mediactl.model.media import AudioStream, Fingerprint, Kind, MediaInfo, Source, VideoStream
from mediactl.model.verdict import Verdict
from mediactl.pipeline.planner import Planner
from mediactl.planning import jobs
from mediactl.recipe import loader

VERSIONS = {"image": "libvips-8.18", "ffmpeg": "8.0"}
PLAIN = """
name = "mine"
[[image]]
name = "w1"
width = 100
[[video]]
name = "v"
[[poster]]
name = "p"
[[audio]]
name = "a"
"""
ALL = "[run]\nseconds = 12.5\nstall_seconds = 7\nmemory_mib = 200\n"
INFO = {
    Kind.IMAGE: MediaInfo(format="jpeg", width=4000, height=3000),
    Kind.VIDEO: MediaInfo(format="mp4", width=1920, height=1080, duration=10.0, video=VideoStream("h264", 1920, 1080)),
    Kind.AUDIO: MediaInfo(format="mp3", duration=180.0, audio=(AudioStream("mp3", 2, 44100),)),
}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty one."""
    with opened(tmp_path) as journal:
        yield journal


def put_probed(journal: Journal, source: Source, chosen: loader.Recipe) -> SourceRow:
    """Enter a source that was read."""
    row = journal.sources.put(source, chosen.digest(), "", "pending")
    journal.sources.probed(row, "d" * 64, INFO[source.kind], "")
    return journal.sources.get(row)


def job_of(journal: Journal, kind: Kind, text: str) -> NewJob:
    """The job that a recipe of this text gives for a source of this kind."""
    source = Source(b"/photos", b"a", b"a", Fingerprint(100, 2, 3, 4), kind, INFO[kind].format)
    chosen = loader.parse(text, "mine.toml")
    with journal.transaction():
        row = put_probed(journal, source, chosen)
    planner = Planner(Settings(sources=(), out=b"/out", state="/state", jobs=2), chosen, VERSIONS, journal)
    work = planner.work(row, chosen, Priority.NORMAL)
    assert work is not None
    return work.make


def test_it_is_parsed() -> None:
    assert loader.parse(PLAIN + ALL, "mine.toml").run == loader.RunLimits(12.5, 7.0, 200)
    assert loader.parse(PLAIN, "mine.toml").run == loader.RunLimits(None, None, None)
    assert loader.parse(PLAIN + "[run]\n", "mine.toml").run == loader.RunLimits()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("second = 3\n", "mine.toml: run: unknown key 'second'; did you mean 'seconds'?"),
        ("zzz = 3\n", "mine.toml: run: unknown key 'zzz'; known keys: seconds, stall_seconds, memory_mib"),
        ("seconds = 0\n", "mine.toml: run.seconds: expected `float` > 0.0"),
        ("stall_seconds = -1.0\n", "mine.toml: run.stall_seconds: expected `float` > 0.0"),
        ("memory_mib = 63\n", "mine.toml: run.memory_mib: expected `int` >= 64"),
        ("memory_mib = 64.5\n", "mine.toml: run.memory_mib: expected a whole number, got a number"),
        ('seconds = "long"\n', "mine.toml: run.seconds: expected a number, got a text"),
    ],
)
def test_what_is_wrong_in_it_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        loader.parse(PLAIN + "[run]\n" + text, "mine.toml")
    assert str(error.value) == told


@pytest.mark.parametrize("kind", Kind)
def test_it_changes_no_plan_and_so_makes_nothing_anew(journal: Journal, kind: Kind) -> None:
    plain, limited = (loader.parse(text, "mine.toml") for text in (PLAIN, PLAIN + ALL))
    assert jobs.plan_digest(plain, kind, VERSIONS) == jobs.plan_digest(limited, kind, VERSIONS)
    assert plain.digest() != limited.digest(), "the journal has to tell them apart"
    one, other = job_of(journal, kind, PLAIN), job_of(journal, kind, PLAIN + ALL)
    assert (one.key, one.plan, one.payload) == (other.key, other.plan, other.payload)


@pytest.mark.parametrize("kind", Kind)
def test_it_is_put_into_the_jobs(journal: Journal, kind: Kind) -> None:
    job, free = job_of(journal, kind, PLAIN + ALL), job_of(journal, kind, PLAIN)
    assert (job.time_limit, job.memory_limit) == (12.5, 200 << 20)
    assert job.stall_limit == (7.0 if kind is Kind.VIDEO else None)
    assert free.time_limit > 12.5
    assert free.memory_limit is not None and free.memory_limit >= 1 << 30
    assert free.stall_limit == (jobs.STALL_LIMIT if kind is Kind.VIDEO else None)
    assert (job.memory, job.lane, job.cores) == (free.memory, free.lane, free.cores)


def test_it_goes_before_what_was_learnt(journal: Journal) -> None:
    free = job_of(journal, Kind.IMAGE, PLAIN)
    like = journal.predictor.class_of(free.operation, free.format, free.size)
    for _ in range(100):
        journal.predictor.learn(like, 500.0)
    assert job_of(journal, Kind.IMAGE, PLAIN).time_limit > free.time_limit
    assert job_of(journal, Kind.IMAGE, PLAIN + ALL).time_limit == 12.5


def test_it_survives_the_journal(journal: Journal) -> None:
    limited = loader.parse(PLAIN + ALL, "mine.toml")
    planner = Planner(Settings(sources=(), out=b"/out", state="/state"), limited, VERSIONS, journal)
    with journal.transaction():
        journal.sources.put_recipe(limited.digest(), msgspec.json.encode(limited).decode())
        journal.add([job_of_in(journal, planner, limited)])
        (claim,) = journal.claim(("quick", "heavy"), 1)
        journal.record(claim, Verdict.DONE, "", Usage(), 1)
    assert (claim.time_limit, claim.memory_limit) == (12.5, 200 << 20)
    plain = loader.parse(PLAIN, "mine.toml")
    other = Planner(Settings(sources=(), out=b"/out", state="/state"), plain, VERSIONS, journal)
    assert other.with_digest(limited.digest()) == limited


def test_a_recipe_that_an_older_mediactl_put_there_has_none(journal: Journal) -> None:
    plain = loader.parse(PLAIN, "mine.toml")
    content = msgspec.json.decode(msgspec.json.encode(plain))
    del content["run"]
    with journal.transaction():
        journal.sources.put_recipe("old", msgspec.json.encode(content).decode())
    planner = Planner(Settings(sources=(), out=b"/out", state="/state"), loader.load("web"), VERSIONS, journal)
    assert planner.with_digest("old") == plain


def job_of_in(journal: Journal, planner: Planner, chosen: loader.Recipe) -> NewJob:
    """A photo's job, in a transaction that is going on."""
    source = Source(b"/photos", b"a", b"a", Fingerprint(100, 2, 3, 4), Kind.IMAGE, "jpeg")
    work = planner.work(put_probed(journal, source, chosen), chosen, Priority.NORMAL)
    assert work is not None
    return work.make
