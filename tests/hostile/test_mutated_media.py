"""Mutated media files through the whole program: every one is done or rejected, and no job is lost."""

from __future__ import annotations

import os

import pytest
from conftest import CORPUS, SAMPLES, CommandLine
from mutations import mutants
from support import films

SEED = int(os.environ.get("MEDIACTL_FUZZ_SEED", "5000"))
SLICES, EACH, FEW = 50, 100, 12
RECIPE = """
name = "mutants"
[[image]]
name = "w50"
width = 50
[[video]]
name = "v"
height = 64
preset = "ultrafast"
[[poster]]
name = "poster"
width = 50
[[audio]]
name = "a"
"""
CLIP = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1", "-bitexact")


def seeds(largest: int) -> dict[str, list[bytes]]:
    """Kind -> files of the samples and the corpus up to so many bytes, and small videos."""
    paths = [*SAMPLES.iterdir()]
    if CORPUS.is_dir():
        paths += [
            path for part in ("photos", "images", "audio", "videos", "hostile") for path in (CORPUS / part).iterdir()
        ]
    found: dict[str, list[bytes]] = {}
    for path in sorted(paths):
        if path.is_file() and path.suffix != ".py" and path.stat().st_size <= largest:
            found.setdefault(path.suffix, []).append(path.read_bytes())
    for suffix, codec in (
        (".mp4", "mpeg4"),
        (".mkv", "mpeg4"),
        (".avi", "mpeg4"),
        (".mpg", "mpeg2video"),
        (".flv", "flv"),
    ):
        found.setdefault(suffix, []).append(films.made(suffix, *CLIP, "-c:v", codec))
    return found


def check(mediactl: CommandLine, number: int, seed: int, largest: int) -> None:
    print("seed", seed)
    (mediactl.folder / "recipe.toml").write_text(RECIPE)
    folder = mediactl.folder / "in"
    folder.mkdir()
    by_suffix = seeds(largest)
    for at, suffix in enumerate(suffixes := sorted(by_suffix)):
        for each, content in enumerate(mutants(by_suffix[suffix], -(-number // len(suffixes)), seed + at)):
            (folder / f"{each}{suffix}").write_bytes(content)
    names = {path.name for path in folder.iterdir()}
    run = mediactl("process", "in", "--recipe", "recipe.toml", "--json", limit=1500)
    assert run.code in (0, 1), run.err
    assert "Traceback" not in run.err, run.err
    ends = {"job.rejected", "job.quarantined", "job.done", "source.ignored"}
    ended: dict[str, dict[str, object]] = {event["path"]: event for event in run.events if event["event"] in ends}
    assert set(ended) == names
    assert (run.summary["unfinished"], run.summary["internal_errors"]) == (0, 0), run.summary
    quarantined = {name: each["reason"] for name, each in ended.items() if each["event"] == "job.quarantined"}
    assert quarantined == {}
    counts = {end: sum(each["event"] == end for each in ended.values()) for end in sorted(ends)}
    print(counts)
    assert mediactl("verify", "--journal").code == 0


def test_some_mutants_are_done_or_rejected(mediactl: CommandLine) -> None:
    check(mediactl, FEW, SEED, 30_000)


@pytest.mark.sweep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(SLICES))
def test_many_mutants_are_done_or_rejected(number: int, mediactl: CommandLine) -> None:
    check(mediactl, EACH, SEED + 1_000 * number, 200_000)
