"""Crops by the container and frames of changing sizes: what is shown has the right shape in every output."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import CASES
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops
from support.films import inspected, make
from support.looks import Looks
from support.sample_entries import put

from mediactl.media.ffmpeg import binary
from mediactl.media.inspect.frames import side_data
from mediactl.media.inspect.frames.side_data import Crop
from mediactl.model.media import Treatment

needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")
QUICK = ("-c:v", "libx264", "-preset", "ultrafast")
SEEN = "drawbox=x=20:y=10:w=120:h=80:color=red:t=fill,drawbox=x=60:y=30:w=40:h=40:color=white:t=fill"
"""A white square of 40 pixels in a red rectangle, of 160 x 120 pixels of which the rest is green."""
APERTURE = struct.pack(">IIIIiIiI", 120, 1, 80, 1, 0, 1, -10, 1)
"""The red rectangle as a clap box."""
CHANGE = "the frames change their shape midway: bars were added to those unlike the first"


def aperture(path: Path, *more: str) -> Path:
    """A MOV whose clean aperture is the red rectangle."""
    source = ("-f", "lavfi", "-i", f"color=lime:s=160x120:r=10:d=1,format=yuv420p,{SEEN}")
    return put(make(path, *source, *QUICK, *more), b"clap", APERTURE)


def box_of(image: Image.Image, name: str = "white") -> tuple[int, int]:
    """Width and height of the white square, or of what is not black."""
    red, green, blue = image.split()
    band = blue if name == "white" else ImageChops.lighter(ImageChops.lighter(red, green), blue)
    left, top, right, bottom = band.point(lambda value: 255 * (value > 110)).getbbox() or (0, 0, 0, 0)
    return right - left, bottom - top


def green_in(image: Image.Image) -> int:
    """Number of pixels of the part that is not to be seen."""
    red, green, _ = image.split()
    seen = green.point(lambda value: 255 * (value > 150)), red.point(lambda value: 255 * (value < 100))
    return ImageChops.darker(*seen).histogram()[255]


@pytest.mark.parametrize("container", ["mov", "mp4", "mkv", "turned"])
def test_what_a_container_crops_is_in_no_output(container: str, tmp_path: Path) -> None:
    source = aperture(tmp_path / ("source.mp4" if container == "mp4" else "source.mov"))
    if container == "mkv":
        source = make(tmp_path / "source.mkv", "-i", str(source), "-c", "copy")
    turned = container == "turned"
    if turned:
        source = make(tmp_path / "turned.mov", "-display_rotation", "90", "-i", str(source), "-c", "copy")
        put(source, b"clap", APERTURE)
    looks = Looks(source)
    size = (80, 120) if turned else (120, 80)
    assert (looks.info.width, looks.info.height, looks.warnings) == (*size, ())
    for name, image in looks.of_all().items():
        assert image.size == size, name
        assert green_in(image) == 0, name
        assert all(abs(side - 40) <= 1 for side in box_of(image)), name


def test_a_crop_by_matroska_fills_the_size_it_is_displayed_in(tmp_path: Path) -> None:
    """RFC 9559, 5.1.4.1.28.12: the display size is that of the cropped frame."""
    source = aperture(tmp_path / "a.mov", "-vf", "setsar=2/1")
    make(tmp_path / "b.mkv", "-i", str(source), "-c", "copy", "-aspect", "3")
    looks = Looks(tmp_path / "b.mkv", only_video=True)
    [frame, *_] = looks.frames()
    assert frame.size == (looks.info.width, looks.info.height)
    assert green_in(frame) == 0
    width, height = box_of(frame)
    assert width / height == pytest.approx(frame.width / frame.height * 80 / 120, rel=0.06)


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 2)),
    st.tuples(st.integers(1, 150), st.integers(1, 2)),
    st.tuples(st.integers(-50, 50), st.integers(1, 3)),
    st.tuples(st.integers(-40, 40), st.integers(1, 3)),
)
def test_a_clean_aperture_is_read_as_by_ffmpeg(
    tmp_path: Path, width: tuple[int, int], height: tuple[int, int], right: tuple[int, int], down: tuple[int, int]
) -> None:
    source = ("-f", "lavfi", "-i", "color=gray:s=160x120:r=10:d=0.1,format=gbrp")
    path = make(tmp_path / "a.mov", *source, "-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0")
    put(path, b"clap", struct.pack(">IIIIiIiI", *width, *height, *right, *down))
    still = tmp_path / "a.png"
    subprocess.run([binary.find(), "-v", "error", "-y", "-i", str(path), "-frames:v", "1", str(still)], check=True)
    found = inspected(path).info
    with Image.open(still) as image:
        assume(min(image.size) > 1)
        assert (found.width, found.height) == image.size


@pytest.mark.parametrize("junk", [b"", b"\0" * 32, b"\xff" * 32, APERTURE[:20]])
def test_a_malformed_aperture_crops_nothing(junk: bytes, tmp_path: Path) -> None:
    path = put(aperture(tmp_path / "a.mov"), b"clap", junk)
    assert (inspected(path).info.width, inspected(path).info.height) == (160, 120)


def test_a_crop_that_leaves_nothing_is_ignored() -> None:
    assert Crop(80, 80, 0, 0).size(160, 90) == (160, 90)
    assert side_data.clean_aperture(struct.pack(">IIIIiIiI", 161, 1, 90, 1, 0, 1, 0, 1), 160, 90) == Crop()


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A cropped video in each container, by libav's name of it."""
    folder = tmp_path_factory.mktemp("containers")
    source = aperture(folder / "a.mov")
    return {
        "mov": source.read_bytes(),
        "matroska": make(folder / "a.mkv", "-i", str(source), "-c", "copy").read_bytes(),
    }


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["mov", "matroska"]),
    st.lists(st.tuples(st.integers(0, 1500), st.sampled_from([0, 1, 8, 0x7F, 0xFF])), max_size=12),
    st.integers(0, 1500),
)
def test_a_damaged_container_raises_nothing(
    tmp_path: Path, containers: dict[str, bytes], kind: str, damage: list[tuple[int, int]], cut: int
) -> None:
    """Of an MP4 the index is damaged, which is at the end; of Matroska the head."""
    data = bytearray(containers[kind])
    for at, value in damage:
        data[-at if kind == "mov" else at] = value
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data[: len(data) - cut])
    stream = SimpleNamespace(id=1, type="video")
    container = SimpleNamespace(format=SimpleNamespace(name=kind), streams=[stream])
    with damaged.open("rb") as file:
        assert isinstance(side_data.read(file.fileno(), container, stream), side_data.SideData)


