"""Pieces and audio muxed to MP4s and CMAF tracks, and their playlists."""

from __future__ import annotations

import itertools
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import m3u8  # type: ignore[import-untyped]
import pytest
from support import hls_check, hls_films, timed
from support.films import inspected

from mediactl.core.errors import JobFailed, MachineBlocked
from mediactl.media.hls import playlists
from mediactl.media.inspect.containers import isobmff
from mediactl.media.mp4 import fragments, languages, package
from mediactl.media.mp4.joined import Extent
from mediactl.media.mp4.package import AudioFile
from mediactl.model.media import Chapter, SubtitleStream

FILM = Fraction(24000, 1001)
CHAPTERS = (Chapter(0.0, 2.5, "Anfang"), Chapter(2.5, 6.0, "Ende"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 7 s in three pieces at 23.976 frames a second, whole, and its sounds."""
    folder = tmp_path_factory.mktemp("clips")
    for number, (first, frames) in enumerate(((0, 48), (48, 96), (144, 25))):
        hls_films.picture(folder / f"piece{number}.mp4", first=first, frames=frames, rate=FILM)
        hls_films.picture(folder / f"large{number}.mp4", first=first, frames=frames, rate=FILM, size="128x72")
    hls_films.sound(folder / "first.m4a", seconds=7.05)
    hls_films.sound(folder / "second.m4a", seconds=7.05, pitch=440, rate=44_100)
    return folder


def pieces(clips: Path, name: str = "piece") -> list[bytes]:
    """The pieces of a stream."""
    return [bytes(clips / f"{name}{number}.mp4") for number in range(3)]


def stamps(file: Path, kind: str = "video") -> list[int]:
    """When each packet is shown, in ticks, in order."""
    with av.open(str(file), "r") as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)


def top(file: Path) -> list[bytes]:
    """Types of a file's boxes."""
    fd = os.open(file, os.O_RDONLY)
    try:
        return [kind for kind, _, _ in isobmff.top_level_boxes(fd)]
    finally:
        os.close(fd)


def test_pieces_become_one_film_with_every_frame_at_its_time(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    package.mp4(pieces(clips), [], bytes(film), rate=FILM)
    assert stamps(film) == [5005 * number for number in range(169)]
    assert hls_films.shades(film) == [number % hls_films.STEPS for number in range(169)]
    assert top(film).index(b"moov") < top(film).index(b"mdat")


def test_a_track_of_pieces_has_every_frame_at_its_time(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    package.video_track(pieces(clips), bytes(film), segment=4, rate=FILM)
    assert stamps(film) == [5005 * number for number in range(169)]
    assert hls_films.shades(film) == [number % hls_films.STEPS for number in range(169)]
    track = fragments.read(bytes(film))
    assert [each.start for each in track.fragments] == [5005 * 48 * number for number in range(4)]
    assert [each.duration for each in track.segments] == [Fraction(96 * 1001, 24000), Fraction(73 * 1001, 24000)]
    assert (track.width, track.height, track.rate) == (64, 36, FILM)


@pytest.mark.parametrize("seconds", [0.2, 9.0])
def test_the_last_frame_of_pieces_lasts_until_the_source_ends(clips: Path, tmp_path: Path, seconds: float) -> None:
    film, track, end = tmp_path / "film.mp4", tmp_path / "track.mp4", float(168 / FILM) + seconds
    package.mp4(pieces(clips), [], bytes(film), rate=FILM, source=Extent(169, end))
    package.video_track(pieces(clips), bytes(track), segment=4, rate=FILM, source=Extent(169, end))
    for file in (film, track):
        assert stamps(file) == [5005 * number for number in range(169)]
        assert inspected(file).info.duration == pytest.approx(end, abs=0.002)
    assert float(fragments.read(bytes(track)).duration) == pytest.approx(end, abs=0.002)


def test_sound_is_in_sync_to_the_sample_in_both(clips: Path, tmp_path: Path) -> None:
    film, track = tmp_path / "film.mp4", tmp_path / "sound.mp4"
    package.mp4(pieces(clips), [AudioFile(bytes(clips / "first.m4a"))], bytes(film), rate=FILM)
    package.audio_track(bytes(clips / "first.m4a"), bytes(track), segment=4, rate=FILM)
    for made in (film, track):
        found = hls_films.beeps(made)
        assert len(found) == 7
        assert max(abs(at - second) for second, at in enumerate(found, 1)) < 0.003
    assert stamps(film, "audio") == stamps(track, "audio") == stamps(clips / "first.m4a", "audio")


def test_frames_of_varying_length_keep_their_times(tmp_path: Path) -> None:
    whole = hls_films.picture(tmp_path / "vfr.mp4", filters="select='not(mod(n\\,5)*mod(n\\,7))+gt(n\\,60)'")
    package.mp4([bytes(whole)], [], bytes(tmp_path / "film.mp4"), start=0.5)
    package.video_track([bytes(whole)], bytes(tmp_path / "track.mp4"), segment=2)
    assert stamps(tmp_path / "film.mp4") == [stamp + 60_000 for stamp in stamps(whole)]
    assert stamps(tmp_path / "track.mp4") == stamps(whole)
    assert hls_films.shades(tmp_path / "track.mp4") == hls_films.shades(whole)


def test_a_late_picture_is_late_in_the_mp4_and_begins_at_once_in_a_track(clips: Path, tmp_path: Path) -> None:
    whole = hls_films.picture(tmp_path / "late.mp4", filters="setpts=PTS+0.5/TB")
    package.mp4([bytes(whole)], [AudioFile(bytes(clips / "first.m4a"))], bytes(tmp_path / "film.mp4"))
    package.video_track([bytes(whole)], bytes(tmp_path / "track.mp4"), segment=2, rate=Fraction(24))
    assert stamps(tmp_path / "film.mp4")[:2] == [60_000, 65_000]
    assert stamps(tmp_path / "track.mp4")[:2] == [0, 65_000]
    assert fragments.read(bytes(tmp_path / "track.mp4")).duration == Fraction("4.5")


def test_an_mp4_has_languages_titles_chapters_and_nothing_else(clips: Path, tmp_path: Path) -> None:
    sounds = [AudioFile(bytes(clips / "first.m4a"), "ger", "Ton"), AudioFile(bytes(clips / "second.m4a"), "en", "")]
    film = tmp_path / "film.mp4"
    package.mp4(pieces(clips), sounds, bytes(film), rate=FILM, chapters=CHAPTERS)
    with av.open(str(film), "r") as container:
        first, second = container.streams.audio
        assert (first.language, first.metadata["handler_name"], first.disposition) == ("deu", "Ton", 1)
        assert (second.language, second.disposition) == ("eng", 0)
        ticks = [Fraction(each["time_base"] or 0) for each in container.chapters()]
        told = [
            (each["start"] * tick, each["end"] * tick, each["metadata"]["title"])
            for each, tick in zip(container.chapters(), ticks, strict=True)
        ]
        assert told == [(Fraction(0), Fraction("2.5"), "Anfang"), (Fraction("2.5"), Fraction(6), "Ende")]
        assert container.metadata.keys() == {"major_brand", "minor_version", "compatible_brands"}
    data = film.read_bytes()
    assert b"chpl" in data and b"Lavf" not in data
    picture, sound = fragments.codecs(bytes(film))
    assert picture.startswith("avc1.6400") and sound == "mp4a.40.2"
    again = tmp_path / "again.mp4"
    package.mp4(pieces(clips), sounds, bytes(again), rate=FILM, chapters=CHAPTERS)
    assert again.read_bytes() == data


def test_the_same_track_has_the_same_bytes(clips: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        package.video_track(pieces(clips), bytes(tmp_path / name), segment=4, rate=FILM)
        package.audio_track(bytes(clips / "first.m4a"), bytes(tmp_path / f"{name}-sound"), segment=4, rate=FILM)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one-sound").read_bytes() == (tmp_path / "two-sound").read_bytes()


def test_any_name_is_written_to(clips: Path, tmp_path: Path) -> None:
    place = bytes(tmp_path) + b"/http:\xff'%d.mp4"
    package.mp4(pieces(clips)[:1], [], place, rate=FILM)
    package.video_track(pieces(clips)[:1], place + b"2", segment=4, rate=FILM)
    assert os.path.getsize(place) > 1000
    assert fragments.read(place + b"2").rate == FILM


def test_pieces_that_do_not_belong_together_are_refused(clips: Path, tmp_path: Path) -> None:
    mixed = [*pieces(clips)[:1], *pieces(clips, "large")[1:]]
    with pytest.raises(JobFailed, match="other parameters than the previous piece"):
        package.mp4(mixed, [], bytes(tmp_path / "x"), rate=FILM)
    with pytest.raises(JobFailed, match="other parameters than the previous piece"):
        package.video_track(mixed, bytes(tmp_path / "x"), segment=4, rate=FILM)


def test_a_piece_with_a_hole_is_refused(clips: Path, tmp_path: Path) -> None:
    holed = hls_films.picture(tmp_path / "holed.mp4", frames=60, rate=FILM, filters="select='not(eq(n\\,30))'")
    with pytest.raises(JobFailed, match="its 59 frames are numbered up to 59"):
        package.mp4([bytes(holed), *pieces(clips)[1:]], [], bytes(tmp_path / "x.mp4"), rate=FILM)


def test_a_full_disk_is_the_machines_fault(clips: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises((MachineBlocked, OSError)):
        package.mp4(pieces(clips), [], b"/dev/full", rate=FILM)
    with pytest.raises(OSError, match="space"):
        package.video_track(pieces(clips), b"/dev/full", segment=4, rate=FILM)


def test_a_presentation_passes_the_validator(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "text.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHallo\n")
    streams = [[clips / f"{name}{number}.mp4" for number in range(3)] for name in ("large", "piece")]
    sounds = [(clips / "first.m4a", "ger"), (clips / "second.m4a", "eng")]
    texts = [(tmp_path / "text.vtt", SubtitleStream("subrip", "ger"), 7.05)]
    master = hls_films.presentation(tmp_path, streams, sounds, texts, rate=FILM, segment=4)
    tracks = hls_check.presentation(master)
    assert len(tracks) == 4
    assert tracks["hls-0.m3u8"].frames == tracks["hls-1.m3u8"].frames == 169
    lines = master.read_text().splitlines()
    assert lines[3] == (
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="German",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="hls-audio-0.m3u8"'
    )
    assert lines[5] == (
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",NAME="German",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,'
        'URI="hls-text-0.m3u8"'
    )
    assert ',RESOLUTION=128x72,FRAME-RATE=23.976,VIDEO-RANGE=SDR,AUDIO="sound",SUBTITLES="text"' in lines[6]


@pytest.mark.parametrize("still", [9_000, 27_000])
def test_all_playlists_beside_a_long_still_have_its_target_duration(still: int, tmp_path: Path) -> None:
    durations = [40] * 20 + [still] + [40] * 20
    starts = [120 * each for each in itertools.accumulate(durations[:-1], initial=0)]
    film = timed.write(tmp_path / "film.mp4", starts, 120 * durations[-1], base=Fraction(1, 120_000))
    hls_films.sound(tmp_path / "sound.m4a", seconds=sum(durations) / 1000)
    hls_films.presentation(tmp_path, [[film]], [(tmp_path / "sound.m4a", "")], rate=None)
    made = [hls_check.media(tmp_path / name) for name in ("hls-0.m3u8", "hls-audio-0.m3u8")]
    assert made[0].target == made[1].target >= still // 1000
    [variant] = m3u8.loads((tmp_path / "hls.m3u8").read_text()).playlists
    assert variant.stream_info.bandwidth == made[0].peak + made[1].peak


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_every_codec_makes_a_valid_presentation(codec: str, tmp_path: Path) -> None:
    tagged = "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc"
    filters = "null" if codec == "h264" else tagged
    film = hls_films.picture(tmp_path / "film.mp4", codec=codec, filters=filters, size="72x128")
    (track,) = hls_check.presentation(hls_films.presentation(tmp_path, [[film]], segment=2)).values()
    assert track.frames == 96 and len(track.segments) == 2
    master = (tmp_path / "hls.m3u8").read_text()
    assert "RESOLUTION=72x128" in master and ("VIDEO-RANGE=HLG" in master) == (codec != "h264")
    assert {"h264": 'CODECS="avc1.6400', "hevc": 'CODECS="hvc1.2.4.L', "av1": 'CODECS="av01.0.0'}[codec] in master
    package.mp4([bytes(film)], [], bytes(tmp_path / "copy.mp4"), rate=Fraction(24))
    data = (tmp_path / "copy.mp4").read_bytes()
    assert b"hev1" not in data and (b"hvc1" in data) == (codec == "hevc")
    assert (b"colrnclx\0\x09\0\x12\0\x09" in data) == (codec != "h264")
    (told,) = fragments.codecs(bytes(tmp_path / "copy.mp4"))
    assert f'CODECS="{told}"' in master


def test_a_film_shorter_than_a_segment_has_one(tmp_path: Path) -> None:
    film = hls_films.picture(tmp_path / "film.mp4", frames=7)
    sound = hls_films.sound(tmp_path / "sound.m4a", seconds=1.7)
    tracks = hls_check.presentation(hls_films.presentation(tmp_path, [[film]], [(sound, "")]))
    assert [len(each.segments) for each in tracks.values()] == [1, 1]
    assert [each.target for each in tracks.values()] == [6, 6]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("hls-0.m3u8", "#EXTINF:4.004000", "#EXTINF:4.014000"),
        ("hls-0.m3u8", "#EXT-X-TARGETDURATION:4", "#EXT-X-TARGETDURATION:3"),
        ("hls-0.m3u8", "@0", "@1"),
        ("hls.m3u8", "BANDWIDTH=", "BANDWIDTH=1"),
        ("hls.m3u8", "avc1.64", "avc1.42"),
        ("hls.m3u8", "VIDEO-RANGE=SDR", "VIDEO-RANGE=PQ"),
        ("hls.m3u8", "FRAME-RATE=23.976", "FRAME-RATE=24.000"),
    ],
)
def test_the_validator_sees_what_is_wrong(clips: Path, tmp_path: Path, name: str, old: str, new: str) -> None:
    streams = [[clips / f"piece{number}.mp4" for number in range(3)]]
    master = hls_films.presentation(tmp_path, streams, [(clips / "first.m4a", "")], rate=FILM, segment=4)
    hls_check.presentation(master)
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(AssertionError):
        hls_check.presentation(master)


def test_the_validator_sees_a_segment_that_does_not_decode(clips: Path, tmp_path: Path) -> None:
    streams = [[clips / f"piece{number}.mp4" for number in range(3)]]
    master = hls_films.presentation(tmp_path, streams, rate=FILM, segment=4)
    data = bytearray((tmp_path / "hls-0.mp4").read_bytes())
    data[-200:] = b"\xff" * 200
    (tmp_path / "hls-0.mp4").write_bytes(data)
    with pytest.raises((AssertionError, av.FFmpegError)):
        hls_check.presentation(master)


def test_what_is_no_mp4_tells_no_codecs(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"\0\0\0\x08free")
    with pytest.raises(JobFailed, match=r"x\.mp4: malformed"):
        fragments.codecs(bytes(tmp_path / "x.mp4"))


def test_what_is_no_track_is_told_so(clips: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    package.video_track(pieces(clips), bytes(cut), segment=4, rate=FILM)
    shutil.copy(clips / "piece0.mp4", tmp_path / "plain.mp4")
    os.truncate(cut, os.path.getsize(cut) - 100)
    for name in ("plain.mp4", "cut.mp4"):
        with pytest.raises(JobFailed, match=f"{name}: not a CMAF track: "):
            fragments.read(bytes(tmp_path / name))


def test_the_bit_rate_is_that_of_the_heaviest_second_and_sound() -> None:
    def made(sizes: list[int], kind: str = "picture") -> fragments.Track:
        parts = [
            fragments.Fragment(100 + sum(sizes[:number]), size, number * 6, 6, 144, True, True)
            for number, size in enumerate(sizes)
        ]
        return fragments.Track(kind, "avc1.64001f", 1, 100, tuple(parts), width=1280, height=720)

    film, quiet, loud = made([6000, 12000, 6000]), made([600, 600, 600], "audio"), made([600, 1200, 600], "audio")
    assert (playlists.peak(film, 6), playlists.average(film)) == (16_000, 10_667)
    text = playlists.master(
        [playlists.VideoRendition("v.m3u8", film)],
        [playlists.AudioRendition("1.m3u8", quiet, "eng"), playlists.AudioRendition("2.m3u8", loud, "eng", 'A "B"')],
    )
    assert "#EXT-X-STREAM-INF:BANDWIDTH=17600,AVERAGE-BANDWIDTH=11734," in text
    assert 'NAME="English"' in text and 'NAME="A B"' in text


def test_languages_are_named_as_the_web_and_mp4_want_them() -> None:
    assert [languages.tag(each) for each in ("ger", "deu", "de", "pt-BR", "und", "", "gsw", "x\n")] == [
        "de", "de", "de", "pt-BR", "", "", "gsw", "",
    ]  # fmt: skip
    assert [languages.three_letters(each) for each in ("ger", "fr", "pt-BR", "", "q")] == [
        "deu", "fra", "por", "und", "und",
    ]  # fmt: skip
    assert [languages.name(each) for each in ("chi", "nob", "gsw", "")] == ["Chinese", "Norwegian Bokmål", "gsw", ""]


@pytest.mark.parametrize(
    ("code", "web", "mp4"),
    [("aa", "aa", "aar"), ("aar", "aa", "aar"), ("sme", "se", "sme"), ("tgl", "tl", "tgl"), ("cnr", "cnr", "cnr")],
)
def test_every_code_of_iso_639_2_has_its_short_and_its_long_form(code: str, web: str, mp4: str) -> None:
    assert (languages.tag(code), languages.three_letters(code)) == (web, mp4)
