"""A journal of version 2 goes on where it was, but for jobs whose payload nothing reads any more.

``journal_2.sql`` is the dump of one that mediactl 0.1.0 wrote at commit 2b49b6e: two photos made and uploaded, a video
of 6 s joined from its pieces, a truncated photo, a video quarantined for one piece, a file whose upload was killed, and
two runs killed over a video of 16 s and over photos.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec
import pytest
from support.journals import Clock, Rows, claim, opened
from test_backlog import FILM, PHOTO, result_of, source_of
from test_migration import shape, version

from mediactl.assets.check import OutputCheck
from mediactl.core.errors import MachineBlocked
from mediactl.core.files import work_folder
from mediactl.core.settings import Settings
from mediactl.jobs import database, owners, report
from mediactl.jobs.journal import FILE, Journal
from mediactl.model.media import Kind
from mediactl.model.uploads import UploadStatus, UploadTask
from mediactl.model.verdict import Verdict
from mediactl.pipeline.dispatcher import Dispatcher
from mediactl.pipeline.intake.batches import Intake
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.recovery import sweep_work, take_over
from mediactl.pool.contract import Assignment, Ended, Room
from mediactl.recipe import loader
from mediactl.sources import scan

DUMP = Path(__file__).with_name("journal_2.sql").read_text()
OUTPUTS = """
placeholder = "none"
cutting = { above = 4, piece = 2 }
[[image]]
name = "w"
width = 50
[[video]]
name = "v"
height = 120
preset = "ultrafast"
"""
OLD = loader.parse('name = "old"' + OUTPUTS, "old.toml")
HASTY = loader.parse('name = "hasty"' + OUTPUTS + "[run]\nseconds = 0.01\n", "hasty.toml")
"""That of the video that was quarantined."""
VERSIONS = {"image": "libvips-8.18", "ffmpeg": "9.0"}
"""Those of the machine that wrote it."""
BEGINNINGS = {"image": b"\xff\xd8\xff\xe0", "video": b"\0\0\0\x18ftypisom"}


def write(state: Path) -> None:
    """The journal as mediactl 0.1.0 left it."""
    state.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(state / FILE))
    connection.pragma("journal_mode", "wal")
    connection.execute(DUMP)
    connection.pragma("application_id", database.APPLICATION_ID)
    connection.pragma("user_version", 2)
    connection.close()


def put_files_there(state: Path, folder: Path, out: Path) -> None:
    """Sources and outputs that a look at their sizes and times takes for those of the journal."""
    connection = apsw.Connection(str(state / FILE))
    sources: Any = connection.execute("SELECT id, root, path, size, mtime_ns, kind FROM sources").fetchall()
    for number, root, path, size, mtime_ns, kind in sources:
        place = folder / Path(os.fsdecode(root)).name
        file = place / os.fsdecode(path)
        fill(file, size, mtime_ns, BEGINNINGS[kind])
        status = file.stat()
        connection.execute(
            "UPDATE sources SET root = ?, ctime_ns = ?, inode = ? WHERE id = ?",
            (os.fsencode(place), status.st_ctime_ns, status.st_ino, number),
        )
    query = "SELECT name, outputs, folder_mtime_ns FROM sources WHERE state = 'done'"
    for name, outputs, mtime_ns in cast(Any, connection.execute(query).fetchall()):
        asset = out / os.fsdecode(name)
        for output, size, written in msgspec.msgpack.decode(outputs, type=tuple[tuple[bytes, int, int], ...]):
            fill(asset / os.fsdecode(output), size, written)
        (asset / "asset.json").write_text("{}")
        os.utime(asset, ns=(mtime_ns, mtime_ns))
    connection.close()


def fill(file: Path, size: int, mtime_ns: int, beginning: bytes = b"") -> None:
    """A file of this size, last written at this time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(beginning)
    os.truncate(file, size)
    os.utime(file, ns=(mtime_ns, mtime_ns))


