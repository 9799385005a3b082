"""Images in, verified variants out: upright, correct colours, nothing private, never enlarged, never half an image."""

from __future__ import annotations

import base64
import io
import os
import random
import select
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CORPUS
from PIL import ExifTags, Image, ImageCms, ImageDraw
from PIL.TiffImagePlugin import IFDRational
from support.pictures import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    all_near,
    corners,
    display_p3,
    near,
    outputs,
    photo,
    pixel,
    quarters,
    reason,
    render,
)

from mediactl.assets.document import Appearance
from mediactl.core.errors import JobFailed, MediactlError
from mediactl.media.drafts import Drafts
from mediactl.media.image import fallback, load, save
from mediactl.media.image import render as image
from mediactl.media.image.colour import is_srgb
from mediactl.media.image.thumbhash import thumbhash
from mediactl.media.image.vips import pyvips
from mediactl.media.inspect import metadata
from mediactl.model.assets import Target
from mediactl.model.media import Kind, Limits
from mediactl.outputs.image import ImageFormat, ImageOutput, ImageParams
from mediactl.outputs.poster import PosterParams
from mediactl.sources.sniff import HEAD, sniff

# Geometry


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(tmp_path: Path, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters() if orientation == 1 else quarters().transpose(undo[orientation])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(tmp_path / "turned.jpg", quality=95, subsampling=0, exif=exif)
    done = render(tmp_path / "turned.jpg", *outputs(60, 1000, format="png"))
    assert (done.info.width, done.info.height) == (120, 80)
    for name, size in (("w60.png", (60, 40)), ("w1000.png", (120, 80))):
        assert done.open(name).size == size
        assert all_near(corners(done.open(name)), (RED, GREEN, BLUE, WHITE), 6)


def test_orientation_counts_in_other_formats_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for name in ("a.png", "a.webp", "a.tiff"):
        quarters().transpose(Image.Transpose.ROTATE_90).save(tmp_path / name, exif=exif, lossless=True)
        done = render(tmp_path / name)
        assert done.only.size == (120, 80), name
        assert all_near(corners(done.only), (RED, GREEN, BLUE, WHITE)), name


def test_nothing_is_ever_enlarged_and_equal_sizes_are_made_once(tmp_path: Path) -> None:
    photo(500, 300).save(tmp_path / "small.jpg")
    done = render(tmp_path / "small.jpg", *outputs(320, 800, 1600))
    assert [(draft.target.name, draft.width, draft.height) for draft in done.drafts.files] == [
        ("w800.webp", 500, 300),
        ("w320.webp", 320, 192),
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2000), (1999, 7)])
def test_odd_shapes_keep_at_least_one_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, GREEN).save(tmp_path / "thin.jpg", quality=95)
    done = render(tmp_path / "thin.jpg", *outputs(10, 300, format="png"))
    assert all(min(draft.width or 0, draft.height or 0) >= 1 for draft in done.drafts.files)
    assert near(pixel(done.open("w10.png").convert("RGB"), 0, 0), GREEN, 4)


@pytest.mark.parametrize("format", ["webp", "jpeg", "png", "avif"])
def test_each_format_holds_the_picture_at_exactly_its_size(tmp_path: Path, format: ImageFormat) -> None:
    quarters(400, 300).save(tmp_path / "in.png")
    done = render(tmp_path / "in.png", *outputs(201, format=format))
    assert done.only.size == (201, 151)
    assert done.only.format == format.upper()
    assert done.drafts.files[0].media_type == f"image/{format}"
    assert all_near(corners(done.only), (RED, GREEN, BLUE, WHITE), 6)


def test_small_variants_made_step_by_step_look_like_ones_made_at_once(tmp_path: Path) -> None:
    photo(2400, 1600).save(tmp_path / "in.jpg", quality=92)
    steps = render(tmp_path / "in.jpg", *outputs(1600, 800, 320, format="png")).open("w320.png")
    once = Image.open(tmp_path / "in.jpg").resize((320, 213), Image.Resampling.LANCZOS)
    difference = [abs(a - b) for a, b in zip(steps.convert("L").tobytes(), once.convert("L").tobytes(), strict=True)]
    assert sum(difference) / len(difference) < 1.5


# Colours


