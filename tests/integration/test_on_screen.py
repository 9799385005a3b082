"""Stills show the frame that is on screen at their time, found by its brightness, whatever the container."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence, ImageStat
from support import timed
from support.films import inspected, make
from test_stills import levels, poster, preview, render, storyboard, unlike

from mediactl.media.stills import frames
from mediactl.media.stills.samples import read_png
from mediactl.media.stills.source import Video, open_video
from mediactl.model.media import Limits, VideoStream

SCENE = "testsrc2=s=160x120:r=25:d=3"
DROPPED = "select='not(between(mod(n\\,10)\\,3\\,6))'"
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50")
SOURCES = {
    "bframes.avi": ("-c:v", "mpeg4", "-bf", "2", "-g", "25"),
    "h264.avi": X264,
    "xvid.avi": ("-c:v", "libxvid", "-bf", "2", "-g", "25"),
    "dropped.avi": ("-vf", DROPPED, "-fps_mode", "vfr", "-c:v", "mpeg4", "-g", "25"),
    "dropped-bframes.avi": ("-vf", DROPPED, "-fps_mode", "vfr", "-c:v", "mpeg4", "-bf", "2", "-g", "25"),
    "theora.ogv": ("-c:v", "libtheora", "-g", "64"),
    "repeated.ogv": ("-vf", "fps=5,fps=25", "-c:v", "libtheora", "-g", "64"),
    "dropped.ogv": ("-vf", DROPPED, "-fps_mode", "vfr", "-c:v", "libtheora", "-g", "64"),
    "h264.flv": X264,
    "dropped.flv": ("-vf", DROPPED, "-fps_mode", "vfr", *X264),
    "dropped.mkv": ("-vf", DROPPED, "-fps_mode", "vfr", *X264),
    "negative.mkv": ("-vf", "setpts=PTS-1/TB", "-copyts", "-avoid_negative_ts", "disabled", "-c:v", "mpeg4"),
    "negative.mp4": ("-vf", "setpts=PTS-1/TB", "-copyts", "-avoid_negative_ts", "disabled", *X264),
    "mpeg1.mpg": ("-c:v", "mpeg1video", "-bf", "2", "-g", "15"),
    "one.avi": ("-frames:v", "1", "-c:v", "mpeg4"),
    "one.ogv": ("-frames:v", "1", "-c:v", "libtheora"),
    "one.mp4": ("-frames:v", "1", *X264),
    "one.flv": ("-frames:v", "1", "-c:v", "flv"),
}
FORMATS = {"ogv": "ogg", "mpg": "mpeg", "ts": "mpegts"}


def source(folder: Path, name: str) -> Path:
    """A video of a kind in which frames are easily lost after a seek."""
    return make(folder / name, "-f", "lavfi", "-i", SCENE, *SOURCES[name])


def edited(folder: Path, name: str) -> Path:
    """A video whose edit list begins in the middle of a group, or with nothing."""
    whole = make(folder / "whole.mp4", "-f", "lavfi", "-i", SCENE, *X264)
    before = {"middle.mp4": ("-ss", "0.7"), "later.mp4": ("-ss", "2.3"), "empty.mp4": ("-itsoffset", "1.5")}[name]
    return make(folder / name, *before, "-i", str(whole), "-c", "copy")


@contextmanager
def opened(path: Path) -> Iterator[Video]:
    found = inspected(path)
    assert found.video
    fd = os.open(path, os.O_RDONLY)
    try:
        yield open_video(fd, found, found.video, Limits(), 1, bytes(path.parent))
    finally:
        os.close(fd)


@pytest.mark.parametrize("name", [*SOURCES, "middle.mp4", "later.mp4", "empty.mp4"])
def test_every_frame_that_a_poster_may_be_of_is_found_again(tmp_path: Path, name: str) -> None:
    path = source(tmp_path, name) if name in SOURCES else edited(tmp_path, name)
    with opened(path) as video:
        for keys in (True, False):
            every = frames.Sampling((80, 60), 0.5, 0.0, video.duration + 1.0, keys)
            [sampled] = frames.spread(video, [every], [bytes(tmp_path / "sample")]) or [{}]
            assert sampled or keys
            for time, file in sampled.items():
                [again] = frames.moment(video, time, [(80, 60)], bytes(tmp_path / "again"), key=keys)
                assert (read_png(again) - read_png(file)).abs().avg() < 1, (keys, time)


@pytest.mark.parametrize("name", ["first-undecodable.mp4", "first-undecodable.ts"])
def test_a_video_whose_first_seconds_cannot_be_decoded_gets_its_stills_from_the_rest(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / name, "-f", "lavfi", "-i", SCENE, *X264)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    for at, size in packets[:40]:
        content[at + 12 : at + min(size, 180)] = bytes(min(size, 180) - 12)
    path.write_bytes(content)
    drafts, files = render(path, poster(160, 120), storyboard(2, 2.0), preview(1.0, size=(160, 120)))
    assert len(files) == 3 and not drafts.left_out
    assert all(ImageStat.Stat(Image.open(file).convert("L")).stddev[0] > 30 for file in files)


def test_a_poster_is_of_the_next_frame_where_none_has_its_time(tmp_path: Path) -> None:
    with opened(source(tmp_path, "h264.flv")) as video:
        for wanted, next_ in ((1.017, 1.04), (100.0, 0.0)):
            [made] = frames.moment(video, wanted, [(160, 120)], bytes(tmp_path / "one"), key=False)
            [near] = frames.moment(video, next_, [(160, 120)], bytes(tmp_path / "other"), key=False)
            assert unlike(Image.open(os.fsdecode(made)), Image.open(os.fsdecode(near))) < 1


STILLS = {
    "a still of 25 s": [33] * 60 + [25_000] + [33] * 60,
    "a still at the end": [33] * 10 + [9000, 33],
    "two stills first": [12_000, 3000] + [33] * 10,
    "one in 5 s": [5000] * 7,
    "stills and B-frames": [40] * 10 + [7000, 40, 40, 40, 3000] + [40] * 10,
    "one frame": [4000],
}


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("durations", STILLS.values(), ids=STILLS.keys())
def test_tiles_show_the_last_frame_until_their_time(tmp_path: Path, durations: list[int], container: str) -> None:
    starts = list(itertools.accumulate(durations, initial=0))
    path = timed.write(tmp_path / f"film.{container}", starts[:-1], durations[-1])
    info = inspected(path).info
    count = max(1, -(-starts[-1] // 5000))
    target = storyboard(count, 5.0, still=True)
    _, [file] = render(path, target)
    ends = [min(5.0 * number + 5, starts[-1] / 1000) for number in range(count)]
    middles = [(5.0 * number + end) / 2 for number, end in enumerate(ends)]
    wanted = [(bisect_right(starts[:-1], middle * 1000 + 1e-3) - 1) % timed.SHADES for middle in middles]
    shades = [round((level * 219 / 255 + 16 - 20) / 9) for level in levels(Image.open(file), 5, count)]
    assert shades == wanted
    assert info.video and info.video.still == (len(durations) > 1)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    durations=st.lists(st.sampled_from([17, 40, 41, 250, 900, 2600, 7000]), min_size=2, max_size=25),
    interval=st.sampled_from([0.5, 1.3, 5.0]),
)
def test_any_frame_is_on_screen_until_the_next(
    tmp_path_factory: pytest.TempPathFactory, durations: list[int], interval: float
) -> None:
    folder = tmp_path_factory.mktemp("film")
    starts = list(itertools.accumulate(durations, initial=0))
    path = timed.write(folder / "film.mkv", starts[:-1], durations[-1])
    times = [interval * (number + 0.5) for number in range(1 + int(starts[-2] / 1000 / interval))]
    with opened(path) as video:
        files = frames.on_screen(video, times, (16, 16), bytes(folder / "tile"))
        shades = [
            round((ImageStat.Stat(Image.open(os.fsdecode(file)).convert("L")).mean[0] * 219 / 255 - 4) / 9)
            for file in files
        ]
    wanted = [(bisect_right(starts[:-1], time * 1000 + 1e-3) - 1) % timed.SHADES for time in times]
    assert shades == wanted[: len(shades)]
    assert set(wanted[len(shades) :]) <= {(len(durations) - 1) % timed.SHADES}


def test_a_preview_of_a_still_shows_what_is_on_screen(tmp_path: Path) -> None:
    durations = [33] * 30 + [25_000] + [33] * 30
    starts = list(itertools.accumulate(durations, initial=0))
    path = timed.write(tmp_path / "film.mp4", starts[:-1], durations[-1], shades=[3] * 31 + [20] * 30)
    _, [file] = render(path, preview(1.0, size=(64, 64), still=True))  # from 8.6 s on
    for frame in ImageSequence.Iterator(Image.open(file)):
        assert ImageStat.Stat(frame.convert("L")).mean[0] == pytest.approx((3 * 9 + 4) * 255 / 219, abs=4)


def test_only_videos_with_long_frames_get_other_keys() -> None:
    def video(rate: str, longest: float = 0.0, *, even: bool = False) -> VideoStream:
        return VideoStream("h264", 64, 64, rate=rate, longest=longest, even=even)

    usual = (video("25", even=True), video("10", even=True), video("30000/1001", 0.067), video(""))
    assert not any(each.uneven or each.still for each in usual)
    assert video("1/20", even=True).still and not video("1/20", even=True).uneven
    assert video("120/29", 25.0).still and video("120/29", 25.0).uneven
