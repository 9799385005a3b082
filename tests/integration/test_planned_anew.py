"""A source that waits for, or is worked on by, an earlier plan when a run with another one comes upon it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import pyvips
from support.journals import Clock, claim_one
from test_backlog import FILM, PHOTO, VIDEOS, Run, result_of

from mediactl.assets.check import OutputCheck
from mediactl.core.settings import Destination, Settings
from mediactl.jobs.claims import Claim
from mediactl.jobs.states import State
from mediactl.model.events import Reason
from mediactl.model.jobs import Priority
from mediactl.model.media import Kind, MediaInfo
from mediactl.model.uploads import Location, Sent, SentStatus, Settled, UploadStatus
from mediactl.model.verdict import Verdict
from mediactl.pipeline import publish
from mediactl.pipeline.handlers.base import Context
from mediactl.pipeline.handlers.registry import Handlers
from mediactl.pipeline.intake.batches import Intake
from mediactl.pipeline.publish import Publisher
from mediactl.pool.contract import Assignment, Ended, Room
from mediactl.recipe import loader
from mediactl.recipe.loader import Recipe
from mediactl.sources import scan

THERE = Destination(location=Location("bucket"))
ROOM = {"quick": 9, "heavy": 9}


def photos(name: str, width: int, more: str = "") -> Recipe:
    """A recipe of one picture."""
    return loader.parse(f'name = "{name}"\n{more}\n[[image]]\nname = "w"\nwidth = {width}\n', f"{name}.toml")


FIRST, SECOND = photos("first", 50), photos("second", 60)
STRICTER = photos("second", 60, "[limits]\npixels = 200_000")
FILMS_TOO = loader.parse(
    'name = "too"\ncutting = { above = 4, piece = 4 }\n[[video]]\nname = "v"\nheight = 240\n', "too.toml"
)


class Runs:
    """Runs on one folder that holds one file, each with the real intake and workers that answer what a test wants."""

    def __init__(self, folder: Path, stack: ExitStack, kind: Kind) -> None:
        self.folder, self.stack = folder, stack
        self.out = os.fsencode(folder / "out")
        self.file = folder / ("a.jpg" if kind is Kind.IMAGE else "a.mp4")
        if kind is Kind.IMAGE:
            pyvips.Image.black(500, 400).jpegsave(str(self.file))
        else:
            self.file.write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
        self.info: MediaInfo = PHOTO if kind is Kind.IMAGE else FILM

    def begin(self, chosen: Recipe) -> tuple[Run, Counter[Reason]]:
        """A run that has taken the folder in, and why it planned what it did."""
        run, intake = self.open(chosen)
        while intake.step():
            pass
        return run, intake.reasons

    def open(self, chosen: Recipe) -> tuple[Run, Intake]:
        """A run that has not looked at the folder yet."""
        run = Run(self.folder, Clock(), chosen)
        self.stack.push(run.stack)
        check = OutputCheck(self.out)
        self.stack.callback(check.close)
        settings = Settings(sources=(), out=self.out, state=run.journal.state)
        batches = scan.folder(
            os.fsencode(self.folder), prefix=b"", never=frozenset({_mark(run.journal.state)}), follow=False
        )
        found = (each for each in batches if isinstance(each, scan.Batch) and each.files)
        intake = Intake(settings, run.journal, run.planner, found, check, run.events.append)
        return run, intake

    def turn(self, run: Run, *ended: Ended) -> list[Assignment]:
        """What a run takes up after these ends."""
        return run.backlog.exchange(list(ended), Room(ROOM), alone=False)

    def ended(self, assignment: Assignment, verdict: Verdict = Verdict.DONE) -> Ended:
        """The end of a job."""
        result = result_of(assignment, self.info) if verdict is Verdict.DONE else b""
        return Ended(assignment, verdict, "why", result, worker=1)

    def finish(self, run: Run) -> list[str]:
        """Work off all that a run can get; the kinds of the jobs."""
        kinds = []
        held = self.turn(run)
        while held:
            kinds += [each.kind for each in held]
            held = self.turn(run, *(self.ended(each) for each in held))
        return kinds


def arrived(upload: Claim) -> Ended:
    """The end of an upload whose object is at the store."""
    assignment = Assignment(upload.id, upload.attempt, upload.kind, upload.payload, (), upload.time_limit)
    sent = Sent(SentStatus.SENT, Settled(UploadStatus.DONE), 1)
    return Ended(assignment, Verdict.DONE, "", msgspec.msgpack.encode(sent))


def _mark(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def states(run: Run, kind: str) -> list[str]:
    """States of the jobs of a kind, in the order in which they were added."""
    found = run.journal._connection.execute("SELECT state FROM jobs WHERE kind = ? ORDER BY id", (kind,))
    return [state for (state,) in found]


def is_made_by(run: Run, chosen: Recipe, kind: Kind = Kind.IMAGE) -> None:
    """The source is done, for the plan of this recipe; no job is left."""
    row = run.journal.sources.get(1)
    assert (row.state, row.recipe) == ("done", chosen.digest())
    assert row.plan == run.planner.plans(chosen)[kind.value]
    assert not run.journal.sources.has_live_job(1)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """Of a photo."""
    with ExitStack() as stack:
        yield Runs(tmp_path, stack, Kind.IMAGE)


@pytest.fixture
def films(tmp_path: Path) -> Iterator[Runs]:
    """Of a film."""
    with ExitStack() as stack:
        yield Runs(tmp_path, stack, Kind.VIDEO)


@pytest.mark.parametrize("probed", [False, True])
def test_what_waits_of_another_recipe_is_given_up(runs: Runs, probed: bool) -> None:
    first, _ = runs.begin(FIRST)
    if probed:
        (probe,) = runs.turn(first)
        first.backlog.exchange([runs.ended(probe)], Room({}), alone=False)
    first.stack.close()
    second, reasons = runs.begin(SECOND)
    assert reasons == {"recipe changed": 1}
    assert runs.finish(second) == ["probe", "image"]
    assert states(second, "image") == (["cancelled", "done"] if probed else ["done"])
    is_made_by(second, SECOND)


def test_what_waits_is_not_begun_before_it_was_looked_at(runs: Runs) -> None:
    """The recipe may be another one now."""
    first, _ = runs.begin(FIRST)
    (probe,) = runs.turn(first)
    first.backlog.exchange([runs.ended(probe)], Room({}), alone=False)
    first.stack.close()
    second, intake = runs.open(SECOND)
    assert not runs.turn(second)
    while intake.step():
        assert [each.kind for each in runs.turn(second)] == ["probe"]


def test_what_waits_of_other_sources_is_begun_when_all_was_looked_at(runs: Runs) -> None:
    first, _ = runs.begin(FIRST)
    first.stack.close()
    runs.file.unlink()
    (runs.folder / "b.txt").write_text("text")
    second, intake = runs.open(FIRST)
    assert intake.step()
    assert not runs.turn(second)
    assert not intake.step()
    assert [each.kind for each in runs.turn(second)] == ["probe"]


def test_the_same_recipe_goes_on_with_what_waits(runs: Runs) -> None:
    first, _ = runs.begin(FIRST)
    (probe,) = runs.turn(first)
    first.backlog.exchange([runs.ended(probe)], Room({}), alone=False)
    first.stack.close()
    second, reasons = runs.begin(FIRST)
    assert reasons == {"unfinished": 1}
    assert runs.finish(second) == ["image"]
    is_made_by(second, FIRST)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_job_of_another_plan_that_runs_ends_in_vain(runs: Runs, verdict: Verdict) -> None:
    """However it ends: its source waits for the newer plan, whose job comes after it."""
    first, _ = runs.begin(FIRST)
    (probe,) = runs.turn(first)
    (make,) = runs.turn(first, runs.ended(probe))
    second, reasons = runs.begin(SECOND)
    assert reasons == {"recipe changed": 1}
    assert states(second, "image") == ["running"], "it is not torn away"
    (probe,) = runs.turn(second)
    assert not runs.turn(second, runs.ended(probe)), "two jobs never write one asset at once"
    (then,) = runs.turn(first, runs.ended(make, verdict))
    assert states(second, "image") == ["done" if verdict is Verdict.DONE else "cancelled", "running"]
    row = second.journal.sources.get(1)
    assert (row.state, row.recipe) == ("pending", SECOND.digest())
    assert not runs.turn(first, runs.ended(then)), "another run may make it: the plan is in the journal"
    is_made_by(second, SECOND)
    assert second.backlog.complete()


def test_a_job_of_another_plan_whose_run_is_killed_is_not_begun_again(runs: Runs) -> None:
    """It would write over what the newer plan has made."""
    first, _ = runs.begin(FIRST)
    (probe,) = runs.turn(first)
    runs.turn(first, runs.ended(probe))
    second, _ = runs.begin(SECOND)
    first.stack.close()
    assert runs.finish(second) == ["probe", "image"]
    assert states(second, "image") == ["cancelled", "done"]
    is_made_by(second, SECOND)


def test_a_probe_that_runs_is_followed_by_what_the_newer_recipe_asks_for(runs: Runs) -> None:
    first, _ = runs.begin(FIRST)
    (probe,) = runs.turn(first)
    second, _ = runs.begin(SECOND)
    assert not runs.turn(second), "the same probe does for both"
    (make,) = runs.turn(first, runs.ended(probe))
    runs.turn(first, runs.ended(make))
    is_made_by(second, SECOND)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_probe_with_other_limits_ends_in_vain(runs: Runs, verdict: Verdict) -> None:
    first, _ = runs.begin(FIRST)
    (probe,) = runs.turn(first)
    second, _ = runs.begin(STRICTER)
    (stricter,) = runs.turn(second)
    assert not runs.turn(first, runs.ended(probe, verdict))
    assert states(second, "probe") == ["done" if verdict is Verdict.DONE else "cancelled", "running"]
    assert not states(second, "image")
    (make,) = runs.turn(second, runs.ended(stricter))
    runs.turn(second, runs.ended(make))
    is_made_by(second, STRICTER)


def test_pieces_of_a_film_that_wait_are_given_up_and_those_that_run_end_in_vain(films: Runs) -> None:
    first, _ = films.begin(VIDEOS)
    (probe,) = films.turn(first)
    held = first.backlog.exchange([films.ended(probe)], Room({"quick": 1, "heavy": 1}), alone=False)
    assert {each.kind for each in held} == {"piece"}
    second, reasons = films.begin(FILMS_TOO)
    assert reasons == {"recipe changed": 1}
    assert Counter(states(second, "piece")) == {"cancelled": 4 - len(held), "running": len(held)}
    (probe,) = films.turn(second)
    pieces = films.turn(second, films.ended(probe))
    assert Counter(each.kind for each in pieces) == {"piece": 4}
    assert not films.turn(first, *(films.ended(each, Verdict.INTERRUPTED) for each in held))
    (make,) = films.turn(second, *(films.ended(each) for each in pieces))
    films.turn(second, films.ended(make))
    is_made_by(second, FILMS_TOO, Kind.VIDEO)
    assert Counter(states(second, "piece")) == {"cancelled": 4, "done": 4}
    assert states(second, "video") == ["done"]


def test_pieces_of_another_plan_whose_run_is_killed_are_not_begun_again(films: Runs) -> None:
    first, _ = films.begin(VIDEOS)
    (probe,) = films.turn(first)
    assert len(films.turn(first, films.ended(probe))) == 4
    second, _ = films.begin(FILMS_TOO)
    first.stack.close()
    kinds = films.finish(second)
    assert Counter(kinds) == {"probe": 1, "piece": 4, "video": 1}
    is_made_by(second, FILMS_TOO, Kind.VIDEO)


def test_a_rejected_job_is_retried_by_the_plan_that_its_source_has(runs: Runs) -> None:
    run, _ = runs.begin(FIRST)
    for chosen in (FIRST, SECOND):
        if chosen is SECOND:
            run.stack.close()
            run, _ = runs.begin(SECOND)
        (probe,) = runs.turn(run)
        (make,) = runs.turn(run, runs.ended(probe))
        runs.turn(run, runs.ended(make, Verdict.REJECTED))
    with run.journal.transaction():
        jobs = [
            job for (job,) in run.journal._connection.execute("SELECT id FROM jobs WHERE kind = 'image' ORDER BY id")
        ]
        assert [run.journal.retry(job) for job in jobs] == [False, True]
    runs.finish(run)
    is_made_by(run, SECOND)


def test_uploads_of_another_plan_that_wait_are_given_up(runs: Runs) -> None:
    first, _ = runs.begin(FIRST)
    runs.finish(first)
    with first.journal.transaction():
        Publisher(first.journal, THERE, runs.out).begin(1, Priority.NORMAL)
    assert states(first, "upload") == ["ready"]
    first.stack.close()
    second, reasons = runs.begin(SECOND)
    assert reasons == {"recipe changed": 1}
    assert states(second, "upload") == ["cancelled"]


def test_an_asset_json_that_was_made_anew_while_it_was_sent_is_sent_again(runs: Runs) -> None:
    run, _ = runs.begin(FIRST)
    runs.finish(run)
    file = Path(os.fsdecode(runs.out)) / "a.jpg" / "asset.json"
    file.parent.mkdir(parents=True)
    file.write_text("first")

    handlers = Handlers(Context(run.journal, run.planner, runs.out, None))

    def begin() -> None:
        with run.journal.transaction():
            Publisher(run.journal, THERE, runs.out).begin(1, Priority.NORMAL)

    def arrives(upload: Claim) -> bool:
        with run.journal.transaction():
            assert run.journal.finish(upload.id, upload.attempt, State.DONE)
            before = run.journal.added
            handlers.of(upload).done(upload, arrived(upload))
            return run.journal.added > before

    begin()
    assert arrives(claim_one(run.journal, publish.LANE)), "asset.json comes last"
    late = claim_one(run.journal, publish.LANE)
    file.write_text("the second")
    begin()
    assert not arrives(claim_one(run.journal, publish.LANE)), "one is still under way"
    assert arrives(late), "but not the one that is there now"
    assert run.journal.sources.upload_pending(1, THERE.digest())
    assert not arrives(claim_one(run.journal, publish.LANE))
    assert not run.journal.sources.upload_pending(1, THERE.digest())
