"""Colours told by code points, and deep pictures: sRGB comes out, high dynamic range is brought down and told of."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from conftest import CORPUS
from PIL import Image
from support.pictures import display_p3, near, outputs, pixel, render

from mediactl.media.image import fallback
from mediactl.media.image.vips import pyvips

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (MEDIACTL_CORPUS names one)")
needs_jxl = pytest.mark.skipif(not fallback.has("pillow_jxl"), reason="the extra [jxl] is not installed")
P3, BT2020, SRGB_CURVE, PQ, HLG, LINEAR = 12, 9, 13, 16, 18, 8
TOLD = "HDR ({}) tone-mapped: variants are standard range"


def with_points(png: bytes, primaries: int, transfer: int) -> bytes:
    """A PNG with these code points in a cICP chunk."""
    body = b"cICP" + bytes((primaries, transfer, 0, 1))
    return png[:33] + (4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4) + png[33:]


def deep_png(path: Path, share: float, primaries: int, transfer: int) -> None:
    """A grey of this share of the largest number, 16 bits a channel."""
    value = round(share * 65535)
    picture = (pyvips.Image.black(20, 20, bands=3) + value).cast("ushort").copy(interpretation="rgb16")
    path.write_bytes(with_points(bytes(picture.pngsave_buffer()), primaries, transfer))


def pq(nits: float) -> float:
    """SMPTE ST 2084: light to its share of the largest number."""
    power = (nits / 10000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32))


def srgb(light: float) -> int:
    """IEC 61966-2-1: light from 0 to 1 to an 8-bit number."""
    return round(255 * (light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


def colour_of(path: Path) -> tuple[int, ...]:
    return pixel(render(path).only.convert("RGB"), 5, 5)


def test_p3_by_code_points_is_p3_by_profile(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (200, 120, 60)).save(tmp_path / "profile.png", icc_profile=display_p3())
    Image.new("RGB", (20, 20), (200, 120, 60)).save(tmp_path / "plain.png")
    (tmp_path / "points.png").write_bytes(with_points((tmp_path / "plain.png").read_bytes(), P3, SRGB_CURVE))
    wanted = colour_of(tmp_path / "profile.png")
    assert not near(wanted, (200, 120, 60), 3)
    assert near(colour_of(tmp_path / "points.png"), wanted, 1)


@pytest.mark.parametrize("primaries", [1, P3, BT2020])
def test_greys_are_the_same_in_every_gamut(tmp_path: Path, primaries: int) -> None:
    deep_png(tmp_path / "in.png", 0.5, primaries, SRGB_CURVE)
    assert near(colour_of(tmp_path / "in.png"), (128, 128, 128), 1)


def test_a_colour_outside_srgb_becomes_the_nearest_edge(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (0, 255, 0)).save(tmp_path / "in.png")
    (tmp_path / "in.png").write_bytes(with_points((tmp_path / "in.png").read_bytes(), BT2020, SRGB_CURVE))
    assert colour_of(tmp_path / "in.png") == (0, 255, 0)


def test_linear_light_is_given_its_curve(tmp_path: Path) -> None:
    deep_png(tmp_path / "in.png", 0.25, 1, LINEAR)
    assert near(colour_of(tmp_path / "in.png"), (srgb(0.25),) * 3, 1)


@pytest.mark.parametrize(("nits", "least", "most"), [
    (2, srgb(2 / 203) - 1, srgb(2 / 203) + 1),
    (50, srgb(50 / 203) - 1, srgb(50 / 203) + 1),  # darker than the knee: as it is
    (203, 215, 240),  # white of a page, a little darker, to leave room above
    (600, 240, 253),
    (1000, 254, 255),
    (10000, 255, 255),
])  # fmt: skip
def test_pq_keeps_what_is_dark_and_rolls_off_what_is_bright(tmp_path: Path, nits: float, least: int, most: int) -> None:
    deep_png(tmp_path / "in.png", pq(nits), BT2020, PQ)
    done = render(tmp_path / "in.png")
    found = pixel(done.only.convert("RGB"), 5, 5)
    assert least <= min(found) and max(found) <= most, found
    assert done.info.warnings == (TOLD.format("PQ"),)


def test_hlg_is_brought_to_standard_range_and_told(tmp_path: Path) -> None:
    found = []
    for name, share in (("black", 0.0), ("grey", 0.38), ("white", 0.75), ("peak", 1.0)):
        deep_png(tmp_path / f"{name}.png", share, BT2020, HLG)
        done = render(tmp_path / f"{name}.png")
        assert done.info.warnings == (TOLD.format("HLG"),)
        found.append(pixel(done.only.convert("RGB"), 5, 5)[1])
    # BT.2408: 38 % is a grey card (26 nits), 75 % white (203 nits).
    assert found[0] == 0 and found[3] >= 254
    assert abs(found[1] - srgb(26 / 203)) <= 3
    assert 215 <= found[2] <= 240


def test_transparency_stays_beside_code_points(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (200, 120, 60, 77)).save(tmp_path / "in.png")
    (tmp_path / "in.png").write_bytes(with_points((tmp_path / "in.png").read_bytes(), P3, SRGB_CURVE))
    found = pixel(render(tmp_path / "in.png").only.convert("RGBA"), 5, 5)
    assert found[3] == 77 and found[0] > 203


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_every_depth_keeps_its_colours(tmp_path: Path, bits: int) -> None:
    wide = pyvips.Image.black(64, 64).bandjoin([0, 0]).linear([1, 1, 1], [200 * 257, 100 * 257, 50 * 257])
    wide = wide.cast("ushort").copy(interpretation="rgb16")
    wide.heifsave(str(tmp_path / "in.avif"), compression="av1", Q=90, bitdepth=bits)
    assert near(colour_of(tmp_path / "in.avif"), (200, 100, 50), 3)


@pytest.mark.parametrize(("primaries", "transfer", "told"), [(P3, SRGB_CURVE, ()), (BT2020, PQ, (TOLD.format("PQ"),))])
def test_avif_is_read_by_its_code_points(tmp_path: Path, primaries: int, transfer: int, told: tuple[str, ...]) -> None:
    Image.new("RGB", (64, 64), (150, 110, 90)).save(tmp_path / "plain.avif", quality=95)
    data = (tmp_path / "plain.avif").read_bytes()
    at = data.index(b"colrnclx") + 8
    (tmp_path / "in.avif").write_bytes(data[:at] + primaries.to_bytes(2) + transfer.to_bytes(2) + data[at + 4 :])
    Image.new("RGB", (64, 64), (150, 110, 90)).save(tmp_path / "same.png")
    (tmp_path / "same.png").write_bytes(with_points((tmp_path / "same.png").read_bytes(), primaries, transfer))
    done = render(tmp_path / "in.avif")
    assert done.info.warnings == told
    assert near(
        pixel(done.only.convert("RGB"), 5, 5), colour_of(tmp_path / "same.png"), 8
    )  # a step of PQ is a large one
    assert not near(colour_of(tmp_path / "same.png"), (150, 110, 90), 3)


def test_an_avif_that_moves_gives_its_first_frame_and_tells(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((200, 30, 30), (30, 200, 30))]
    frames[0].save(tmp_path / "in.avif", save_all=True, append_images=frames[1:], quality=90)
    done = render(tmp_path / "in.avif")
    assert done.info.warnings == ("animation left out: only its first frame is used",)
    assert near(pixel(done.only.convert("RGB"), 5, 5), (200, 30, 30), 6)


def test_a_deep_hdr_heic_is_toned_down_with_all_its_bits(tmp_path: Path) -> None:
    import pillow_heif

    ramp = pyvips.Image.xyz(256, 64)[0].linear(pq(203) * 65535 / 255, 0).cast("ushort")
    pixels = bytes(ramp.bandjoin([ramp, ramp]).write_to_memory())
    deep = pillow_heif.from_bytes("RGB;16", (256, 64), pixels)
    deep.save(
        tmp_path / "in.heic", quality=95, chroma=444, color_primaries=BT2020, transfer_characteristics=PQ,
        matrix_coefficients=9, full_range_flag=1,
    )  # fmt: skip
    done = render(tmp_path / "in.heic")
    assert done.info.warnings == (TOLD.format("PQ"),)
    row = [pixel(done.only.convert("RGB"), x, 32)[1] for x in range(0, 256, 8)]
    assert row == sorted(row) and row[0] < 6 and 210 < row[-1] < 240, row


def test_a_turned_heic_is_turned_once(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    upright = Image.new("RGB", (64, 128), (250, 250, 250))
    upright.paste((200, 30, 30), (0, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    stored.info["exif"] = (
        exif.tobytes()
    )  # from here it is written as a turn of the container, beside EXIF's that says the same
    stored.save(tmp_path / "in.heic", quality=95)
    assert b"irot" in (tmp_path / "in.heic").read_bytes()
    done = render(tmp_path / "in.heic", *outputs(32, format="png"))
    assert (done.info.width, done.info.height) == (64, 128)
    assert near(pixel(done.only, 16, 4), (200, 30, 30), 8)
    assert near(pixel(done.only, 16, 60), (250, 250, 250), 8)


@needs_corpus
def test_heic_photos_are_upright_in_srgb_and_tell_their_camera(tmp_path: Path) -> None:
    phone = render(CORPUS / "photos" / "IMG_5195.HEIC", *outputs(400, format="png"), folder=tmp_path)
    assert (phone.info.width, phone.info.height) == (2566, 3313)
    assert phone.info.tags["camera"] == "Apple iPhone 11 Pro Max"
    other = render(CORPUS / "photos" / "HMD_Nokia_8.3_5G_hdr.heif", *outputs(400, format="png"), folder=tmp_path)
    assert other.only.size == (400, 300)
    # The sky is at the top of the one, red tiles are at the bottom of the other.
    assert pixel(phone.only, 200, 20)[2] > pixel(phone.only, 200, 20)[0]
    assert other.info.tags["taken"] == "2022-01-12T07:30:14"


@needs_jxl
@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_jpeg_xl_is_read(tmp_path: Path, container: bool, mode: str) -> None:
    import pillow_jxl  # noqa: F401

    source = Image.new("RGB", (90, 40), (200, 100, 50)).convert(mode)
    source.save(tmp_path / "in.jxl", quality=97, use_container=container)
    done = render(tmp_path / "in.jxl", *outputs(45, format="png"))
    assert (done.info.format, done.info.width, done.info.height) == ("jxl", 90, 40)
    assert done.info.alpha == (mode == "RGBA")
    assert near(pixel(done.only.convert("RGB"), 20, 10), pixel(source.convert("RGB"), 5, 5), 4)


@needs_jxl
def test_a_jpeg_xl_of_a_flood_of_pixels_is_not_even_opened(tmp_path: Path) -> None:
    # A size header alone: not small, 30 bits of height, ratio 1:1.
    bits = 0 | 3 << 1 | (200_000 - 1) << 3 | 1 << 33
    (tmp_path / "in.jxl").write_bytes(b"\xff\x0a" + bits.to_bytes(8, "little") + bytes(50))
    with pytest.raises(Exception, match="200000 x 200000 is 40,000,000,000 pixels"):
        render(tmp_path / "in.jxl")
