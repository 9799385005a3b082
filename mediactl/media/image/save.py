"""Encode pixels to a verified file: in memory, written, opened again."""

from __future__ import annotations

import os

from mediactl.core.errors import JobFailed
from mediactl.core.files import removed_on_error
from mediactl.media.drafts import Draft
from mediactl.media.image import auto_quality
from mediactl.media.image.container.structure import is_complete
from mediactl.media.image.vips import FAILURES, VipsImage, field, open_image, reason
from mediactl.model.assets import Operation, Target
from mediactl.outputs.image import StillParams

MEDIA_TYPES = {"webp": "image/webp", "jpeg": "image/jpeg", "png": "image/png", "avif": "image/avif"}
_SHORTEST_DELAY = 10
_DEFAULT_DELAY = 100
"""Milliseconds: libvips' WebP writer gives frames of up to 10 ms, which no browser plays, 100 ms, as browsers do."""


def encode(image: VipsImage, params: StillParams, like: VipsImage = None) -> bytes:
    """Return the file's content: the same for the same pixels, without EXIF, location or profile.

    Quality "auto" is searched with ``like``, an animation's first frame, and with the image itself for all else.

    Effort is each encoder's own scale, cut off at its end: JPEG 0 fixed Huffman tables, 1 to 4 optimised ones (2 %
    fewer bytes for 2.5 times the time), from 5 on trellis quantisation and progressive scans; PNG zlib's level; WebP
    and AVIF libwebp's method and libvips' effort. PNG quality under 100 means a palette. Raises one of
    ``vips.FAILURES``.
    """
    if params.quality == "auto":
        still = image if like is None else like
        quality, data = auto_quality.search(
            still, params.format, params.similarity or 1.0, lambda each: encode_at(still, params, each)
        )
        return data if still is image else encode_at(image, params, quality)
    return encode_at(image, params, params.quality)


def encode_at(image: VipsImage, params: StillParams, quality: int, *, apart: bool = False) -> bytes:
    """``encode`` at a quality from 1 to 100, whatever the parameters say.

    ``apart``: whether an animation's frames are encoded independently, which for video is no larger: libwebp treats
    small differences from the previous frame as none, and blocks of earlier frames stay in skies and fades.
    """
    effort = params.effort
    if params.format == "webp":
        key_frames = {"kmin": 0, "kmax": 1} if apart else {}
        return bytes(image.webpsave_buffer(Q=quality, effort=min(effort, 6), keep="none", **key_frames))
    if params.format == "avif":
        return bytes(image.heifsave_buffer(Q=quality, effort=min(effort, 9), compression="av1", keep="none"))
    if params.format == "png":
        # Filters: 40 % fewer bytes on photographs, which is what comes without a palette.
        small = {"palette": True, "Q": quality} if quality < 100 else {"filter": "all"}
        return bytes(image.pngsave_buffer(compression=min(effort, 9), keep="none", **small))
    best = {"trellis_quant": True, "overshoot_deringing": True, "optimize_scans": True, "interlace": True}
    # White: what a page behind a transparent image most often is.
    opaque = image.flatten(background=255) if image.hasalpha() else image
    return bytes(
        opaque.jpegsave_buffer(
            Q=quality, optimize_coding=effort > 0, keep="none", subsample_mode="on" if quality < 90 else "off",
            **(best if effort >= 5 else {}),
        )
    )  # fmt: skip


def save(
    data: bytes, target: Target[Operation], params: StillParams, file: bytes, delays: list[int] | None = None
) -> Draft:
    """Write a target's encoded image to ``file`` and open it again. ``delays`` (ms) are those of an animation's frames.

    Raises OSError when it cannot be written (disk full), JobFailed when the output is invalid; then no file is
    left.
    """
    with removed_on_error(file):
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if fault := _fault(fd, params, len(data), delays):
                raise JobFailed(f"{target.name}: invalid output: {fault}")
        finally:
            os.close(fd)
    return Draft(target, file, MEDIA_TYPES[params.format], params.width, params.height)


def _fault(fd: int, params: StillParams, size: int, delays: list[int] | None) -> str:
    """Return what is invalid about a written file; "" when nothing is.

    Its header and its end are read. Decoding all of it would take half as long as making it (WebP,
    measured), and could only find a mistake in the encoder itself: the bytes are in the digest that is taken next.
    """
    if os.fstat(fd).st_size != size:
        return f"{os.fstat(fd).st_size} bytes instead of {size}"
    try:
        image = open_image(fd, params.format, n=-1) if delays else open_image(fd, params.format)
    except FAILURES as error:
        return reason(error)
    height = field(image, "page-height") or image.height
    if (image.width, height) != (params.width, params.height):
        return f"{image.width} x {height} pixels instead of {params.width} x {params.height}"
    if not is_complete(fd, params.format, size):
        return "its end is missing"
    return _animation_fault(image, delays) if delays else ""


def _animation_fault(image: VipsImage, delays: list[int]) -> str:
    """Return frames like the one before are joined to it by the encoder, so the total duration has to be the same."""
    found = field(image, "delay")
    if not found:
        return ""  # all frames alike: a still
    wanted = sum(played(delays, len(delays)))
    if len(found) > len(delays):
        return f"{len(found)} frames instead of {len(delays)}"
    return "" if sum(found) == wanted else f"plays {sum(found)} ms instead of {wanted}"


def played(delays: list[int], frames: int) -> list[int]:
    """Return how long each of so many frames is shown, in ms, as browsers and libvips' WebP writer have it."""
    times = [*delays[:frames], *[_DEFAULT_DELAY] * (frames - len(delays))]
    return [delay if delay > _SHORTEST_DELAY else _DEFAULT_DELAY for delay in times]
