"""Images with pixels that are not square (faxes) come out with square ones: measured on a drawn square."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest
from conftest import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from support.pictures import VERSIONS, outputs, render
from support.repeatable import REPEATABLE

from mediactl.assets.document import Appearance
from mediactl.model.media import MediaInfo
from mediactl.outputs.image import Fit, ImageFormat, ImageOutput, ImageParams
from mediactl.planning.keys import key

FAX = CASES / "11-fax-tiff-204x98"
FITS: tuple[Fit, ...] = ("inside", "cover", "exact")
FORMATS = {"TIFF": ".tif", "PNG": ".png", "JPEG": ".jpg"}


def fax(across: float, down: float, width: int = 200, height: int = 120) -> Image.Image:
    """White, with a black box that is a square when pixels are 1/across wide and 1/down high: 40 % of the height."""
    image = Image.new("L", (width, height), 255)
    side = 0.4 * min(height / down, width / across)
    box = (round(side * across), round(side * down))
    left, top = (width - box[0]) // 2, (height - box[1]) // 2
    ImageDraw.Draw(image).rectangle((left, top, left + box[0] - 1, top + box[1] - 1), 0)
    return image


def box_of(image: Image.Image) -> tuple[int, int]:
    """Width and height of the black box."""
    box = image.convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()
    assert box is not None
    return box[2] - box[0], box[3] - box[1]


@contextmanager
def saved(image: Image.Image, format: str = "TIFF", **options: Any) -> Iterator[Path]:
    """The image as a file, with these options of Pillow."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"source{FORMATS[format]}"
        image.save(path, format, **options)
        yield path


def made(image: Image.Image, format: str, **options: Any) -> tuple[MediaInfo, Image.Image]:
    """What becomes of an image that is saved in a format: what probing finds, and a variant of its own size."""
    with saved(image, format, **options) as path:
        done = render(path)
        return done.info, done.only


def position_of(fit: str) -> Any:
    return "centre" if fit == "cover" else "attention"


def shape_of(thumbhash: str) -> float:
    """Width / height that a thumbhash says: its last header bits have the sides of its grid (Wheeler's format)."""
    data = base64.b64decode(thumbhash)
    header = int.from_bytes(data[3:5], "little")
    alpha, landscape = data[2] & 0x80, header & 0x8000
    long, short = (5 if alpha else 7), header & 7
    return long / short if landscape else short / long


def pixel_at(image: Image.Image, x: int, y: int) -> int:
    value = image.getpixel((x, y))
    assert isinstance(value, int)
    return value


@settings(REPEATABLE, max_examples=40)
@given(st.integers(60, 600), st.integers(60, 600), st.sampled_from(list(FORMATS)))
def test_a_drawn_square_is_square_for_any_density(across: int, down: int, format: str) -> None:
    picture = fax(across, down)
    info, image = made(picture, format, dpi=(across, down))
    shape = across / down
    if not 0.25 <= shape <= 4 or abs(shape - 1) < 0.02:
        assert image.size == picture.size and not info.anamorphic
        return
    assert image.size == (info.width, info.height) and info.anamorphic
    assert image.width / image.height == pytest.approx(picture.width / picture.height / shape, rel=0.01)
    assert max(image.width / picture.width, image.height / picture.height) > 1, "no pixels may be lost"
    width, height = box_of(image)
    assert width == pytest.approx(height, abs=3)


@settings(REPEATABLE, max_examples=40)
@given(st.integers(1, 8), st.sampled_from(list(FORMATS)), st.sampled_from([(204, 98), (100, 200)]))
def test_density_is_of_the_stored_axes_whatever_the_orientation(
    orientation: int, format: str, density: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = fax(*density)
    upright, _ = made(picture, format, dpi=density)
    info, image = made(picture, format, dpi=density, exif=exif)
    sides = (upright.width, upright.height)
    assert image.size == (info.width, info.height) == (sides if orientation < 5 else sides[::-1])
    width, height = box_of(image)
    assert width == pytest.approx(height, abs=3)


@pytest.mark.parametrize("unit", [2, 3, 1], ids=["inch", "centimetre", "none"])
def test_a_tiff_has_densities_in_every_unit(unit: int) -> None:
    _, image = made(fax(204, 98), "TIFF", tiffinfo={282: 204.0, 283: 98.0, 296: unit})
    assert image.size == (200, 250)


def with_jfif(image: Image.Image, unit: int, across: int, down: int, **options: Any) -> bytes:
    """A JPEG with this JFIF segment."""
    file = io.BytesIO()
    image.save(file, "JPEG", dpi=(300, 300), quality=95, **options)
    content = bytearray(file.getvalue())
    at = content.index(b"JFIF\0")
    content[at + 7 : at + 12] = bytes([unit]) + across.to_bytes(2) + down.to_bytes(2)
    return bytes(content)


def exif_of(across: float, down: float) -> Image.Exif:
    exif = Image.Exif()
    exif.update({0x011A: across, 0x011B: down, 0x0128: 2})
    return exif


@pytest.mark.parametrize(
    ("unit", "density", "exif", "height"),
    [
        (1, (204, 98), None, 250),
        (2, (204, 98), None, 250),
        (0, (2, 1), None, 120),  # a bare ratio, whose direction nobody knows
        (1, (72, 0), None, 120),
        (1, (0, 72), None, 120),
        (1, (1, 1), None, 120),
        (1, (65535, 72), None, 120),
        (7, (204, 98), None, 120),
        (1, (72, 73), None, 120),
        (1, (204, 98), exif_of(72, 72), 120),  # EXIF of a camera disagrees
        (1, (300, 300), exif_of(204, 98), 120),
        (1, (204, 98), exif_of(204, 98), 250),
        (1, (204, 98), exif_of(2, 1), 120),
    ],
)
def test_only_a_plausible_density_of_a_jpeg_counts(
    tmp_path: Path, unit: int, density: tuple[int, int], exif: Image.Exif | None, height: int
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_jfif(fax(204, 98), unit, *density, exif=exif or Image.Exif()))
    assert render(path, *outputs(400, format="png")).only.size == (200, height)


def test_a_camera_jpeg_without_jfif_has_square_pixels(tmp_path: Path) -> None:
    content = with_jfif(fax(204, 98), 1, 204, 98, exif=exif_of(204, 98))
    at = content.index(b"JFIF\0") - 4
    path = tmp_path / "a.jpg"
    path.write_bytes(content[:at] + content[at + 18 :])
    assert render(path, *outputs(400, format="png")).only.size == (200, 120)


@pytest.mark.parametrize("unit", [0, 1])
def test_the_ratio_of_a_png_counts_in_metres_alone(tmp_path: Path, unit: int) -> None:
    file = io.BytesIO()
    fax(204, 98).save(file, "PNG", dpi=(204, 98))
    content = file.getvalue()
    at = content.index(b"pHYs")
    chunk = content[at : at + 12] + bytes([unit])
    (tmp_path / "a.png").write_bytes(content[:at] + chunk + crc32(chunk).to_bytes(4) + content[at + 17 :])
    assert render(tmp_path / "a.png").only.size == (200, 250 if unit else 120)


def test_an_animation_has_square_pixels(tmp_path: Path) -> None:
    frames = [fax(204, 98), fax(204, 98).point(lambda value: 255 - value)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], dpi=(204, 98))
    assert render(tmp_path / "a.png", *outputs(400)).only.size == (200, 120)