def test_display_p3_becomes_srgb(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (200, 120, 60)).save(tmp_path / "p3.png", icc_profile=display_p3())
    found = render(tmp_path / "p3.png").only
    # The same colour has larger differences in the smaller space: values by lcms2's own converter.
    reference = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), (200, 120, 60)),
        ImageCms.ImageCmsProfile(io.BytesIO(display_p3())),
        ImageCms.createProfile("sRGB"),
    )
    assert reference is not None
    wanted = pixel(reference, 0, 0)
    assert wanted != (200, 120, 60)
    assert near(pixel(found.convert("RGB"), 5, 5), wanted, 1)


def test_an_srgb_profile_is_known_by_its_numbers(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_srgb(srgb)
    assert not is_srgb(display_p3())
    assert not any(is_srgb(srgb[:size]) for size in range(0, 400, 7))
    Image.new("RGB", (40, 40), RED).save(tmp_path / "in.png", icc_profile=srgb)
    assert pixel(render(tmp_path / "in.png").only, 5, 5) == RED


@pytest.mark.parametrize("profile", [b"nonsense" * 40, display_p3()[:200]])
def test_a_broken_profile_costs_no_picture(tmp_path: Path, profile: bytes) -> None:
    Image.new("RGB", (40, 40), RED).save(tmp_path / "in.jpg", quality=95, icc_profile=profile)
    assert near(pixel(render(tmp_path / "in.jpg").only.convert("RGB"), 5, 5), RED, 4)


def test_cmyk_without_a_profile_is_close_to_its_inks(tmp_path: Path) -> None:
    inks = Image.new("CMYK", (60, 20))
    for left, ink in ((0, (0, 255, 255, 0)), (20, (255, 0, 255, 0)), (40, (0, 0, 0, 0))):
        inks.paste(ink, (left, 0, left + 20, 20))
    inks.save(tmp_path / "inks.jpg", quality=98)
    done = render(tmp_path / "inks.jpg", *outputs(30, format="jpeg"))
    red, green, white = (pixel(done.only, x, 5) for x in (4, 14, 26))
    assert done.only.mode == "RGB"
    assert red[0] > 180 and max(red[1:]) < 90, red
    assert green[1] > 120 and green[1] > 2 * green[0], green
    assert min(white) > 245, white


def test_sixteen_bits_keep_their_colours(tmp_path: Path) -> None:
    wide = pyvips.Image.black(50, 50).bandjoin([0, 0]).linear([1, 1, 1], [200 * 257, 100 * 257, 50 * 257])
    wide = wide.cast("ushort").copy(interpretation="rgb16")
    for name in ("in.png", "in.tiff"):
        wide.write_to_file(str(tmp_path / name))
        assert near(pixel(render(tmp_path / name).only, 9, 9), (200, 100, 50), 1), name


@pytest.mark.parametrize("format", ["webp", "avif", "png"])
def test_grey_with_alpha_keeps_both(tmp_path: Path, format: ImageFormat) -> None:
    picture = Image.new("LA", (100, 100), (200, 255))
    picture.paste((90, 0), (0, 0, 50, 100))
    picture.save(tmp_path / "in.png")
    done = render(tmp_path / "in.png", *outputs(50, format=format))
    found = done.only.convert("RGBA")
    assert done.info.alpha
    assert near(pixel(found, 40, 25), (200, 200, 200, 255), 3)
    assert pixel(found, 5, 25)[3] < 3


def test_what_is_hidden_under_transparency_does_not_bleed(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (90, 90), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (45, 0, 90, 90))
    picture.save(tmp_path / "in.png")
    found = render(tmp_path / "in.png", *outputs(31, format="png")).only
    seen = [pixel(found, x, 15) for x in range(31)]
    assert all(pixel[3] < 8 or pixel[0] < 12 for pixel in seen), seen


def test_jpeg_variants_of_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (60, 60), (0, 0, 0, 0)).save(tmp_path / "in.png")
    assert near(pixel(render(tmp_path / "in.png", *outputs(30, format="jpeg")).only.convert("RGB"), 9, 9), (255,) * 3)


# What must not be in it


