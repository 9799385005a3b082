"""Transparent videos are put on white in every output, and that is reported; an alpha channel alone changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CASES
from PIL import Image
from support.films import inspected, make
from support.looks import Looks

from mediactl.media.ffmpeg import binary
from mediactl.model.media import Treatment

WARNING = "transparency was lost: the video was put on white"
YELLOW = (250, 220, 40)
SQUARE = "color=0xfadc28:s=160x90:r=10:d=0.6,format=rgba,geq=r=250:g=220:b=40:a='{alpha}'"
"""Yellow, and magenta where it is transparent."""
HOLE = SQUARE.format(alpha="255*lt(hypot(X-80,Y-45),30)")
HALF = SQUARE.format(alpha="128")
LATE = SQUARE.format(alpha="255*(lt(T,0.25)+lt(hypot(X-80,Y-45),30))")
OPAQUE = SQUARE.format(alpha="255")
NEVER = SQUARE.format(alpha="0")
CODECS = {
    "qtrle.mov": ("-c:v", "qtrle", "-pix_fmt", "argb"),
    "png.mov": ("-c:v", "png", "-pix_fmt", "rgba"),
    "prores.mov": ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"),
    "ffv1.mkv": ("-c:v", "ffv1", "-pix_fmt", "yuva420p"),
    "deep.mkv": ("-c:v", "ffv1", "-pix_fmt", "gbrap16le"),
    "vp8.webm": ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0", "-b:v", "2M", "-cpu-used", "8"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "2M", "-cpu-used", "8"),
    "vp9.mkv": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "2M", "-cpu-used", "8"),
}
RGB = ("qtrle.mov", "png.mov", "deep.mkv")


def source(folder: Path, name: str, picture: str) -> Path:
    return make(folder / name, "-f", "lavfi", "-i", picture, *CODECS[name])


def furthest(image: Image.Image, colour: tuple[int, ...], *, inside: bool) -> int:
    """The largest difference to a colour that a channel has in the disc, or outside of it; its edge left out."""
    scale = image.width / 160
    worst = 0
    for y in range(image.height):
        for x in range(image.width):
            radius = ((x / scale - 80) ** 2 + (y / scale - 45) ** 2) ** 0.5
            if radius < 24 if inside else radius > 38:
                pixel = image.getpixel((x, y))
                assert isinstance(pixel, tuple)
                worst = max(worst, *(abs(one - other) for one, other in zip(pixel, colour, strict=True)))
    return worst


@pytest.mark.parametrize("name", CODECS)
def test_a_transparent_video_is_put_on_white(name: str, tmp_path: Path) -> None:
    looks = Looks(source(tmp_path, name, HOLE), only_video=name not in ("png.mov", "vp9.webm"))
    assert looks.info.treatment == (Treatment.FLATTENED,)
    assert looks.warnings == (WARNING,)
    assert len(looks.frames()) == 6
    assert looks.tags() in ([(1, 1, 1)] if name in RGB else [(6, 6, 6), (6, 6, 5)])  # The matrix of VP8 is the latter.
    images = looks.of_all() if name in ("png.mov", "vp9.webm") else {"video.mp4": looks.frames()[-1]}
    for output, image in images.items():
        assert furthest(image, (255, 255, 255), inside=False) <= 8, output
        assert furthest(image, YELLOW, inside=True) <= 16, output


def test_what_is_half_transparent_is_mixed_with_white(tmp_path: Path) -> None:
    looks = Looks(source(tmp_path, "png.mov", HALF), only_video=True)
    assert furthest(looks.frames()[0], (252, 237, 147), inside=True) <= 4


def test_transparency_that_comes_late_is_found(tmp_path: Path) -> None:
    looks = Looks(source(tmp_path, "vp9.webm", LATE), only_video=True)
    assert looks.warnings == (WARNING,)
    assert furthest(looks.frames()[-1], (255, 255, 255), inside=False) <= 6


@pytest.mark.parametrize("picture", [OPAQUE, NEVER], ids=["opaque", "never-filled-in"])
@pytest.mark.parametrize("name", ["qtrle.mov", "prores.mov", "vp8.webm"])
def test_an_alpha_channel_without_meaning_changes_nothing(name: str, picture: str, tmp_path: Path) -> None:
    assert inspected(source(tmp_path, name, picture)).info.treatment == ()


def test_an_ffmpeg_without_the_decoder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = source(tmp_path, "vp8.webm", HOLE)
    other = tmp_path / "ffmpeg"
    real = binary.find()
    lists = f'case "$*" in *-decoders*) exec "{real}" "$@" | sed "/libvpx/d";; *) exec "{real}" "$@";; esac'
    other.write_text(f"#!/bin/bash\n{lists}\n")
    other.chmod(0o755)
    monkeypatch.setenv(binary.VARIABLE, str(other))
    looks = Looks(video, only_video=True)
    assert looks.warnings == ("transparency is not decoded: this ffmpeg has no decoder libvpx",)
    assert len(looks.frames()) == 6


@pytest.mark.parametrize("name", ["vp9-alpha.webm", "prores-4444.mov", "animation.mov"])
@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")
def test_given_transparent_videos(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes((CASES / "37-transparent-film" / name).read_bytes())
    looks = Looks(tmp_path / name)
    assert looks.warnings == (WARNING,)
    for output, image in looks.of_all().items():
        assert furthest(image, (255, 255, 255), inside=False) <= 8 or image.width == 320, output
        for corner in ((0, 0), (image.width - 1, 0), (0, image.height - 1), (image.width - 1, image.height - 1)):
            pixel = image.getpixel(corner)
            assert isinstance(pixel, tuple)
            assert min(pixel) >= 249, (output, corner, pixel)
