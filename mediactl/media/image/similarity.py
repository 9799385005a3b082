"""Visual similarity of two images: structural similarity (SSIM), in libvips.

Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity, 2004. As
ffmpeg and x264 compute it: windows of 8 x 8 pixels every 4 pixels, which is one pass over the pixels and agrees with
the gaussian window of the paper to about 0.01.
"""

from __future__ import annotations

from mediactl.media.image.vips import VipsImage, pyvips

_BLOCK = 4
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""The paper's constants, for 8 bits."""


def luma(image: VipsImage) -> VipsImage:
    """Return the luma of an 8-bit sRGB or grey image, 0 to 255 (BT.601, as in JPEG), flattened onto white."""
    opaque = image.flatten(background=255) if image.hasalpha() else image
    if opaque.bands < 3:
        return opaque.extract_band(0).cast("float")
    weights = pyvips.Image.new_from_array([[0.299, 0.587, 0.114]])
    return opaque.extract_band(0, n=3).recomb(weights).cast("float")


def ssim(one: VipsImage, other: VipsImage) -> float:
    """Return the mean structural similarity of two ``luma`` images of one size, 1.0 being equal.

    Images smaller than 8 pixels are one window.
    """
    if min(one.width, one.height) < 2 * _BLOCK:
        width, height = (-(-side // 8) * 8 for side in (one.width, one.height))
        one, other = (each.embed(0, 0, width, height, extend="mirror") for each in (one, other))
    mean_one, mean_other = _windows(one), _windows(other)
    squares, product = _windows(one * one + other * other), _windows(one * other)
    both, means = mean_one * mean_other, mean_one * mean_one + mean_other * mean_other
    alike = (both * 2 + _C1) * ((product - both) * 2 + _C2)
    return float((alike / ((means + _C1) * (squares - means + _C2))).avg())


def _windows(image: VipsImage) -> VipsImage:
    """Return means of 8 x 8 pixels, every 4 pixels."""
    blocks = image.crop(0, 0, image.width - image.width % _BLOCK, image.height - image.height % _BLOCK).shrink(
        _BLOCK, _BLOCK
    )
    right, down = blocks.width - 1, blocks.height - 1
    corners = [blocks.crop(x, y, right, down) for x, y in ((0, 0), (1, 0), (0, 1), (1, 1))]
    return (corners[0] + corners[1] + corners[2] + corners[3]) / 4
