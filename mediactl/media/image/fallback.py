"""Pillow, for what the wheel of libvips cannot decode: JPEG 2000, BMP, PNM, animated PNG, HEIC; JPEG XL as an extra."""

from __future__ import annotations

import errno
import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from mediactl.core.errors import RejectedInput
from mediactl.media.image.container import damage
from mediactl.media.image.vips import VipsImage, pyvips, with_field
from mediactl.media.limits import exceeded
from mediactl.model.media import Limits

FORMATS = {
    "jp2": ("JPEG2000",), "bmp": ("BMP",), "pnm": ("PPM",), "heic": ("HEIF",), "apng": ("PNG",),
    "jxl": ("JXL",),
}  # fmt: skip
"""Format as sniffed -> the only Pillow decoders that may open it."""

_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
_SPACES = {"L": "b-w", "LA": "b-w", "RGB": "srgb", "RGBA": "srgb", "CMYK": "cmyk"}
# What Pillow's decoders, in Python over C, raise on damaged files.
_FAILURES = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError,
    NotImplementedError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip

_OF_THE_FILE = (errno.EINVAL, errno.EOVERFLOW)
"""What the system says where Pillow follows an offset of a file that no file can have."""
_METADATA = re.compile(r"Decompressed data too large|Too much memory used in text chunks", re.IGNORECASE)
"""What Pillow says of PNG chunks that are larger than its limit, which is ours."""


def has(package: str) -> bool:
    """Return whether the package of an extra (``pillow_jxl``) is installed."""
    return find_spec(package) is not None


@contextmanager
def opened(content: bytes | int, format: str, limits: Limits) -> Iterator[Image.Image]:
    """Yield an image whose header was read; leaving the block closes it.

    Inside, whatever Pillow raises becomes RejectedInput; an OSError of the system is passed on.
    """
    if format == "heic":
        import pi_heif  # type: ignore[import-untyped, unused-ignore]

        pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    elif format == "jxl":
        from pillow_jxl import JpegXLImagePlugin  # type: ignore[import-not-found, attr-defined, unused-ignore]

        JpegXLImagePlugin.DECODE_THREADS = 0  # none but this one
    Image.MAX_IMAGE_PIXELS = limits.pixels
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = limits.metadata_bytes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _file(content) as file, Image.open(file, formats=FORMATS[format]) as image:
                yield image
    except RejectedInput:
        raise
    except _FAILURES as error:
        if isinstance(error, OSError) and error.errno not in (None, *_OF_THE_FILE):
            raise
        if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
            raise RejectedInput(f"is too large: more than {limits.pixels:,} pixels (limits.pixels)") from None
        if _METADATA.search(str(error)):
            raise exceeded(f"more than {limits.metadata_bytes:,} bytes of metadata", limits, "metadata_bytes") from None
        if format == "jxl":  # its decoder's messages are for its developers
            raise RejectedInput("is truncated or damaged: the JPEG XL decoder could not read it to its end") from None
        cause = _of_libheif(content) if format == "heic" and isinstance(error, UnidentifiedImageError) else None
        raise damage.rejection(cause or error, content, format) from None


def _of_libheif(content: bytes | int) -> Exception | None:
    """Return why libheif cannot open an image, which Pillow keeps to itself."""
    import pi_heif

    try:
        with _file(content) as file:
            pi_heif.open_heif(file)
    except _FAILURES as error:
        return error
    return None


def to_vips(image: Image.Image) -> VipsImage:
    """Return the pixels of an open image (its current frame) as a libvips image, with profile and orientation."""
    profile, exif = image.info.get("icc_profile"), image.info.get("exif")
    moves = getattr(image, "n_frames", 1) > 1
    orientation = image.getexif().get(0x0112) if exif and not moves else None
    mode = image.mode
    if image.format == "JXL":
        orientation = None  # rotated already by its decoder
    if mode.startswith("I;16") or mode == "I":
        pixels = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif mode in _BANDS:
        pixels = image
    elif mode == "P" or mode == "PA" or "transparency" in image.info:
        pixels = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    else:
        pixels = image.convert({"1": "L", "La": "LA", "RGBa": "RGBA"}.get(mode, "RGB"))
    made = pyvips.Image.new_from_memory(
        pixels.tobytes(), pixels.width, pixels.height, _BANDS[pixels.mode], "uchar"
    ).copy(interpretation=_SPACES[pixels.mode])
    if profile and pixels.mode[0] == mode[0]:
        made = with_field(made, pyvips.GValue.blob_type, "icc-profile-data", profile)
    if isinstance(orientation, int) and 1 < orientation <= 8:
        made = with_field(made, pyvips.GValue.gint_type, "orientation", orientation)
    return made


def deep_heif(content: bytes | int) -> VipsImage | None:
    """Return a HEIC of 10 or 12 bits as 16-bit values, rotated already; None for one of 8.

    Pillow would make 8 bits of it, too few for high dynamic range. To be called while the same is ``opened``.
    """
    import pi_heif

    with _file(content) as file:
        found = pi_heif.open_heif(file, convert_hdr_to_8bit=False)
        if not found.mode.endswith(";16"):
            return None
        bands = len(found.mode) - 3
        data = bytes(found.data)
        stride, row = found.stride, found.size[0] * bands * 2
        if stride != row:
            data = b"".join(data[at : at + row] for at in range(0, stride * found.size[1], stride))
        made = pyvips.Image.new_from_memory(data, *found.size, bands, "ushort")
        made = made.copy(interpretation="rgb16" if bands > 2 else "grey16")
        profile = found.info.get("icc_profile")
        return with_field(made, pyvips.GValue.blob_type, "icc-profile-data", profile) if profile else made


def frame_count(image: Image.Image) -> int:
    """Return frames of an animated PNG, without the default image for programs that do not support animation."""
    number: int = getattr(image, "n_frames", 1)
    return number - bool(getattr(image, "default_image", False))


def frames(image: Image.Image, shrink: Callable[[VipsImage], VipsImage]) -> Iterator[tuple[VipsImage, int]]:
    """Yield the frames of an animated PNG, each handed to ``shrink`` as it comes, and its duration in ms."""
    number = frame_count(image)
    first = getattr(image, "n_frames", 1) - number
    for at in range(first, first + number):
        image.seek(at)
        yield shrink(to_vips(image.convert("RGBA"))), round(image.info.get("duration", 0))


@contextmanager
def _file(content: bytes | int) -> Iterator[IO[bytes]]:
    if isinstance(content, bytes):
        yield io.BytesIO(content)
        return
    os.lseek(content, 0, os.SEEK_SET)
    with open(content, "rb", closefd=False) as file:
        yield file
