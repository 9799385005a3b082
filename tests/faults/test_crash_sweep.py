"""A process ends, or a call of it fails, at each system call that changes a file; nothing is lost, torn or left behind.

One run over three photos, a video in pieces and audio is traced, to learn which calls its supervisor, its worker, the
process in which that decodes and each ffmpeg make. Then it is run once for each of them: the process is killed as it
makes the call, or the call returns EIO or ENOSPC. After each the journal and the outputs hold every invariant, the next
run ends with 0, and all is as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import pytest
from conftest import CommandLine
from support import strace
from support.films import make
from support.forkserver import ForkServer
from support.invariants import violated
from support.shipped import picture
from support.strace import DECODER, FFMPEG, KILL, SUPERVISOR, WORKER, Made, Point

SEED = 20_261_126
RECIPE = """
name = "sweep"
cutting = { above = 3, piece = 2 }
[[image]]
name = "w32"
width = 32
[[image]]
name = "w16"
width = 16
format = "jpeg"
[[video]]
name = "v"
height = 32
preset = "ultrafast"
[[poster]]
name = "poster"
width = 32
[[audio]]
name = "audio"
format = "opus"
"""
RUN = ("process", "in", "--recipe", "sweep.toml", "--jobs", "1", "--json", "--out")
EFFECTS = (KILL, "error=EIO", "error=ENOSPC")
PARTS = 4
"""Tests that share the calls of one process."""
TAKING_OVER = 60
"""Calls with which a run takes over from a dead one, and some more."""
LIMIT = 120
"""Seconds that a run may take: many times what it takes."""
STANDS = 5
"""Seconds until a run is killed whose worker was stopped."""


class Swept(NamedTuple):
    """What came of some points."""

    reached: int
    """How many of them happened; how often a process makes a call varies a little between two runs."""
    ends: Counter[int]
    """Exit code of the run to which it happened -> how often."""
    wrong: list[str]


class Sweep:
    """A folder with sources, and what a run makes of them to which nothing happens."""

    def __init__(self, line: CommandLine, server: ForkServer) -> None:
        self._line = line
        self._server = server
        self._folder = line.folder
        self._logs = line.folder / "logs"
        self._before = line.folder / "before"
        self._reference = ""
        self._said = ""

    def calls(self) -> list[Made]:
        """Trace a run to which nothing happens; return the calls of it that may be hit."""
        done = self._run(None)
        assert done == 0, self._said
        tree, self._reference = self._reference, self._tree()
        assert tree in ("", self._reference)
        assert violated(self._folder / "out") == []
        return list(strace.calls(self._logs, self._folder))

    def begin_after(self, call: str, number: int) -> list[str]:
        """Kill a run while its worker stands at this call; from now on, all begin with what it left.

        Return the names of the temporary files among it.
        """
        assert self._run(Point(WORKER, call, number, "signal=SIGSTOP"), limit=STANDS) == STANDS
        shutil.move(self._folder / "out", self._before)
        return [path.name for path in self._before.rglob(".mediactl-*")]

    def sweep(self, points: Iterable[Point]) -> Swept:
        """Have each of the points happen in a run of its own, and see what the next run makes of it."""
        reached, ends, wrong = 0, Counter[int](), list[str]()
        for point in points:
            code = self._run(point)
            reached += strace.hit(self._logs)
            ends[code] += 1
            wrong += [f"{point}: {problem}" for problem in self._problems(point, code)]
        return Swept(reached, ends, wrong)

    def _run(self, point: Point | None, limit: int = LIMIT) -> int:
        for folder in ("out", "cache", "logs"):
            shutil.rmtree(self._folder / folder, ignore_errors=True)
        self._logs.mkdir()
        if self._before.exists():
            subprocess.run(["cp", "-a", self._before, self._folder / "out"], check=True)  # copytree fails for sockets
        encoder = strace.ffmpeg(self._folder, str(self._logs), point)
        sandbox = "off" if point is None or point.process.startswith(FFMPEG) else "auto"
        try:
            done = self._server.called(
                strace.traced, [*RUN, "out", "--ffmpeg", encoder, "--sandbox", sandbox], str(self._logs), point,
                cwd=str(self._folder), env=self._line.environment, timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:  # now its supervisor is killed
            return limit
        self._said = (done.out[-1000:] + done.err[-1000:]).decode()
        return done.code

    def _problems(self, point: Point, code: int) -> Iterator[str]:
        killed = (point.process, point.effect) == (SUPERVISOR, KILL)
        expected = (-9,) if killed else (0,) if point.effect == KILL else (0, 75)
        if code not in expected and strace.hit(self._logs):
            yield f"ended with {code}: {self._said}"
        out = self._folder / "out"
        if (out / ".mediactl/journal.db").exists():
            yield from (f"after it: {each.line}" for each in violated(out, ended=False))
        again = self._line(*RUN, "out", limit=LIMIT)
        if again.code != 0:
            yield f"the next run ended with {again.code}: {again.out[-1000:]} {again.err}"
        if self._tree() != self._reference:
            yield "outputs differ"
        yield from (f"after the next run: {each.line}" for each in violated(out))
        last = self._line(*RUN, "out", limit=LIMIT)
        if (last.code, last.summary["jobs"]) != (0, 0):
            yield f"the run after the next had {last.summary['jobs']} jobs and ended with {last.code}"

    def _tree(self) -> str:
        digest = hashlib.sha256()
        for path in sorted((self._folder / "out").rglob("*")):
            if path.is_file() and ".mediactl" not in path.parts:
                digest.update(f"{path.relative_to(self._folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
        return digest.hexdigest()


@pytest.fixture
def sweep(mediactl: CommandLine, fork_server: ForkServer) -> Sweep:
    """Return one with three small photos and audio."""
    if reason := strace.missing():
        pytest.skip(reason)
    for number in range(3):
        picture(mediactl.folder / f"in/{number}.jpg", number)
    make(mediactl.folder / "in/audio.wav", "-f", "lavfi", "-i", "sine=d=1:r=8000")
    (mediactl.folder / "sweep.toml").write_text(RECIPE)
    return Sweep(mediactl, fork_server)


@pytest.fixture
def whole_sweep(sweep: Sweep, mediactl: CommandLine) -> Sweep:
    """Return one with a video in pieces, too."""
    make(mediactl.folder / "in/video.mp4", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=4", "-f", "lavfi", "-i",
         "sine=d=4", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-shortest")  # fmt: skip
    return sweep


def points(calls: Iterable[Made], process: str, effect: str) -> list[Point]:
    """Return the points of one kind of process; only what is about a file can fail for a disk."""
    return [
        Point(made.process, made.call, made.number, effect)
        for made in calls
        if made.process.startswith(process) and (made.on_disk or effect == KILL)
    ]


def test_no_call_at_which_a_run_is_cut_short_loses_or_tears_anything(sweep: Sweep) -> None:
    """Some calls of each kind, without a video; all of them in the test below."""
    dice, calls = random.Random(SEED), sweep.calls()
    chosen = []
    for process, number in ((SUPERVISOR, 3), (WORKER, 2), (DECODER, 1), (FFMPEG, 1)):
        for effect in EFFECTS:
            # By kind of call first: writes are many, renames few.
            kinds = [list(each) for _, each in groupby(sorted(points(calls, process, effect)), lambda each: each.call)]
            chosen += [dice.choice(kind) for kind in dice.sample(kinds, min(number, len(kinds)))]
    print(f"seed {SEED}: {'; '.join(map(str, chosen))}")
    swept = sweep.sweep(chosen)
    assert not swept.wrong, "\n".join(swept.wrong)
    assert {point.process.split()[0] for point in chosen} == {SUPERVISOR, WORKER, DECODER, FFMPEG}
    assert swept.reached > len(chosen) * 3 // 4, swept


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize(
    ("process", "part"),
    [*((each, part) for each in (SUPERVISOR, WORKER, DECODER) for part in range(PARTS)), (FFMPEG, None)],
)
def test_every_call_at_which_a_run_can_be_cut_short(
    whole_sweep: Sweep, process: str, part: int | None, effect: str
) -> None:
    started = time.monotonic()
    all_points = points(whole_sweep.calls(), process, effect)
    chosen = all_points if part is None else all_points[part::PARTS]
    swept = whole_sweep.sweep(chosen)
    print(
        f"{process} {effect}: {len(chosen)} of {len(all_points)} points, {swept.reached} reached,"
        f" ends {dict(swept.ends)}, {len(swept.wrong)} violations, {time.monotonic() - started:.0f} s"
    )
    assert not swept.wrong, "\n".join(swept.wrong)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("first", ["write 2", "rename 2", "fsync 12", "rename 14"])
def test_every_call_at_which_the_run_after_a_kill_can_be_cut_short(whole_sweep: Sweep, first: str, effect: str) -> None:
    """Its supervisor alone, until it has taken over what the first run left."""
    call, number = first.split()
    whole_sweep.calls()
    assert whole_sweep.begin_after(call, int(number)), "it left temporary files"
    taking_over = points(whole_sweep.calls(), SUPERVISOR, effect)[:TAKING_OVER]
    swept = whole_sweep.sweep(taking_over)
    print(
        f"{SUPERVISOR} {effect} after {first}: {len(taking_over)} points, {swept.reached} reached,"
        f" ends {dict(swept.ends)}, {len(swept.wrong)} violations"
    )
    assert not swept.wrong, "\n".join(swept.wrong)
