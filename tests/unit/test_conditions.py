"""Conditions of recipes: what they may say, and what they are true of."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.model import formats
from mediactl.model.media import AudioStream, MediaInfo, SubtitleStream, VideoStream
from mediactl.outputs import registry
from mediactl.recipe import conditions

PHOTO = MediaInfo(format="jpeg", width=4000, height=3000)
GIF = MediaInfo(format="gif", width=300, height=200, frames=20, alpha=True)
FILM = MediaInfo(
    format="mp4",
    width=1920,
    height=1080,
    duration=10.0,
    video=VideoStream("hevc", 1920, 1080, fps=25.0, frames=250, transfer="smpte2084"),
    audio=(AudioStream("aac", 2, 48000), AudioStream("aac", 6, 48000)),
    texts=(SubtitleStream("subrip"),),
)
SONG = MediaInfo(format="mp3", duration=180.0, audio=(AudioStream("mp3", 1, 44100),))
SOURCES = {"image": (PHOTO, GIF), "video": (FILM,), "audio": (SONG,)}


def check(condition: str, table: str) -> str:
    """What is wrong with a condition of an output of this table."""
    return conditions.check(condition, table, registry.tables()[table].kinds)


@pytest.mark.parametrize(
    ("condition", "table", "info", "expected"),
    [
        ("", "image", PHOTO, True),
        ("width > 2000", "image", PHOTO, True),
        ("width > 2000 and not animated", "image", PHOTO, True),
        ("width > 2000 and not animated", "image", GIF, False),
        ("alpha or pixels >= 12_000_000", "image", GIF, True),
        ("100 < width < 4000", "image", PHOTO, False),
        ('format in ("png", "jpeg")', "image", PHOTO, True),
        ('format not in ["png", "jpeg"]', "image", PHOTO, False),
        ('format != "jpeg"', "image", PHOTO, False),
        ("width / height > 1.5", "image", PHOTO, False),
        ("width * 2 - height == 5000", "image", PHOTO, True),
        ("-width < 0", "image", PHOTO, True),
        ("animated == False", "image", PHOTO, True),
        ("hdr and fps > 24 and frames == 250", "video", FILM, True),
        ("channels > 2 and sound and subtitles", "hls", FILM, True),
        ("duration > 60", "poster", FILM, False),
        ("duration > 60 and channels == 1", "audio", SONG, True),
        ("duration / (channels - 1) > 3", "audio", SONG, False),
    ],
)
def test_a_condition_is_true_or_false_of_a_source(condition: str, table: str, info: MediaInfo, expected: bool) -> None:
    assert check(condition, table) == ""
    assert conditions.holds(condition, info) is expected


@pytest.mark.parametrize(
    ("condition", "table", "parts"),
    [
        ("widht > 3", "image", ["unknown name 'widht'", "did you mean 'width'?", "width (width in pixels"]),
        ("true", "image", ["unknown name 'true'"]),
        ("duration > 3", "image", ["'duration' is not available", "image", "width (width in pixels"]),
        ("width > 3", "audio", ["'width' is not available", "duration (seconds)"]),
        ("alpha", "video", ["'alpha' is not available"]),
        ("width", "image", ["is a number, not true or false"]),
        ("width > '3'", "image", ["is a text", "takes a number"]),
        ("format > 3", "image", ["'format' is a text"]),
        ("format == 3", "image", ["is a number", "takes a text"]),
        ("width > 9000 and format > 3", "image", ["'format' is a text"]),
        ("width and height", "image", ["'width' is a number", "takes true or false"]),
        ("not width", "image", ["'not' takes true or false"]),
        ("alpha > 3", "image", ["'alpha' is true or false"]),
        ("width > None", "image", ["'None' is not possible here"]),
        ("None", "image", ["'None' is not possible"]),
        ("format in 'jpeg'", "image", ['format in ("png", "gif")']),
        ("format in ('jpeg', 3)", "image", ["'3' is a number"]),
        ("format == 'jpg'", "image", ["no format is called 'jpg'; did you mean 'jpeg'?"]),
        ("'MKV' != format", "video", ["no format is called 'MKV'; did you mean 'matroska'?"]),
        ("format in ('png', 'tif')", "image", ["no format is called 'tif'; did you mean 'tiff'?"]),
        ("alpha or not format == 'x'", "image", ["no format is called 'x'; there are: jpeg, png,"]),
        ("width is 3", "image", ["compare with"]),
        ("width ** 99 > 3", "image", ["'width ** 99' is not possible"]),
        ("9**9**9**9 > 3", "image", ["not possible"]),
        ("1 << 99999 > width", "image", ["not possible"]),
        ("'a' * 999999999 == format", "image", ["arithmetic takes a number"]),
        ("format + format == 'x'", "image", ["arithmetic takes a number"]),
        ("format.__class__ == format", "image", ["not possible"]),
        ("format[0] == 'j'", "image", ["not possible"]),
        ("f'{width}' == format", "image", ["not possible"]),
        ("__import__('os')", "image", ["not possible"]),
        ("(lambda: True)()", "image", ["not possible"]),
        ("[width for width in (1,)]", "image", ["not possible"]),
        ("(x := True)", "image", ["not possible"]),
        ("alpha if alpha else alpha", "image", ["not possible"]),
        ("width > 1e300", "image", ["'1e+300' is not possible"]),
        ("width > 3j", "image", ["not possible"]),
        ("width > 3; height > 3", "image", ["cannot be understood"]),
        ("width > 3\nheight > 3", "image", ["cannot be understood"]),
        ("width >", "image", ["cannot be understood"]),
        ("width = 3", "image", ["cannot be understood"]),
        (" ", "image", ["cannot be understood"]),
        ("width > 3\0", "image", ["cannot be understood"]),
        ("(" * 400 + "alpha" + ")" * 90, "image", ["cannot be understood"]),
        ("-" * 400 + "width > 0", "image", ["nested too deeply"]),
        ("not " * 100 + "alpha", "image", ["nested too deeply"]),
        ("alpha and " * 60 + "alpha", "image", ["longer than 500"]),
    ],
)
def test_what_a_condition_may_not_say_is_refused_in_words(condition: str, table: str, parts: list[str]) -> None:
    told = check(condition, table)
    assert told and all(part in told for part in parts), told
    assert "\n" not in told


@REPEATABLE
@given(st.text(st.sampled_from("()[]+-*/<>=!'\".,:;0123456789 \nwidthalpnorfmei_"), max_size=40))
def test_whatever_is_written_is_refused_in_words_or_can_be_evaluated(condition: str) -> None:
    if not check(condition, "image"):
        assert conditions.holds(condition, PHOTO) in (True, False)


@pytest.mark.parametrize("table", registry.tables())
def test_every_name_that_a_table_knows_can_be_asked_for(table: str) -> None:
    (kind,) = registry.tables()[table].kinds
    for name, known in conditions.NAMES.items():
        value = {conditions.NUMBER: "3", conditions.TEXT: "'png'", conditions.TRUTH: "True"}[known.type]
        told = check(f"{name} == {value}", table)
        assert bool(told) is (kind not in known.kinds)
        for info in SOURCES[kind]:
            assert told or conditions.holds(f"{name} == {value}", info) in (True, False)


@pytest.mark.parametrize("name", [*formats.BY_NAME, formats.UNKNOWN])
def test_every_format_in_the_table_can_be_asked_for(name: str) -> None:
    assert check(f"format == {name!r}", "image") == ""


def test_what_is_not_known_of_a_source_counts_as_nothing() -> None:
    bare = msgspec.structs.replace(FILM, duration=None, width=None, height=None, video=VideoStream("h264", 2, 2))
    assert conditions.holds("duration == 0 and width == 0 and fps == 0 and frames == 0", bare)
    assert not conditions.holds("width / height > 1", bare)
