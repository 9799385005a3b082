"""Geometry of a variant that does not keep its source's proportions: cropped to fill a box, or stretched."""

from __future__ import annotations

import math

from mediactl.media.image.vips import VipsImage, pyvips

SMART = ("attention", "entropy")
"""Positions by content: where skin, saturated colours and edges are; where entropy is highest."""


def covering(own_width: int, own_height: int, width: int, height: int) -> tuple[int, int]:
    """Return the smallest size with an image's proportions that covers ``width`` x ``height``; never enlarged."""
    scale = min(1.0, max(width / own_width, height / own_height))
    # Rounding must not lose the last pixel of a side.
    return (
        min(own_width, max(width, math.floor(own_width * scale + 0.5))),
        min(own_height, max(height, math.floor(own_height * scale + 0.5))),
    )


def offset(image: VipsImage, width: int, height: int, position: str) -> tuple[int, int]:
    """Return left and top of the part of this size at ``position``; the image is in memory and large enough."""
    spare_width, spare_height = image.width - width, image.height - height
    if position in SMART and (spare_width or spare_height):
        cut = image.smartcrop(width, height, interesting=position)
        return min(max(0, -cut.xoffset), spare_width), min(max(0, -cut.yoffset), spare_height)
    left = {"left": 0, "right": spare_width}.get(position, spare_width // 2)
    top = {"top": 0, "bottom": spare_height}.get(position, spare_height // 2)
    return left, top


def cut(image: VipsImage, width: int, height: int, position: str) -> VipsImage:
    """Return the part of this size that ``position`` names."""
    if (image.width, image.height) == (width, height):
        return image
    return image.extract_area(*offset(image, width, height, position), width, height)


def cut_all(strip: VipsImage, page_height: int, left: int, top: int, width: int, height: int) -> VipsImage:
    """Return the same part of every frame of an animation (frames one below the other), as such a strip.

    Only offsets are computed here: frames are still decoded as they are read.
    """
    if (strip.width, page_height) == (width, height):
        return strip
    parts = [strip.extract_area(left, start + top, width, height) for start in range(0, strip.height, page_height)]
    joined = pyvips.Image.arrayjoin(parts, across=1)
    copy = joined.copy()
    copy.set_type(pyvips.GValue.gint_type, "page-height", height)
    return copy
