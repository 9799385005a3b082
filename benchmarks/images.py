"""Photos a second: mediactl against what people use today for the same three widths of the same photos.

Every contender is a whole program, started anew, and reads the same folder: JPEGs of the corpus (MEDIACTL_CORPUS,
or ../shared/media beside the project), copied under new names with a comment of their own until there are enough;
with --megapixels enlarged ones, each another part.
All run once a round, in turn, on as many processes or threads as there are cores; medians are printed. Peers that
are not installed are reported as absent:

  sharp          npm install sharp (then --sharp-dir FOLDER, the one that holds node_modules, or NODE_PATH)
  vipsthumbnail  Debian and Ubuntu: apt install libvips-tools
  mogrify        Debian and Ubuntu: apt install imagemagick
  pyvips loop    PyPI: pyvips, pyvips-binary (mediactl's own dependencies); benchmarks/pyvips_peer.py
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
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
from benchmarks.memory import make

HERE = Path(__file__).resolve().parent
WIDTHS = (320, 800, 1600)
EFFORTS = ("webp", "avif")
"""Formats that ``--effort`` is about."""
CORES = len(os.sched_getaffinity(0))


class Result(NamedTuple):
    """One contender's one round."""

    seconds: float
    cpu: float
    files: int
    size: int


class Task(NamedTuple):
    """What every contender has to do: all photos of a folder into one format."""

    photos: Path
    format: str
    quality: int
    effort: int

    @property
    def suffix(self) -> str:
        """Ending of the files to make."""
        return ".jpg" if self.format == "jpeg" else "." + self.format


def gather(corpus: Path, folder: Path, count: int) -> None:
    """Fill the folder with `count` JPEGs of different content, taken in turn from the corpus."""
    originals = sorted(path for path in (corpus / "photos").rglob("*.jp*g") if path.read_bytes()[:2] == b"\xff\xd8")
    if not originals:
        sys.exit(f"No JPEGs in {corpus / 'photos'}: set MEDIACTL_CORPUS or --corpus to a folder that has photos/.")
    for number in range(count):
        data = originals[number % len(originals)].read_bytes()
        comment = f"copy {number:06d}".encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"photo{number:05d}.jpg").write_bytes(data[:2] + marker + data[2:])


def timed(start: Callable[[Task, Path], tuple[Sequence[str], dict[str, str]]], task: Task, work: Path) -> Result:
    """Run one contender into an empty folder, and count what it left there."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        out = Path(name) / "out"
        out.mkdir()
        command, env = start(task, out)
        cost = run(command, env=env)
        made = [path.stat().st_size for path in out.rglob("*" + task.suffix) if path.is_file()]
    if not made:
        raise ContenderError("it made no files")
    return Result(cost.seconds, cost.cpu, len(made), sum(made))


def mediactl(task: Task, out: Path) -> tuple[Sequence[str], dict[str, str]]:
    """mediactl with a recipe of the three widths, its cache as empty as its output folder."""
    recipe = out.parent / "bench.toml"
    text = 'name = "bench"\n'
    for width in WIDTHS:
        text += f'\n[[image]]\nname = "w{width}"\nformat = "{task.format}"\nwidth = {width}\nquality = {task.quality}\n'
        text += f"effort = {task.effort}\n" if task.format in EFFORTS else ""
    recipe.write_text(text)
    words = [*MEDIACTL, "process", str(task.photos), "--out", str(out), "--recipe", str(recipe), "--quiet"]
    return words, {"XDG_CACHE_HOME": str(out.parent / "cache")}


def sharp(task: Task, out: Path, folder: str, threads: int, flying: int) -> tuple[Sequence[str], dict[str, str]]:
    """The Node script beside this one."""
    numbers = [task.quality, task.effort, threads, flying, *WIDTHS]
    script = ["node", str(HERE / "sharp_peer.mjs"), folder, str(task.photos), str(out), task.format]
    return [*script, *map(str, numbers)], {}


def in_parallel(photos: Path, commands: Sequence[str]) -> list[str]:
    """A shell line that runs each command over all photos, `CORES` processes at a time, files dealt out in batches."""
    batch = max(1, -(-len(list(photos.iterdir())) // (CORES * 2)))
    lines = [f"printf '%s\\0' *.jpg | xargs -0 -n {batch} -P {CORES} {command}" for command in commands]
    return ["sh", "-ec", f"cd '{photos}'; " + "; ".join(lines)]


def vipsthumbnail(task: Task, out: Path) -> tuple[Sequence[str], dict[str, str]]:
    """libvips' own program, once for each width, without metadata."""
    effort = f",effort={task.effort}" if task.format == "webp" else ""
    save = f"{task.suffix}[Q={task.quality},strip{effort}]"
    commands = [f"vipsthumbnail -s '{width}x>' -o '{out}/%s-w{width}{save}'" for width in WIDTHS]
    return in_parallel(task.photos, commands), {"VIPS_CONCURRENCY": "1"}


def mogrify(task: Task, out: Path) -> tuple[Sequence[str], dict[str, str]]:
    """ImageMagick, once for each width, with its hint to shrink while loading."""
    commands = []
    for width in WIDTHS:
        (out / str(width)).mkdir()
        effort = f"-define webp:method={task.effort}" if task.format == "webp" else ""
        commands.append(
            f"mogrify -define jpeg:size={2 * width}x{2 * width} -auto-orient -resize '{width}x>' -strip "
            f"-quality {task.quality} {effort} -format {task.suffix[1:]} -path '{out / str(width)}'"
        )
    return in_parallel(task.photos, commands), {"MAGICK_THREAD_LIMIT": "1"}


