"""Decode untrusted image files: header checked against the limits, then shrunk while it is decoded."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from mediactl.core import distributions, machine
from mediactl.core.errors import RejectedInput
from mediactl.media.image import cicp, colour
from mediactl.media.image.container import announced, damage, density
from mediactl.media.image.container.structure import apng_frames, boxes_are_cut, gif_is_cut, jxl_size, reader
from mediactl.media.image.vips import (
    FAILURES,
    VipsImage,
    field,
    open_image,
    pyvips,
    reason,
    with_field,
)
from mediactl.model import formats
from mediactl.model.media import Limits

Warn = Callable[[str], None]

READ_WHOLE = 256 << 20
"""Bytes up to which a file is read into memory: then a failing disk is an OSError, and a file truncated by others
cannot crash the process (libvips maps files). Larger ones are left to libvips."""
ANIMATED = ("gif", "webp", "apng")
"""Formats whose frames are an animation (TIFF's are pages, AVIF's are distinguished by libheif)."""

PILLOW = ("jp2", "bmp", "pnm", "heic", "apng", "jxl")
"""Formats that Pillow decodes."""
_EXTRAS = {"jxl": ("JPEG XL", "pillow_jxl")}
"""Format -> its name, and the package that decodes it, from the extra named like the format."""


class Header(NamedTuple):
    """The header of a file, sides as shown: upright, with square pixels."""

    width: int
    height: int
    frames: int
    """Of an animation; 1 otherwise."""
    pages: int
    """Of a TIFF; 1 otherwise."""
    alpha: bool
    exif: bytes
    xmp: bytes
    anamorphic: bool = False
    """Whether its pixels are not square as stored."""
    images: int = 1
    """Beside one another, of a HEIC; 1 otherwise."""


def content_of(fd: int) -> bytes | int:
    """Return the bytes of an open file, or for a very large one its descriptor. Raises OSError."""
    size = os.fstat(fd).st_size
    if size > READ_WHOLE:
        return fd
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while block := os.read(fd, max(1, size)):
        parts.append(block)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def true_format(fd: int, format: str) -> str:
    """Return "apng" for an animated PNG, else the format itself.

    Raises RejectedInput for unsupported formats, saying what to do instead.
    """
    if refusal := formats.refusal(format):
        raise RejectedInput(refusal)
    if format in _EXTRAS:
        from mediactl.media.image import fallback

        shown, package = _EXTRAS[format]
        if not fallback.has(package):
            extra = next(each for each in distributions.requirements("mediactl") if each.extra == format)
            command = distributions.install_command(extra)
            raise RejectedInput(f"{shown} requires the extra {format}: {command}; or {formats.CONVERT_IMAGE}")
    elif format == "png" and apng_frames(fd) > 1:
        return "apng"
    elif format == "tiff":
        from mediactl.media.inspect import metadata

        if metadata.is_raw(lambda offset, size: os.pread(fd, size, offset)):
            raise RejectedInput(formats.refusal("raw"))
    return format


def header(fd: int, format: str, limits: Limits) -> Header:
    """Read and check a header; no pixel is decoded. ``format`` is a ``true_format``. Raises RejectedInput."""
    if format in ("heic", "avif") and boxes_are_cut(fd):
        raise RejectedInput("is truncated: the end of its data is missing")
    if format == "jxl" and (size := jxl_size(fd)):
        check_limits(*size, 1, limits)  # its decoder decodes everything when it opens a file
    if format in PILLOW:
        return _pillow_header(fd, format, limits)
    announced.check(reader(fd), format, limits)
    try:
        # The descriptor, not the bytes: a header is only the first few.
        image = open_image(fd, format, fail_on="none")
    except FAILURES as error:
        raise damage.rejection(error, fd, format) from None
    if format == "gif" and isinstance(content := content_of(fd), bytes) and gif_is_cut(content):
        raise RejectedInput("is truncated: it ends in the middle of a frame")
    pages = field(image, "n-pages") or 1
    frames = pages if format in ANIMATED else 1
    ratio = density.ratio(image, lambda offset, size: os.pread(fd, size, offset), format)
    width, height = density.squared(image.width, image.height, ratio)
    if _orientation(image, format) >= 5:
        width, height = height, width
    check_limits(width, height, frames, limits)
    exif, xmp = field(image, "exif-data") or b"", field(image, "xmp-data") or b""
    announced.metadata(limits, exif, xmp, field(image, "icc-profile-data"))
    alpha = bool(image.hasalpha())
    return Header(width, height, frames, pages if format == "tiff" else 1, alpha, exif, xmp, ratio != 1.0)


def check_limits(width: int, height: int, frames: int, limits: Limits) -> None:
    """Raise RejectedInput for more pixels or frames than the recipe allows, naming its key."""
    for what, number, limit, key in (
        ("pixels", width * height, limits.pixels, "pixels"),
        ("frames", frames, limits.frames, "frames"),
        ("pixels in all frames", width * height * frames, limits.animation_pixels, "animation_pixels"),
    ):
        if number > limit and (frames > 1 or key == "pixels"):
            size = f"{width} x {height}" + (f" x {frames} frames" if frames > 1 else "")
            raise RejectedInput(
                f"is too large: {size} is {number:,} {what}, the recipe allows {limit:,} (limits.{key})"
            )


def still(content: bytes | int, format: str, width: int, height: int, limits: Limits, warn: Warn) -> VipsImage:
    """Return the (first) image at exactly this size, upright, 8-bit sRGB or grey, in memory.

    Raises RejectedInput; minor problems are reported to ``warn``.
    """
    try:
        if format in PILLOW:
            points = cicp.read(content, format)
            return _finished(_pillow_still(content, format, limits), format, width, height, warn, points)
        if format != "jpeg":
            points = cicp.read(content, format)
            return _finished(_checked(open_image(content, format), limits), format, width, height, warn, points)
        try:
            return _jpeg(content, width, height, limits, warn, "warning")
        except FAILURES as error:
            machine.pass_on(error)
            # Most warnings of libjpeg are harmless (bytes between the markers); real errors are raised again here.
            made = _jpeg(content, width, height, limits, warn, "error")
            warn(f"may be partly damaged: {reason(error)}")
            return made
    except FAILURES as error:
        raise damage.rejection(error, content, format) from None


def animation(content: bytes | int, format: str, width: int, height: int, limits: Limits, warn: Warn) -> VipsImage:
    """Return all frames, each at exactly this size, one below the other, with "page-height", "delay" and "loop" set.

    Not in memory: frames are decoded as they are read, so RejectedInput may come from here and FAILURES later.
    """
    if format == "apng":
        return _apng(content, width, height, limits, warn)
    try:
        roll = open_image(content, format, n=-1)
    except FAILURES as error:
        raise damage.rejection(error, content, format) from None
    page = field(roll, "page-height") or roll.height
    number = roll.height // page
    check_limits(roll.width, page, number, limits)
    # All frames as one tall image, each scaled to exactly its part, as sharp does: a row at the edge of a frame gets
    # 6 % of its neighbour at the very worst, and 1,000 frames take 40 MB and not 1.4 GB for a pipeline each.
    strip = shrink(colour.to_device(roll), width, height * number)
    return _animated(strip, height, field(roll, "delay") or [], field(roll, "loop") or 0, warn)


def shrink(image: VipsImage, width: int, height: int) -> VipsImage:
    """Return the image at exactly this size (Lanczos, in gamma light as sharp and browsers do); alpha is respected."""
    if (image.width, image.height) == (width, height):
        return image
    across, down = width / image.width, height / image.height
    if not image.hasalpha():
        return image.resize(across, vscale=down)
    # Premultiplied, or what is hidden under transparent pixels would bleed into their neighbours.
    kind = image.format
    small = image.premultiply().cast(kind).resize(across, vscale=down)
    return small.unpremultiply().cast(kind)


def _jpeg(content: bytes | int, width: int, height: int, limits: Limits, warn: Warn, fail_on: str) -> VipsImage:
    image = _checked(open_image(content, "jpeg", fail_on), limits)
    # libjpeg halves while it decodes, which saves time. sharp's rule: as often as the target size allows.
    short, long = sorted((image.width, image.height))
    ratio = min(short / min(width, height), long / max(width, height))
    factor = next((each for each in (8, 4, 2) if ratio >= each), 1)
    if factor > 1:
        del image
        image = open_image(content, "jpeg", fail_on, shrink=factor)
    return _finished(image, "jpeg", width, height, warn)


def _checked(image: VipsImage, limits: Limits) -> VipsImage:
    check_limits(image.width, image.height, 1, limits)
    return image


def _finished(
    image: VipsImage, format: str, width: int, height: int, warn: Warn, points: cicp.Cicp | None = None
) -> VipsImage:
    orientation = _orientation(image, format)
    if orientation >= 5:
        width, height = height, width
    # Colours after shrinking: there are fewer pixels then.
    small = shrink(colour.to_device(image), width, height)
    # In a PNG code points take precedence over a profile; in a HEIC or AVIF the profile does.
    by_points = points is not None and points.odd and (format == "png" or not field(image, "icc-profile-data"))
    small = (cicp.to_srgb(small, points) if points and by_points else colour.to_srgb(small, warn)).copy_memory()
    return small.autorot().copy_memory() if orientation > 1 else small


def _orientation(image: VipsImage, format: str) -> int:
    """Return EXIF's orientation, 1 to 8; from 5 on the sides are swapped. Browsers do not rotate animations either."""
    if format in ANIMATED and (field(image, "n-pages") or 1) > 1:
        return 1
    orientation = field(image, "orientation")
    return orientation if orientation in range(1, 9) else 1


