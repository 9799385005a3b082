"""Cutting long videos into pieces that are encoded one by one."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import msgspec

from mediactl.model.media import MediaInfo

KEY_FRAMES = 2.0
"""Seconds between key frames, as Apple's HLS authoring specification has it (1.13: every two seconds)."""
SHARED = 4
"""The number of pieces is a multiple of this, and they are about equally long: two and four cores end together, and of
the many pieces of a long video more cores lose little."""


class Cutting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long videos are split into pieces that are encoded and journaled one by one."""

    above: Annotated[float, msgspec.Meta(ge=0)] = 120.0
    """Minimum duration of a video to be split, in seconds."""
    piece: Annotated[float, msgspec.Meta(ge=2)] = 30.0
    """Approximate maximum duration of a piece, in seconds: it ends at a key frame."""


def piece_frames(info: MediaInfo, cutting: Cutting) -> int:
    """Return the frames of a piece, a whole number of key frame intervals; 0: the video is encoded whole."""
    video = info.video
    if video is None or not video.even or not video.rate or not is_long(info, cutting):
        return 0
    gop = round(Fraction(video.rate) * Fraction(KEY_FRAMES))
    if not gop:
        return 0  # slides, each shown for longer than a key frame interval: there is too little to encode
    most = max(1, round(cutting.piece / KEY_FRAMES))
    groups = -(-(video.frames or 0) // gop)
    if groups <= most:
        return 0
    pieces = -(-groups // most)
    pieces = -(-pieces // SHARED) * SHARED
    return gop * -(-groups // pieces)


def is_long(info: MediaInfo, cutting: Cutting) -> bool:
    """Return whether a video is so long that it is cut where it can be."""
    return (info.duration or 0.0) >= max(cutting.above, 2 * KEY_FRAMES)