@pytest.mark.parametrize(
    ("fit", "size"), [("inside", (84, 105)), ("cover", (120, 105)), ("exact", (120, 105))], ids=lambda value: str(value)
)
def test_crop_placeholder_and_density_of_outputs_agree_with_the_shown_size(fit: Fit, size: tuple[int, int]) -> None:
    formats: tuple[ImageFormat, ...] = ("png", "jpeg")
    for format in formats:
        wanted = ImageOutput(name="a", format=format, width=120, height=105, fit=fit, position=position_of(fit))
        with saved(fax(204, 98), dpi=(204, 98)) as path:
            done = render(path, wanted)
            image = done.only
        assert image.size == size
        width, height = box_of(image)
        if fit != "exact":
            assert width == pytest.approx(height, abs=2)
        # What is made must not say that its pixels are not square, or a viewer, and the next run, squeeze it again.
        across, down = image.info.get("dpi", (72, 72))
        assert across == down
        look = Appearance.parse(done.drafts.placeholder)
        assert shape_of(look.placeholder) == pytest.approx(200 / 250, abs=0.15)


def test_only_a_source_with_odd_pixels_has_other_keys() -> None:
    wanted = [ImageOutput(name=fit, width=50, height=50, fit=fit, position=position_of(fit)) for fit in FITS]
    square = MediaInfo("tiff", width=200, height=250)
    for output in wanted:
        plain = output.params(ImageParams, square)
        odd = output.params(ImageParams, msgspec.structs.replace(square, anamorphic=True))
        assert key("d", plain, VERSIONS) != key("d", odd, VERSIONS)
        assert "anamorphic" not in dict(plain.given())


@pytest.mark.parametrize("photometric", [0, 1], ids=["white-is-zero", "black-is-zero"])
@pytest.mark.parametrize("compression", ["group3", "group4"])
@pytest.mark.parametrize("density", [(204, 98), (204, 196), (204, 391)], ids=str)
def test_a_fax_is_black_on_white_with_square_pixels(
    tmp_path: Path, photometric: int, compression: str, density: tuple[int, int]
) -> None:
    page = fax(*density, 1728, 1083).convert("1")
    page.save(tmp_path / "a.tif", compression=compression, dpi=density, tiffinfo={262: photometric})
    image = render(tmp_path / "a.tif", *outputs(864, format="png")).only.convert("L")
    assert image.width / image.height == pytest.approx(1728 * density[1] / 1083 / density[0], rel=0.01)
    width, height = box_of(image)
    assert width == pytest.approx(height, abs=2)
    assert pixel_at(image, 10, 10) >= 250
    assert pixel_at(image, image.width // 2, image.height // 2) <= 5


@pytest.mark.skipif(not FAX.is_dir(), reason=f"no cases at {FAX} (MEDIACTL_CASES)")
@pytest.mark.parametrize("name", ["g3.tif", "g4-white-is-zero.tif", "g4-black-is-zero.tif", "jpeg-jfif-204x98.jpg"])
def test_the_given_faxes_are_shown_with_square_pixels(name: str, tmp_path: Path) -> None:
    done = render(FAX / name, *outputs(800, format="png"), folder=tmp_path)
    assert (done.info.width, done.info.height) == (1728, 2254)
    image = done.only.convert("L")
    assert image.width / image.height == pytest.approx(1728 / 2254, rel=0.01)
    if name != "g4-white-is-zero.tif":  # which is all black, by every decoder
        width, height = box_of(image.crop((0, 0, 400, 450)))  # beside it there is text
        assert width == pytest.approx(height, rel=0.02)
        assert pixel_at(image, 10, 10) >= 250
        assert pixel_at(image, 230, 290) <= 5
