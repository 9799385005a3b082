"""Cover art that is stored as a video of one frame: the file is audio, and its cover is kept or reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.films import inspected, make
from test_audio import cover_of, decoded_length, kept, render

AUDIO = ("-f", "lavfi", "-i", "sine=440:d=1:r=48000")
RED = ("-f", "lavfi", "-i", "color=red:s=64x48:r=25:d=0.04")
TWO = ("-f", "lavfi", "-i", "color=red:s=64x48:r=25:d=0.08")
MOVING = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=1:d=2")
SLIDES = ("-f", "lavfi", "-i", "color=red:s=64x48:r=1:d=4")
VIDEO_LAST, VIDEO_FIRST = ("-map", "0", "-map", "1"), ("-map", "1", "-map", "0")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("jpeg.m4a", ("-f", "mp4", "-brand", "M4A ", *VIDEO_LAST, "-c:v", "mjpeg")),
        ("h264.m4a", ("-f", "mp4", "-brand", "M4A ", *VIDEO_FIRST, *H264)),
        ("png.mp4", (*VIDEO_FIRST, "-c:v", "png")),
        ("jpeg.mov", (*VIDEO_LAST, "-c:v", "mjpeg")),
        ("h264.mka", (*VIDEO_LAST, *H264)),
        ("jpeg.mka", (*VIDEO_FIRST, "-c:v", "mjpeg", "-c:a", "libmp3lame")),
        ("theora.ogg", (*VIDEO_FIRST, "-c:v", "libtheora", "-q:v", "10", "-c:a", "libvorbis")),
        ("ipod.m4a", (*VIDEO_LAST, *H264)),
        ("vp8.mkv", (*VIDEO_FIRST, "-c:v", "libvpx", "-c:a", "libopus")),
    ],
)
def test_one_frame_beside_audio_is_its_cover(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    check(make(tmp_path / name, *AUDIO, *RED, *options))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.m4a", (*VIDEO_LAST, *H264)),
        ("jpeg.mkv", (*VIDEO_FIRST, "-c:v", "mjpeg")),
        ("theora.ogg", (*VIDEO_FIRST, "-c:v", "libtheora", "-q:v", "10", "-c:a", "libvorbis")),
        ("png.mov", (*VIDEO_LAST, "-c:v", "png")),
    ],
)
def test_frames_that_are_alike_are_a_cover(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    check(make(tmp_path / name, *AUDIO, *TWO, *options))


def check(source: Path) -> None:
    """The file is audio, with a red cover."""
    targets = [kept(Path(f"x.{format_}"), channels=1, cover=True) for format_ in ("m4a", "opus")]
    made = render(source, *targets, kept(Path("y.m4a"), channels=1, cover=False))
    assert made.info.video is None
    assert made.info.duration == pytest.approx(1.0, abs=0.05)
    assert made.drafts.warnings == ()
    for file in made.files:
        assert decoded_length(file) == pytest.approx(1.0, abs=0.05)
    for file in made.files[:2]:
        red, green, blue = cover_of(file).convert("RGB").getpixel((30, 20))  # type: ignore[misc]
        assert red > 230
        assert max(green, blue) < 30
    assert render(source, kept(Path("z.m4a"), channels=1)).drafts.warnings == ("left out: the cover art",)


@pytest.mark.parametrize(
    ("name", "options", "frames"),
    [
        ("no audio.mkv", (*RED, "-map", "1", *H264), 1),
        ("no audio.mov", (*RED, "-map", "1", "-c:v", "mjpeg"), 1),
        ("two.mkv", (*MOVING, *VIDEO_LAST, "-c:v", "mjpeg"), 2),
        ("two.avi", (*MOVING, *VIDEO_FIRST, "-c:v", "mjpeg"), 2),
        ("two.m4a", (*MOVING, *VIDEO_LAST, *H264), 2),
        ("slides.mkv", (*SLIDES, *VIDEO_LAST, *H264), 4),
        ("camera.mp4", (*RED, *VIDEO_FIRST, *H264), 1),
    ],
)
def test_videos_of_few_frames_stay_videos(name: str, options: tuple[str, ...], frames: int, tmp_path: Path) -> None:
    video = inspected(make(tmp_path / name, *AUDIO, *options)).info.video
    assert video is not None
    assert video.frames == frames


def test_a_video_with_a_cover_stays_a_video(tmp_path: Path) -> None:
    second = ("-f", "lavfi", "-i", "testsrc2=d=1:s=80x60:r=10")
    both = ("-map", "1:v", "-map", "2:v", "-map", "0:a", "-c:v", "mjpeg")
    found = inspected(make(tmp_path / "a.mkv", *AUDIO, *RED, *second, *both))
    assert found.info.video is not None
    assert (found.info.width, found.info.height, found.covers, found.video_count) == (80, 60, (0,), 1)
