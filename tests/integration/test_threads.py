"""However many workers and threads there are, outputs have the same bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import CommandLine
from PIL import Image
from support.films import inspected, make

from mediactl.media.video.encode import Stream, encode
from mediactl.model.media import Limits

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2")
HLG = "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc"
WIDE = "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=bt2020-10:colorspace=bt2020nc"
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25")
SOURCES = {
    "hlg.mp4": ("-vf", HLG, *HEVC),
    "wide.mp4": ("-vf", WIDE, *HEVC),
    "damaged.mp4": H264,
    "interlaced.mp4": ("-vf", "interlace", "-flags", "+ildct", *H264),
}


@pytest.mark.parametrize("name", SOURCES)
def test_renditions_have_the_same_bytes_with_any_number_of_threads(name: str, tmp_path: Path) -> None:
    source = make(tmp_path / name, *PICTURE, *SOURCES[name])
    if name == "damaged.mp4":
        content = bytearray(source.read_bytes())
        begin = content.index(b"mdat")
        for at in range(begin + 2000, len(content) - 4000, 3000):
            content[at : at + 60] = bytes(range(60))
        source.write_bytes(content)
    found, streams = inspected(source), [Stream("h264", 96, 72, 23), Stream("hevc", 64, 48, 26, preset="ultrafast")]
    made = []
    for number, threads in enumerate((1, 2, 4, 4)):
        paths = [tmp_path / f"{number}-{stream.codec}.mp4" for stream in streams]
        fd = os.open(source, os.O_RDONLY)
        try:
            encoded = encode(
                fd, found, [streams[0], streams[1]], None, [os.fsencode(path) for path in paths], threads=threads,
                limits=Limits(), folder=os.fsencode(tmp_path), report=lambda _: None,
            )  # fmt: skip
        finally:
            os.close(fd)
        assert bool(encoded.complaints) == (name == "damaged.mp4")
        made.append([path.read_bytes() for path in paths])
    assert [each == made[0] for each in made] == [True] * 4


RECIPE = """
name = "r"
[[animation]]
name = "loop"
[[image]]
name = "w"
width = 64
format = "avif"
[[video]]
name = "v"
height = 64
[[video]]
name = "x"
height = 48
codec = "av1"
[[hls]]
name = "s"
heights = [64]
[[poster]]
name = "poster"
width = 64
[[storyboard]]
name = "board"
[[audio]]
name = "a"
format = "opus"
"""


def test_one_worker_makes_what_several_make(mediactl: CommandLine) -> None:
    folder = mediactl.folder / "in"
    folder.mkdir()
    (mediactl.folder / "r.toml").write_text(RECIPE)
    make(folder / "hlg.mp4", *PICTURE, "-f", "lavfi", "-i", "sine=d=2", *SOURCES["hlg.mp4"])
    make(folder / "a.flac", "-f", "lavfi", "-i", "sine=d=2")
    first, *others = [Image.new("RGB", (96, 64), (40 * each, 80, 120)) for each in range(5)]
    first.save(folder / "moves.gif", save_all=True, append_images=others)
    Image.radial_gradient("L").convert("RGB").resize((640, 480)).save(folder / "a.jpg")
    made: dict[str, dict[str, bytes]] = {}
    for workers in ("1", "2", "4"):
        arguments = ("process", "in", "--recipe", "r.toml", "--out", workers, "--jobs", workers)
        done = mediactl(*arguments, environment={"MEDIACTL_CACHE": str(mediactl.folder / f"cache-{workers}")})
        assert done.code == 0, done
        out = mediactl.folder / workers
        made[workers] = {
            str(path.relative_to(out)): path.read_bytes() for path in out.glob("[!.]*/*") if path.is_file()
        }
    assert len(made["1"]) > 10
    differ = {name for name in made["1"] for other in ("2", "4") if made[other].get(name) != made["1"][name]}
    assert differ == set()
