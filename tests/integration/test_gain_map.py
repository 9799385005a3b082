"""Photos that hold a second picture for HDR screens: made of the first, and told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CORPUS
from support.pictures import outputs, quarters, render

from mediactl.media.image.container.parts import GAIN_MAP, left_out
from mediactl.media.image.vips import pyvips

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (MEDIACTL_CORPUS names one)")


@needs_corpus
def test_an_ultra_hdr_photo_is_done_in_standard_range_and_tells(tmp_path: Path) -> None:
    done = render(CORPUS / "photos" / "gain-map.jpg", *outputs(320, format="jpeg"), folder=tmp_path)
    assert done.info.warnings == (GAIN_MAP,)
    made = (tmp_path / "tmp-w320.jpg").read_bytes()
    assert b"hdrgm" not in made and made.count(b"\xff\xd8\xff") == 1
    # The base picture, as libvips' own reader of Ultra HDR has it.
    base = pyvips.Image.jpegload(str(CORPUS / "photos" / "gain-map.jpg")).icc_transform("srgb")
    small = base.resize(320 / base.width).avg()
    assert pyvips.Image.jpegload_buffer(made).avg() == pytest.approx(small, abs=1.5)


def test_apples_gain_map_in_a_heic_is_told_of(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    quarters(128, 96).save(tmp_path / "plain.heic", quality=90)
    assert render(tmp_path / "plain.heic").info.warnings == ()
    # An auxiliary picture's type is a box of the description; a free box with the name in it stands for it.
    data = (tmp_path / "plain.heic").read_bytes()
    at = int.from_bytes(data[:4])
    name = b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
    assert data[at + 4 : at + 8] == b"meta"
    size = int.from_bytes(data[at : at + 4])
    box = (8 + len(name)).to_bytes(4) + b"free" + name
    # The places in the description are counted from the start of the file, so the new box comes after all else in it
    # and the file is only looked at, not decoded.
    fd_file = tmp_path / "mapped.heic"
    fd_file.write_bytes(data[:at] + (size + len(box)).to_bytes(4) + data[at + 4 : at + size] + box + data[at + size :])
    with fd_file.open("rb") as file:
        assert left_out(file.fileno(), "heic", b"", 1) == [GAIN_MAP]
