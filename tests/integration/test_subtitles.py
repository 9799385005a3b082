"""Subtitle tracks become WebVTT: times and words right, styling reduced, nothing of a stranger's is markup."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mediactl.core.errors import JobFailed
from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import streams
from mediactl.media.video import subtitles
from mediactl.media.video.subtitles import Cue
from mediactl.model.assets import Target
from mediactl.model.media import Limits
from mediactl.outputs.subtitles import TextParams

SRT = """1
00:00:00,500 --> 00:00:01,500
Hello <i>world</i> & <b>all</b>

2
00:00:01,600 --> 00:00:02,500
a --> b
second line

3
00:00:02,000 --> 00:00:03,000
{\\an8}überlappt

"""
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,One{\\i1} two{\\i0}, three\\Nfour
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}
Dialogue: 0,0:00:02.00,0:00:09.00,Default,,0,0,0,,{\\b1}bold
"""


def film(path: Path, *more: str, seconds: float = 4) -> Path:
    """A film with subtitle files muxed in."""
    picture = ("-f", "lavfi", "-i", f"testsrc2=s=64x64:r=10:d={seconds}")
    command = [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *picture, *more, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def rendered(path: Path, *ordinals: int) -> tuple[list[str], list[str]]:
    """The WebVTT files of these tracks, and the warnings."""
    targets = [Target(f"{number}.vtt", "subtitles", TextParams(number), str(number)) for number in ordinals]
    places = {target.name: os.fsencode(path.parent / target.name) for target in targets}
    with path.open("rb") as file:
        found = streams.inspect(file.fileno(), path.suffix[1:], Limits())
        drafts, warnings = subtitles.rendered(file.fileno(), found, targets, places, Limits())
    assert [draft.media_type for draft in drafts] == ["text/vtt"] * len(targets)
    return [Path(os.fsdecode(draft.file)).read_text("utf-8") for draft in drafts], warnings


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mkv", ("-c:v", "libx264", "-c:s", "srt")),
        ("a.webm", ("-c:v", "libvpx", "-c:s", "webvtt")),
        ("a.mkv", ("-c:v", "libx264", "-c:s", "ass")),
    ],
)
def test_subrip_becomes_webvtt(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT, "utf-8")
    (text,), warnings = rendered(film(tmp_path / name, "-i", str(tmp_path / "a.srt"), *options), 0)
    assert warnings == []
    assert text == (
        "WEBVTT\n"
        "\n00:00:00.500 --> 00:00:01.500\nHello <i>world</i> &amp; <b>all</b>\n"
        "\n00:00:01.600 --> 00:00:02.500\na --&gt; b\nsecond line\n"
        "\n00:00:02.000 --> 00:00:03.000\nüberlappt\n"
    )


def test_an_mp4s_text_track_becomes_webvtt(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT, "utf-8")
    path = film(tmp_path / "a.mp4", "-i", str(tmp_path / "a.srt"), "-c:v", "libx264", "-c:s", "mov_text")
    (text,), warnings = rendered(path, 0)
    assert warnings == []
    # An MP4's texts cannot overlap: the second ends where the third begins.
    assert "00:00:01.600 --> 00:00:02.000\na --&gt; b\nsecond line\n" in text


def test_styling_is_reduced_and_no_cue_outlasts_the_film(tmp_path: Path) -> None:
    (tmp_path / "a.ass").write_text(ASS, "utf-8")
    path = film(tmp_path / "a.mkv", "-i", str(tmp_path / "a.ass"), "-c:v", "libx264", "-c:s", "ass")
    (text,), warnings = rendered(path, 0)
    assert warnings == []
    assert text == (
        "WEBVTT\n"
        "\n00:00:00.500 --> 00:00:01.500\nOne<i> two</i>, three\nfour\n"
        "\n00:00:02.000 --> 00:00:04.000\n<b>bold</b>\n"
    )


def test_times_count_from_the_films_start(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT, "utf-8")
    path = film(
        tmp_path / "a.mkv",
        *("-i", str(tmp_path / "a.srt"), "-c:v", "libx264", "-c:s", "srt", "-output_ts_offset", "10"),
    )
    (text,), _ = rendered(path, 0)
    assert "00:00:00.500 --> 00:00:01.500\nHello" in text


