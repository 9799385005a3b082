"""Bytes behind the last box of a HEIC or AVIF are no sign of truncation; a box that ends early is."""

from __future__ import annotations

import os
import tempfile
from io import BytesIO

import pytest
from conftest import CASES
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.repeatable import REPEATABLE

from mediactl.core.errors import RejectedInput
from mediactl.media.image import load, vips
from mediactl.media.image.container.structure import boxes_are_cut
from mediactl.model.media import Limits

SEF = (
    b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000"
    b"SEFH\x6b\0\0\0\x01\0\0\0\0\0\x01\x0a\x23\0\0\0\x23\0\0\0\x18\0\0\0SEFT"
)
"""What Samsung's phones write behind a photo."""
TRAILERS = [
    b"\n",
    b"\r\n",
    b"<!-- cached -->\n",
    b"\0" * 512,
    SEF,
    b"\xff" * 9,
    b"\0\0\0\x40",
    b"\x7f\xff\xff\xffABCD more",
]


def avif() -> bytes:
    """A small AVIF with a gradient."""
    made: bytes = vips.pyvips.Image.xyz(64, 48).extract_band(0).cast("uchar").write_to_buffer(".avif", Q=60)
    return made


def is_cut(content: bytes) -> bool:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return boxes_are_cut(file.fileno())


def pixels(content: bytes, format: str) -> bytes:
    """The decoded pixels, after all checks. Raises RejectedInput."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        header = load.header(file.fileno(), format, Limits())
        image = load.still(content, format, header.width, header.height, Limits(), lambda _: None)
        return bytes(image.write_to_memory())


def box(kind: bytes, size: int) -> bytes:
    return (size + 8).to_bytes(4) + kind + b"\x11" * size


BOXES = st.lists(
    st.builds(box, st.sampled_from([b"meta", b"mdat", b"free", b"uuid", b"moov"]), st.integers(0, 60)),
    min_size=1,
    max_size=4,
)


@REPEATABLE
@given(BOXES, st.one_of(st.sampled_from(TRAILERS), st.binary(max_size=40)))
def test_no_trailer_makes_an_image_truncated(boxes: list[bytes], trailer: bytes) -> None:
    assert not is_cut(box(b"ftyp", 16) + b"".join(boxes) + trailer)


@REPEATABLE
@given(BOXES, st.data())
def test_an_image_that_ends_inside_a_box_is_truncated(boxes: list[bytes], data: st.DataObject) -> None:
    whole = box(b"ftyp", 16) + b"".join(boxes)
    last = len(boxes[-1])
    left = data.draw(st.integers(8, last - 1)) if last > 8 else 0
    assert is_cut(whole[: len(whole) - last + left]) == (last > 8)


@pytest.mark.parametrize("trailer", TRAILERS)
def test_the_pixels_of_an_avif_with_a_trailer_are_those_without(trailer: bytes) -> None:
    plain = avif()
    assert pixels(plain + trailer, "avif") == pixels(plain, "avif")


@pytest.mark.parametrize("missing", [1, 10, 50])
def test_an_avif_without_its_end_is_rejected(missing: int) -> None:
    with pytest.raises(RejectedInput, match="truncated"):
        pixels(avif()[:-missing], "avif")


@pytest.mark.parametrize("trailer", TRAILERS)
def test_the_pixels_of_a_heic_with_a_trailer_are_those_without(trailer: bytes) -> None:
    import pillow_heif  # type: ignore[import-not-found, unused-ignore]

    pillow_heif.register_heif_opener()
    file = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "HEIF", quality=80)
    plain = file.getvalue()
    assert pixels(plain + trailer, "heic") == pixels(plain, "heic")
    with pytest.raises(RejectedInput, match="truncated"):
        pixels(plain[:-20], "heic")


def given_files() -> list[str]:
    return [
        f"{folder}/{name}"
        for folder in ("01-heic-samsung-trailer", "02-avif-trailing-bytes")
        if (CASES / folder).is_dir()
        for name in sorted(os.listdir(CASES / folder))
    ]


@pytest.mark.skipif(not given_files(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")
@pytest.mark.parametrize("name", given_files())
def test_the_given_files_with_trailers_have_the_pixels_of_the_plain_one(name: str) -> None:
    path = CASES / name
    format = path.suffix[1:]
    plain = path.with_name("plain" + path.suffix)
    assert pixels(path.read_bytes(), format) == pixels(plain.read_bytes(), format)
