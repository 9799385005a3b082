"""Good images among hostile files: their outputs are those of a run without, and take hardly longer."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import bombs
import pytest
from conftest import CommandLine, Result
from leak_files import write
from mutations import mutants
from PIL import Image
from test_leaks import bait

SEED = 200
RECIPE = 'name = "small"\n[[image]]\nname = "w100"\nwidth = 100\n[[image]]\nname = "w50"\nwidth = 50\n'
RATIO = 1.2
"""Time of the good images with hostile neighbours, by that without."""


def good(folder: Path, number: int) -> None:
    """Write so many photo-like images."""
    folder.mkdir(parents=True)
    noise = Image.effect_noise((400, 300), 60)
    for at in range(number):
        image = Image.merge("RGB", (noise.rotate(at % 360), noise, Image.new("L", noise.size, at % 256)))
        image.save(folder / f"{at:04}.jpg", quality=85)


def hostile(folder: Path, number: int) -> None:
    """Write hostile files: what leaks, bombs, and mutants of good images."""
    folder.mkdir(parents=True)
    made = write(folder, bait(folder, 9))
    some: dict[str, bytes] = {
        "pixels.png": bombs.png(width=100_000, height=100_000, pixels=b""), "frames.gif": bombs.gif(50_000, 8, 8),
        "scans.jpg": bombs.jpeg_scans(4_000, 4_000, 200), "frames.webp": bombs.webp(10_000, 8),
        "samples.mp4": bombs.fragments(5, 10**7),
        "grid.heic": bombs.heif_grid(b"heic", 256, 255, 65_535, 65_535), "zlib.mkv": bombs.mkv_zlib(64 << 20),
    }  # fmt: skip
    for name, content in some.items():
        (folder / name).write_bytes(content)
    image = bombs.saved(Image.effect_noise((300, 200), 50), "JPEG")
    missing = max(0, number - len(made) - len(some))
    for at, content in enumerate(mutants([image, bombs.png(), bombs.gif(3, 9, 9)], missing, SEED)):
        (folder / f"mutant{at}.{('jpg', 'png', 'gif')[at % 3]}").write_bytes(content)


def outputs(folder: Path) -> dict[str, str]:
    """Relative path -> digest of the outputs of the good images."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "good").rglob("*"))
        if path.is_file()
    }


def cpu_of(run: Result, folder: str) -> float:
    """CPU seconds of the jobs that made outputs of a folder's files."""
    done = [event for event in run.events if event["event"] == "job.done" and event["path"].startswith(folder)]
    return sum(float(event["cpu_seconds"]) for event in done)


def runs(mediactl: CommandLine, images: int, others: int) -> Iterator[tuple[Result, dict[str, str]]]:
    """Yield a run of the good images alone, then one with hostile neighbours, each with the outputs of the good."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    good(mediactl.folder / "in/good", images)
    for name in ("alone", "beside"):
        if name == "beside":
            hostile(mediactl.folder / "in/bad", others)
        flags = ("--recipe", "small.toml", "--out", name, "--json")
        run = mediactl("process", "in", *flags, environment={"MEDIACTL_CACHE": "none"}, limit=900)
        yield run, outputs(mediactl.folder / name)
    shutil.rmtree(mediactl.folder / "in")


def compare(mediactl: CommandLine, images: int, others: int) -> float:
    """Return the ratio of the time that the good images took, after a check that their outputs are the same."""
    (alone, expected), (beside, found) = runs(mediactl, images, others)
    assert alone.summary["done"] == images, alone.summary
    assert (alone.code, beside.code) == (0, 1), beside.err
    assert (beside.summary["unfinished"], beside.summary["quarantined"], beside.summary["internal_errors"]) == (0, 0, 0)
    assert found == expected and len(found) == 3 * images
    ratio = cpu_of(beside, "good/") / cpu_of(alone, "good/")
    print(f"seed {SEED}: {images} images, {others} hostile files: {ratio:.2f} x the CPU time")
    elapsed = beside.summary["elapsed_s"] / alone.summary["elapsed_s"]
    print(
        f"elapsed {alone.summary['elapsed_s']:.1f} s alone, {beside.summary['elapsed_s']:.1f} s beside: {elapsed:.2f} x"
    )
    return ratio


def test_a_few_good_images_are_the_same_beside_hostile_files(mediactl: CommandLine) -> None:
    compare(mediactl, 20, 30)


@pytest.mark.sweep
@pytest.mark.timeout(900)
def test_a_thousand_good_images_are_the_same_and_as_fast_beside_hostile_files(mediactl: CommandLine) -> None:
    assert os.cpu_count()
    assert compare(mediactl, 1_000, 200) <= RATIO