@pytest.mark.parametrize("format", ["webp", "jpeg", "png", "avif"])
def test_no_variant_holds_exif_places_or_profiles(tmp_path: Path, format: ImageFormat) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRETMAKER"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    photo(300, 200).save(tmp_path / "in.jpg", exif=exif, icc_profile=display_p3(), comment=b"SECRETWORDS")
    done = render(tmp_path / "in.jpg", *outputs(150, format=format))
    found = done.only
    assert dict(found.getexif()) == {}
    assert found.info.keys().isdisjoint({"exif", "icc_profile", "xmp", "comment", "photoshop"})
    assert b"SECRET" not in Path(os.fsdecode(done.drafts.files[0].file)).read_bytes()
    assert done.info.tags == {"camera": "SECRETMAKER"}


def test_equal_sources_give_equal_bytes_whatever_is_missing(tmp_path: Path) -> None:
    photo(900, 600).save(tmp_path / "in.jpg")
    wanted = (
        *outputs(600, 300),
        ImageOutput(name="j", format="jpeg", width=450),
        ImageOutput(name="a", format="avif", width=200),
    )
    whole = render(tmp_path / "in.jpg", *wanted, folder=tmp_path / "one")
    for target in (draft.target for draft in whole.drafts.files):
        names = {target.name}
        alone = render(
            tmp_path / "in.jpg", *wanted, missing=lambda each, names=names: each.name in names, folder=tmp_path / "two"
        )
        assert [draft.target for draft in alone.drafts.files] == [target]
        name = f"tmp-{target.name}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert alone.drafts.placeholder == whole.drafts.placeholder
    nothing = render(tmp_path / "in.jpg", *wanted, missing=lambda _: False)
    assert nothing.drafts == Drafts((), whole.drafts.placeholder)


