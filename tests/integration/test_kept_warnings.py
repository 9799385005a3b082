"""asset.json keeps its warnings, and so every byte, when its source is touched or moved, and when a part is rebuilt."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy
import pytest
from conftest import CommandLine
from PIL import Image
from support.films import make

RECIPE = """
name = "r"
[[image]]
name = "w{number}"
width = {width}
format = "webp"
[[image]]
name = "w16"
width = 16
format = "webp"
[[image]]
name = "own"
width = 4000
format = "png"
[[animation]]
name = "loop"
width = 32
[[video]]
name = "v"
height = 64
[[video]]
name = "w"
height = 48
[[hls]]
name = "s"
heights = [48]
[[poster]]
name = "poster"
width = 64
[[subtitles]]
name = "text"
[[audio]]
name = "a"
format = "m4a"
loudness = -5
[[audio]]
name = "b"
format = "opus"
[[waveform]]
name = "wave"
"""
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=1")
TONE = ("-f", "lavfi", "-i", "sine=d=1.6:r=8000")
QUICK = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
HLG = "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc"


def frames(count: int, mode: str = "RGB") -> list[Image.Image]:
    shades = [Image.new("RGBA", (48, 32), (40 * each, 80, 120, 90 * each)) for each in range(count)]
    return [each.convert(mode) for each in shades]


def sources(folder: Path) -> None:
    """A source for each kind of warning."""
    folder.mkdir()
    first, *others = frames(3)
    first.save(folder / "pages.tiff", save_all=True, append_images=others)
    first.save(folder / "moves.gif", save_all=True, append_images=others)
    first, *others = frames(3, "RGBA")
    first.save(folder / "glass.webp", save_all=True, append_images=others)
    photo = Image.radial_gradient("L").convert("RGB")
    photo.save(folder / "damaged.jpg")
    whole = (folder / "damaged.jpg").read_bytes()
    (folder / "damaged.jpg").write_bytes(whole.replace(b"\xff\xdb", b"junk\xff\xdb", 1))
    Image.new("RGB", (9, 9)).save(folder / "small.png")  # no variant is smaller
    make(folder / "tone.wav", *TONE, "-af", "volume=30dB")
    make(folder / "ends.wav", *TONE, "-af", "apad=pad_dur=15")
    samples = numpy.sin(numpy.arange(16_000) / 9).astype("<f4")
    samples[5000:5100] = numpy.nan
    header = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + 64_000, b"WAVEfmt ", 16, 3, 1, 8000, 32_000, 4, 32,
                         b"data", 64_000)  # fmt: skip
    (folder / "finite.wav").write_bytes(header + samples.tobytes())
    (folder / "empty.srt").write_text("1\n00:00:00,100 --> 00:00:00,500\n<i></i>\n")
    make(folder / "two.mka", *TONE, "-map", "0", "-map", "0")
    make(folder / "two.mkv", *PICTURE, *TONE, "-i", str(folder / "empty.srt"), "-map", "0", "-map", "1", "-map", "1",
         "-map", "2", *QUICK)  # fmt: skip
    (folder / "empty.srt").unlink()
    make(folder / "hlg.mp4", *PICTURE, "-vf", HLG, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
         "log-level=error")  # fmt: skip
    damaged = bytearray(make(folder / "damaged.mkv", *PICTURE, *TONE, *QUICK, "-g", "5").read_bytes())
    for begin in range(len(damaged) // 3, len(damaged) // 2, 1500):
        damaged[begin : begin + 40] = bytes(range(40))
    (folder / "damaged.mkv").write_bytes(damaged)


class Tree:
    """Sources, and what is made of them."""

    def __init__(self, mediactl: CommandLine) -> None:
        self.mediactl = mediactl
        self.folder, self.source = mediactl.folder, mediactl.folder / "in"
        sources(self.source)
        self.write()
        assert self.run() > 0
        self.was = self.assets()

    def write(self, width: int = 24) -> None:
        """The recipe, with a variant of this width."""
        (self.folder / "r.toml").write_text(RECIPE.format(width=width, number=width))

    def run(self, **environment: str) -> int:
        """Process all; return how many artefacts were made."""
        arguments = ("process", str(self.source), "--out", "out", "--recipe", "r.toml", "--json")
        done = self.mediactl(*arguments, environment=environment)
        assert done.code == 0, done
        return int(done.summary["artefacts"])

    def assets(self) -> dict[str, str]:
        """asset.json by source."""
        return {path.parent.name: path.read_text() for path in sorted((self.folder / "out").glob("*/asset.json"))}

    def warnings(self) -> dict[str, list[str]]:
        """Warnings by source."""
        return {name: json.loads(text).get("warnings", []) for name, text in self.assets().items()}


def touch(tree: Tree) -> None:
    for path in tree.source.iterdir():
        os.utime(path)


def check_out_again(tree: Tree) -> None:
    """Elsewhere, with other inodes and times."""
    shutil.copytree(tree.source, tree.folder / "again", copy_function=shutil.copyfile)
    shutil.rmtree(tree.source)
    tree.source = tree.folder / "again"


def lose_the_journal(tree: Tree) -> None:
    shutil.rmtree(tree.folder / "out" / ".mediactl")


def lose_every_asset_json(tree: Tree) -> None:
    for path in (tree.folder / "out").glob("*/asset.json"):
        path.unlink()


def lose_journal_and_artefacts(tree: Tree) -> None:
    lose_the_journal(tree)
    lose_artefacts(tree, 1)


def lose_artefacts(tree: Tree, position: int) -> None:
    """Delete one artefact of each asset."""
    for source, text in tree.was.items():
        names = [each["name"] for each in json.loads(text)["artefacts"]]
        (tree.folder / "out" / source / names[position % len(names)]).unlink()


KINDS = (
    "pages left out", "animation left out of", "transparency was flattened", "partly damaged", "is not smaller than",
    "silent from", "clips", "not finite numbers", "left out: 1 audio stream", "mapped to standard range", "damaged",
    "no text", "its header claims", "without headroom", "above the limit",
)  # fmt: skip


def touch_and_lose_every_asset_json(tree: Tree) -> None:
    touch(tree)
    lose_every_asset_json(tree)


CHANGES: dict[str, Callable[[Tree], object]] = {
    "touched, every asset.json lost": touch_and_lose_every_asset_json,
    "checked out again elsewhere": check_out_again,
    "the journal lost": lose_the_journal,
    "first artefact lost": partial(lose_artefacts, position=0),
    "last artefact lost": partial(lose_artefacts, position=-1),
    "journal and an artefact lost": lose_journal_and_artefacts,
}


@pytest.mark.long
def test_every_asset_json_stays_to_the_byte(mediactl: CommandLine) -> None:
    tree = Tree(mediactl)
    told = [each for of in tree.warnings().values() for each in of]
    assert [kind for kind in KINDS if not any(kind in each for each in told)] == [], told
    for number, (name, change) in enumerate(CHANGES.items()):
        change(tree)
        made = tree.run(MEDIACTL_CACHE=str(tree.folder / f"cold-{number}"))
        assert tree.assets() == tree.was, name
        assert (made > 0) == ("artefact" in name), name
    assert mediactl("verify", "--out", "out").code == 0


IMAGES = """
name = "i"
[[image]]
name = "w16"
width = 16
"""
LOOP = """
[[animation]]
name = "loop"
width = 32
"""


def test_warnings_stay_with_the_artefacts_that_they_are_about(mediactl: CommandLine) -> None:
    folder = mediactl.folder / "in"
    folder.mkdir()
    first, *others = frames(3, "RGBA")
    first.save(folder / "glass.webp", save_all=True, append_images=others)
    Image.radial_gradient("L").convert("RGB").save(folder / "a.jpg")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(whole.replace(b"\xff\xdb", b"junk\xff\xdb", 1))

    def run(recipe: str) -> dict[str, list[str]]:
        (mediactl.folder / "r.toml").write_text(recipe)
        done = mediactl("process", "in", "--recipe", "r.toml", "--json")
        assert done.code == 0, done
        paths = (mediactl.folder / "derived").glob("*/asset.json")
        return {path.parent.name: json.loads(path.read_text()).get("warnings", []) for path in paths}

    flattened = "transparency was flattened onto white in loop.mp4"
    alone = run(IMAGES + LOOP)
    (damaged,) = alone["a.jpg"]
    assert damaged.startswith("may be partly damaged")
    assert flattened in alone["glass.webp"]
    for name in list(alone):
        shutil.copy(folder / name, folder / f"twin-{name}")
    twins = run(IMAGES + LOOP)
    assert {name: twins[f"twin-{name}"] for name in alone} == alone == {name: twins[name] for name in alone}
    wider = run(IMAGES + LOOP + '[[image]]\nname = "w20"\nwidth = 20\n')
    assert wider["a.jpg"] == [damaged]
    assert flattened in wider["glass.webp"]
    without = run(IMAGES)
    assert without["a.jpg"] == [damaged]
    assert flattened not in without["glass.webp"]
