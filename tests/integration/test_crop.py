"""Variants of other proportions than their source's: filled boxes, stretched ones, never enlarged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from PIL import ExifTags, Image, ImageDraw
from support.pictures import BLUE, GREEN, RED, WHITE, Rendered, near, outputs, photo, pixel, quarters, render

from mediactl.media.image import crop
from mediactl.outputs.image import ImageOutput

Position = Literal["attention", "entropy", "centre", "top", "bottom", "left", "right"]


def box(name: str, width: int, height: int, position: Position = "centre", format: str = "png") -> ImageOutput:
    return ImageOutput(
        name=name, format="png" if format == "png" else "webp", width=width, height=height, fit="cover",
        position=position,
    )  # fmt: skip


def thirds(path: Path, width: int, height: int, down: bool = False) -> None:
    """Red, green and blue, side by side or one below the other."""
    picture = Image.new("RGB", (width, height))
    for number, colour in enumerate((RED, GREEN, BLUE)):
        start = number * (height if down else width) // 3
        place = (0, start, width, height) if down else (start, 0, width, height)
        picture.paste(colour, place)
    picture.save(path)


@pytest.mark.parametrize(
    ("position", "seen"), [("left", RED), ("centre", GREEN), ("right", BLUE), ("top", GREEN), ("bottom", GREEN)]
)
def test_a_wide_picture_keeps_the_named_side(tmp_path: Path, position: Position, seen: tuple[int, ...]) -> None:
    thirds(tmp_path / "in.png", 300, 100)
    done = render(tmp_path / "in.png", box("b", 50, 50, position))
    assert done.only.size == (50, 50)
    assert all(near(pixel(done.only, x, 25), seen) for x in (3, 25, 46))


@pytest.mark.parametrize(("position", "seen"), [("top", RED), ("centre", GREEN), ("bottom", BLUE), ("left", GREEN)])
def test_a_tall_picture_keeps_the_named_end(tmp_path: Path, position: Position, seen: tuple[int, ...]) -> None:
    thirds(tmp_path / "in.png", 100, 300, down=True)
    done = render(tmp_path / "in.png", box("b", 50, 50, position))
    assert all(near(pixel(done.only, 25, y), seen) for y in (3, 25, 46))


@pytest.mark.parametrize("position", ["attention", "entropy"])
def test_smart_positions_keep_what_there_is_to_see(tmp_path: Path, position: Position) -> None:
    picture = Image.new("RGB", (600, 200), (120, 120, 120))
    draw = ImageDraw.Draw(picture)
    for ring in range(60, 0, -6):
        draw.ellipse((480 - ring, 100 - ring, 480 + ring, 100 + ring), (230, ring * 3, 40 + ring))
    picture.save(tmp_path / "in.png")
    done = render(tmp_path / "in.png", box("b", 200, 200, position))
    assert pixel(done.only, 0, 0) == (120, 120, 120)
    colours = {pixel(done.only, x, 100) for x in range(200)}
    assert sum(red == 230 for red, _, _ in colours) >= 9, "all rings are in it"


def test_a_box_larger_than_the_picture_keeps_its_proportions_and_enlarges_nothing(tmp_path: Path) -> None:
    quarters(120, 80).save(tmp_path / "in.png")
    done = render(
        tmp_path / "in.png", box("square", 1000, 1000), box("wide", 1600, 900),
        ImageOutput(name="pressed", format="png", width=500, height=500, fit="exact"),
    )  # fmt: skip
    assert done.open("square.png").size == (80, 80)
    assert done.open("wide.png").size == (120, 68)
    assert done.open("pressed.png").size == (80, 80)


def test_exact_presses_all_of_the_picture_into_the_box(tmp_path: Path) -> None:
    quarters(120, 80).save(tmp_path / "in.png")
    found = render(tmp_path / "in.png", ImageOutput(name="e", format="png", width=40, height=60, fit="exact")).only
    assert found.size == (40, 60)
    seen = [pixel(found, x, y) for y in (15, 45) for x in (10, 30)]
    assert all(near(a, b) for a, b in zip(seen, (RED, GREEN, BLUE, WHITE), strict=True))


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_photo_is_cut_after_it_was_turned(tmp_path: Path, orientation: int) -> None:
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = Image.new("RGB", (160, 320), WHITE)
    upright.paste(RED, (0, 0, 160, 80))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright.transpose(turns[orientation]).save(tmp_path / "in.jpg", quality=95, exif=exif)
    found = render(tmp_path / "in.jpg", box("b", 80, 40, "top")).only
    assert found.size == (80, 40)
    assert all(near(pixel(found, x, y), RED, 6) for x in (4, 75) for y in (4, 35))


def test_cuts_are_the_same_bytes_whatever_else_is_missing(tmp_path: Path) -> None:
    photo(900, 600).save(tmp_path / "in.jpg")
    wanted = (
        *outputs(700, 200), box("square", 300, 300, "attention", "webp"), box("tall", 200, 500, "entropy", "webp"),
        ImageOutput(name="pressed", width=250, height=400, fit="exact"),
    )  # fmt: skip
    whole = render(tmp_path / "in.jpg", *wanted, folder=tmp_path / "one")
    assert len(whole.drafts.files) == 5
    for name in (draft.target.name for draft in whole.drafts.files):
        render(
            tmp_path / "in.jpg", *wanted, missing=lambda target, name=name: target.name == name, folder=tmp_path / "two"
        )
        assert (tmp_path / "one" / f"tmp-{name}").read_bytes() == (tmp_path / "two" / f"tmp-{name}").read_bytes()


def test_transparent_edges_survive_a_cut(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    picture.paste((30, 60, 210, 255), (100, 0, 200, 100))
    picture.save(tmp_path / "in.png")
    found = render(tmp_path / "in.png", box("b", 50, 50, "attention")).only
    assert found.mode == "RGBA" and found.size == (50, 50)


def moving(path: Path, count: int) -> None:
    frames = []
    for number in range(count):
        frame = Image.new("RGB", (120, 60), WHITE)
        frame.paste(RED, (80, 10, 100, 50))
        frame.paste(GREEN, (62 + number % 12, 2, 68 + number % 12, 8))
        frames.append(frame)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, loop=0)


@pytest.mark.parametrize("name", ["in.gif", "in.png"])
def test_an_animation_is_cut_at_one_place_in_all_its_frames(tmp_path: Path, name: str) -> None:
    moving(tmp_path / name, 7)
    done: Rendered = render(
        tmp_path / name, box("right", 60, 60, "right", "webp"),
        box("flat", 120, 20, "top", "webp"), ImageOutput(name="pressed", width=60, height=60, fit="exact"),
    )  # fmt: skip
    for variant, size, point in (
        ("right.webp", (60, 60), (30, 30)), ("flat.webp", (120, 20), (90, 15)), ("pressed.webp", (60, 60), (45, 30)),
    ):  # fmt: skip
        found = done.open(variant)
        assert (found.size, getattr(found, "n_frames", 1)) == (size, 7)
        for number in range(7):
            found.seek(number)
            assert near(pixel(found.convert("RGB"), *point), RED, 25), (variant, number)


def test_a_cut_of_many_frames_needs_little_memory(tmp_path: Path) -> None:
    moving(tmp_path / "in.gif", 600)
    code = (
        "import sys; from pathlib import Path; from support import pictures as t\n"
        "from mediactl.outputs.image import ImageOutput as I\n"
        "t.render(Path(sys.argv[1]), I(name='a', width=60, height=40, fit='cover', position='top'))\n"
        "(line,) = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "print(int(line.split()[1]) // 1024)\n"
    )
    tests = Path(__file__).resolve().parents[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tests.parent), str(tests)))}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "in.gif"], env=env, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 250


@pytest.mark.parametrize("own", [(1, 1), (1, 700), (9999, 1), (640, 480), (333, 777)])
@pytest.mark.parametrize("wanted", [(1, 1), (100, 7), (16, 100), (320, 320)])
def test_what_holds_a_box_is_never_too_small_nor_enlarged(own: tuple[int, int], wanted: tuple[int, int]) -> None:
    scale = min(1.0, own[0] / wanted[0], own[1] / wanted[1])
    width, height = (max(1, round(side * scale)) for side in wanted)
    held = crop.covering(*own, width, height)
    assert width <= held[0] <= own[0] and height <= held[1] <= own[1]
    assert held[0] == width or held[1] == height or min(held) == 1