def part(path: Path, size: str, *encoder: str) -> Path:
    """Half a second with a tone; "160x120/2" has pixels twice as wide as high."""
    size, _, pixels = size.partition("/")
    picture = f"testsrc2=s={size}:r=20:d=0.5,setsar={pixels or 1}"
    tone = ("-f", "lavfi", "-i", "sine=440:d=0.5")
    return make(
        path, "-f", "lavfi", "-i", picture, *tone, *encoder, "-c:a", "libopus" if "vp9" in encoder[1] else "aac"
    )


CODECS = {
    "h264.ts": QUICK,
    "mpeg2.ts": ("-c:v", "mpeg2video", "-q:v", "3"),
    "hevc.ts": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
    "mpeg4.ts": ("-c:v", "mpeg4", "-q:v", "3"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "mjpeg.mkv": ("-c:v", "mjpeg", "-q:v", "3"),
}


def joined(folder: Path, name: str, *sizes: str) -> Path:
    """Parts of these sizes, one after another, without new parameters in the container."""
    suffix = Path(name).suffix
    parts = [part(folder / f"{number}{suffix}", size, *CODECS[name]) for number, size in enumerate(sizes)]
    (folder / "list.txt").write_text("".join(f"file '{each}'\n" for each in parts))
    return make(folder / name, "-f", "concat", "-safe", "0", "-i", str(folder / "list.txt"), "-c", "copy")


@pytest.mark.parametrize("name", CODECS)
def test_frames_that_change_their_shape_get_bars(name: str, tmp_path: Path) -> None:
    looks = Looks(joined(tmp_path, name, "160x90", "90x160"), only_video=name != "vp9.webm")
    assert looks.info.video
    assert [(each.width, each.height) for each in looks.info.video.shapes] == [(160, 90), (90, 160)]
    assert looks.info.treatment == (Treatment.LETTERBOXED,)
    assert looks.warnings == (CHANGE,)
    frames = looks.frames()
    assert {frame.size for frame in frames} == {(160, 90)}
    assert len(frames) >= 18
    # 90 x 160 fits into 90 lines as 50.6 x 90.
    assert box_of(frames[2], "bright")[0] >= 158
    for frame in frames[-3:]:
        width, height = box_of(frame, "bright")
        assert abs(width - 50) <= 3 and height >= 87, (width, height)
    assert frames[-4].tobytes() != frames[-1].tobytes()
    if name == "vp9.webm":
        assert abs(box_of(looks.tiles()[1], "bright")[0] - 50) <= 3
        widths = [box_of(image, "bright")[0] for image in looks.previews()]
        assert widths[0] >= 158 and abs(widths[-1] - 50) <= 3, widths


def test_pixels_of_another_shape_are_taken_into_account(tmp_path: Path) -> None:
    """For ffmpeg, a stream has one aspect ratio of pixels: here it is that of frames of one size alone."""
    looks = Looks(joined(tmp_path, "h264.ts", "80x90/2", "160x90", "90x160"), only_video=True)
    frames = looks.frames()
    assert looks.warnings == (CHANGE,)
    assert {frame.size for frame in frames} == {(160, 90)} and len(frames) >= 27
    assert box_of(frames[2], "bright")[0] >= 158 and box_of(frames[14], "bright")[0] >= 158
    assert abs(box_of(frames[-2], "bright")[0] - 50) <= 3


def test_what_cannot_be_corrected_is_reported(tmp_path: Path) -> None:
    looks = Looks(joined(tmp_path, "h264.ts", "120x90/1", "120x90/2"), only_video=True)
    assert looks.info.treatment == ()
    assert looks.warnings == ("the aspect ratio changes midway, the size does not: the first is kept",)


@pytest.mark.parametrize("name", ["h264.ts", "mpeg2.ts", "vp9.webm"])
def test_frames_of_another_size_and_the_same_shape_are_scaled_in_silence(name: str, tmp_path: Path) -> None:
    looks = Looks(joined(tmp_path, name, "160x96", "80x48", "160x96"), only_video=True)
    assert looks.info.video
    assert (len(looks.info.video.shapes), looks.info.treatment) == (2, ())
    # MPEG-2 loses what refers to frames before a joint, and that is reported.
    assert set(looks.warnings) <= {"the video has 28 of 30 frames in its outputs"}
    frames = looks.frames()
    assert {frame.size for frame in frames} == {(160, 96)} and len(frames) >= 28
    assert all(box_of(frame, "bright")[0] >= 156 for frame in frames)


def test_a_video_of_one_size_is_planned_as_ever(tmp_path: Path) -> None:
    info = inspected(joined(tmp_path, "h264.ts", "160x90", "160x90")).info
    assert info.video
    assert (info.video.shapes, info.treatment) == ((), ())


@needs_cases
@pytest.mark.parametrize(
    ("case", "size", "square"),
    [
        ("24-mkv-cropped-by-container/crop-with-display-size.mkv", (640, 272), (40, 40)),
        ("24-mkv-cropped-by-container/crop-left-right.mkv", (640, 360), (53, 40)),
        ("24-mkv-cropped-by-container/not-cropped.mp4", (640, 360), (40, 40)),
        ("extra/clap/clap.mov", (640, 272), (40, 40)),
    ],
)
def test_given_crops(case: str, size: tuple[int, int], square: tuple[int, int], tmp_path: Path) -> None:
    source = tmp_path / os.path.basename(case)
    source.write_bytes((CASES / case).read_bytes())
    looks = Looks(source)
    assert (looks.info.width, looks.info.height) == size
    for name, image in looks.of_all().items():
        assert abs(image.width / image.height - size[0] / size[1]) < 0.02, name
        if image.width == size[0]:
            middle = image.crop((size[0] // 2 - 60, size[1] // 2 - 60, size[0] // 2 + 60, size[1] // 2 + 60))
            found = middle.convert("L").point(lambda value: 255 * (value > 200)).getbbox() or (0, 0, 0, 0)
            assert abs(found[2] - found[0] - square[0]) <= 1 and abs(found[3] - found[1] - square[1]) <= 1, name


@needs_cases
@pytest.mark.parametrize(
    ("case", "frames", "warnings"),
    [("turned-by-webrtc.mkv", 100, (CHANGE,)), ("landscape.ts", 150, ()), ("landscape-avc3.mp4", 150, ())],
)
def test_given_changes_of_size(case: str, frames: int, warnings: tuple[str, ...], tmp_path: Path) -> None:
    source = tmp_path / case
    source.write_bytes((CASES / "30-size-changes-midway" / case).read_bytes())
    looks = Looks(source, only_video=True)
    found = looks.frames()
    assert looks.warnings == warnings
    assert len(found) == frames and len({frame.size for frame in found}) == 1
    assert found[70].tobytes() != found[71].tobytes()
    wide = box_of(found[-1], "bright")[0] / found[-1].width
    assert wide < 0.35 if warnings else wide > 0.97
