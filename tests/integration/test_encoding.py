"""Encoding videos: exact pieces that concatenate without a seam, colours, fields, times."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
from support.films import make

from mediactl.media.ffmpeg import binary
from mediactl.media.filters import interlacing
from mediactl.media.filters.video_filters import TICKS, Weave
from mediactl.media.inspect import streams
from mediactl.media.inspect.streams import Streams
from mediactl.media.video.encode import Encoded, Piece, PieceNotExact, Stream, encode, resolved, streams_of
from mediactl.model.assets import Target
from mediactl.model.media import Limits
from mediactl.outputs.hls import StreamParams
from mediactl.outputs.subtitles import TextParams
from mediactl.outputs.video import VideoParams

LIMITS = Limits()
SMALL = Stream("h264", 160, 120, crf=23, preset="ultrafast", maxrate=500)


def moving(path: Path, rate: str, seconds: int, *arguments: str) -> Path:
    """A clip in which every frame is another, of few bits."""
    picture = f"testsrc2=s=160x120:r={rate}:d={seconds}"
    return make(path, "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", *arguments)


def inspected(path: Path, *, rate: str = "") -> Streams:
    """What is in a film; with ``rate``, an even one."""
    fd = os.open(path, os.O_RDONLY)
    try:
        found = streams.inspect(fd, path.suffix[1:], LIMITS)
    finally:
        os.close(fd)
    if rate and found.info.video:
        video = msgspec.structs.replace(found.info.video, rate=rate, even=True)
        found = msgspec.structs.replace(found, info=msgspec.structs.replace(found.info, video=video))
    return found


def encoded(
    path: Path, found: Streams, streams: Sequence[Stream], places: Sequence[Path], piece: Piece | None = None
) -> Encoded:
    fd = os.open(path, os.O_RDONLY)
    try:
        return encode(
            fd,
            found,
            streams,
            piece,
            [os.fsencode(place) for place in places],
            threads=2,
            limits=LIMITS,
            folder=os.fsencode(places[0].parent),
            report=lambda _: None,
        )
    finally:
        os.close(fd)


def in_pieces(path: Path, found: Streams, stream: Stream, count: int, frames: int) -> list[Path]:
    """A film's pieces of so many frames, made one by one."""
    pieces = [Piece(number, first, min(frames, count - first)) for number, first in enumerate(range(0, count, frames))]
    places = [path.parent / f"{path.name}-{piece.number}.mp4" for piece in pieces]
    for piece, place in zip(pieces, places, strict=True):
        assert encoded(path, found, [stream], [place], piece).frames == (piece.frames,)
    return places


def joined(places: Sequence[Path], whole: Path) -> Path:
    """The pieces, joined by copy."""
    names = whole.with_suffix(".txt")
    names.write_text("".join(f"file '{place}'\n" for place in places))
    return make(whole, "-f", "concat", "-safe", "0", "-i", str(names), "-c", "copy")


def likeness(first: Path, second: Path, *, first_from: int = 0, second_from: int = 0) -> list[float]:
    """SSIM of each frame of one film with that of the same number of another, counted from these frames on."""
    graph = f"[0:v]trim=start_frame={first_from},settb=1/1000,setpts=N[a];"
    graph += f"[1:v]trim=start_frame={second_from},settb=1/1000,setpts=N[b];[a][b]ssim=f=-:shortest=1"
    command = [binary.find(), "-nostdin", "-loglevel", "error", "-i", str(first), "-i", str(second)]
    command += ["-filter_complex", graph, "-f", "null", "-"]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True)
    return [float(value) for value in re.findall(rb"All:([\d.]+)", done.stdout)]


def packets(path: Path) -> list[Any]:
    """The packets of a film's picture, in the order of their times."""
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(video=0) if packet.size]
    return sorted(found, key=lambda packet: packet.pts or 0)


def headers(path: Path) -> bytes:
    """Parameter sets of a film's picture."""
    with av.open(str(path)) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


QUICK = ("-c:v", "libx264", "-preset", "ultrafast")
OPEN = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "40", "-x264-params", "open-gop=1:b-pyramid=normal")
SOURCES = {
    "film in mp4": ("24000/1001", "mp4", OPEN),
    "thirty in mkv": ("30", "mkv", OPEN),
    "fifty in ts": ("50", "ts", OPEN),
    "hevc in mp4": ("30000/1001", "mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=40")),
    "mpeg-2 in ts": ("25", "ts", ("-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-q:v", "3")),
    "vp9 in webm": ("30", "webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "100")),
}