@pytest.mark.parametrize("name", ["-rf.jpg", "%03d.jpg", "a[page=2].jpg", "x\ny.jpg", "http:e.jpg", b"\xff\xfe.jpg"])
def test_names_mean_nothing(tmp_path: Path, name: str | bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    quarters().save(tmp_path / "plain.jpg", quality=95)
    (tmp_path / "plain.jpg").rename(path)
    assert all_near(corners(render(path, folder=tmp_path).only), (RED, GREEN, BLUE, WHITE), 5)


# Animation


def frames_of(picture: Image.Image) -> int:
    return getattr(picture, "n_frames", 1)


def moving(count: int = 6) -> list[Image.Image]:
    frames = []
    for number in range(count):
        frame = Image.new("RGB", (120, 90), WHITE)
        ImageDraw.Draw(frame).rectangle((number * 15, 20, number * 15 + 30, 70), RED)
        frames.append(frame)
    return frames


@pytest.mark.parametrize("name", ["in.gif", "in.webp", "in.png"])
def test_animations_stay_animations(tmp_path: Path, name: str) -> None:
    first, *others = moving()
    first.save(
        tmp_path / name,
        save_all=True,
        append_images=others,
        duration=[80, 120, 80, 200, 80, 140],
        loop=0,
        lossless=True,
    )
    done = render(tmp_path / name, *outputs(60, 1000))
    assert done.info.frames == 6
    assert not done.drafts.warnings
    for variant, size in (("w60.webp", (60, 45)), ("w1000.webp", (120, 90))):
        found = done.open(variant)
        assert (frames_of(found), found.size, found.info["loop"]) == (6, size, 0)
        times = []
        for number in range(6):
            frame = done.open(variant)
            frame.seek(number)
            frame.load()
            times.append(frame.info["duration"] if number else 80)  # Pillow forgets that of the first
            scale = size[0] / 120
            inside = pixel(frame.convert("RGB"), int((number * 15 + 15) * scale), int(45 * scale))
            outside = pixel(frame.convert("RGB"), int(((number * 15 + 75) % 120) * scale), int(45 * scale))
            assert near(inside, RED, 12), (variant, number, inside)
            assert near(outside, WHITE, 12), (variant, number, outside)
        assert times == [80, 120, 80, 200, 80, 140]


def test_formats_that_stand_still_take_the_first_frame_and_tell(tmp_path: Path) -> None:
    first, *others = moving()
    first.save(tmp_path / "in.gif", save_all=True, append_images=others, duration=100)
    done = render(tmp_path / "in.gif", ImageOutput(name="j", format="jpeg"), ImageOutput(name="m"))
    assert done.open("j.jpg").size == (120, 90)
    assert near(pixel(done.open("j.jpg"), 15, 45), RED, 12)
    assert frames_of(done.open("m.webp")) == 6
    assert {draft.target.name: draft.duration for draft in done.drafts.files} == {"j.jpg": None, "m.webp": 0.6}
    assert done.drafts.warnings == ("animation left out of j.jpg: only its first frame is used",)


def test_a_picture_of_pages_gives_its_first_and_tells(tmp_path: Path) -> None:
    first, *others = moving(3)
    first.save(tmp_path / "in.tiff", save_all=True, append_images=others)
    done = render(tmp_path / "in.tiff", *outputs(60))
    assert (done.info.frames, done.info.warnings) == (1, ("2 of 3 pages left out",))
    assert frames_of(done.only) == 1


def test_the_second_picture_of_an_hdr_photo_is_told_of(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description hdrgm:Version="1.0"/></x:xmpmeta>'
    quarters().save(tmp_path / "in.jpg", xmp=xmp)
    assert render(tmp_path / "in.jpg").info.warnings == ("HDR gain map left out: variants are standard range",)


# Tags


def test_tags_tell_who_when_and_with_what_but_never_where(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.update({
        ExifTags.Base.Make: "NIKON CORPORATION", ExifTags.Base.Model: "NIKON D70", ExifTags.Base.Artist: "Zo??",
        ExifTags.Base.Copyright: "me\0you", ExifTags.Base.ImageDescription: "line\none\x1b[31m" + "x" * 900,
        ExifTags.Base.Software: "???evil",
    })  # fmt: skip
    exif.get_ifd(ExifTags.IFD.Exif).update({
        ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09", ExifTags.Base.OffsetTimeOriginal: "+02:00",
        ExifTags.Base.ExposureTime: IFDRational(1, 125), ExifTags.Base.FNumber: IFDRational(28, 10),
        ExifTags.Base.ISOSpeedRatings: 400, ExifTags.Base.FocalLength: IFDRational(50, 1),
        ExifTags.Base.LensModel: "50mm f/1.8", ExifTags.Base.MakerNote: b"serial 12345",
        ExifTags.Base.BodySerialNumber: "12345",
    })  # fmt: skip
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.0)})
    # Pillow writes ASCII only; cameras and people do not.
    block = exif.tobytes().replace(b"Zo??", "Zoë".encode()).replace(b"???evil", "\u202eevil".encode())
    wanted = {
        "camera": "NIKON D70",
        "lens": "50mm f/1.8",
        "taken": "2024-05-06T07:08:09+02:00",
        "exposure": "1/125 s",
        "aperture": "f/2.8",
        "iso": "400",
        "focal_length": "50 mm",
        "artist": "Zoë",
        "copyright": "me you",
        "description": ("line one[31m" + "x" * 900)[: metadata.MAX_TEXT],
        "software": "evil",
    }
    for name in ("in.jpg", "in.webp", "in.png", "in.avif"):
        quarters().save(tmp_path / name, exif=block)
        assert render(tmp_path / name).info.tags == wanted, name
    quarters().save(tmp_path / "in.tiff", exif=exif)  # Pillow writes the first directory only
    assert render(tmp_path / "in.tiff").info.tags == {
        **{key: value for key, value in wanted.items() if key in ("camera", "copyright", "description")},
        "artist": "Zo??",
        "software": "???evil",
    }


def test_broken_exif_never_costs_more_than_the_tag_it_is_in() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:13:99 07:08:09"
    block = exif.tobytes()
    assert metadata.tags(block) == {"camera": "Maker"}
    for size in range(len(block)):
        assert set(metadata.tags(block[:size])) <= {"camera"}
    for at in range(len(block)):
        metadata.tags(block[:at] + b"\xff" + block[at + 1 :])


# Broken and hostile files


@pytest.mark.parametrize(
    "name", ["in.jpg", "in.png", "in.webp", "in.gif", "in.tiff", "in.avif", "in.jp2", "in.bmp", "in.ppm"]
)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_half_a_file_is_no_picture(tmp_path: Path, name: str, share: float) -> None:
    photo(320, 200).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    assert render(tmp_path / name, *outputs(50)).only.size == (50, 31)
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    assert "truncated" in reason(tmp_path / name)


