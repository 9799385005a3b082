"""What image files hold beside the image is reported as left out: moving parts, further images, depth maps."""

from __future__ import annotations

import functools
import io
import os
import tempfile
from pathlib import Path

import pytest
from conftest import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import films
from support.pictures import all_near, corners, quarters, render
from support.repeatable import REPEATABLE

from mediactl.media.image.container.parts import DEPTH_MAP, GAIN_MAP, left_out

SEF = b"SEFH\x6b\0\0\0\1\0\0\0\0\0\x30\x0a\x10\0\0\0\x10\0\0\0\x18\0\0\0SEFT"
"""Directory that Samsung's phones write behind everything."""
TRAILERS = [b"", b"\n", b"\0" * 40, SEF, b"LIVE_1234567", b"\xff\xd9"]
MARKS = [b"", b"MotionPhoto_Data", b"\0" * 24, b"\xff\xd8\xff\xd9"]
"""What comes before the clip."""
GAIN = b'<x:xmpmeta hdrgm:Version="1.0"/>'
DEPTH = b'<x:xmpmeta xmlns:depthData="http://ns.apple.com/depthData/1.0/"/>'
MATTE = b'<x:xmpmeta xmlns:m="http://ns.apple.com/portraitEffectsMatte/1.0/"/>'


@functools.cache
def clip(seconds: float, suffix: str = ".mp4") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        sound = ["-f", "lavfi", "-i", f"sine=d={seconds}"]
        films.make(path, "-f", "lavfi", "-i", f"testsrc2=s=64x48:r=20:d={seconds}", *sound)
        return path.read_bytes()


@functools.cache
def jpeg(progressive: bool = False, xmp: bytes = b"") -> bytes:
    file = io.BytesIO()
    more = {"xmp": xmp} if xmp else {}
    quarters().save(file, "JPEG", progressive=progressive, **more)
    return file.getvalue()


def reported(content: bytes, format: str, xmp: bytes = b"", images: int = 1) -> list[str]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return left_out(file.fileno(), format, xmp, images)


def with_index(*images: tuple[int, bytes], order: str = "little") -> bytes:
    """A JPEG with a Multi-Picture index of these types and XMP, and such images behind it."""
    first, behind = jpeg(), [jpeg(xmp=xmp) for _, xmp in images]

    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, "little" if order == "little" else "big")

    entries = (len(images) + 1) * 16
    length = 8 + 2 + 3 * 12 + 4 + entries  # of the index
    header = (b"II*\0" if order == "little" else b"MM\0*") + number(8) + number(3, 2)
    fields = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, number(len(images) + 1)), (0xB002, 7, entries, number(50))]
    index = header + b"".join(number(tag, 2) + number(kind, 2) + number(count) + value for tag, kind, count, value in
                              fields) + number(0)  # fmt: skip
    start = len(first) + 4 + 4 + length - 20 - 8  # of the second image, from the index
    index += number(0x20030000) + number(len(first)) + number(0) + bytes(4)
    at = start
    for (kind, _), content in zip(images, behind, strict=True):
        index += number(kind) + number(len(content)) + number(at) + bytes(4)
        at += len(content)
    assert len(index) == length
    segment = b"\xff\xe2" + (len(index) + 6).to_bytes(2) + b"MPF\0" + index
    return first[:20] + segment + first[20:] + b"".join(behind)


@settings(REPEATABLE, max_examples=40)
@given(
    st.sampled_from([0.4, 1.5, 2.0]),
    st.sampled_from(MARKS),
    st.sampled_from(TRAILERS),
    st.booleans(),
    st.sampled_from([".mp4", ".mov"]),
)
def test_a_clip_behind_a_jpeg_is_reported_with_its_length(
    seconds: float, mark: bytes, trailer: bytes, progressive: bool, suffix: str
) -> None:
    xmp = b'<GCamera:MotionPhoto="1"/>' if trailer == b"\xff\xd9" else b""
    content = jpeg(progressive) + mark + clip(seconds, suffix) + trailer
    assert reported(content, "jpeg", xmp) == [f"its moving part ({seconds:.1f} s) is left out"]


@settings(REPEATABLE, max_examples=40)
@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd9", b"\nftyp", b"\0\0\0\x18ftyp\0\0\0\0"]))
def test_other_bytes_behind_a_jpeg_are_no_moving_part(trailer: bytes, end: bytes) -> None:
    assert not any("moving part" in text for text in reported(jpeg() + trailer + end, "jpeg"))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_clip_that_is_cut_off_is_reported_all_the_same(part: float) -> None:
    (text,) = reported(jpeg() + clip(2.0)[: int(len(clip(2.0)) * part)], "jpeg")
    assert text == "its moving part is left out"


def test_a_clip_can_read_nothing_but_itself(tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip(2.0))
    # Its samples would be in another file: a data reference that is not "self-contained" (ISO/IEC 14496-12, 8.7.2).
    name = b"file:" + os.fsencode(other) + b"\0"
    url = b"\0\0\0\x0curl \0\0\0\1"
    content = clip(1.5)
    assert url in content
    outside = content.replace(url, (12 + len(name)).to_bytes(4) + b"url \0\0\0\0" + name)
    (text,) = reported(jpeg() + outside, "jpeg")
    assert text in ("its moving part is left out", "its moving part (1.5 s) is left out")