class Run:
    """A run of today's mediactl on the tree of that journal, with workers that answer at once."""

    def __init__(
        self, folder: Path, journal: Journal, stack: ExitStack, chosen: loader.Recipe, roots: tuple[str, ...]
    ) -> None:
        self.journal = journal
        out = os.fsencode(folder / "out")
        take_over(journal, out, lambda _: None)
        sweep_work(journal)
        settings = Settings(sources=(), out=out, state=journal.state)
        planner = Planner(settings, chosen, VERSIONS, journal)
        check = OutputCheck(out)
        stack.callback(check.close)
        batches = (
            batch
            for root in roots
            for batch in scan.folder(
                os.fsencode(folder / "sources" / root), prefix=b"", never=frozenset(), follow=False
            )
            if isinstance(batch, scan.Batch) and batch.files
        )
        self.events: list[str] = []
        self.intake = Intake(settings, journal, planner, batches, check, lambda _: None)
        self.backlog = Dispatcher(
            journal, planner, self.intake, out, lambda event: self.events.append(event.name), Clock()
        )

    def take_in(self) -> None:
        """Meet every source."""
        while self.intake.step():
            pass

    def work_off(self) -> list[Assignment]:
        """Do all there is to do; the jobs in the order in which they were done."""
        room, done = Room({"quick": 9, "heavy": 9}), []
        held = self.backlog.exchange([], room, alone=False)
        while held:
            done += held
            ended = [Ended(each, Verdict.DONE, "", answer(each), worker=1) for each in held]
            held = self.backlog.exchange(ended, room, alone=False)
        return done


