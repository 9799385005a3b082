"""Memory of every worker over a long run of large photos: below the mark, and flat.

    python -m benchmarks.memory CORPUS/photos [--number 500] [--jobs 2] [--recipe web]

Makes so many distinct JPEGs of 12 MP (other parts of real photos, mirrored, brighter, darker; every fifth progressive,
which a decoder has to hold as a whole), processes them, and samples the resident memory of each worker. Exits 1 when
one passes MARK or its memory grows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.measure import MEDIACTL, ROOT, table

WIDTH, HEIGHT = 4000, 3000
MARK = 400.0
"""MB of resident memory that no worker may pass."""
GROWTH = 30.0
"""MB by which a peak may lie above earlier ones by the luck of which photos a worker gets."""
EVERY = 0.05
"""Seconds between samples."""
SHORTEST = 40
"""Samples; processes that lived for less are no workers."""
SMALLEST = 1_500_000
"""Pixels of a photo that is worth enlarging."""


class Worker(NamedTuple):
    """What was seen of one process."""

    pid: int
    samples: list[float]
    """MB, in order of time."""

    @property
    def peak(self) -> float:
        """The most of it."""
        return max(self.samples)

    @property
    def quarters(self) -> list[float]:
        """Peaks of the four quarters of its life."""
        part = max(1, len(self.samples) // 4)
        return [max(self.samples[number * part : (number + 1) * part]) for number in range(4)]

    @property
    def growth(self) -> float:
        """MB by which the last quarter's peak lies above the first half's: a leak makes it ever larger."""
        first, second, _, last = self.quarters
        return last - max(first, second)


def main() -> None:
    """Make, run, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--number", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--recipe", default="web")
    parser.add_argument("--scratch", type=Path, help="folder for photos and outputs (about 3 MB a photo)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mediactl-memory-", dir=arguments.scratch) as temporary:
        folder = Path(temporary)
        began = time.monotonic()
        total = make(arguments.photos, folder / "in", arguments.number, arguments.jobs)
        print(f"{arguments.number} photos of {WIDTH} x {HEIGHT}, {total / 1e6:.0f} MB, made in "
              f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        command = [*MEDIACTL, "process", str(folder / "in"), "--out", str(folder / "out"), "--quiet"]
        began = time.monotonic()
        workers = watch([*command, "--recipe", arguments.recipe, "--jobs", str(arguments.jobs)])
        seconds = time.monotonic() - began
    rows = []
    bad = 0
    for worker in workers:
        good = worker.peak < MARK and worker.growth < GROWTH
        bad += not good
        peaks = [f"{peak:.0f}" for peak in (worker.peak, *worker.quarters, worker.growth)]
        rows.append([str(worker.pid), f"{len(worker.samples)}", *peaks, "ok" if good else "BAD"])
    head = ["worker", "samples", "peak MB", "1st quarter", "2nd", "3rd", "4th", "growth", f"< {MARK:.0f} MB, flat"]
    print(table(head, rows))
    print(f"{arguments.number / seconds:.1f} photos/s with {arguments.jobs} workers")
    sys.exit(1 if bad or not rows else 0)


def make(
    photos: Path, folder: Path, number: int, jobs: int, *, size: tuple[int, int] = (WIDTH, HEIGHT), every: int = 5
) -> int:
    """Write so many distinct photos, each ``every``-th progressive (0: none); their bytes together."""
    folder.mkdir(exist_ok=True)
    found = [file for file in sorted(photos.rglob("*.jpg")) if _pixels(file) >= SMALLEST]
    if not found:
        sys.exit(f"no JPEG of {SMALLEST:,} pixels in {photos}")
    with ProcessPoolExecutor(jobs) as pool:
        tasks = [(file, folder, range(index, number, len(found)), size, every) for index, file in enumerate(found)]
        return sum(pool.map(_write, tasks))


def _pixels(file: Path) -> int:
    from PIL import Image

    with Image.open(file) as image:
        return image.width * image.height


def _write(task: tuple[Path, Path, range, tuple[int, int], int]) -> int:
    import pyvips

    file, folder, numbers, (width, height), every = task
    # A tenth larger than wanted, so that every photo shows another part of it.
    large: Any = pyvips.Image.thumbnail(str(file), width * 11 // 10, height=height * 11 // 10, crop="centre")
    large = large.colourspace("srgb").copy_memory()
    large = large.resize(width * 1.1 / large.width, vscale=height * 1.1 / large.height).copy_memory()
    total = 0
    for number in numbers:
        left, top = number * 37 % (large.width - width + 1), number * 53 % (large.height - height + 1)
        part = large.crop(left, top, width, height)
        part = (part.fliphor() if number % 2 else part) * (0.85 + number % 7 * 0.05)
        data = part.cast("uchar").jpegsave_buffer(Q=85, keep="none", interlace=every > 0 and number % every == 0)
        (folder / f"{number:05}.jpg").write_bytes(data)
        total += len(data)
    return total


def watch(command: list[str]) -> list[Worker]:
    """Run a command; what was seen of each process that it started and that lived long enough."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    seen: dict[int, list[float]] = {}
    try:
        parent = psutil.Process(child.pid)
        while child.poll() is None:
            for process in parent.children(recursive=True):
                try:
                    seen.setdefault(process.pid, []).append(process.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(EVERY)
    except psutil.NoSuchProcess:
        pass  # it ended between two looks
    finally:
        if child.poll() is None:
            child.terminate()
        code = child.wait()
    if code:
        sys.exit(f"mediactl ended with {code}")
    # Helpers that do no pictures stay small; they are told apart by what they never loaded.
    most = max((max(samples) for samples in seen.values()), default=0.0)
    return [
        Worker(pid, samples) for pid, samples in seen.items() if len(samples) >= SHORTEST and max(samples) > most / 3
    ]


if __name__ == "__main__":
    main()
