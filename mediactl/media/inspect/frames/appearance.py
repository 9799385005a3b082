"""How the frames of a video stream look, besides their pixels: crop, colour tags, transparency, HDR metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from av.sidedata.sidedata import Type

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect.frames import colour_tags, side_data, transparency
from mediactl.media.inspect.frames.colour_tags import ColourTags
from mediactl.media.inspect.frames.side_data import Crop
from mediactl.model.media import Limits, Treatment

_DOVI_ALONE = frozenset({5, 10, 20})
"""Dolby Vision profiles whose base layer may be in Dolby's own colour space (IPTPQc2), HEVC and AV1; compatibility id 0
says that it is."""
_HDR_METADATA = frozenset({Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL, Type.DYNAMIC_HDR_PLUS})


class Appearance(msgspec.Struct, frozen=True):
    """How the frames of a stream look."""

    crop: Crop
    tags: ColourTags
    """Those to go by."""
    treatment: tuple[Treatment, ...]
    decoder: str
    """ffmpeg's name of the decoder that is needed; "" for the usual one."""


def of(fd: int, container: Any, stream: Any, frame: Any, end: float, limits: Limits) -> Appearance:
    """Return how a PyAV stream looks whose first frame is ``frame`` and which ends after ``end`` seconds.

    Raises RejectedInput when its colours cannot be shown right.
    """
    found = side_data.read(fd, container, stream)
    if found.dolby_vision and found.dolby_vision[0] in _DOVI_ALONE and found.dolby_vision[1] == 0:
        raise RejectedInput(
            f"is Dolby Vision profile {found.dolby_vision[0]}, whose colours cannot be converted; "
            "convert it to HDR10 or SDR first (ffmpeg's libplacebo filter can)"
        )
    reported = colour_tags.reported(frame)
    tags = colour_tags.valid(reported, rgb=is_rgb(frame))

    def treatment() -> Iterator[Treatment]:
        if transparency.has_alpha(stream, frame) and transparency.is_transparent(fd, stream.index, end, limits):
            yield Treatment.FLATTENED
        if tags != reported:
            yield Treatment.RETAGGED
        # Looked up one by one: iterating side data yields itself in PyAV 18, and its types in PyAV 19.
        if tags.transfer not in colour_tags.HDR and any(each in frame.side_data for each in _HDR_METADATA):
            yield Treatment.STRIPPED

    treated = tuple(treatment())
    decoder = transparency.decoder(stream) if Treatment.FLATTENED in treated else ""
    return Appearance(found.crop, tags, treated, decoder)


def is_rgb(frame: Any) -> bool:
    """Return whether a frame holds RGB, or colours of a palette."""
    return bool(frame.format.is_rgb or frame.format.has_palette)