def answer(assignment: Assignment) -> bytes:
    """What a worker would answer."""
    return result_of(assignment, PHOTO if source_of(assignment).kind is Kind.IMAGE else FILM)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with that journal."""
    write(tmp_path / "state")
    return tmp_path / "state"


@contextmanager
def running(
    folder: Path, chosen: loader.Recipe = OLD, roots: tuple[str, ...] = ("done", "whole", "bad", "film", "waiting")
) -> Iterator[Run]:
    """A run on it, with the files that it knows, that is asked for some of its folders."""
    put_files_there(folder / "state", folder / "sources", folder / "out")
    with ExitStack() as stack:
        yield Run(folder, stack.enter_context(opened(folder / "state")), stack, chosen, roots)


def test_it_is_like_a_new_one(state: Path, tmp_path: Path) -> None:
    with opened(state), opened(tmp_path / "new"):
        pass
    assert version(state) == database.VERSION
    assert shape(state) == shape(tmp_path / "new")


def test_what_stood_in_strings_stands_in_columns(state: Path) -> None:
    with opened(state):
        pass
    rows = Rows(state)
    found = rows.connection.execute(
        "SELECT kind, operation, format, destination <> '', count(*) FROM jobs GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3"
    ).fetchall()
    assert found == [
        ("image", "image", "jpeg", 0, 3), ("piece", "piece", "mp4", 0, 18), ("probe", "probe", "jpeg", 0, 6),
        ("probe", "probe", "mp4", 0, 3), ("upload", "publish", "", 1, 2), ("upload", "upload", "", 1, 3),
        ("video", "join", "", 0, 1),
    ]  # fmt: skip
    pieces = rows.connection.execute(
        "SELECT s.name, j.piece, j.pieces, j.plan = s.plan, length(j.cut)"
        " FROM jobs AS j JOIN sources AS s ON s.id = j.source WHERE j.kind = 'piece' AND j.piece < 2 ORDER BY j.id"
    ).fetchall()
    assert pieces == [
        (b"whole.mp4", 0, 0, 1, 16), (b"whole.mp4", 1, 3, 1, 16),
        (b"late.mp4", 0, 0, 1, 16), (b"late.mp4", 1, 4, 1, 16),
        (b"film.mp4", 0, 0, 1, 16), (b"film.mp4", 1, 8, 1, 16),
    ]  # fmt: skip


def test_what_was_learned_of_durations_is_kept(state: Path) -> None:
    def learned() -> Counter[str]:
        rows: Any = apsw.Connection(str(state / FILE)).execute("SELECT operation, sum(count) FROM durations GROUP BY 1")
        return Counter(dict(rows))

    before = learned()
    with opened(state):
        pass
    after = learned()
    assert after.total() == before.total()
    assert (after["join"], after["publish"], after["upload"]) == (1, 2, before["upload"] - 2)
    assert after["piece"] == before["piece"] and "video" not in after


def test_no_payload_of_before_can_be_begun_but_that_of_uploads(state: Path) -> None:
    with opened(state, Clock(4e9)) as journal:
        take_over(journal, b"/nowhere", lambda _: None)
        with journal.transaction():
            journal.wake()
        (upload,) = claim(journal, 99, "quick", "heavy", "alone", "network")
    left = Rows(state).connection.execute("SELECT DISTINCT kind FROM jobs WHERE payload <> x''").fetchall()
    assert (upload.operation, [kind for (kind,) in left]) == ("upload", ["upload"])


def test_an_upload_goes_on_with_the_parts_that_are_at_the_store(state: Path) -> None:
    with opened(state, Clock(4e9)) as journal:
        (upload,) = claim(journal, 1, "network")
        remembered = journal.uploads.state(msgspec.json.decode(upload.payload, type=UploadTask))
    assert remembered.status is UploadStatus.UPLOADING
    assert remembered.parts and all(part.size == 8 << 20 for part in remembered.parts)


def test_a_complete_tree_needs_no_job(state: Path, tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.take_in()
        assert run.intake.up_to_date == 3
        assert run.intake.settled == {}
        assert run.intake.reasons == {"unfinished": 4, "decoder changed": 1}, (
            "the video and the photos that were killed, and what this mediactl may read"
        )


def test_what_was_killed_is_done_by_the_next_run(state: Path, tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.take_in()
        kinds = Counter(each.kind for each in run.work_off())
        assert kinds == {"probe": 5, "image": 4, "piece": 6, "video": 1}
        assert Rows(state).sources() == {"done": 8, "quarantined": 1}
        assert "job.quarantined" not in run.events


def test_a_video_given_up_for_a_piece_is_retried_by_the_next_run(state: Path, tmp_path: Path) -> None:
    with opened(state) as journal, journal.transaction():
        with report.read(str(state)) as rows:
            (piece,) = rows.listed("quarantined", -1)
        assert journal.retry(piece.id)
    assert claim_nothing(state)
    with running(tmp_path, HASTY, ("late",)) as run:
        run.take_in()
        assert run.intake.reasons == {"unfinished": 1}
        assert Counter(each.kind for each in run.work_off()) == {"probe": 1, "piece": 6, "video": 1}
        assert run.journal.sources.get(5).state == "done"


def test_a_quarantined_video_stays_so_unless_it_is_retried(state: Path, tmp_path: Path) -> None:
    with running(tmp_path, HASTY, ("late",)) as run:
        run.take_in()
        assert (run.intake.settled, run.work_off()) == ({"quarantined": 1}, [])


def claim_nothing(state: Path) -> bool:
    """Whether no media job can be had."""
    with opened(state, Clock(4e9)) as journal:
        return not claim(journal, 9, "quick", "heavy", "alone")


def test_pieces_of_unfinished_videos_are_kept_and_others_swept(state: Path, tmp_path: Path) -> None:
    query = "SELECT name, digest FROM sources WHERE kind = 'video'"
    digests: dict[bytes, str] = dict(cast(Any, apsw.Connection(str(state / FILE)).execute(query)))
    folders = {name: Path(os.fsdecode(work_folder(str(state), digest))) for name, digest in digests.items()}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "piece.mp4").touch()
    with running(tmp_path):
        assert {name for name, folder in folders.items() if folder.exists()} == {b"film.mp4", b"late.mp4"}


def test_it_is_left_alone_while_a_run_of_before_goes_on(state: Path) -> None:
    lock = owners.RunLock(str(state))
    connection = apsw.Connection(str(state / FILE))
    connection.execute("INSERT INTO runs VALUES (?, 4711, '', '0.1.0', 0.0, NULL, NULL)", (lock.id,))
    with pytest.raises(MachineBlocked, match="in use by an older mediactl \\(process 4711\\)"), opened(state):
        pass
    assert version(state) == 2
    lock.close()
    with opened(state):
        pass
    assert version(state) == database.VERSION


def test_a_dry_run_reads_it_and_leaves_it_as_it_is(state: Path) -> None:
    before = (state / FILE).read_bytes()
    with Journal.rehearse(str(state), clock=Clock(), random=lambda: 0.5, version="test") as journal:
        assert not journal.fresh
    assert (state / FILE).read_bytes() == before