@pytest.mark.parametrize("source", SOURCES)
def test_pieces_have_exactly_their_frames_and_join_to_the_whole_film(source: str, tmp_path: Path) -> None:
    rate, container, options = SOURCES[source]
    film = moving(tmp_path / f"film.{container}", rate, 8, *options)
    count = len(packets(film))
    found = inspected(film, rate=rate)
    gop = round(Fraction(rate) * 2)
    places = in_pieces(film, found, SMALL, count, gop)
    assert len(places) >= 4
    assert len({headers(place) for place in places}) == 1
    for place in places:
        made = packets(place)
        assert made[0].pts == 0
        assert made[0].is_keyframe
        assert [packet.is_keyframe for packet in made[1:]] == [False] * (len(made) - 1)
    whole = joined(places, tmp_path / "whole.mp4")
    like = likeness(film, whole)
    assert len(like) == count
    assert min(like) > 0.95
    # Every frame is in its place: more like the film's of its number than like those beside it.
    assert all(own > other for own, other in zip(like[1:], likeness(film, whole, second_from=1), strict=False))
    assert all(own > other for own, other in zip(like, likeness(film, whole, first_from=1), strict=False))


@pytest.mark.parametrize(("codec", "preset", "tag"), [("hevc", "ultrafast", "hvc1"), ("av1", "12", "av01")])
def test_pieces_of_other_codecs_join_as_well(codec: str, preset: str, tag: str, tmp_path: Path) -> None:
    film = moving(tmp_path / "film.mp4", "24000/1001", 6, *OPEN)
    found = inspected(film, rate="24000/1001")
    stream = Stream(codec, 160, 120, crf=26, preset=preset, maxrate=500)
    places = in_pieces(film, found, stream, 144, 48)
    assert len({headers(place) for place in places}) == 1
    whole = joined(places, tmp_path / "whole.mp4")
    like = likeness(film, whole)
    assert len(like) == 144
    assert min(like) > 0.9
    with av.open(str(whole)) as container:
        track = container.streams.video[0]
        assert track.codec_context.codec_tag == tag
        assert track.codec_context.codec.canonical_name == codec
        assert track.average_rate == Fraction(24000, 1001)
        assert float((track.duration or 0) * (track.time_base or 0)) == pytest.approx(144 * 1001 / 24000, abs=1e-4)


def test_a_piece_is_cut_where_the_picture_is_though_the_file_begins_earlier(tmp_path: Path) -> None:
    picture = moving(tmp_path / "picture.mp4", "25", 6, *OPEN)
    film = make(
        tmp_path / "film.mkv", "-itsoffset", "0.36", "-i", str(picture), "-f", "lavfi", "-i", "sine=440:d=6",
        "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac",
    )  # fmt: skip
    found = inspected(film, rate="25")
    assert found.info.video
    assert found.info.video.start == pytest.approx(0.36, abs=0.03)
    whole = joined(in_pieces(film, found, SMALL, 150, 50), tmp_path / "whole.mp4")
    like = likeness(film, whole)
    assert len(like) == 150
    assert all(own > other for own, other in zip(like, likeness(film, whole, first_from=1), strict=False))


def test_a_piece_of_a_film_that_lacks_frames_is_refused(tmp_path: Path) -> None:
    film = moving(tmp_path / "film.mkv", "25", 4, *QUICK, "-vf", "select=not(between(n\\,60\\,62))", "-fps_mode", "vfr")
    found = inspected(film, rate="25")
    place = tmp_path / "piece.mp4"
    assert encoded(film, found, [SMALL], [place], Piece(0, 0, 50)).frames == (50,)
    with pytest.raises(PieceNotExact, match="piece 1 of the video has 47 of 50 frames"):
        encoded(film, found, [SMALL], [place], Piece(1, 50, 50))


def test_the_same_piece_has_the_same_bytes(tmp_path: Path) -> None:
    film = moving(tmp_path / "film.ts", "25", 5, *OPEN)
    found = inspected(film, rate="25")
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    for place in (first, second):
        encoded(film, found, [SMALL], [place], Piece(1, 50, 50))
    assert first.read_bytes() == second.read_bytes()


def test_one_run_makes_all_streams_with_key_frames_at_the_same_times(tmp_path: Path) -> None:
    film = moving(tmp_path / "film.mp4", "30000/1001", 5, *QUICK)
    streams = [SMALL, Stream("h264", 80, 60, crf=28, preset="ultrafast"), Stream("hevc", 80, 60, crf=28, preset="fast")]
    places = [tmp_path / f"{stream.name}.mp4" for stream in streams]
    assert len(set(places)) == 3
    done = encoded(film, inspected(film, rate="30000/1001"), streams, places)
    assert done == Encoded((150, 150, 150))
    times = [[packet.pts for packet in packets(place) if packet.is_keyframe] for place in places]
    assert times == [[0, 60 * 4004, 120 * 4004]] * 3
    with av.open(str(places[0])) as container:
        assert container.streams.video[0].time_base == Fraction(1, TICKS)
        assert (container.streams.video[0].width, container.streams.video[0].height) == (160, 120)


