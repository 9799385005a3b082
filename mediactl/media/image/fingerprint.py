"""What an image looks like, in a few bytes: thumbhash, dominant colour and perceptual hash, from one small image."""

from __future__ import annotations

import base64
import math

from mediactl.assets.document import Appearance
from mediactl.media.image.dominant import dominant
from mediactl.media.image.load import shrink
from mediactl.media.image.phash import SIDE, phash
from mediactl.media.image.thumbhash import MAX_SIDE, thumbhash
from mediactl.media.image.vips import VipsImage

ENOUGH = 256
"""Pixels of the longer side of the image that is used when there is no smaller variant."""
_SAMPLED = 64
"""Pixels a side that are sampled for the dominant colour."""
_WHITE = 255


def text_of(image: VipsImage) -> str:
    """Return the appearance of a whole, upright image (8-bit sRGB or grey, in memory), as text."""
    return appearance_of(image).text()


def appearance_of(image: VipsImage) -> Appearance:
    """Return the appearance of a whole, upright image (8-bit sRGB or grey, in memory)."""
    small = _rgba(shrink(image, *fit(image.width, image.height, MAX_SIDE)))
    step = max(1, math.ceil(max(image.width, image.height) / _SAMPLED))
    # Every n-th pixel: shrinking would create colours that are not in the image.
    sample = _rgba(image.subsample(min(step, image.width), min(step, image.height)))
    # A transparent image is compared as it looks on a white page.
    solid = image.flatten(background=_WHITE) if image.hasalpha() else image
    grey = solid.colourspace("b-w").resize(SIDE / image.width, vscale=SIDE / image.height)
    return Appearance(
        base64.b64encode(thumbhash(small.width, small.height, bytes(small.write_to_memory()))).decode("ascii"),
        dominant(bytes(sample.write_to_memory())),
        phash(bytes(grey[0].write_to_memory())),
    )


def fit(width: int, height: int, longest: int) -> tuple[int, int]:
    """Return the sides of an image shrunk until none is over ``longest``."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _rgba(image: VipsImage) -> VipsImage:
    colour = image.colourspace("srgb")
    return colour if colour.hasalpha() else colour.bandjoin(_WHITE)
