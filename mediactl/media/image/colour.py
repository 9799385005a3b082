"""Conversion to 8-bit sRGB, the one space that every browser displays correctly without a profile."""

from __future__ import annotations

import struct
from collections.abc import Callable

from mediactl.core import machine
from mediactl.media.image.vips import FAILURES, VipsImage, field

PROFILE_IGNORED = "its colour profile is invalid and was ignored"

_DEVICE = {"srgb", "rgb", "rgb16", "b-w", "grey16", "cmyk"}
"""Spaces that an ICC profile can describe; all others (Lab, XYZ, scRGB ...) are defined by themselves."""
_SRGB_COLUMNS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
"""sRGB's primaries, adapted to D50, from the profile that HP and Microsoft published with IEC 61966-2-1."""
_NEAR = 0.003
"""Tolerance, invisible in 8-bit values: vendors round differently."""


def to_device(image: VipsImage) -> VipsImage:
    """Convert Lab, XYZ, float and other spaces to sRGB; device spaces (RGB, grey, CMYK), 8 or 16 bit, are kept."""
    if image.interpretation == "multiband":
        wide = image.format == "ushort"
        colour, grey = ("rgb16", "grey16") if wide else ("srgb", "b-w")
        image = image.copy(interpretation=colour if image.bands >= 3 else grey)
    if image.interpretation not in _DEVICE or image.format not in ("uchar", "ushort"):
        image = image.colourspace("srgb").cast("uchar")
    most = 5 if image.interpretation == "cmyk" else 4 if image.bands > 2 else 2
    return image.extract_band(0, n=most) if image.bands > most else image


def to_srgb(image: VipsImage, warn: Callable[[str], None]) -> VipsImage:
    """Convert device colours, alpha not premultiplied, to 8-bit sRGB, or grey where there is no colour and no profile.

    A profile that is sRGB's own is recognised and costs nothing; one that cannot be used is ignored, with a warning.
    """
    profile = field(image, "icc-profile-data")
    cmyk = image.interpretation == "cmyk"
    if cmyk or (profile and not is_srgb(profile)):
        try:
            # Perceptual: what browsers and sharp use for photos. The fallback is for a profile of another space.
            return image.icc_transform(
                "srgb", embedded=True, input_profile="cmyk" if cmyk else "srgb", intent="perceptual", depth=8
            )
        except FAILURES as error:
            machine.pass_on(error)
            warn(PROFILE_IGNORED)
    return image.colourspace("b-w" if image.bands < 3 else "srgb").cast("uchar")


def is_srgb(profile: bytes) -> bool:
    """Return whether an ICC profile is sRGB by its numbers (not by its name); False when in doubt."""
    try:
        if profile[16:24] != b"RGB XYZ ":
            return False
        (count,) = struct.unpack_from(">I", profile, 128)
        parts = {}
        for at in range(min(count, 100)):
            name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * at)
            parts[name] = profile[offset : offset + size]
        if b"A2B0" in parts:
            return False
        for name, column in _SRGB_COLUMNS.items():
            values = struct.unpack_from(">3i", parts[name], 8)
            if any(abs(value / 65536 - wanted) > _NEAR for value, wanted in zip(values, column, strict=True)):
                return False
        return all(_is_srgb_curve(parts[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (struct.error, KeyError):
        return False


def _is_srgb_curve(curve: bytes) -> bool:
    if curve[:4] == b"para":
        kind, _, *numbers = struct.unpack_from(">HH5i", curve, 8)
        wanted = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        return kind == 3 and all(abs(n / 65536 - w) < _NEAR for n, w in zip(numbers, wanted, strict=True))
    if curve[:4] != b"curv":
        return False
    (count,) = struct.unpack_from(">I", curve, 8)
    if count < 16:
        return False  # a plain gamma
    points = struct.unpack_from(f">{count}H", curve, 12)
    step = max(1, count // 32)
    return all(abs(points[at] / 65535 - _linear(at / (count - 1))) < _NEAR for at in range(0, count, step))


def _linear(value: float) -> float:
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
