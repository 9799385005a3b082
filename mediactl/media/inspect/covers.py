"""Which streams of a file are cover art: images that belong to its audio, whatever they are stored as.

Containers have a mark for it (``attached_pic``), but many programs write a cover as a video of one frame, or of a few
that look alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from av.container import InputContainer
from av.stream import Disposition

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect import demux, describe
from mediactl.media.inspect.timing.durations import Reopen

IMAGE_CODECS = {"mjpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tiff"}
"""libav's name of a codec of still images -> name of the format."""
_AUDIO_BRANDS = ("M4A ", "M4B ", "F4A ", "M4V ")
"""Major brands of MP4 files that are audio; and the one that ffmpeg's muxer of .m4a writes once there is a video."""
_UNTOLD = {"matroska", "webm", "ogg"}
"""Containers that do not say whether they are of audio."""
_FEW = 3
"""Frames that a cover has at most."""
_SIDE = 64
"""Pixels of a square in which frames are compared."""
_ALIKE = 1.0
"""Levels of 256 by which such pixels differ in the mean at most, where encoding is all that changed them."""


def unmarked(container: InputContainer, reopen: Reopen, videos: list[Any], frames: dict[int, Any]) -> list[Any]:
    """Return those of the video streams of a file with audio that are covers without a mark.

    They have one frame, or a few that look alike, and are of a codec for images, or in a container that is of audio or
    does not say. One frame of another codec in an MP4 of video is a video: cameras write such. ``frames``: the first of
    each stream that has any.
    """
    is_untold = bool(_UNTOLD.intersection(container.format.name.split(",")))
    audio = is_untold or container.metadata.get("major_brand") in _AUDIO_BRANDS
    return [
        stream
        for stream in videos
        if stream.index in frames
        and (audio or describe.codec(stream) in IMAGE_CODECS)
        and _is_still(container, stream, frames[stream.index], reopen)
    ]


def is_marked(stream: Any) -> bool:
    """Return whether a stream has the mark."""
    return bool(stream.disposition & Disposition.attached_pic)


def _is_still(container: InputContainer, stream: Any, frame: Any, reopen: Reopen) -> bool:
    """Return whether a stream is one image: of few frames, which look alike. ``frame``: the first of them."""
    if stream.frames == 1 or max(stream.frames, len(stream.index_entries)) > _FEW:
        return bool(stream.frames == 1)
    # Where the container is by now, the next packets are near; opening it again takes 5 ms.
    others = (packet for packet in demux.packets(container, stream) if packet.pts not in (None, frame.pts))
    if not stream.frames and len(list(islice(others, _FEW))) == _FEW:
        return False
    try:
        with reopen() as again:
            frames = list(islice(_decoded(again, again.streams[stream.index]), _FEW + 1))
    except RejectedInput:
        return False
    first, *rest = [_small(each) for each in frames] or [b""]
    return bool(first) and len(frames) <= _FEW and all(_differ(first, each) <= _ALIKE for each in rest)


def _decoded(container: InputContainer, stream: Any) -> Iterator[Any]:
    for packet in demux.packets(container, stream):
        if packet.size or packet.pts is None:  # Theora repeats a frame by a packet without content.
            yield from packet.decode()


def _small(frame: Any) -> bytes:
    """Return the brightness of a frame in a square, row by row."""
    return bytes(frame.reformat(_SIDE, _SIDE, "gray").planes[0])


def _differ(first: bytes, second: bytes) -> float:
    """Return the mean difference of two images."""
    return sum(abs(one - other) for one, other in zip(first, second, strict=True)) / max(1, len(first))
