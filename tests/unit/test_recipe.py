"""Recipes: what is wrong is told with its file, its place and what would be right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediactl.core.errors import ExitCode, UsageError
from mediactl.model.media import Kind
from mediactl.outputs.audio import AudioOutput
from mediactl.outputs.image import ImageOutput
from mediactl.outputs.video import VideoOutput
from mediactl.recipe import loader

HEAD = 'name = "mine"\n'
IMAGE = '[[image]]\nname = "w1"\nwidth = 100\n'


def complaint(text: str) -> str:
    """What a recipe of this text is refused with."""
    with pytest.raises(UsageError) as told:
        loader.parse(text, "mine.toml")
    assert told.value.exit_code == ExitCode.USAGE
    assert str(told.value).startswith("mine.toml: ")
    assert "\n" not in str(told.value)
    return str(told.value).removeprefix("mine.toml: ")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("name = ", ["not valid TOML", "at end of document"]),
        (HEAD + "name = 'again'\n", ["not valid TOML", "line 2"]),
        (IMAGE, ["needs the key 'name'"]),
        (HEAD, ["makes nothing", "[[image]]"]),
        (HEAD + "[[images]]\n", ["unknown key 'images'", "did you mean 'image'?"]),
        (HEAD + "zzz = 1\n", ["unknown key 'zzz'", "known keys: name, description"]),
        (HEAD + IMAGE + "widht = 3\n", ["image[0]: ", "unknown key 'widht'", "did you mean 'width'?"]),
        (HEAD + IMAGE + IMAGE.replace("w1", "w2") + "qq = 3\n", ["image[1]: ", "unknown key 'qq'", "known keys"]),
        (HEAD + '[[poster]]\nname = "p"\nhight = 3\n', ["poster[0]: ", "did you mean 'height'?"]),
        (HEAD + "[limits]\npixel = 3\n" + IMAGE, ["limits: ", "did you mean 'pixels'?"]),
        (HEAD + IMAGE + 'format = "gif"\n', ["image[0].format", "'gif'", "webp", "jpeg", "png", "avif"]),
        (HEAD + '[[video]]\nname = "v"\npreset = "warp"\n', ["video[0].preset", "'warp'", "veryfast"]),
        (HEAD + '[[audio]]\nname = "a"\nformat = "mp3"\n', ["audio[0].format", "m4a", "opus"]),
        (HEAD + 'placeholder = "blur"\n' + IMAGE, ["placeholder", "thumbhash", "none"]),
        (HEAD + IMAGE.replace("100", '"100"'), ["image[0].width", "expected a whole number, got a text"]),
        (HEAD + IMAGE.replace("100", "0"), ["image[0].width", ">= 1"]),
        (HEAD + IMAGE.replace("100", "20000"), ["image[0].width", "<= 16383"]),
        (HEAD + IMAGE + "quality = 101\n", ["image[0].quality", "<= 100"]),
        (HEAD + IMAGE.replace("w1", "../w1"), ["image[0].name", "lower case letters"]),
        (HEAD + IMAGE.replace("w1", "W1"), ["image[0].name"]),
        (HEAD + IMAGE.replace("w1", ""), ["image[0].name"]),
        (HEAD + '[image]\nname = "w1"\n', ["image: expected a list, got a table; write [[image]]"]),
        (HEAD + IMAGE + "[[limits]]\npixels = 3\n", ["limits: expected a table, got a list; write [limits]"]),
        (HEAD + "image = 3\n", ["image: expected a list, got a whole number"]),
        (HEAD + IMAGE + IMAGE, ["image[1]: ", "'w1.webp'", "as image[0] (image 'w1') does", "another name"]),
        (HEAD + '[[video]]\nname = "v"\ncrf = 52\n', ["video[0].crf", "<= 51"]),
        (HEAD + IMAGE + 'quality = "best"\n', ["image[0].quality", "unknown value 'best'", "known: auto"]),
        (HEAD + IMAGE + "quality = 1.5\n", ["image[0].quality", "expected a whole number or a text, got a number"]),
        (HEAD + "metadata = ['lense']\n" + IMAGE, ["metadata[0]: unknown value 'lense'", "did you mean 'lens'?"]),
        (HEAD + '[[video]]\nname = "v"\nquality = { vmav = 9 }\n', ["video[0].quality: ", "did you mean 'vmaf'?"]),
        (HEAD + '[[video]]\nname = "v"\ncodec = "h256"\n', ["video[0].codec", "did you mean 'h264'?"]),
        (HEAD + '[[hls]]\nname = "h"\nheights = [720, 8]\n', ["hls[0].heights", ">= 16"]),
        (HEAD + '[[hls]]\nname = "h"\nheights = []\n', ["hls[0].heights", ">= 1"]),
        (HEAD + IMAGE + 'when = "widht > 3"\n', ["image[0].when", "did you mean 'width'?", "width in pixels"]),
        (HEAD + IMAGE + 'fit = "cover"\n', ["image[0].fit", "needs width and height"]),
        (HEAD + IMAGE + "similarity = 0.9\n", ["image[0].similarity", 'quality = "auto"']),
        (HEAD + IMAGE + 'position = "top"\n', ["image[0].position", 'fit = "cover"']),
        (HEAD + '[[waveform]]\nname = "w"\nheight = 60\n', ["waveform[0].height", 'format = "png"']),
        (HEAD + IMAGE + 'similarity = "high"\n', ["image[0].similarity", "expected a number, got a text"]),
        (HEAD + IMAGE + "animate = 1\n", ["image[0].animate", "expected true or false, got a whole number"]),
        (HEAD + "[limits]\nduration = 0\n" + IMAGE, ["limits.duration", "> 0"]),
        (HEAD + "a = " + "[" * 5000, ["not valid TOML"]),
        (HEAD + IMAGE + "without = ['hls']\n", ["image[0]: ", "unknown key 'without'"]),
        ("without = ['hls']\n" + HEAD + IMAGE, ["without: ", "extends"]),
        (HEAD + IMAGE + "when = \"format == 'jpg'\"\n", ["image[0].when", "did you mean 'jpeg'?"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_would_be_right(text: str, parts: list[str]) -> None:
    told = complaint(text)
    assert all(part in told for part in parts), told


def test_a_strange_key_is_told_without_its_escape_codes() -> None:
    assert "\\x1b[31m" in complaint(HEAD + IMAGE + '"\\u001b[31mred" = 1\n')


FILM = '[[hls]]\nname = "hls"\n'


@pytest.mark.parametrize(
    ("outputs", "file"),
    [
        (FILM + '[[video]]\nname = "hls-720"\n', "hls-720.mp4"),
        (FILM + '[[video]]\nname = "hls-audio-1"\n', "hls-audio-1.mp4"),
        (FILM + '[[video]]\nname = "hls-audio-12-eng"\n', "hls-audio-12-eng.mp4"),
        (FILM + '[[hls]]\nname = "hls-audio-1"\n', "hls-audio-1.m3u8"),
        (FILM + '[[hls]]\nname = "hls"\nheights = [100]\naudio = "none"\n', "hls.m3u8"),
        (FILM + '[[hls]]\nname = "hls-audio-2-deu"\n', "hls-audio-2-deu.m3u8"),
        (FILM + '[[subtitles]]\nname = "hls-text"\n', "hls-text-1.vtt"),
        ('[[storyboard]]\nname = "s"\n[[poster]]\nname = "s"\n', "s.webp"),
        ('[[storyboard]]\nname = "s-1-en"\n[[subtitles]]\nname = "s"\n', "s-1-en.vtt"),
        ('[[storyboard]]\nname = "s"\n[[storyboard]]\nname = "s"\nformat = "jpeg"\n', "s.vtt"),
        ('[[subtitles]]\nname = "s"\n[[subtitles]]\nname = "s-1"\n', "s-1-1.vtt"),
        ('[[subtitles]]\nname = "s"\n[[subtitles]]\nname = "s"\n', "s-1.vtt"),
        ('[[preview]]\nname = "p"\n[[poster]]\nname = "p"\n', "p.webp"),
        ('[[waveform]]\nname = "asset"\n', "asset.json"),
    ],
)
def test_outputs_that_could_ever_write_the_same_file_are_refused(outputs: str, file: str) -> None:
    told = complaint(HEAD + outputs)
    assert f"would write {file!r}" in told


def test_outputs_whose_files_only_look_alike_are_fine() -> None:
    outputs = (
        FILM + '[[hls]]\nname = "hls2"\n[[video]]\nname = "hls-721"\n[[video]]\nname = "hls"\n'
        '[[video]]\nname = "hls-audio-x"\n[[storyboard]]\nname = "hls"\n[[subtitles]]\nname = "hls"\n'
        '[[subtitles]]\nname = "hls-2-a"\n[[audio]]\nname = "hls"\n[[waveform]]\nname = "hls"\n'
    )
    assert len(loader.parse(HEAD + outputs, "mine.toml").outputs(Kind.VIDEO)) == 8


def test_names_may_be_equal_where_the_files_are_not() -> None:
    found = loader.parse(HEAD + IMAGE + IMAGE + 'format = "jpeg"\n', "mine.toml")
    assert [output.file_name for output in found.table(ImageOutput)] == ["w1.webp", "w1.jpg"]


def test_a_film_and_its_poster_stand_in_one_folder_and_are_told_apart() -> None:
    found = loader.parse(HEAD + '[[video]]\nname = "x"\n[[poster]]\nname = "x"\n', "mine.toml")
    assert [output.file_name for output in found.outputs(Kind.VIDEO)] == ["x.mp4", "x.webp"]


@pytest.mark.parametrize("name", loader.builtin_names())
def test_the_built_in_recipes_are_sound(name: str) -> None:
    found = loader.load(name)
    assert found.name == name
    assert found.description
    assert loader.parse(loader.text_of(name)[0], name) == found


def test_four_recipes_come_along() -> None:
    assert loader.builtin_names() == ["archive", "podcast", "thumbnails", "web"]
    web = loader.load("web")
    assert [output.width for output in web.table(ImageOutput)] == [320, 800, 1600]
    assert web.placeholder == "thumbhash"
    assert [output.format for output in web.table(AudioOutput)] == ["m4a", "opus"]
    assert [output.file_name for output in web.outputs(Kind.VIDEO)] == [
        "v720.mp4", "hls.m3u8", "poster.webp", "storyboard.webp", "preview.webp", "subtitles.vtt",
    ]  # fmt: skip
    assert not loader.load("thumbnails").table(VideoOutput)


def test_a_recipe_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + IMAGE)
    assert loader.load(str(path)).table(ImageOutput)[0].width == 100


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("wbe", ["'wbe'", "no such recipe", "did you mean 'web'?"]),
        ("nothing-like-it", ["no such recipe", "podcast, thumbnails, web", ".toml"]),
        ("missing.toml", ["missing.toml", "no such file"]),
        ("./web", ["./web", "no such file"]),
        ("a\0b", ["a\\x00b", "cannot be read"]),
        ("\ud800", ["\\ud800", "cannot be read"]),
        ("/", ["/", "cannot be read", "directory"]),
    ],
)
def test_a_recipe_that_is_not_there_is_told_with_what_is(name: str, parts: list[str]) -> None:
    with pytest.raises(UsageError) as told:
        loader.load(name)
    assert all(part in str(told.value) for part in parts), str(told.value)


def test_a_recipe_that_is_no_text_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        loader.load(str(path))


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + IMAGE, encoding="utf-8-sig")
    assert loader.load(str(tmp_path / "mine.toml")) == loader.parse(HEAD + IMAGE, "mine.toml")


def test_a_folder_named_as_recipe_is_told_as_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        loader.load(os.fspath(tmp_path))


def test_equal_recipes_have_equal_digests_and_different_ones_different() -> None:
    one, same = (loader.parse(HEAD + IMAGE, origin) for origin in ("a", "b"))
    other = loader.parse(HEAD + IMAGE.replace("100", "101"), "a")
    assert one.digest() == same.digest() != other.digest()