@pytest.mark.parametrize("name", ["in.gif", "in.webp", "in.png"])
def test_half_an_animation_is_none(tmp_path: Path, name: str) -> None:
    first, *others = [photo(100, 60, seed) for seed in range(8)]
    first.save(tmp_path / name, save_all=True, append_images=others, duration=100)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 6 // 10])
    assert "truncated" in reason(tmp_path / name)


def test_a_progressive_photo_and_trailing_bytes_are_fine(tmp_path: Path) -> None:
    photo(320, 200).save(tmp_path / "in.jpg", progressive=True)
    with (tmp_path / "in.jpg").open("ab") as file:
        file.write(b"\0" * 1000)
    assert render(tmp_path / "in.jpg", *outputs(50)).only.size == (50, 31)


def test_odd_bytes_between_the_markers_are_done_and_told_of(tmp_path: Path) -> None:
    photo(320, 200).save(tmp_path / "in.jpg")
    whole = (tmp_path / "in.jpg").read_bytes()
    at = whole.index(b"\xff\xdb")
    (tmp_path / "in.jpg").write_bytes(whole[:at] + b"junk" + whole[at:])
    done = render(tmp_path / "in.jpg", *outputs(50))
    assert done.only.size == (50, 31)
    assert [warning.split(":")[0] for warning in done.drafts.warnings] == ["may be partly damaged"]


