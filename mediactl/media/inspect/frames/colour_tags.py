"""Colour tags of decoded video frames, without those that cannot be true or cannot be converted.

Numbers are H.273's. Reserved values and nonsense come from muxers and editors that wrote a tag without knowing one.
"""

from __future__ import annotations

from typing import Any

import msgspec

UNKNOWN = 2
"""Not reported, in each of the three tables."""
_PRIMARIES = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22})
"""Table 2, without what is reserved."""
_TRANSFERS = frozenset({1, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18})
"""Table 3, without what is reserved, and without the two logarithmic ones, which libswscale refuses."""
_MATRICES = frozenset({1, 4, 5, 6, 7, 9})
"""Table 4: those that libswscale converts (sws_getCoefficients). YCgCo, ICtCp and those with constant luminance are not
among them, nor is the identity, which means RGB and so contradicts every YCbCr format."""
_IDENTITY, _BT2020, _BT2020_CONSTANT = 0, 9, 10
HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of high dynamic range."""


class ColourTags(msgspec.Struct, frozen=True):
    """Primaries, transfer characteristics and matrix."""

    primaries: int = UNKNOWN
    transfer: int = UNKNOWN
    matrix: int = UNKNOWN


def valid(reported: ColourTags, *, rgb: bool) -> ColourTags:
    """Return the tags to go by: those that are reported, unless one of them is invalid; then all are unknown.

    Who wrote one invalid tag knew none of them. Tags of high dynamic range are the exception: an intent that is too
    specific to be an accident.
    """
    # Constant luminance differs from the other BT.2020 in saturated colours, and only by little.
    constant = reported.matrix == _BT2020_CONSTANT and reported.primaries == _BT2020
    matrix = _BT2020 if constant else reported.matrix
    tags = msgspec.structs.replace(reported, matrix=matrix)
    kept = ColourTags(
        primaries=tags.primaries if tags.primaries in _PRIMARIES else UNKNOWN,
        transfer=tags.transfer if tags.transfer in _TRANSFERS else UNKNOWN,
        matrix=matrix if matrix in _MATRICES or (rgb and matrix == _IDENTITY) else UNKNOWN,
    )
    return kept if kept == tags or kept.transfer in HDR else ColourTags()


def reported(frame: Any) -> ColourTags:
    """Return the tags of a PyAV frame."""
    return ColourTags(frame.color_primaries, frame.color_trc, frame.colorspace)
