"""Recipes that extend others: what comes out, and what is refused with its file and place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from mediactl.core.errors import UsageError
from mediactl.outputs.audio import AudioOutput
from mediactl.outputs.image import ImageOutput
from mediactl.outputs.poster import PosterOutput
from mediactl.outputs.video import VideoOutput
from mediactl.recipe import inheritance, loader

BASE = """
name = "base"
description = "What it is made for."
metadata = ["camera"]
[[image]]
name = "w320"
width = 320
[[image]]
name = "w800"
width = 800
quality = 70
[[video]]
name = "v720"
height = 720
crf = 20
[[audio]]
name = "audio"
[[audio]]
name = "audio"
format = "opus"
[limits]
frames = 10
duration = 60.0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a base to extend."""
    (tmp_path / "base.toml").write_text(BASE)
    return tmp_path


def load(folder: Path, text: str, name: str = "mine.toml") -> loader.Recipe:
    """A recipe of this text in the folder."""
    (folder / name).write_text(text)
    return loader.load(str(folder / name))


def complaint(folder: Path, text: str, name: str = "mine.toml") -> str:
    """What it is refused with, the folder left out."""
    with pytest.raises(UsageError) as told:
        load(folder, text, name)
    assert "\n" not in str(told.value)
    return str(told.value).replace(f"{folder}/", "")


SELF = 'name = "mine"\nextends = "mine.toml"\n'
MINE = 'name = "mine"\nextends = "base.toml"\n'


def test_without_more_it_is_the_base_under_another_name(folder: Path) -> None:
    found, base = load(folder, MINE), loader.load(str(folder / "base.toml"))
    assert found == msgspec.structs.replace(base, name="mine", description="")


def test_an_output_of_the_same_name_is_changed_key_by_key_in_its_place(folder: Path) -> None:
    found = load(folder, MINE + '[[image]]\nname = "w800"\nwidth = 900\n')
    assert [(each.name, each.width, each.quality) for each in found.table(ImageOutput)] == [
        ("w320", 320, None),
        ("w800", 900, 70),
    ]


def test_new_outputs_come_after_those_of_the_base(folder: Path) -> None:
    found = load(folder, MINE + '[[image]]\nname = "w640"\nwidth = 640\n[[poster]]\nname = "poster"\n')
    assert [each.name for each in found.table(ImageOutput)] == ["w320", "w800", "w640"]
    assert [each.name for each in found.table(PosterOutput)] == ["poster"]


def test_another_format_is_another_output(folder: Path) -> None:
    found = load(folder, MINE + '[[image]]\nname = "w320"\nformat = "avif"\n')
    assert [each.file_name for each in found.table(ImageOutput)] == ["w320.webp", "w800.webp", "w320.avif"]
    same = load(folder, MINE + '[[image]]\nname = "w320"\nformat = "webp"\nquality = 30\n')
    assert [(each.file_name, each.quality) for each in same.table(ImageOutput)] == [
        ("w320.webp", 30),
        ("w800.webp", 70),
    ]


def test_of_two_formats_the_one_that_is_given_is_changed(folder: Path) -> None:
    found = load(folder, MINE + '[[audio]]\nname = "audio"\nformat = "opus"\nbitrate = 64\n')
    assert [(each.format, each.bitrate) for each in found.table(AudioOutput)] == [("m4a", None), ("opus", 64)]


@pytest.mark.parametrize(
    ("without", "left"),
    [
        (["image"], ["v720.mp4", "audio.m4a", "audio.opus"]),
        (["image.w320", "video"], ["w800.webp", "audio.m4a", "audio.opus"]),
        (["audio.audio"], ["w320.webp", "w800.webp", "v720.mp4"]),
        (["audio.audio.opus"], ["w320.webp", "w800.webp", "v720.mp4", "audio.m4a"]),
    ],
)
def test_outputs_can_be_left_out_by_table_name_and_format(folder: Path, without: list[str], left: list[str]) -> None:
    found = load(folder, MINE + f"without = {without}\n")
    assert [
        each.file_name for each in (*found.table(ImageOutput), *found.table(VideoOutput), *found.table(AudioOutput))
    ] == left


def test_what_was_left_out_can_be_said_anew(folder: Path) -> None:
    found = load(folder, MINE + 'without = ["image.w800"]\n[[image]]\nname = "w800"\nheight = 800\n')
    assert [(each.name, each.width, each.height, each.quality) for each in found.table(ImageOutput)] == [
        ("w320", 320, None, None),
        ("w800", None, 800, None),
    ]


def test_tables_are_changed_key_by_key_and_plain_keys_replaced(folder: Path) -> None:
    found = load(folder, MINE + 'metadata = ["title"]\n[limits]\nframes = 20\n[cutting]\npiece = 10\n')
    assert (found.limits.frames, found.limits.duration, found.cutting.piece) == (20, 60.0, 10.0)
    assert found.metadata == ("title",)


def test_quality_takes_the_place_of_crf(folder: Path) -> None:
    (video,) = load(folder, MINE + '[[video]]\nname = "v720"\nquality = { vmaf = 90 }\n').table(VideoOutput)
    assert (video.crf, video.quality and video.quality.vmaf) == (None, 90)
    two = 'name = "two"\nextends = "mine.toml"\n[[video]]\nname = "v720"\ncrf = 30\n'
    (video,) = load(folder, two, "two.toml").table(VideoOutput)
    assert (video.crf, video.quality) == (30, None)


def test_a_chain_of_files_is_followed_each_from_its_own_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    load(
        folder, 'name = "middle"\nextends = "../base.toml"\n[[image]]\nname = "w320"\nquality = 5\n', "sub/middle.toml"
    )
    found = load(folder, 'name = "mine"\nextends = "sub/middle.toml"\n[[image]]\nname = "w320"\neffort = 1\n')
    assert (
        found.table(ImageOutput)[0].width,
        found.table(ImageOutput)[0].quality,
        found.table(ImageOutput)[0].effort,
    ) == (320, 5, 1)


def test_a_built_in_recipe_can_be_extended_by_name(folder: Path) -> None:
    found = load(folder, 'name = "mine"\nextends = "web"\n[[image]]\nname = "w2400"\nwidth = 2400\n')
    assert found.table(ImageOutput)[:-1] == loader.load("web").table(ImageOutput)
    assert found.table(ImageOutput)[-1].width == 2400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SELF, "mine.toml: extends: goes round in a circle: mine.toml -> mine.toml"),
        (SELF.replace("mine.toml", "wbe"), "mine.toml: extends: 'wbe': no such recipe; did you mean 'web'?"),
        (SELF.replace("mine.toml", "no.toml"), "mine.toml: extends: recipe no.toml: no such file"),
        (SELF.replace("mine.toml", "broken.toml"), "broken.toml: image[0].width: expected a whole number, got a text"),
        (SELF.replace('"mine.toml"', "3"), "mine.toml: extends: expected a text, got a whole number"),
        (MINE + 'without = ["vidoe"]\n', "without[0]: no kind of output is called 'vidoe'; did you mean 'video'?"),
        (MINE + 'without = ["hls"]\n', "mine.toml: without[0]: what it extends has no 'hls'; there are: image.w320,"),
        (MINE + 'without = ["image", "video.v72"]\n', "without[1]: what it extends has no 'video.v72'; did you mean"),
        (MINE + 'without = ["audio.audio.mp3"]\n', "without[0]: what it extends has no 'audio.audio.mp3'"),
        (MINE + 'without = ["image", "video", "audio"]\n', "mine.toml: makes nothing"),
        (MINE + '[[audio]]\nname = "audio"\nbitrate = 64\n', "audio[0]: what it extends has 'audio' as m4a and opus"),
        (MINE + '[[image]]\nname = "w320"\n' * 2, "mine.toml: image[1]: changes the same output as image[0]"),
        (MINE + '[[image]]\nname = "x"\n' * 2, "image[1]: 'x' would write 'x.webp', as image[0] (image 'x') does"),
        (MINE + '[[image]]\nname = "w800"\nfit = "cover"\n', "image[0].fit: 'cover' needs width and height"),
        (MINE + '[[video]]\nname = "v720"\nhdr = "keep"\n', "mine.toml: video[0].hdr: h264 holds no HDR"),
        (MINE + "[limits]\npixel = 3\n", "mine.toml: limits: unknown key 'pixel'"),
    ],
)
def test_what_is_wrong_is_told_with_its_file_and_place(folder: Path, text: str, told: str) -> None:
    (folder / "broken.toml").write_text('name = "broken"\n[[image]]\nname = "w1"\nwidth = "1"\n')
    assert told in complaint(folder, text)


def test_a_circle_of_several_files_is_named_in_full(folder: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (folder / f"{name}.toml").write_text(f'name = "{name}"\nextends = "{base}.toml"\n')
    with pytest.raises(UsageError, match=r"a\.toml -> .*b\.toml -> .*c\.toml -> .*a\.toml$"):
        loader.load(str(folder / "a.toml"))


def test_a_clash_with_an_output_of_the_base_names_both_files(folder: Path) -> None:
    told = complaint(folder, MINE + '[[hls]]\nname = "v"\nheights = [720]\n[[video]]\nname = "v-720"\n')
    assert told.startswith("mine.toml: hls[0]: 'v' would write 'v-720.mp4', as video[0] (video 'v-720') does")
    told = complaint(folder, MINE + '[[poster]]\nname = "p"\n[[preview]]\nname = "p"\n')
    assert told.startswith("mine.toml: preview[0]: 'p' would write 'p.webp', as poster[0]")
    (folder / "base.toml").write_text('name = "base"\n[[poster]]\nname = "p"\n')
    assert complaint(folder, MINE + '[[preview]]\nname = "p"\n').endswith(
        "preview[0]: 'p' would write 'p.webp', as poster[0] (poster 'p') of base.toml does; give it another name"
    )


@pytest.mark.parametrize(
    "more",
    [
        "",
        'description = "\\u007f \\" \\\\ \\n é 🎞"\nmetadata = []\n',
        '[[video]]\nname = "v720"\nquality = { vmaf = 94.5 }\nwhen = "fps > 1"\n',
        '[[hls]]\nname = "h"\nheights = [72, 36]\n',
        '[[image]]\nname = "w320"\nanimate = false\nquality = "auto"\nsimilarity = 0.9000001\n[run]\nseconds = 1e6\n',
    ],
)
def test_what_comes_out_can_be_written_as_one_file(folder: Path, more: str) -> None:
    (folder / "mine.toml").write_text(MINE + more)
    text = inheritance.toml(loader.draft(MINE + more, str(folder / "mine.toml")).tree())
    assert loader.parse(text, "one.toml") == loader.load(str(folder / "mine.toml"))
    assert "extends" not in tomllib.loads(text)