def flood(width: int, height: int) -> bytes:
    """A PNG that promises a flood of pixels in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_a_pixel_flood_is_refused_from_its_header(tmp_path: Path) -> None:
    (tmp_path / "flood.png").write_bytes(flood(50_000, 40_000))
    begin = time.process_time()
    text = reason(tmp_path / "flood.png")
    assert text == "is too large: 50000 x 40000 is 2,000,000,000 pixels, the recipe allows 300,000,000 (limits.pixels)"
    assert time.process_time() - begin < 1


def test_limits_are_those_of_the_recipe_and_named_by_their_keys(tmp_path: Path) -> None:
    photo(200, 100).save(tmp_path / "in.jpg")
    photo(200, 100).save(tmp_path / "in.jp2")
    first, *others = moving()
    first.save(tmp_path / "in.gif", save_all=True, append_images=others)
    first.save(tmp_path / "a.png", save_all=True, append_images=others)
    assert render(tmp_path / "in.jpg", *outputs(50), limits=Limits(pixels=20_000)).only.size == (50, 25)
    assert "limits.pixels" in reason(tmp_path / "in.jpg", limits=Limits(pixels=19_999))
    assert "limits.pixels" in reason(tmp_path / "in.jp2", limits=Limits(pixels=19_999))
    for name in ("in.gif", "a.png"):
        assert "6 frames" in reason(tmp_path / name, limits=Limits(frames=5))
        assert "limits.animation_pixels" in reason(tmp_path / name, limits=Limits(animation_pixels=64_000))


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"DDS |\0\0\0", "DDS"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW"),
    ],
)
def test_what_is_not_read_is_refused_by_name_with_a_way_out(tmp_path: Path, head: bytes, wanted: str) -> None:
    (tmp_path / "in").write_bytes(head + bytes(100))
    text = reason(tmp_path / "in")
    assert wanted in text
    assert "export" in text or "convert" in text


def test_a_raw_photo_is_not_taken_for_its_preview(tmp_path: Path) -> None:
    small = Image.new("RGB", (160, 120), RED)
    small.save(tmp_path / "in.tiff", tiffinfo={50706: b"\1\4\0\0"})
    assert "RAW" in reason(tmp_path / "in.tiff")


def test_what_needs_an_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "find_spec", lambda _: None)
    (tmp_path / "in").write_bytes(b"\xff\x0a\0\0" + bytes(50))
    text = reason(tmp_path / "in")
    assert "JPEG XL requires the extra jxl: " in text
    assert "install" in text and "pillow-jxl-plugin" in text and "convert it" in text


def test_one_format_dressed_as_another_is_never_guessed_at(tmp_path: Path) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='9' height='9'/></svg>"
    for magic in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a\x09\0\x09\0\0\0\0", b"II*\0", b"RIFF\0\0\0\0WEBP"):
        (tmp_path / "in").write_bytes(magic + svg)
        reason(tmp_path / "in")
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_buffer(svg, "")


# Writing


def test_a_full_disk_is_no_fault_of_the_picture(tmp_path: Path) -> None:
    photo(320, 200).save(tmp_path / "in.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tmp-w50.webp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"."):
        render(tmp_path / "in.jpg", *outputs(50), folder=tmp_path / "out")


def test_what_was_written_is_looked_at_again(tmp_path: Path) -> None:
    params = ImageParams(format="jpeg", width=50, height=40, quality=80, effort=0, animated=False)
    target = Target("w50.jpg", "variant", params, "key")
    file = os.fsencode(tmp_path / "w50.jpg")
    right, wrong, other = io.BytesIO(), io.BytesIO(), io.BytesIO()
    photo(50, 40).save(right, "JPEG")
    photo(51, 40).save(wrong, "JPEG")
    photo(50, 40).save(other, "PNG")
    save.save(right.getvalue(), target, params, file)
    for data in (wrong.getvalue(), other.getvalue(), right.getvalue()[:-20], b""):
        with pytest.raises(JobFailed, match=r"w50\.jpg: invalid output"):
            save.save(data, target, params, file)
        assert not os.path.exists(file)


def test_a_poster_is_made_of_a_frame(tmp_path: Path) -> None:
    quarters(640, 480).save(tmp_path / "frame.png")
    params = PosterParams(format="webp", width=320, height=240, quality=80, effort=2, animated=False)
    target = Target("poster.webp", "poster", params, "key")
    draft = image.encode_still(os.fsencode(tmp_path / "frame.png"), target, os.fsencode(tmp_path / "poster"))
    assert (draft.width, draft.height, draft.media_type) == (320, 240, "image/webp")
    with Image.open(tmp_path / "poster") as poster:
        assert all_near(corners(poster), (RED, GREEN, BLUE, WHITE), 6)
    look = Appearance.parse(image.placeholder_of(os.fsencode(tmp_path / "frame.png")))
    assert len(base64.b64decode(look.placeholder)) > 15


# Placeholder


def test_the_thumbhash_tells_colour_and_shape(tmp_path: Path) -> None:
    for name, picture, landscape in (
        ("wide.png", Image.new("RGB", (200, 100), (200, 100, 50)), True),
        ("tall.png", Image.new("RGB", (100, 200), (200, 100, 50)), False),
    ):
        picture.save(tmp_path / name)
        code = base64.b64decode(render(tmp_path / name, *outputs(64)).drafts.placeholder)
        head = int.from_bytes(code[:5], "little")
        lightness, p, q = head & 63, head >> 6 & 63, head >> 12 & 63
        light, p_, q_ = lightness / 63, p / 31.5 - 1, q / 31.5 - 1
        blue = light - 2 / 3 * p_
        red = (3 * light - blue + q_) / 2
        green = red - q_
        assert near((round(red * 255), round(green * 255), round(blue * 255)), (200, 100, 50), 10)
        assert not head >> 23 & 1  # opaque
        assert bool(head >> 39) is landscape


def test_the_thumbhash_of_a_known_picture_is_the_reference_implementations() -> None:
    clear = random.Random(7).randbytes(32 * 24 * 4)
    opaque = bytearray(clear)
    opaque[3::4] = b"\xff" * (32 * 24)
    assert base64.b64encode(thumbhash(32, 24, bytes(opaque))) == b"H/gBDYBPc1u0ZYardLtBo59pJyP3"
    assert base64.b64encode(thumbhash(32, 24, clear)) == b"H/iBDIAHj5SVZIql9nyXMnRfh1qVB6uJBw=="


def test_a_known_placeholder_is_not_made_again(tmp_path: Path) -> None:
    quarters().save(tmp_path / "in.png")
    assert render(tmp_path / "in.png", placeholder="known").drafts.placeholder == ""


# Real files


def corpus(folder: str) -> list[Path]:
    return sorted(path for path in (CORPUS / folder).rglob("*") if path.is_file()) if CORPUS.is_dir() else []


needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (MEDIACTL_CORPUS names one)")

WORKER = """
import os, sys
from pathlib import Path
from support import pictures as t
for line in sys.stdin:
    path, folder = map(Path, eval(line))
    os.chdir(folder)
    try:
        done = t.render(path, *t.outputs(320, 1600), folder=folder)
    except t.RejectedInput as error:
        print("rejected", error, flush=True)
    else:
        for draft in done.drafts.files:
            done.open(draft.target.name)
        print("done", len(done.drafts.files), flush=True)
