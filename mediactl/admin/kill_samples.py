"""Sources of selftest --kill: small images, a video that is encoded in pieces and one that is not, and audio."""

from __future__ import annotations

import os
import random
import subprocess

from mediactl.media.ffmpeg import binary

FOLDER = "sources"
RECIPE = "kill.toml"
_IMAGES = 6
_LARGE = 20 << 20
"""Bytes of a source that is uploaded in parts."""
_OUTPUTS = """
name = "kill"
cutting = { above = 6, piece = 3 }
[[image]]
name = "w80"
width = 80
[[image]]
name = "w40"
width = 40
format = "jpeg"
[[video]]
name = "v72"
height = 72
[[hls]]
name = "hls"
heights = [72]
[[poster]]
name = "poster"
width = 80
[[audio]]
name = "audio"
format = "opus"
"""


def make_samples(folder: str, dice: random.Random, *, large: bool) -> None:
    """Make the sources and the recipe in a folder; with ``large``, one source has the size of several parts."""
    sources = os.path.join(folder, FOLDER)
    os.mkdir(sources)
    for number in range(_IMAGES):
        _made(sources, f"{number}.jpg", f"testsrc2=s=160x120:r=1:d=1,hue=h={number * 360 // _IMAGES}")
    _made(sources, "pieces.mp4", "testsrc2=s=192x108:r=25:d=7", "sine=f=440:d=7")
    _made(sources, "short.mp4", "testsrc2=s=192x108:r=25:d=1,hue=h=90", "sine=f=660:d=1")
    _made(sources, "audio.wav", "sine=f=880:d=2")
    if large:
        with open(os.path.join(sources, "0.jpg"), "ab") as file:
            file.write(dice.randbytes(_LARGE))
    with open(os.path.join(folder, RECIPE), "w", encoding="ascii") as file:
        file.write(_OUTPUTS)


def _made(folder: str, name: str, *graphs: str) -> None:
    inputs = [word for graph in graphs for word in ("-f", "lavfi", "-i", graph)]
    command = [binary.find(), "-nostdin", "-loglevel", "error", *inputs, os.path.join(folder, name)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
