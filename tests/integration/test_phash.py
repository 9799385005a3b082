"""Perceptual hash and dominant colour, of real pixels."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mediactl.admin.duplicates import DISTANCE
from mediactl.assets.document import Appearance
from mediactl.media.image.fingerprint import appearance_of, fit
from mediactl.media.image.vips import pyvips

FAR = 16
"""Bits: strangers are further apart."""


def photo(path: Path, longest: int = 640) -> Any:
    with path.open("rb") as file:
        content = file.read()
    source = pyvips.Source.new_from_memory(content)
    whole = pyvips.Operation.call("jpegload_source", source).autorot().colourspace("srgb")
    return small(whole, longest)


def small(picture: Any, longest: int) -> Any:
    width, height = fit(picture.width, picture.height, longest)
    return picture.resize(width / picture.width, vscale=height / picture.height).copy_memory()


def bits(picture: Any) -> int:
    return int(appearance_of(picture).phash, 16)


def apart(one: Any, other: Any) -> int:
    return (bits(one) ^ bits(other)).bit_count()


def colour(*stripes: tuple[int, tuple[int, ...]]) -> str:
    """The dominant colour of a picture of plain stripes, each so many pixels wide."""
    parts = [pyvips.Image.black(width, 40, bands=3) + rgb for width, rgb in stripes]
    return appearance_of(_joined(parts)).colour


def _joined(parts: list[Any]) -> Any:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.join(part, "horizontal")
    return whole.cast("uchar").copy(interpretation="srgb").copy_memory()


def test_copies_of_a_photo_are_near_it_and_other_photos_far(corpus: Path) -> None:
    names = ["canon_hdr_NO", "jolla", "concert", "DSCN0029", "DSCN0042", "HMD_Nokia_8.3_5G"]
    photos = {name: photo(corpus / f"photos/{name}.jpg") for name in names}
    for name, whole in photos.items():
        side, top = whole.width // 100, whole.height // 100
        copies = {
            "shrunk": small(whole, 100),
            "saved again": pyvips.Image.new_from_buffer(whole.jpegsave_buffer(Q=30), "").copy_memory(),
            "brighter": (whole * 1.15 + 8).cast("uchar"),
            "darker": (whole * 0.8).cast("uchar"),
            "cut": whole.crop(side, top, whole.width - 2 * side, whole.height - 2 * top),
            "grey": whole.colourspace("b-w"),
        }
        for what, copy in copies.items():
            assert apart(whole, copy.copy_memory()) <= DISTANCE, f"{name} {what}"
    for one, other in combinations(names, 2):
        assert apart(photos[one], photos[other]) > FAR, f"{one} and {other}"


def test_a_photo_turned_by_its_exif_has_the_hash_of_the_upright_one(corpus: Path) -> None:
    folder = corpus / "photos/orientation"
    upright = photo(folder / "Landscape_1.jpg")
    for orientation in (3, 5, 6, 8):
        assert apart(upright, photo(folder / f"Landscape_{orientation}.jpg")) <= 2


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_plain_picture_has_no_hash(level: int) -> None:
    plain = (pyvips.Image.black(50, 30, bands=3) + level).cast("uchar").copy(interpretation="srgb")
    look = appearance_of(plain.copy_memory())
    assert look == Appearance(look.placeholder, "#" + 3 * f"{level:02x}", "")


def test_the_dominant_colour_is_the_commonest_not_the_mean() -> None:
    red, white, black = (200, 16, 24), (255, 255, 255), (0, 0, 0)
    assert colour((60, red), (50, white), (40, black)) == "#c81018"
    assert colour((40, red), (70, white)) == "#ffffff"


def test_shades_of_one_colour_count_together() -> None:
    blues = [(20, (30, 60, 140 + 6 * number)) for number in range(4)]
    found = colour((30, (250, 250, 250)), *blues)
    assert found.startswith("#1e3c")


def test_what_cannot_be_seen_has_no_colour() -> None:
    green = pyvips.Image.black(64, 64, bands=3).linear(1, [0, 200, 0])
    holes = (pyvips.Image.xyz(64, 64)[0] >= 16).ifthenelse(0, 255)
    picture = green.bandjoin(holes).cast("uchar").copy(interpretation="srgb").copy_memory()
    assert appearance_of(picture).colour == "#00c800"
    invisible = green.bandjoin(0).cast("uchar").copy(interpretation="srgb").copy_memory()
    assert appearance_of(invisible).colour == "#ffffff"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 900), (900, 1), (2, 3), (33, 31)])
def test_pictures_of_any_size_have_a_look(width: int, height: int) -> None:
    noise = pyvips.Image.gaussnoise(width, height, seed=1).cast("uchar").copy(interpretation="b-w")
    look = appearance_of(noise.copy_memory())
    assert look.placeholder and look.colour.startswith("#") and len(look.phash) in (0, 16)


def test_equal_pictures_have_equal_looks(corpus: Path) -> None:
    file = corpus / "photos/jolla.jpg"
    assert appearance_of(photo(file)) == appearance_of(photo(file))