"""


class Renderer:
    """A process that renders one file after the other, as the workers of the pool do, and that a crash would end."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, path: Path, folder: Path) -> str:
        """Render a file; what became of it."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{(str(path), str(folder))!r}\n")
        process.stdin.flush()
        answered = bool(select.select([process.stdout], [], [], 60)[0])
        told = process.stdout.readline() if answered else ""
        if not told:
            self.end()
        assert answered, "nothing came of it within 60 s"
        assert told, (process.returncode, self.log.read_text(errors="replace")[-2000:])
        return told.strip()

    def _start(self) -> subprocess.Popen[str]:
        root = Path(__file__).resolve().parents[2]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", WORKER],
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests")))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def end(self) -> None:
        """Leave no process behind; the next file is another one's."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    """One for all hostile pictures, as long as it lives."""
    found = Renderer(tmp_path_factory.mktemp("renderer") / "log")
    yield found
    found.end()


def is_image(path: Path) -> bool:
    with path.open("rb") as file:
        found = sniff(file.read(HEAD), os.fsencode(path.name))
    return found is not None and found[0] is Kind.IMAGE and found[1] != "unknown"


@needs_corpus
@pytest.mark.parametrize("path", [path for path in corpus("hostile") if is_image(path)], ids=lambda path: path.name)
def test_every_hostile_picture_is_done_or_refused(tmp_path: Path, renderer: Renderer, path: Path) -> None:
    assert renderer(path, tmp_path).split(" ")[0] in ("done", "rejected")


@needs_corpus
@pytest.mark.parametrize("path", corpus("photos"), ids=lambda path: path.name)
def test_every_photo_gives_its_variants_upright(tmp_path: Path, path: Path) -> None:
    done = render(path, *outputs(320, 1600, format="jpeg"), folder=tmp_path)
    with Image.open(path) as original:
        turned = original.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        assert (done.info.width, done.info.height) == (original.size[::-1] if turned else original.size)
    small = done.open("w320.jpg")
    assert (small.width, small.height) == (320, round((done.info.height or 0) * 320 / (done.info.width or 1)))
    assert not any("GPS" in tag.upper() for tag in done.info.tags)
    if path.parent.name == "orientation":
        reference = path.parent / f"{path.stem[:-1]}1.jpg"
        with Image.open(reference) as upright:
            a, b = small.convert("L").resize((32, 32)), upright.convert("L").resize((32, 32))
        assert sum(abs(x - y) for x, y in zip(a.tobytes(), b.tobytes(), strict=True)) / 1024 < 6


@needs_corpus
@pytest.mark.parametrize(
    ("name", "point", "wanted"),
    [
        ("p3.png", (0.5, 0.5), (255, 0, 0)),
        ("prophoto.png", (0.5, 0.5), (117, 160, 210)),
        ("Flag_of_the_Netherlands-16bit.png", (0.5, 0.1), (174, 28, 40)),
        ("Channel_digital_image_CMYK_color.jpg", (0.001, 0.001), (195, 211, 237)),
        ("relax.jp2", (0.001, 0.001), (43, 50, 42)),
    ],
)
def test_colours_are_those_that_lcms_and_pillow_give(
    tmp_path: Path, name: str, point: tuple[float, float], wanted: tuple[int, int, int]
) -> None:
    found = render(CORPUS / "images" / name, folder=tmp_path).only.convert("RGB")
    at = (int(found.width * point[0]), int(found.height * point[1]))
    assert near(pixel(found, *at), wanted, 2)


@needs_corpus
@pytest.mark.parametrize("path", corpus("images"), ids=lambda path: path.name)
def test_every_other_picture_gives_its_variants_too(tmp_path: Path, path: Path) -> None:
    if path.suffix == ".svg":
        assert "SVG" in reason(path, folder=tmp_path)
        return
    done = render(path, *outputs(320), folder=tmp_path)
    assert done.only.width == min(320, done.info.width or 0)
    assert done.info.alpha == (path.name in ALPHA)
    assert done.info.frames == FRAMES.get(path.name, 1)


