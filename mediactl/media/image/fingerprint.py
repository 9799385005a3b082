"""What a picture looks like, in a few bytes: thumbhash, dominant colour and perceptual hash, from one small picture."""

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
"""Pixels of the longer side from which a look is made when there is no smaller variant."""
_SAMPLED = 64
"""Pixels a side that the dominant colour is counted among."""
_WHITE = 255


def text_of(image: VipsImage) -> str:
    """The look of a whole, upright picture (8-bit sRGB or grey, in memory), as text."""
    return look_of(image).text()


def look_of(image: VipsImage) -> Appearance:
    """The look of a whole, upright picture (8-bit sRGB or grey, in memory)."""
    small = _rgba(shrink(image, *fit(image.width, image.height, MAX_SIDE)))
    step = max(1, math.ceil(max(image.width, image.height) / _SAMPLED))
    # Every so-manieth pixel as it is: what is shrunk has colours between those of the picture.
    sample = _rgba(image.subsample(min(step, image.width), min(step, image.height)))
    # A picture with holes is compared as it is seen on a white page.
    solid = image.flatten(background=_WHITE) if image.hasalpha() else image
    grey = solid.colourspace("b-w").resize(SIDE / image.width, vscale=SIDE / image.height)
    return Appearance(
        base64.b64encode(thumbhash(small.width, small.height, bytes(small.write_to_memory()))).decode("ascii"),
        dominant(bytes(sample.write_to_memory())),
        phash(bytes(grey[0].write_to_memory())),
    )


def fit(width: int, height: int, longest: int) -> tuple[int, int]:
    """Sides of a picture shrunk until none is over ``longest``."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _rgba(image: VipsImage) -> VipsImage:
    colour = image.colourspace("srgb")
    return colour if colour.hasalpha() else colour.bandjoin(_WHITE)