def _animated(strip: VipsImage, height: int, delays: list[int], loop: int, warn: Warn) -> VipsImage:
    strip = colour.to_srgb(strip, warn)
    strip = with_field(strip, pyvips.GValue.gint_type, "page-height", height)
    strip = with_field(strip, pyvips.GValue.array_int_type, "delay", delays)
    return with_field(strip, pyvips.GValue.gint_type, "loop", loop)


def _pillow_header(fd: int, format: str, limits: Limits) -> Header:
    from mediactl.media.image import fallback

    with fallback.opened(fd, format, limits) as image:
        width, height = image.size
        if format not in ("apng", "jxl") and image.getexif().get(0x0112) in range(5, 9):
            width, height = height, width
        frames = fallback.frame_count(image) if format == "apng" else 1
        check_limits(width, height, frames, limits)
        alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
        exif = image.info.get("exif")
        announced.metadata(limits, exif, image.info.get("icc_profile"), image.info.get("xmp"))
        images = getattr(image, "n_frames", 1) if format == "heic" else 1
        return Header(width, height, frames, 1, alpha, exif if isinstance(exif, bytes) else b"", b"", images=images)


def _pillow_still(content: bytes | int, format: str, limits: Limits) -> VipsImage:
    from mediactl.media.image import fallback

    with fallback.opened(content, format, limits) as image:
        check_limits(*image.size, 1, limits)
        deep = fallback.deep_heif(content) if format == "heic" and image.info.get("bit_depth", 8) > 8 else None
        return fallback.to_vips(image) if deep is None else deep


def _apng(content: bytes | int, width: int, height: int, limits: Limits, warn: Warn) -> VipsImage:
    from mediactl.media.image import fallback

    with fallback.opened(content, "apng", limits) as image:
        number = fallback.frame_count(image)
        check_limits(*image.size, number, limits)
        # Pillow draws each frame over the last, so they come in order, and are kept at the small size.
        made = fallback.frames(image, lambda frame: shrink(frame, width, height).copy_memory())
        parts, delays = zip(*made, strict=True)
        strip = pyvips.Image.arrayjoin(list(parts), across=1)
        return _animated(strip, height, list(delays), image.info.get("loop", 0), warn)