def test_two_tracks_are_read_in_one_pass_and_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT, "utf-8")
    (tmp_path / "b.ass").write_text(ASS, "utf-8")
    inputs = ("-i", str(tmp_path / "a.srt"), "-i", str(tmp_path / "b.ass"))
    maps = ("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-c:s:0", "srt", "-c:s:1", "ass")
    words = ("-metadata:s:s:0", "language=eng", "-metadata:s:s:1", "language=deu", "-metadata:s:s:1", "title=Kommentar")
    path = film(tmp_path / "a.mkv", *inputs, *maps, *words)
    with path.open("rb") as file:
        found = streams.inspect(file.fileno(), "mkv", Limits()).info.texts
    assert [(text.codec, text.language, text.title, text.text) for text in found] == [
        ("subrip", "eng", "", True),
        ("ass", "deu", "Kommentar", True),
    ]
    (second, first), _ = rendered(path, 1, 0)
    assert "three" in second
    assert "Hello" in first


def test_a_track_without_words_is_a_valid_file_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\n{\\an8}\n\n", "utf-8")
    path = film(tmp_path / "a.mkv", "-i", str(tmp_path / "a.srt"), "-c:v", "libx264", "-c:s", "srt")
    texts, warnings = rendered(path, 0)
    assert texts == ["WEBVTT\n"]
    assert warnings == ["subtitle stream 1 holds no text"]


def test_bytes_that_are_no_text_do_not_fail_the_film(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT.replace("überlappt", "X" * 40), "utf-8")
    path = film(tmp_path / "a.mkv", "-i", str(tmp_path / "a.srt"), "-c:v", "libx264", "-c:s", "srt")
    hostile = b"\x00\xff\xfe\x1b[31m<script>x</script>{\\i1}\x07 --> "
    path.write_bytes(path.read_bytes().replace(b"X" * 40, hostile.ljust(40, b"\x80")))
    (text,), _ = rendered(path, 0)
    assert "Hello" in text
    assert "<script" not in text
    assert not {character for character in text if ord(character) < 32} - {"\n"}
    assert text.count("-->") == len([line for line in text.splitlines() if line.startswith("00:")])


def test_pictures_of_text_cannot_become_webvtt(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT, "utf-8")
    words = film(tmp_path / "a.mkv", "-i", str(tmp_path / "a.srt"), "-c:v", "libx264", "-c:s", "srt")
    path = tmp_path / "b.mkv"
    # The name of the codec is all that tells: dvdsub is pictures.
    path.write_bytes(words.read_bytes().replace(b"S_TEXT/UTF8", b"S_VOBSUB\0\0\0"))
    with path.open("rb") as file:
        found = streams.inspect(file.fileno(), "mkv", Limits())
    assert [(text.codec, text.text) for text in found.info.texts] == [("dvd_subtitle", False)]
    with pytest.raises(JobFailed, match="subtitle stream 1 is not text"):
        rendered(path, 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plain", "plain"),
        ("{\\i1}a{\\b1}b{\\i0}c", "<i>a<b>b</b></i><b>c</b>"),
        ("{\\i1}{\\i0}", ""),
        ("{\\b1}a{\\r}b", "<b>a</b>b"),
        ("a\\N\\N{\\i1}\\Nb", "a\n<i>b</i>"),
        ("{\\an8\\i1\\fs20}a", "<i>a</i>"),
        ("{\\bord3\\blur2}a", "a"),
        ("1 < 2 & <b>", "1 &lt; 2 &amp; &lt;b&gt;"),
    ],
)
def test_markup(line: str, expected: str) -> None:
    assert subtitles.markup(line) == expected


def test_long_times_are_written_in_hours() -> None:
    assert subtitles.written([Cue(3_725.25, 36_000.0, "x")]) == b"WEBVTT\n\n01:02:05.250 --> 10:00:00.000\nx\n"


def test_real_subtitles(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.symlink_to(corpus / "videos" / "sample_with_srt.mkv")
    (text,), warnings = rendered(path, 0)
    assert warnings == []
    assert "00:00:00.000 --> " in text
    assert "This is the first subtitle." in text