def test_frames_of_varying_distance_keep_their_times_and_key_frames_come_by_time(tmp_path: Path) -> None:
    film = moving(
        tmp_path / "film.mkv", "50", 6, *QUICK, "-vf", "select=gt(mod(n\\,7)\\,2)+lt(n\\,40)", "-fps_mode", "vfr"
    )  # fmt: skip
    before = [float(packet.pts * packet.time_base) for packet in packets(film)]
    place = tmp_path / "made.mp4"
    encoded(film, inspected(film), [SMALL], [place])
    made = packets(place)
    after = [packet.pts / TICKS for packet in made]
    assert after == pytest.approx([time - before[0] for time in before], abs=0.002)
    keys = [time for packet, time in zip(made, after, strict=True) if packet.is_keyframe]
    assert len(keys) == 3
    assert keys == pytest.approx([0, 2, 4], abs=0.07)


def test_a_stream_is_capped(tmp_path: Path) -> None:
    noise = ("-vf", "noise=alls=60:allf=t:all_seed=1", *QUICK, "-qp", "10")
    film = moving(tmp_path / "film.mp4", "25", 6, *noise)
    free, capped = tmp_path / "free.mp4", tmp_path / "capped.mp4"
    streams = [msgspec.structs.replace(SMALL, maxrate=0), msgspec.structs.replace(SMALL, maxrate=300)]
    encoded(film, inspected(film, rate="25"), streams, [free, capped])
    # What the buffer holds (two seconds' worth) may come on top.
    assert capped.stat().st_size < 300_000 / 8 * (6 + 2) * 1.1 < free.stat().st_size


def interlaced(path: Path, *arguments: str) -> Path:
    """Two seconds of 25 frames that hold two moments each, the top field first."""
    picture = "testsrc2=s=720x576:r=50:d=2,scroll=horizontal=0.01,interlace=scan=tff:lowpass=off"
    return make(path, "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-preset", "ultrafast", *arguments)


def combed(path: Path) -> int:
    """Frames of a film that hold two moments."""
    command = [binary.find(), "-nostdin", "-hide_banner", "-i", str(path), "-vf", "idet", "-f", "null", "-"]
    told = subprocess.run(command, check=True, capture_output=True, timeout=60).stderr.decode()
    top, bottom = re.findall(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+)", told)[-1]
    return int(top) + int(bottom)


def looked_at(path: Path, found: Streams) -> Weave | None:
    fd = os.open(path, os.O_RDONLY)
    try:
        return interlacing.detected(fd, found, threads=1, limits=LIMITS, folder=os.fsencode(path.parent))
    finally:
        os.close(fd)


@pytest.mark.parametrize("flags", [("-flags", "+ildct+ilme", "-x264-params", "tff=1"), ("-vf", "setfield=prog")])
def test_interlaced_films_are_deinterlaced_whether_flagged_or_not(flags: tuple[str, ...], tmp_path: Path) -> None:
    film = interlaced(tmp_path / "film.mp4", "-c:v", "libx264", *flags)
    assert combed(film) > 40
    place = tmp_path / "made.mp4"
    found = inspected(film, rate="25")
    done = encoded(film, found, [Stream("h264", 720, 576, crf=20, preset="ultrafast")], [place])
    assert done.frames == (50,)
    assert combed(place) == 0
    pieces = in_pieces(film, found, Stream("h264", 720, 576, crf=20, preset="ultrafast"), 50, 25)
    like = likeness(place, joined(pieces, tmp_path / "joined.mp4"))
    assert len(like) == 50
    assert min(like) > 0.97


def test_a_film_that_is_only_flagged_as_interlaced_is_left_as_it_is(tmp_path: Path) -> None:
    picture = "testsrc2=s=360x288:r=25:d=3,scale=720:576"
    film = make(
        tmp_path / "film.mp4", "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset",
        "ultrafast", "-qp", "8", "-flags", "+ildct+ilme", "-x264-params", "tff=1",
    )  # fmt: skip
    found = inspected(film, rate="25")
    assert found.video
    assert found.video.interlaced
    assert looked_at(film, found) is None


def test_a_progressive_film_of_televisions_size_is_taken_for_one(tmp_path: Path) -> None:
    film = make(tmp_path / "film.mp4", "-f", "lavfi", "-i", "testsrc2=s=720x480:r=30000/1001:d=2", *QUICK)
    assert looked_at(film, inspected(film)) is None


