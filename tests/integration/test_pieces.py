"""Long films piece by piece: which can be cut, what their pieces are, and what is put together from them."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
from support.films import make

from mediactl.core.errors import SourceChanged
from mediactl.core.files import fingerprint
from mediactl.jobs.journal import Journal
from mediactl.media import make as making
from mediactl.media import unfinished
from mediactl.media.ffmpeg import binary, process
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.media.inspect import streams
from mediactl.media.inspect.timing.cadence import Cadence, measure
from mediactl.media.video import encode as video_encode
from mediactl.model.assets import Artefact, Operation, OutputFile, Reuse, Target
from mediactl.model.jobs import JobResult, MakeTask, NewJob, PieceTask, Priority
from mediactl.model.media import Kind, Limits, Source
from mediactl.outputs import registry
from mediactl.outputs.cutting import Cutting
from mediactl.planning import jobs as plan
from mediactl.planning import keys
from mediactl.recipe import loader

VERSIONS = encoder_versions()
LENGTH, RATE = 9, Fraction(30000, 1001)
FRAMES = 270
PIECE = 120
"""Frames of 4 seconds: 120, 120 and 30 of them."""
CUT = loader.parse(
    """
    name = "cut"
    placeholder = "none"
    cutting = { above = 6, piece = 4 }
    [[video]]
    name = "film"
    height = 96
    preset = "ultrafast"
    [[hls]]
    name = "hls"
    heights = [96, 48]
    preset = "ultrafast"
    """,
    "cut.toml",
)


def filmed(path: Path, *arguments: str, rate: str = "30000/1001", seconds: float = LENGTH) -> Path:
    """A clip with sound in which every frame is another; with ffmpeg's options for the output."""
    picture = f"testsrc2=s=160x96:r={rate}:d={seconds}"
    sound = f"anoisesrc=d={seconds}:c=pink:seed=3:a=0.2"
    encoded = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2", "-c:a", "aac", "-ac", "1")
    return make(path, "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *encoded, *arguments)


def cadence(path: Path) -> Cadence:
    """Of the first film track."""
    with av.open(str(path)) as container:
        return measure(container, container.streams.video[0])


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds."""
    return filmed(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="session")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of few frames, for what looks at every one of them many times."""
    return filmed(tmp_path_factory.mktemp("sparse") / "film.mp4", rate="6", seconds=7)


class Workshop:
    """A film, its folder of pieces, and the folder of its outputs."""

    def __init__(self, film: Path, folder: Path, chosen: loader.Recipe = CUT) -> None:
        self.film, self.folder, self.out, self.chosen = film, folder / "work" / "digest", folder / "out", chosen
        fd = os.open(film, os.O_RDONLY)
        try:
            self.info = streams.probe(fd, film.suffix[1:], Limits())
        finally:
            os.close(fd)
        place = os.fsencode(film.name)
        mark = fingerprint(film.stat())
        self.source = Source(os.fsencode(film.parent), place, place, mark, Kind.VIDEO, film.suffix[1:])
        self.targets = keys.targets(chosen, Kind.VIDEO, self.info, "digest", VERSIONS)

    def make_task(self, keep: tuple[OutputFile, ...] = ()) -> MakeTask:
        """What the job that publishes the video is asked."""
        subject = plan.Subject(self.source, "digest", self.info, kept=keep)
        out, work = os.fsencode(self.out), os.fsencode(self.folder)
        return plan.make_task(subject, self.chosen, self.targets, out=out, threads=2, work=work)

    def make_job(self) -> NewJob:
        """The job that publishes the video."""
        return plan.make_job(self.make_task(), 1, self.chosen.run, "plan", Priority.NORMAL)

    def piece_jobs(self, missing: tuple[Target[Operation], ...] | None = None) -> tuple[NewJob, ...]:
        """The jobs that go before, for all of its targets unless some are named."""
        return plan.piece_jobs(self.make_job(), self.make_task(), self.targets if missing is None else missing, 2)

    def piece_tasks(self) -> list[PieceTask]:
        """What the jobs that go before are asked."""
        return [msgspec.json.decode(job.payload, type=PieceTask, dec_hook=registry.decode) for job in self.piece_jobs()]

    def piece(self, task: PieceTask, reuse: tuple[Reuse, ...] = ()) -> JobResult:
        """Do one of them."""
        return unfinished.piece(task, reuse, b"token", lambda _: None)

    def publish(self, keep: tuple[OutputFile, ...] = ()) -> JobResult:
        """Do the last one."""
        return making.make(self.make_task(keep), (), b"token", lambda _: None)

    def files(self) -> dict[str, int]:
        """What lies in the folder of pieces: name -> when it was written."""
        return {each.name: each.stat().st_mtime_ns for each in sorted(self.folder.glob("*"))}

    def frames(self, name: str) -> int:
        """Frames that can be decoded of an output."""
        with av.open(str(self.out / self.film.name / name)) as container:
            return sum(1 for _ in container.decode(video=0))


# -- what can be cut ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "name"), [("30000/1001", "a.mp4"), ("24000/1001", "a.mkv"), ("25", "a.mov")])
def test_an_even_film_is_known_by_its_exact_rate(rate: str, name: str, tmp_path: Path) -> None:
    found = cadence(filmed(tmp_path / name, rate=rate, seconds=4))
    assert (found.rate, found.frames, found.even) == (Fraction(rate), round(4 * Fraction(rate)), True)


@pytest.mark.parametrize(
    "uneven",
    ["select='not(mod(n,7))+not(mod(n,5))'", "select='not(eq(n,50))'", "settb=1/1000,setpts='PTS+eq(N,30)*20'"],
    ids=["variable", "a frame is missing", "a frame comes late"],
)
def test_frames_that_do_not_come_at_their_times_are_noticed(uneven: str, tmp_path: Path) -> None:
    found = cadence(filmed(tmp_path / "a.mp4", "-vf", uneven, "-fps_mode", "vfr", rate="25", seconds=4))
    assert not found.even


def test_a_film_that_an_edit_list_cuts_into_is_not_cut(film: Path, tmp_path: Path) -> None:
    found = cadence(make(tmp_path / "a.mp4", "-ss", "0.5", "-i", str(film), "-c", "copy"))
    assert not found.even
    assert found.frames == FRAMES - 15


def test_a_container_without_an_index_is_not_cut(film: Path, tmp_path: Path) -> None:
    found = cadence(make(tmp_path / "a.ts", "-i", str(film), "-c", "copy"))
    assert (found.even, found.frames) == (False, FRAMES)


def test_a_film_that_begins_late_is_even_none_the_less(tmp_path: Path) -> None:
    source = filmed(tmp_path / "a.mkv", "-filter:v", "setpts=PTS+0.5/TB", rate="25", seconds=4)
    found = cadence(source)
    assert (found.rate, found.frames, found.even) == (Fraction(25), 100, True)


# -- planning ----------------------------------------------------------------------------------------------------------


def test_the_pieces_of_a_film_are_all_its_frames_and_its_sound(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    jobs, tasks = workshop.piece_jobs(), workshop.piece_tasks()
    assert [(task.number, task.first, task.frames) for task in tasks] == [
        (-1, 0, 0), (0, 0, 120), (1, 120, 120), (2, 240, 30),
    ]  # fmt: skip
    assert [(job.piece, job.pieces) for job in jobs] == [(0, 0), (1, 3), (2, 3), (3, 3)]
    assert len({job.content for job in jobs}) == len(jobs), "all of them may run side by side"
    whole = workshop.make_job()
    assert sum(job.size for job in jobs[1:]) == pytest.approx(whole.size, rel=0.01)
    assert len({job.key for job in jobs}) == len(jobs)
    assert {target.operation for task in tasks for target in task.targets} == {"video", "stream", "sound"}


def test_a_film_that_is_short_or_lacks_no_picture_is_not_cut(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    short = Workshop(film, tmp_path, msgspec.structs.replace(CUT, cutting=Cutting(above=60, piece=4)))
    assert short.piece_jobs() == ()
    rest = tuple(target for target in workshop.targets if target.operation in ("sound", "playlist", "master"))
    assert workshop.piece_jobs(rest) == ()


# -- pieces ------------------------------------------------------------------------------------------------------------


def test_a_film_is_put_together_from_its_pieces(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    for task in workshop.piece_tasks():
        assert workshop.piece(task) == JobResult()
    there = workshop.files()
    assert sorted(name.rpartition("-")[2] for name in there) == sorted(
        ["00000.mp4", "00001.mp4", "00002.mp4"] * 2 + ["128.m4a"]
    )
    assert workshop.folder.stat().st_mode & 0o777 == 0o700
    made = workshop.publish()
    assert made.warnings == ()
    for name in ("film.mp4", "hls-96.mp4", "hls-48.mp4"):
        assert workshop.frames(name) == FRAMES
    assert workshop.folder.exists(), "until the journal has it that the film is done"
    published = (workshop.out / film.name / "asset.json").stat().st_mtime_ns
    assert max(there.values()) < published


def test_a_picture_that_begins_after_the_sound_does_so_in_pieces_too(tmp_path: Path) -> None:
    source = filmed(tmp_path / "a.mkv", "-filter:v", "setpts=PTS+0.6/TB", rate="25")
    workshop = Workshop(source, tmp_path)
    assert len(workshop.piece_tasks()) == 4
    workshop.publish()
    with av.open(str(source)) as before, av.open(str(workshop.out / source.name / "film.mp4")) as after:
        times = [[frame.time for frame in each.decode(video=0)] for each in (before, after)]
    assert times[1] == pytest.approx(times[0], abs=0.001)
    assert times[1][0] == pytest.approx(0.6, abs=0.001)


def asked(above: int, *qualities: str) -> loader.Recipe:
    """A recipe of films that differ in nothing but their quality."""
    films = "".join(
        f'[[video]]\nname = "v{number}"\nheight = 96\npreset = "ultrafast"\n{quality}\n'
        for number, quality in enumerate(qualities)
    )
    cutting = f"cutting = {{ above = {above}, piece = 4 }}"
    return loader.parse(f'name = "asked"\nplaceholder = "none"\n{cutting}\n{films}', "asked.toml")


@pytest.mark.parametrize("above", [6, 100], ids=["cut", "whole"])
def test_outputs_that_differ_in_their_quality_alone_each_get_their_own(
    sparse: Path, tmp_path: Path, above: int
) -> None:
    qualities = ("crf = 45", "quality = { vmaf = 95 }", "quality = { vmaf = 75 }", "crf = 30")
    workshop = Workshop(sparse, tmp_path, asked(above, *qualities))
    for task in workshop.piece_tasks():
        workshop.piece(task)
    workshop.publish()
    made = [(workshop.out / sparse.name / f"v{number}.mp4").read_bytes() for number in range(4)]
    crfs = [{float(each) for each in re.findall(rb" crf=([0-9.]+)", content)} for content in made]
    assert [len(each) for each in crfs] == [1, 1, 1, 1], "no film is put together from pieces of two qualities"
    [bad], [best], [poor], [good] = crfs
    assert (bad, good) == (45, 30)
    assert best < poor
    assert len(set(made)) == 4


@pytest.mark.parametrize("above", [6, 100], ids=["cut", "whole"])
def test_outputs_whose_qualities_come_to_the_same_are_encoded_once(sparse: Path, tmp_path: Path, above: int) -> None:
    qualities = ("quality = { vmaf = 90 }", "quality = { vmaf = 90.01 }", "quality = { vmaf = 70 }")
    workshop = Workshop(sparse, tmp_path, asked(above, *qualities))
    for task in workshop.piece_tasks():
        workshop.piece(task)
    workshop.publish()
    one, other, poor = [(workshop.out / sparse.name / f"v{number}.mp4").read_bytes() for number in range(3)]
    assert one == other
    assert one != poor


def test_what_lies_there_is_not_encoded_again(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    sound, first, *_ = workshop.piece_tasks()
    workshop.piece(first)
    workshop.piece(sound)
    there = workshop.files()
    workshop.piece(first)
    workshop.piece(sound)
    assert workshop.files() == there


def test_a_piece_that_is_torn_or_too_short_is_encoded_again(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    _, first, second, last = workshop.piece_tasks()
    for task in (first, second, last):
        workshop.piece(task)
    names = sorted(workshop.files())
    torn, exchanged, short = (next(each for each in names if f"-0000{number}" in each) for number in range(3))
    (workshop.folder / torn).write_bytes((workshop.folder / torn).read_bytes()[:-5_000])
    (workshop.folder / exchanged).write_bytes((workshop.folder / short).read_bytes())
    before = workshop.files()
    for task in (first, second, last):
        workshop.piece(task)
    changed = {name for name, written in workshop.files().items() if before[name] != written}
    assert changed == {torn, exchanged}


def test_pieces_that_were_never_made_are_made_on_the_spot_to_the_same_bytes(film: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ahead, late = Workshop(film, tmp_path / "a"), Workshop(film, tmp_path / "b")
    for task in ahead.piece_tasks():
        ahead.piece(task)
    for workshop in (ahead, late):
        workshop.publish()
    for target in ahead.targets:
        both = [(each.out / film.name / target.name).read_bytes() for each in (ahead, late)]
        assert both[0] == both[1], target.name


def test_a_film_that_cannot_be_cut_exactly_is_encoded_whole_and_that_is_told(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(film, tmp_path)
    encode, tried = video_encode.encode, []

    def inexact(*arguments: Any, **options: Any) -> video_encode.Encoded:
        piece = arguments[3]
        if piece is None:
            return encode(*arguments, **options)
        tried.append(piece.number)
        raise video_encode.PieceNotExact(f"piece {piece.number} came out with 119 of 120 frames")

    monkeypatch.setattr(video_encode, "encode", inexact)
    for task in workshop.piece_tasks():
        workshop.piece(task)
    made = workshop.publish()
    assert tried == [0], "nobody tries it again"
    assert [each.text for each in made.warnings] == ["encoded in one piece: it cannot be cut exactly"]
    assert workshop.frames("film.mp4") == FRAMES
    assert workshop.folder.exists(), "until the journal has it that the film is done"


def test_a_long_film_of_uneven_frames_is_encoded_whole_and_that_is_told(tmp_path: Path) -> None:
    source = filmed(tmp_path / "a.mp4", "-vf", "select='not(eq(n,50))'", "-fps_mode", "vfr")
    workshop = Workshop(source, tmp_path)
    assert workshop.piece_tasks() == []
    assert [each.text for each in workshop.publish().warnings] == [
        "encoded in one piece: its frames do not come at even times"
    ]
    assert workshop.frames("film.mp4") == FRAMES - 1


def test_what_a_twin_has_become_is_not_encoded(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    tasks = workshop.piece_tasks()

    def twin(target: Target[Operation]) -> Reuse:
        return Reuse(target.key, os.fsencode(film), Artefact(target.name, target.role, "", 1, "", target.key))

    workshop.piece(tasks[1], tuple(twin(target) for target in workshop.targets))
    assert not workshop.folder.exists()
    workshop.piece(tasks[1], tuple(twin(target) for target in workshop.targets[1:]))
    assert workshop.files()


def test_a_piece_of_a_film_that_changes_meanwhile_is_not_kept(film: Path, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    source.write_bytes(film.read_bytes())
    workshop = Workshop(source, tmp_path)
    _, first, *_ = workshop.piece_tasks()

    def touched(_fraction: float) -> None:
        source.touch()

    with pytest.raises(SourceChanged):
        unfinished.piece(first, (), b"token", touched)
    assert workshop.files() == {}


def test_a_lost_playlist_costs_no_encoding(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = Workshop(film, tmp_path)
    made = workshop.publish()
    folder = workshop.out / film.name
    before = {target.name: (folder / target.name).read_bytes() for target in workshop.targets}
    for name in ("hls.m3u8", "hls-48.m3u8", "hls-audio-1.m3u8"):
        (folder / name).unlink()
    monkeypatch.setattr(video_encode, "encode", None)
    monkeypatch.setattr(process, "run", None)
    again = workshop.publish(made.files)
    assert again.made == 3
    assert {target.name: (folder / target.name).read_bytes() for target in workshop.targets} == before


# -- journal -----------------------------------------------------------------------------------------------------------


def test_a_film_given_up_for_one_piece_is_tried_again_with_all_of_them(film: Path, tmp_path: Path) -> None:
    workshop = Workshop(film, tmp_path)
    jobs = workshop.piece_jobs()
    with Journal.open(str(tmp_path / "state"), clock=lambda: 1e9, random=lambda: 0.5, version="1") as journal:

        def states() -> list[tuple[int | None, str]]:
            from mediactl.jobs import report

            with report.read(str(tmp_path / "state")) as rows:
                return [(job.piece, job.state) for job in rows.listed(None, -1)]

        with journal.transaction():
            row = journal.sources.put(workshop.source, "r", "plan", "quarantined")
            journal.add([msgspec.structs.replace(job, source=row) for job in jobs])
            held = journal.claim(("quick", "heavy"), 1)
            journal.sources.cancel_pieces(row, "another piece was quarantined", jobs[0].plan, jobs[0].cut)
            for _ in range(3):
                journal.crash(held[0].id, held[0].attempt, "it crashed")
                held = journal.claim(("quick", "heavy", "alone"), 1) or held
        assert states() == [(0, "quarantined"), (1, "cancelled"), (2, "cancelled"), (3, "cancelled")]
        with journal.transaction():
            assert journal.retry(held[0].id)
        assert {state for _, state in states()} == {"ready"}
        assert journal.sources.get(row).state == "pending"


def test_frames_are_examined_for_interlacing_once_for_all_pieces_and_the_poster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = filmed(
        tmp_path / "film.mp4", "-flags", "+ildct+ilme", "-x264-params", "tff=1", "-vf", "setfield=tff", rate="25",
        seconds=7,
    )  # fmt: skip
    runs, logging = tmp_path / "runs", tmp_path / "ffmpeg"
    logging.write_text(f"#!/bin/sh\necho \"$*\" >> '{runs}'\nexec '{binary.find()}' \"$@\"\n")
    logging.chmod(0o755)
    monkeypatch.setenv(binary.VARIABLE, str(logging))
    chosen = loader.parse(
        'name = "cut"\nplaceholder = "none"\ncutting = { above = 6, piece = 4 }\n'
        '[[video]]\nname = "film"\nheight = 96\npreset = "ultrafast"\n[[poster]]\nname = "poster"\n',
        "cut.toml",
    )
    shop = Workshop(film, tmp_path, chosen)
    tasks = shop.piece_tasks()
    assert len(tasks) > 2
    for task in tasks:
        shop.piece(task)
    examined = [line for line in runs.read_text().splitlines() if "idet" in line]
    assert len(examined) == 3, "one at each position that is examined"
    shop.publish()
    assert shop.frames("film.mp4") == 175
    assert sum("idet" in line for line in runs.read_text().splitlines()) == 6
