"""Damaged images are rejected with the cause, unsupported kinds of a format by their name."""

from __future__ import annotations

import functools
import io
import re
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from conftest import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pictures import outputs, photo, render
from support.repeatable import REPEATABLE

from mediactl.core.errors import RejectedInput
from mediactl.media.image.container import damage
from mediactl.media.image.vips import pyvips
from mediactl.model import formats

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp", "HEIF": "heic"}
OF_LIBRARIES = re.compile(
    r"libpng|bogus|vips|not configured|not implemented|scanline|unable to|Unspecified|\(\d+\.\d+\)|load error", re.I
)
"""What people who are not developers of the libraries do not understand."""


@functools.cache
def saved(format: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    image = photo(64, 48)
    image = image.quantize(32) if mode == "P" else image.convert(mode)
    image.save(file, format, **options)
    return file.getvalue()


def reason(content: bytes, suffix: str) -> str:
    """Why it is rejected; "" when it is done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        path.write_bytes(content)
        try:
            render(path, *outputs(32))
        except RejectedInput as rejected:
            text = str(rejected)
            assert text.startswith("is ") and "\n" not in text and not OF_LIBRARIES.search(text), text
            return text
    return ""


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def png(*chunks: bytes, header: bytes = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)


PIXELS = bytes(48 * (1 + 64 * 3))
END = chunk(b"IEND", b"")
PALETTE = struct.pack(">IIBBBBB", 64, 48, 8, 3, 0, 0, 0)
HEADER = "is damaged: its header has an invalid bit depth"


@settings(REPEATABLE, max_examples=40)
@given(st.data())
def test_a_changed_byte_of_a_png_is_reported_as_a_crc_that_does_not_match(data: st.DataObject) -> None:
    content = saved("PNG")
    at, size = content.index(b"IDAT"), int.from_bytes(content[content.index(b"IDAT") - 4 :][:4])
    place = data.draw(st.integers(at + 4, at + 4 + size + 3))  # in the data or the CRC itself
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    text = reason(bytes(changed), "png")
    assert text == f"is damaged: the CRC of its chunk IDAT at byte {at - 4} does not match"


@settings(REPEATABLE, max_examples=40)
@given(st.integers(12, len(saved("PNG")) - 20))
def test_a_png_that_ends_early_is_truncated(size: int) -> None:
    assert reason(saved("PNG")[:size], "png").startswith("is truncated: it ends ")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (png(END), "is damaged: it contains no pixels (chunk IDAT)"),
        (png(chunk(b"IDAT", zlib.compress(PIXELS[:5000])), END), "is damaged: its compressed pixels end early"),
        (png(chunk(b"IDAT", bytes(99)), END), "is damaged: its compressed pixels are invalid (zlib)"),
        (png(chunk(b"IDAT", zlib.compress(b"\x09" + PIXELS)), END), "is damaged: its pixels cannot be decoded"),
        (png(b"\xff\xff\xff\xffIDAT" + PIXELS), "is damaged: its chunk at byte 33 is invalid"),
        (png(header=struct.pack(">IIBBBBB", 0, 48, 8, 2, 0, 0, 0)), "is damaged: its width or height is 0"),
        (png(header=struct.pack(">IIBBBBB", 64, 48, 3, 2, 0, 0, 0)), f"{HEADER} (3) or colour type (2)"),
        (png(header=struct.pack(">IIBBBBB", 64, 48, 8, 5, 0, 0, 0)), f"{HEADER} (8) or colour type (5)"),
        (
            png(chunk(b"IDAT", zlib.compress(bytes(48 * 65))), END, header=PALETTE),
            "is damaged: its palette (chunk PLTE) is missing",
        ),
    ],
)
def test_a_damaged_png_is_rejected_with_its_cause(content: bytes, wanted: str) -> None:
    assert reason(content, "png") == wanted


@pytest.mark.parametrize("kind", [b"fdAT", b"IDAT"])
def test_a_changed_frame_of_an_animated_png_is_reported_by_its_crc(kind: bytes) -> None:
    file = io.BytesIO()
    photo(64, 48).save(file, "PNG", save_all=True, append_images=[photo(64, 48, seed=7)], duration=100)
    content = bytearray(file.getvalue())
    content[content.index(kind) + 300] ^= 255
    assert f"the CRC of its chunk {kind.decode()} at byte" in reason(bytes(content), "png")


@pytest.mark.parametrize("kind", [b"tEXt", b"tIME", b"iCCP", b"vpAg"])
def test_a_crc_of_what_is_not_needed_costs_nothing(kind: bytes) -> None:
    extra = bytearray(chunk(kind, b"\x07\xe8\1\1\1\1\1"))
    extra[-1] ^= 255
    assert reason(png(bytes(extra), chunk(b"IDAT", zlib.compress(PIXELS)), END), "png") == ""


@pytest.mark.parametrize(
    ("format", "options", "part"),
    [
        ("JPEG", {}, 0.5), ("JPEG", {"progressive": True}, 0.5), ("JPEG", {}, 0.1), ("WEBP", {}, 0.5),
        ("WEBP", {"lossless": True}, 0.5), ("WEBP", {}, 0.02), ("GIF", {"mode": "P"}, 0.5), ("BMP", {}, 0.5),
        ("BMP", {}, 0.004), ("TIFF", {}, 0.5),
    ],
)  # fmt: skip
def test_a_file_that_ends_early_is_truncated(format: str, options: dict[str, Any], part: float) -> None:
    content = saved(format, **options)
    assert reason(content[: int(len(content) * part)], SUFFIXES[format]).startswith("is truncated")


@pytest.mark.parametrize(
    ("format", "start", "fill", "wanted"),
    [
        ("WEBP", 23, b"\0\0\0", "is damaged: its header is invalid"),
        ("GIF", 1200, b"\xff" * 90, "is damaged: the compressed pixels of a frame are invalid"),
    ],
)
def test_other_damage_is_rejected_with_its_cause(format: str, start: int, fill: bytes, wanted: str) -> None:
    content = saved(format, mode="P") if format == "GIF" else saved(format)
    assert reason(content[:start] + fill + content[start + len(fill) :], SUFFIXES[format]) == wanted


@pytest.mark.parametrize("length", [2**50, 2**62, 2**63 - 10, 2**64 - 1])
def test_a_jpeg_2000_whose_box_is_longer_than_any_file_is_damaged(length: int) -> None:
    head = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
    # File systems refuse to go there: no error of the machine.
    assert "damaged" in reason(head + struct.pack(">I4sQ", 1, b"free", length) + bytes(64), ".jp2")


@pytest.mark.parametrize(
    ("compression", "wanted"),
    [("tiff_lzw", "pixels are invalid"), ("tiff_deflate", "pixels are invalid")],
)
def test_a_tiff_of_invalid_pixels_is_rejected_with_its_cause(compression: str, wanted: str) -> None:
    content = saved("TIFF", compression=compression)
    assert wanted in reason(content[:8] + b"\xff" * 200 + content[208:], "tif")


@pytest.mark.parametrize(
    ("marker", "wanted"),
    [
        (b"\xff\xc4", "is damaged: its Huffman tables or its compressed pixels are invalid"),
        (b"\xff\xdb", "is damaged: a quantization table is missing"),
    ],
)
def test_a_jpeg_without_valid_tables_is_rejected_with_its_cause(marker: bytes, wanted: str) -> None:
    content = bytearray(saved("JPEG"))
    at = content.index(marker)
    if marker == b"\xff\xc4":
        content[at + 5 : at + 21] = b"\xff" * 16
    else:
        while (at := content.find(marker)) >= 0:
            content[at + 1] = 0xEF  # an application segment
    assert reason(bytes(content), "jpg") == wanted


def test_what_libvips_adds_after_the_cause_does_not_hide_it() -> None:
    """Another thread asks a loader that has failed for more rows: libvips says so in a line after the cause."""
    lines = "VipsJpeg: Quantization table 0x00 was not defined\njpegload_source: load error\n"
    failed = pyvips.Error("unable to call VipsCopyMemory", lines)
    assert str(damage.rejection(failed, saved("JPEG"), "jpeg")) == "is damaged: a quantization table is missing"


def with_frame(marker: int, depth: int = 8, height: int = 48) -> bytes:
    """A JPEG whose frame header says another process, depth or height."""
    content = bytearray(saved("JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = marker, depth
    content[at + 5 : at + 7] = height.to_bytes(2)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (with_frame(0xC1, 12), "is a 12-bit JPEG"),
        (with_frame(0xC3), "is a lossless JPEG"),
        (with_frame(0xC3, 12), "is a lossless JPEG of more than 8 bits"),
        *((with_frame(marker), "is a hierarchical JPEG") for marker in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)),
        (with_frame(0xF7), "is JPEG-LS"),
        (with_frame(0xC0, height=0)[:-2] + b"\xff\xdc\0\4\0\x30\xff\xd9", "is a JPEG whose height follows its pixels"),
    ],
)
def test_a_process_of_jpeg_that_is_not_read_is_named(content: bytes, wanted: str) -> None:
    text = reason(content, "jpg")
    assert text.startswith(wanted) and text.endswith(formats.UNSUPPORTED)


def test_a_height_of_zero_alone_is_damage() -> None:
    assert reason(with_frame(0xC0, height=0), "jpg") == "is damaged: its width or height is 0"


def tiff(compression: int, order: str = "<", bits: int = 8, big: bool = False, sample_format: int = 1) -> bytes:
    """A grey TIFF of 64 x 48 whose pixels are zeros, whatever its tags say."""
    pixels = bytes(64 * 48 * max(1, bits // 8))
    count, entry, wide = (8, 20, "Q") if big else (2, 12, "I")
    directory = 16 if big else 8
    values = {256: 64, 257: 48, 258: bits, 259: compression, 262: 1, 273: 0, 277: 1, 278: 48, 279: len(pixels),
              339: sample_format}  # fmt: skip
    values[273] = directory + count + entry * len(values) + (8 if big else 4)
    body = b""
    for tag, value in values.items():
        short = tag not in (273, 279)
        packed = struct.pack(order + ("H" if short else "I"), value).ljust(8 if big else 4, b"\0")
        body += struct.pack(order + "HH" + wide, tag, 3 if short else 4, 1) + packed
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    number = struct.pack(order + ("Q" if big else "H"), len(values))
    return mark + head + number + body + bytes(8 if big else 4) + pixels


@settings(REPEATABLE, max_examples=40)
@given(st.sampled_from(sorted(formats.TIFF_COMPRESSIONS)), st.sampled_from("<>"), st.booleans())
def test_a_compression_of_tiff_that_is_not_read_is_named(compression: int, order: str, big: bool) -> None:
    name = formats.TIFF_COMPRESSIONS[compression]
    assert reason(tiff(compression, order, big=big), "tif") == f"is a TIFF with {name} compression{formats.UNSUPPORTED}"


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_other_kinds_of_tiff_are_read_or_named(order: str, big: bool) -> None:
    assert reason(tiff(1, order, big=big), "tif") == ""
    assert reason(tiff(12345, order, big=big), "tif").startswith("is a TIFF with compression 12345, which")
    assert reason(tiff(1, order, bits=24, big=big), "tif").startswith("is a TIFF whose samples are not of 1, 2, 4")
    assert reason(tiff(1, order, bits=32, big=big, sample_format=5), "tif").startswith("is a TIFF of complex numbers")


def bmp(bits: int, compression: int, masks: tuple[int, ...] = (), size: int = 40) -> bytes:
    data = bytes(range(256)) * (64 * 48 * 4 // 256)
    fields = struct.pack(f"<{len(masks)}I", *masks)
    at = 14 + max(size, 40 + len(fields))
    head = struct.pack("<IiiHHIIiiII", size, 64, 48, 1, bits, compression, len(data), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + (head + fields).ljust(at - 14, b"\0") + data


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (bmp(16, 3, (0xF800, 0x7E0, 0x1F)), ""),
        (bmp(16, 3, (0x7C00, 0x3E0, 0x1F)), ""),
        (bmp(32, 3, (0xFF0000, 0xFF00, 0xFF)), ""),
        (bmp(32, 3, (0xFF, 0xFF00, 0xFF0000, 0xFF000000), 108), ""),
        (bmp(32, 3, (0x3FF00000, 0xFFC00, 0x3FF)), "is a BMP with unusual bit fields"),
        (bmp(16, 3, (0xF00, 0xF0, 0xF)), "is a BMP with unusual bit fields"),
        (bmp(32, 6, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), "is a BMP with unusual bit fields"),
        (bmp(0, 4), "is a BMP that contains a JPEG or PNG"),
        (bmp(0, 5), "is a BMP that contains a JPEG or PNG"),
        (bmp(64, 0), "is a BMP of an unusual depth or compression"),
        (bmp(32, 11), "is a BMP of an unusual depth or compression"),
    ],
)
def test_a_bmp_is_read_or_its_kind_is_named(content: bytes, wanted: str) -> None:
    text = reason(content, "bmp")
    assert text == (wanted and wanted + formats.UNSUPPORTED)


@pytest.mark.parametrize("codec", [b"avc1", b"vvc1", b"jpeg", b"j2k1", b"unci"])
def test_a_heif_with_another_codec_is_named(codec: bytes) -> None:
    import pillow_heif  # type: ignore[import-not-found, unused-ignore]

    pillow_heif.register_heif_opener()
    names = {each.kind: each.title for each in formats.UNREAD if each.format == "heic"}
    content = saved("HEIF").replace(b"hvc1", codec)
    assert reason(content, "heic") == f"is {names[codec.decode()]}{formats.UNSUPPORTED}"


def test_a_heic_of_invalid_pixels_is_damaged() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    content = saved("HEIF")
    at = content.index(b"mdat") + 4
    assert reason(content[:at] + bytes(len(content) - at), "heic").startswith("is damaged: ")


def test_an_avif_of_invalid_pixels_is_damaged() -> None:
    content = saved("AVIF")
    at = content.index(b"mdat") + 4
    assert reason(content[:at] + bytes(len(content) - at), "avif") == "is damaged: its compressed pixels are invalid"


def test_a_truncated_file_of_a_kind_that_is_read_is_not_called_another_kind() -> None:
    content = bmp(16, 3, (0xF800, 0x7E0, 0x1F))
    assert reason(content[:3000], "bmp") == "is truncated: its pixels end early"


PNG = CASES / "05-png-bad-crc-ancillary"


@pytest.mark.skipif(not PNG.is_dir(), reason=f"no cases at {PNG} (MEDIACTL_CASES)")
@pytest.mark.parametrize("name", ["iccp-crc.png", "text-crc.png", "time-crc-after-idat.png", "idat-crc.png"])
def test_the_given_pngs_are_done_or_rejected_naming_the_crc(name: str) -> None:
    text = reason((PNG / name).read_bytes(), "png")
    assert "CRC of its chunk IDAT" in text if name == "idat-crc.png" else text == ""


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
@pytest.mark.parametrize("box", ["pitm", "iinf", "iloc", "ipma", "iprp"])
def test_a_required_box_that_is_missing_is_named(format: str, box: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    content = saved(format)
    assert content.count(box.encode()) == 1
    found = reason(content.replace(box.encode(), b"free"), SUFFIXES.get(format, "avif"))
    assert found == f"is damaged: its box '{box}' is missing"


def test_an_avif_without_a_configuration_of_its_codec_is_named() -> None:
    assert reason(saved("AVIF").replace(b"av1C", b"free"), "avif") == "is damaged: its box 'av1C' is missing"