def pyvips_loop(task: Task, out: Path) -> tuple[Sequence[str], dict[str, str]]:
    """The bare loop."""
    numbers = [task.quality, task.effort, CORES, *WIDTHS]
    return [
        sys.executable,
        str(HERE / "pyvips_peer.py"),
        str(task.photos),
        str(out),
        task.format,
        *map(str, numbers),
    ], {}


def contenders(task: Task, work: Path, sharp_dir: str) -> tuple[dict[str, Callable[[], Result]], dict[str, str]]:
    """Those that are here, ready to run, and why the others are not."""
    ready: dict[str, Callable[[], Result]] = {"mediactl": partial(timed, mediactl, task, work)}
    missing: dict[str, str] = {}
    if shutil.which("node") is None:
        missing["sharp"] = "no node on the PATH"
    else:
        try:
            run(["node", str(HERE / "sharp_peer.mjs"), sharp_dir])
            for name, threads, flying in (("sharp, default", 0, CORES), ("sharp, 1 thread", 1, CORES)):
                start = partial(sharp, folder=sharp_dir, threads=threads, flying=flying)
                ready[name] = partial(timed, start, task, work)
        except ContenderError:
            missing["sharp"] = "not installed in --sharp-dir or NODE_PATH; npm install sharp"
    for name, begin, package in (
        ("vipsthumbnail", vipsthumbnail, "libvips-tools"),
        ("mogrify", mogrify, "imagemagick"),
    ):
        if shutil.which(name):
            ready[name] = partial(timed, begin, task, work)
        else:
            missing[name] = f"not on the PATH; Debian: {package}"
    ready["pyvips loop"] = partial(timed, pyvips_loop, task, work)
    return ready, missing


def report(task: Task, photos: int, results: dict[str, list[Result]], missing: dict[str, str]) -> str:
    """The table of one format; the last column is how many times mediactl's time each one takes."""
    times = {name: middle([result.seconds for result in rounds]) for name, rounds in results.items()}
    ours = times.get("mediactl")
    rows = []
    for name, rounds in results.items():
        cpu = middle([result.cpu for result in rounds])
        size = f"{rounds[-1].size / 1e6:.2f}"
        row = [f"{times[name]:.2f}", f"{photos / times[name]:.1f}", f"{cpu:.2f}", str(rounds[-1].files), size]
        rows.append([name, *row, ratio(times[name], ours)])
    rows.sort(key=lambda row: float(row[1]))
    effort = f", effort {task.effort}" if task.format in EFFORTS else ""
    title = f"\n{photos} photos, widths {', '.join(map(str, WIDTHS))}, {task.format} quality {task.quality}{effort}\n\n"
    text = (
        title + table(["", "seconds", "photos/s", "CPU s", "files", "MB out", "x mediactl"], rows) + absences(missing)
    )
    sharps = {name: seconds for name, seconds in times.items() if name.startswith("sharp")}
    if ours and sharps:
        best = min(sharps, key=lambda name: sharps[name])
        text += f"\nsharp's best ({best}) takes {ratio(sharps[best], ours)} times as long as mediactl."
    return text


def main() -> None:
    """Measure one format after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    corpus = Path(os.environ.get("MEDIACTL_CORPUS") or ROOT.parent / "shared" / "media")
    parser.add_argument("--corpus", type=Path, default=corpus, help="folder with photos/ (default: MEDIACTL_CORPUS)")
    parser.add_argument("--photos", type=int, default=120, help="how many photos (default: 120)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds (default: 3)")
    parser.add_argument("--formats", default="jpeg,webp", help="formats, separated by commas (default: jpeg,webp)")
    parser.add_argument("--quality", type=int, default=80, help="quality of both formats (default: 80)")
    parser.add_argument("--effort", type=int, default=4, help="effort of WebP and AVIF (default: 4)")
    parser.add_argument("--megapixels", type=float, help="photos of this size, made from those of the corpus")
    parser.add_argument("--only", default="", help="contenders whose names begin so, separated by commas")
    parser.add_argument("--sharp-dir", default=os.environ.get("SHARP_DIR", "."), help="folder that holds node_modules")
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        work = Path(name)
        (work / "photos").mkdir()
        if options.megapixels:
            height = round((options.megapixels * 1e6 * 3 / 4) ** 0.5)
            size = height * 4 // 3, height
            make(options.corpus / "photos", work / "photos", options.photos, CORES, size=size, every=0)
        else:
            gather(options.corpus, work / "photos", options.photos)
        print(f"{CORES} cores, medians of {options.rounds} rounds")
        for format_ in options.formats.split(","):
            task = Task(work / "photos", format_, options.quality, options.effort)
            ready, missing = contenders(task, work, options.sharp_dir)
            wanted = tuple(options.only.split(","))
            ready = {name: start for name, start in ready.items() if name.startswith(wanted)}
            results, failures = take_turns(ready, options.rounds)
            print(report(task, options.photos, results, {**missing, **failures}), flush=True)
            each = f" of {options.megapixels:g} MP" if options.megapixels else ""
            keep(options.json, f"{options.photos:,} photos{each}, {format_}", results, {**missing, **failures})


if __name__ == "__main__":
    main()
