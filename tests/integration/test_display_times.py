"""Headers of our files agree with the frames in them, however long each is shown; times are found by brightness."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import timed
from support.films import inspected, make

from mediactl.media.hls import playlists
from mediactl.media.inspect.streams import Streams
from mediactl.media.mp4 import fragments, package
from mediactl.media.mp4.joined import Extent
from mediactl.media.video import encode
from mediactl.model.media import Limits

TICKS = Fraction(1, 120_000)
DURATIONS = st.lists(
    st.sampled_from([1, 4, 16, 17, 33, 40, 41, 100, 500, 1900, 2100, 12_000, 25_000]), min_size=1, max_size=30
)
"""Milliseconds that frames are shown."""
PATTERNS = {
    "a long frame first": [12_000, 12_000] + [33] * 20,
    "a long frame last": [33] * 30 + [25_000, 33],
    "a longer last one": [33] * 9 + [5000],
    "in the middle": [40] * 59 + [25_000] + [40] * 60,
    "small ones": [33, 33, 34, 800, 33, 33, 734, 33, 33, 734, 40],
    "960 a second": [1] * 100,
    "one a 20 s": [20_000] * 8,
    "one frame": [1000],
}


def made(folder: Path, durations: list[int], encoder: str = "libx264") -> Path:
    """An encoded video like those that are muxed, of frames that are shown for so many milliseconds."""
    starts = [120 * each for each in itertools.accumulate(durations[:-1], initial=0)]
    options = timed.REORDERED if encoder == "libx264" else {"x265-params": "log-level=none:bframes=4:keyint=250"}
    return timed.write(
        folder / "encoded.mp4", starts, 120 * durations[-1], base=TICKS, codec=encoder, options=options,
    )  # fmt: skip


def assert_shown(file: Path, durations: list[int]) -> None:
    """Every frame is shown at its time, and all headers say how long all of them are."""
    starts = [Fraction(each, 1000) for each in itertools.accumulate(durations[:-1], initial=0)]
    wanted = [(start, number % timed.SHADES) for number, start in enumerate(starts)]
    assert timed.shown(file) == wanted
    total = Fraction(sum(durations), 1000)
    movie, [track] = timed.index(file)
    assert sorted(track.presented) == starts
    assert track.presented[0] == 0
    assert sum(track.decoded) == track.mdhd
    for said in (track.mdhd, movie, track.tkhd, track.edited or total):
        assert abs(said - total) <= Fraction(2, 1000)  # Encoders may be off by one, and headers are rounded to one.


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("durations", PATTERNS.values(), ids=PATTERNS.keys())
def test_headers_agree_with_the_frames_whatever_their_times(tmp_path: Path, durations: list[int], encoder: str) -> None:
    if encoder == "libx265" and len(durations) == 1:
        pytest.skip("PyAV writes no header of HEVC for a single frame")
    encoded, file, track = made(tmp_path, durations, encoder), tmp_path / "video.mp4", tmp_path / "track.mp4"
    package.mp4([bytes(encoded)], [], bytes(file))
    assert_shown(file, durations)
    package.video_track([bytes(encoded)], bytes(track), segment=6)
    assert timed.shown(track) == timed.shown(file)
    assert fragments.read(bytes(track)).duration == Fraction(sum(durations), 1000)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(durations=DURATIONS)
def test_headers_agree_with_frames_of_any_durations(
    tmp_path_factory: pytest.TempPathFactory, durations: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("video")
    encoded, file, track = made(folder, durations), folder / "video.mp4", folder / "track.mp4"
    package.mp4([bytes(encoded)], [], bytes(file))
    assert_shown(file, durations)
    package.video_track([bytes(encoded)], bytes(track), segment=6)
    assert timed.shown(track) == timed.shown(file)
    read = fragments.read(bytes(track))
    assert abs(read.duration - Fraction(sum(durations), 1000)) <= Fraction(1, 1000)
    playlist = playlists.media(read, "track.mp4", segment=6).splitlines()
    longest = max(float(line[8:-1]) for line in playlist if line.startswith("#EXTINF:"))
    assert longest <= float(playlist[2].removeprefix("#EXT-X-TARGETDURATION:")) + 0.5


SLOW = {
    "one a 20 s": [20_000] * 7,
    "a still of 9 s": [33] * 20 + [9000] + [33] * 20,
    "two stills first": [12_000, 12_000] + [33] * 20,
    "stills among B-frames": [33] * 8 + [700, 33, 800, 33, 33],
    "a longer last one": [33] * 9 + [5000],
    "a still at the end": [40] * 30 + [3000, 40],
    "even, a longer last one": [40] * 10 + [9000],
    "1000 a second": [1] * 100,
}


def source_of(folder: Path, durations: list[int], container: str) -> Path:
    """A video of frames that are shown for so many milliseconds; "remuxed": in an MP4, by ffmpeg, of a Matroska."""
    starts = list(itertools.accumulate(durations, initial=0))
    suffix = "mkv" if container == "remuxed" else container
    source = timed.write(folder / f"source.{suffix}", starts[:-1], durations[-1], options=timed.REORDERED)
    return make(folder / "remuxed.mp4", "-i", str(source), "-c", "copy") if container == "remuxed" else source


@settings(max_examples=40, deadline=None, derandomize=True)
@given(durations=DURATIONS, container=st.sampled_from(["mp4", "remuxed", "mkv"]))
def test_a_source_lasts_as_long_as_its_frames_are_shown(
    tmp_path_factory: pytest.TempPathFactory, durations: list[int], container: str
) -> None:
    source = source_of(tmp_path_factory.mktemp("video"), durations, container)
    assert inspected(source).info.duration == pytest.approx(sum(durations) / 1000, abs=0.05)


@pytest.mark.parametrize("container", ["mp4", "remuxed", "mkv"])
@pytest.mark.parametrize("durations", SLOW.values(), ids=SLOW.keys())
def test_a_source_and_its_renditions_last_equally_long(tmp_path: Path, durations: list[int], container: str) -> None:
    source = source_of(tmp_path, durations, container)
    assert_rendered(source, durations)


STILLS = {
    "one a 12 s": [12_000] * 8,
    "some longer": [12_000, 15_000, 11_000, 40] * 2,
    "a video, then stills": [40] * 15 + [12_000] * 5,
}


@pytest.mark.parametrize("durations", STILLS.values(), ids=STILLS.keys())
def test_stills_in_mpeg_ts_are_no_jumps_of_its_clock(durations: list[int], tmp_path: Path) -> None:
    starts = list(itertools.accumulate(durations[:-1], initial=0))
    source = timed.write(tmp_path / "source.ts", starts, durations[-1], options={"bf": "0"})
    found = inspected(source)
    assert found.info.discontinuities == ()
    assert found.info.duration == pytest.approx(starts[-1] / 1000, abs=13)
    encoded(source, found)
    assert timed.shown(tmp_path / "encoded.mp4") == [
        (Fraction(start, 1000), number % timed.SHADES) for number, start in enumerate(starts)
    ]


@pytest.mark.parametrize("seconds", [2, 1440, 14_400])
def test_a_last_sample_longer_than_the_edit_list_does_not_lengthen_a_video(tmp_path: Path, seconds: int) -> None:
    durations = [40] * 24 + [41]
    starts = list(itertools.accumulate(durations[:-1], initial=0))
    source = timed.write(tmp_path / "source.mp4", starts, 41, options={"bf": "0"})
    content = bytearray(source.read_bytes())
    rows = content.index(b"stts") + 12
    scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    assert struct.unpack_from(">IIII", content, rows) == (24, 40 * scale // 1000, 1, 41 * scale // 1000)
    struct.pack_into(">I", content, rows + 12, seconds * scale)
    source.write_bytes(content)
    assert_rendered(source, durations)


def encoded(source: Path, found: Streams) -> bytes:
    """Encode a video as for its renditions, into a file beside it."""
    path = bytes(source.parent / "encoded.mp4")
    with source.open("rb") as opened:
        encode.encode(
            opened.fileno(), found, [encode.Stream("h264", 64, 64, crf=20)], None, [path], threads=1, limits=Limits(),
            folder=bytes(source.parent), report=lambda _: None,
        )  # fmt: skip
    return path


def assert_rendered(source: Path, durations: list[int]) -> None:
    """What is encoded of a video, muxed in both ways, shows every frame at its time, and for as long."""
    folder, found = source.parent, inspected(source)
    assert found.video
    assert found.info.video
    assert found.info.duration == pytest.approx(sum(durations) / 1000, abs=0.002)
    stream, file = encoded(source, found), folder / "video.mp4"
    rate = Fraction(found.info.video.rate) if found.info.video.even else None
    extent = Extent(found.info.video.frames, found.video.end)
    package.mp4([stream], [], bytes(file), rate=rate, source=extent)
    assert_shown(file, durations)
    package.video_track([stream], bytes(folder / "track.mp4"), segment=6, rate=rate, source=extent)
    assert timed.shown(folder / "track.mp4") == timed.shown(file)