HDR10 = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
MASTERED = "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.fixture(scope="session")
def hdr10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of HDR10, with what it was mastered on."""
    place = tmp_path_factory.mktemp("hdr") / "hdr10.mp4"
    return moving(
        place, "25", 4, "-vf", HDR10, "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", f"{MASTERED}:max-cll=1000,400",
    )  # fmt: skip


def colours(path: Path) -> tuple[str, int, int, int]:
    """Pixel format, primaries, transfer and matrix of a film, as H.273 numbers them."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.format.name, frame.color_primaries, frame.color_trc, frame.colorspace


@pytest.mark.parametrize(("codec", "preset"), [("hevc", "ultrafast"), ("av1", "12")])
def test_high_dynamic_range_is_kept_with_what_describes_it(
    hdr10: Path, codec: str, preset: str, tmp_path: Path
) -> None:
    place = tmp_path / "made.mp4"
    stream = Stream(codec, 160, 120, crf=26, preset=preset, hdr=True)
    encoded(hdr10, inspected(hdr10, rate="25"), [stream], [place], Piece(1, 50, 50))
    assert colours(place) == ("yuv420p10le", 9, 16, 9)
    command = [binary.find(), "-nostdin", "-hide_banner", "-i", str(place)]
    told = subprocess.run(command, check=False, capture_output=True, timeout=60).stderr.decode()
    assert "max_luminance=1000" in told
    assert "MaxCLL=1000, MaxFALL=400" in told


def test_high_dynamic_range_becomes_standard_with_its_tags_and_none_of_the_other(hdr10: Path, tmp_path: Path) -> None:
    places = [tmp_path / "h264.mp4", tmp_path / "hevc.mp4"]
    streams = [SMALL, Stream("hevc", 160, 120, crf=26, preset="ultrafast")]
    encoded(hdr10, inspected(hdr10), streams, places)
    for place in places:
        assert colours(place) == ("yuv420p", 1, 1, 1)
        command = [binary.find(), "-nostdin", "-hide_banner", "-i", str(place)]
        told = subprocess.run(command, check=False, capture_output=True, timeout=60).stderr.decode()
        assert "Mastering" not in told


@pytest.mark.parametrize("name", ["hlg10-color-test.mp4", "hdr10-video-with-sdr-container.mp4"])
def test_real_hdr_films_look_as_by_hand(name: str, corpus: Path, tmp_path: Path) -> None:
    film, place = corpus / "videos" / name, tmp_path / "made.mp4"
    encoded(film, inspected(film), [Stream("h264", 480, 270, crf=12, preset="veryfast")], [place])
    hand = "scale=480:270,format=yuv420p10le,zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,"
    hand += "tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=limited,format=yuv420p"
    other = make(tmp_path / "hand.mkv", "-i", str(film), "-vf", hand, "-an", "-c:v", "libx264", "-qp", "1")
    assert min(likeness(other, place)) > 0.97


def test_targets_of_equal_encoding_share_a_stream() -> None:
    encoding: dict[str, Any] = {
        "codec": "h264", "width": 320, "height": 240, "crf": 23, "preset": "veryfast", "encoder": "software",
        "maxrate": 500, "hdr": False, "gop": 2.0, "piece": 0,
    }  # fmt: skip
    video = VideoParams(**encoding, sound=True, audio_bitrate=128)
    rung = Target("hls-240.mp4", "stream", StreamParams(**encoding, segment=6.0), "a")
    film = Target("film.mp4", "rendition", video, "b")
    other = Target("small.mp4", "rendition", msgspec.structs.replace(video, height=120, vmaf=94), "c")
    text = Target("text.vtt", "subtitles", TextParams(0), "d")
    shared, small = streams_of((rung, film, text, other))
    assert shared == Stream("h264", 320, 240, crf=23, maxrate=500)
    assert (small.height, small.vmaf) == (120, 94)
    assert resolved(small, 25.5).crf == 25.5
    assert resolved(small, 25.5).vmaf is None
    assert small.name != shared.name


def test_how_fast_it_goes_is_told(tmp_path: Path) -> None:
    film = moving(tmp_path / "film.mp4", "25", 3, *QUICK)
    paces: list[tuple[float, float, float]] = []
    fd = os.open(film, os.O_RDONLY)
    try:
        encode(
            fd, inspected(film), [SMALL], None, [os.fsencode(tmp_path / "made.mp4")], threads=1, limits=LIMITS,
            folder=os.fsencode(tmp_path), report=lambda _: None, pace=lambda *pace: paces.append(pace),
        )  # fmt: skip
    finally:
        os.close(fd)
    seconds, _, speed = paces[-1]
    assert seconds == pytest.approx(3, abs=0.1)
    assert speed > 0