ALPHA = {
    "16-bit-grey-alpha.png", "5_webp_a.webp", "alpha-premultiply-1024x768-paper.png", "animated-loop-3.webp",
    "grey-plus-alpha.gif", "p3.png", "rotating-squares.gif",
}  # fmt: skip
FRAMES = {"animated-loop-3.webp": 10, "big-height.webp": 97, "rotating-squares.gif": 30}


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    photo(300, 200).save(tmp_path / "in.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "in.jpg").read_bytes()[:3000])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        render(tmp_path / "in.jpg", *outputs(100, 50))
        with pytest.raises(MediactlError):
            render(tmp_path / "cut.jpg", *outputs(100, 50))
    assert len(os.listdir("/proc/self/fd")) <= before


def test_large_files_are_read_through_their_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(900, 600).save(tmp_path / "in.jpg")
    wanted = outputs(300, 100)
    render(tmp_path / "in.jpg", *wanted, folder=tmp_path / "one")
    monkeypatch.setattr(load, "READ_WHOLE", 1000)
    render(tmp_path / "in.jpg", *wanted, folder=tmp_path / "two")
    for name in ("tmp-w300.webp", "tmp-w100.webp"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# Odd shapes and broken parts


def png(width: int, height: int, colours: int, bits: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG made by hand, chunk by chunk."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + bytes((bits, colours, 0, 0, 0))
    chunks = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("name", ["in.png", "in.tiff", "in.bmp"])
@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000), (65_535, 2), (2, 65_535), (1, 1)])
def test_the_longest_and_the_smallest_pictures_are_done(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    Image.new("RGB", size, GREEN).save(tmp_path / name)
    wanted = [ImageOutput(name=format, format=format, width=16_000) for format in FORMATS]
    done = render(tmp_path / name, *wanted, ImageOutput(name="box", width=50, height=50, fit="cover"))
    assert {draft.target.name for draft in done.drafts.files} >= {"webp.webp", "jpeg.jpg", "png.png", "avif.avif"}
    for draft in done.drafts.files:
        found = done.open(draft.target.name)
        assert found.size == (draft.width, draft.height)
        assert near(pixel(found.convert("RGB"), 0, 0), GREEN, 6)


FORMATS: tuple[ImageFormat, ...] = ("webp", "jpeg", "png", "avif")
PALETTE = (b"PLTE", bytes((10, 20, 30)) * 4)


@pytest.mark.parametrize(
    ("colours", "bits", "row", "more"),
    [
        (3, 8, bytes((0, 1, 2, 3) * 2), (PALETTE, (b"tRNS", bytes(9)))),
        (3, 8, bytes((0, 1, 2, 3) * 2), ((b"tRNS", bytes(2)), PALETTE)),
        (3, 8, bytes([200] * 8), (PALETTE,)),
        (4, 16, bytes((128, 0, 255, 255) * 8), ()),
        (2, 8, bytes(24), ((b"iCCP", b"x\0\0" + zlib.compress(bytes(8_000_000))),)),
    ],
    ids=["long transparency", "transparency first", "colours that are not there", "16-bit", "huge profile"],
)  # fmt: skip
def test_a_png_with_odd_parts_is_done(
    tmp_path: Path, colours: int, bits: int, row: bytes, more: tuple[tuple[bytes, bytes], ...]
) -> None:
    (tmp_path / "in.png").write_bytes(png(8, 8, colours, bits, (b"\0" + row) * 8, *more))
    assert render(tmp_path / "in.png", *outputs(4)).only.size == (4, 4)


@pytest.mark.parametrize(
    "data",
    [png(0, 0, 2, 8, b""), png(0, 5, 2, 8, b""), png(8, 8, 3, 8, bytes(72)), b"\xff\xd8\xff", b"GIF89a" + bytes(7)],
    ids=["no sides", "no width", "no palette", "JPEG of no picture", "GIF of no size"],
)
def test_what_has_no_picture_in_it_is_rejected(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "in").write_bytes(data)
    assert "damaged" in reason(tmp_path / "in")