@settings(REPEATABLE, max_examples=40)
@given(
    st.sampled_from(["mpvd", "behind", "boxes"]), st.sampled_from([0.4, 1.5]), st.sampled_from(TRAILERS), st.booleans()
)
def test_a_clip_in_or_behind_the_boxes_of_a_heic_is_reported(
    kind: str, seconds: float, trailer: bytes, spare: bool
) -> None:
    image = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x10meta" + bytes(8) + b"\0\0\0\x10mdat" + bytes(8)
    image += b"\0\0\0\x08free" if spare else b""
    video = clip(seconds)
    behind = {"mpvd": (len(video) + 8).to_bytes(4) + b"mpvd" + video, "behind": b"MotionPhoto_Data" + video}
    content = image + behind.get(kind, video) + trailer
    assert reported(content, "heic") == [f"its moving part ({seconds:.1f} s) is left out"]
    assert reported(image + trailer, "heic") == []


TYPES = st.sampled_from([0, 0x020001, 0x020002, 0x020003])
"""Not said, panorama, stereo, multi-angle."""


@settings(REPEATABLE, max_examples=40)
@given(st.lists(TYPES, min_size=1, max_size=5), st.sampled_from(["little", "big"]), st.integers(0, 3))
def test_further_images_of_the_index_are_counted_without_previews(types: list[int], order: str, previews: int) -> None:
    content = with_index(*((kind, b"") for kind in types), *[(0x010001, b"")] * previews, order=order)
    number = len(types)
    assert reported(content, "jpeg") == [f"{number} image{'s' if number > 1 else ''} left out"]
    with Image.open(io.BytesIO(content)) as image:  # the index is one that Pillow reads
        assert getattr(image, "n_frames", 1) == 1 + number + previews


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        ([], []),
        ([(0x010002, b"")], []),
        ([(0, GAIN)], [GAIN_MAP]),
        ([(0, DEPTH)], [DEPTH_MAP]),
        ([(0, GAIN), (0, DEPTH)], [GAIN_MAP, DEPTH_MAP]),
        ([(0, MATTE), (0, GAIN)], [GAIN_MAP]),
        ([(0, GAIN), (0x020002, b"")], [GAIN_MAP, "1 image left out"]),
    ],
)
def test_gain_and_depth_maps_are_named_and_mattes_are_no_loss(
    images: list[tuple[int, bytes]], wanted: list[str]
) -> None:
    assert reported(with_index(*images), "jpeg") == wanted


@pytest.mark.parametrize("xmp", [b'<a GDepth:Format="RangeInverse"/>', b'<Container Item:Semantic="Depth"/>'])
def test_a_depth_map_that_xmp_announces_is_reported(xmp: bytes) -> None:
    assert reported(jpeg(), "jpeg", xmp) == [DEPTH_MAP]


def test_an_index_whose_images_were_removed_reports_none() -> None:
    content = with_index((0x020002, b""))
    assert reported(content[: -len(jpeg()) + 1], "jpeg") == ["1 image left out"]
    assert reported(content[: -len(jpeg())], "jpeg") == []


@pytest.mark.parametrize("at", range(0, 90, 3))
def test_a_damaged_index_costs_at_most_itself(at: int) -> None:
    content = bytearray(with_index((0x020002, b""), (0, DEPTH)))
    content[28 + at : 28 + at + 4] = b"\xff\xff\xff\xff"
    assert len(reported(bytes(content), "jpeg")) <= 2


def test_the_first_image_is_the_one_that_is_made(tmp_path: Path) -> None:
    other = io.BytesIO()
    Image.new("RGB", (120, 80), (1, 2, 3)).save(other, "JPEG")
    path = tmp_path / "a.MPO"
    Image.open(io.BytesIO(jpeg())).save(
        path, "MPO", save_all=True, append_images=[Image.open(other)], quality=95, subsampling=0
    )
    done = render(path)
    assert done.info.warnings == ("1 image left out",)
    assert all_near(corners(done.only), tuple(corners(quarters())), 8)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_images_beside_one_another_in_a_heic_are_counted(tmp_path: Path, number: int) -> None:
    import pillow_heif  # type: ignore[import-not-found, unused-ignore]

    pillow_heif.register_heif_opener()
    others = [Image.new("RGB", (64, 64), (each, 0, 0)) for each in range(number - 1)]
    quarters(64, 64).save(tmp_path / "a.heic", save_all=True, append_images=others, quality=90)
    done = render(tmp_path / "a.heic")
    wanted = {1: (), 2: ("1 image left out",), 4: ("3 images left out",)}
    assert done.info.warnings == wanted[number]
    assert all_near(corners(done.only), tuple(corners(quarters(64, 64))), 12)


def given_files() -> dict[str, str]:
    clips = ("03-jpeg-motion-photo/micro-video.jpg", "03-jpeg-motion-photo/no-marker.jpg",
             "03-jpeg-motion-photo/samsung-sef.jpg", "01-heic-samsung-trailer/motion-photo.heic")  # fmt: skip
    none = ("03-jpeg-motion-photo/still.jpg", "01-heic-samsung-trailer/plain.heic")
    pairs = ("10-mpo-stereo/DSCF0001.MPO", "10-mpo-stereo/phone-dual.jpg")
    return (
        dict.fromkeys(clips, "its moving part (1.5 s) is left out")
        | dict.fromkeys(none, "")
        | dict.fromkeys(pairs, "1 image left out")
    )


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")
@pytest.mark.parametrize(("name", "warning"), given_files().items())
def test_the_given_files_report_what_is_left_out(tmp_path: Path, name: str, warning: str) -> None:
    done = render(CASES / name, folder=tmp_path)
    assert done.info.warnings == ((warning,) if warning else ())
    assert done.only.size == (640, 480)
