"""How long urgent photos wait while films hold every heavy slot: real files, `mediactl watch`, its own journal.

Films that take a minute each are there at the start; once they are being worked on, photos come in one by one at random
moments. Told is the time from each of their jobs (reading, then making the pictures) being added until it begins, and
what such a job takes: the mark is 50 ms and one quick job.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from benchmarks.arrivals import exponential, quantile
from benchmarks.measure import ROOT, stop_tidily, table
from mediactl.jobs import report

PAUSE = 0.5
"""Seconds between two photos on average."""
MINUTES = 8
"""Of film: two cores need more than a minute for it."""
COMMAND = "import sys; sys.path.insert(0, sys.argv.pop(1)); from mediactl.cli import main; main()"


def plant_films(folder: Path, number: int) -> None:
    """Films of noise that nothing compresses well, 720p: ten seconds made once, repeated without encoding."""
    short = folder.parent / "short.mp4"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    picture = "testsrc2=size=1280x720:rate=30:duration=10,noise=alls=12:allf=t"
    fast = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run([*ffmpeg, "-f", "lavfi", "-i", picture, *fast, str(short)], check=True)
    for at in range(number):
        loop = ["-stream_loop", str(MINUTES * 6 - 1 + at), "-i", str(short), "-c", "copy"]
        subprocess.run([*ffmpeg, *loop, str(folder / f"film{at}.mp4")], check=True)


@contextlib.contextmanager
def watching(folder: Path, out: Path, workers: int) -> Iterator[queue.SimpleQueue[dict[str, object]]]:
    """The events of a watch that is stopped with the block. A thread reads them: a full pipe would hold it up."""
    words = ["watch", str(folder), "--out", str(out), "--settle", "0.05", "--grace", "0", "--json", "-j", str(workers)]
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", COMMAND, str(ROOT), *words], stdout=subprocess.PIPE, env={**os.environ}
    )
    events: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()

    def read(lines: IO[bytes]) -> None:
        for line in lines:
            events.put(json.loads(line))

    assert child.stdout is not None
    reader = threading.Thread(target=read, args=(child.stdout,))
    reader.start()
    try:
        yield events
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()
        reader.join()


def measure(photos: int, films: int, workers: int, seed: int) -> tuple[list[float], list[float]]:
    """Seconds that the photos' jobs waited, and that they ran."""
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        source, out, aside = Path(name) / "in", Path(name) / "out", Path(name) / "aside"
        source.mkdir()
        aside.mkdir()
        plant_films(source, films)
        content = (ROOT / "samples" / "harbour.jpg").read_bytes()
        with watching(source, out, workers) as events:
            while events.get()["event"] != "job.progress":
                pass
            for at, pause in enumerate(exponential(photos, PAUSE, seed)):
                time.sleep(pause)
                photo = aside / f"{at}.jpg"
                photo.write_bytes(content + b"%d" % at)  # another content each, or it would be made once
                photo.rename(source / photo.name)
            done = 0
            while done < photos:
                event = events.get()
                done += event["event"] == "job.done" and event.get("source_kind") == "image"
        with report.read(str(out / ".mediactl")) as rows:
            return rows.waits()["urgent/quick"], rows.run_times()["urgent/quick"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100, help="photos that come in (default: 100)")
    parser.add_argument("--films", type=int, default=3, help="films at work or waiting (default: 3)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--seed", type=int, default=20261120, help="of the moments at which photos come")
    options = parser.parse_args()
    stop_tidily()
    waits, runs = measure(options.photos, options.films, options.workers, options.seed)
    mark = 0.05 + max(runs)
    print(f"{options.photos} photos over {options.films} films, {options.workers} workers, seed {options.seed}\n")
    rows = [
        [name, *(f"{each * 1000:.1f}" for each in (quantile(values, 0.5), quantile(values, 0.99), max(values)))]
        for name, values in (("waited", waits), ("ran", runs))
    ]
    print(table(["jobs of photos", "p50 ms", "p99 ms", "max ms"], rows))
    print(f"\np99 of the wait {quantile(waits, 0.99) * 1000:.0f} ms, the mark {mark * 1000:.0f} ms")


if __name__ == "__main__":
    main()
