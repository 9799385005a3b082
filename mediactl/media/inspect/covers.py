"""Which streams of a file are cover art: images that belong to its audio, whatever they are stored as.

Containers have a mark for it (``attached_pic``), but many programs write a cover as a video of one frame.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from av.container import InputContainer
from av.stream import Disposition

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect import demux, describe
from mediactl.media.inspect.durations import Reopen

IMAGE_CODECS = {"mjpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tiff": "tiff"}
"""libav's name of a codec of still images -> name of the format."""
_AUDIO_BRANDS = ("M4A ", "M4B ", "F4A ")
"""Major brands of MP4 files that are audio."""


def unmarked(container: InputContainer, reopen: Reopen, videos: list[Any], frames: dict[int, Any]) -> list[Any]:
    """Return those of the video streams of a file with audio that are covers without a mark.

    They have one frame, and are of a codec for images, or in a container that is of audio or does not say. One frame of
    another codec in an MP4 of video is a video: cameras write such. ``frames``: the first of each stream that has any.
    """
    audio = container.metadata.get("major_brand") in _AUDIO_BRANDS or "matroska" in container.format.name
    return [
        stream
        for stream in videos
        if stream.index in frames
        and (audio or describe.codec(stream) in IMAGE_CODECS)
        and _has_one_frame(container, stream, frames[stream.index], reopen)
    ]


def is_marked(stream: Any) -> bool:
    """Return whether a stream has the mark."""
    return bool(stream.disposition & Disposition.attached_pic)


def _has_one_frame(container: InputContainer, stream: Any, frame: Any, reopen: Reopen) -> bool:
    if stream.frames or len(stream.index_entries) > 1:
        return bool(stream.frames == 1)
    # Where the container is by now, the next packet is near; opening it again takes 5 ms.
    if any(packet.size and packet.pts != frame.pts for packet in demux.packets(container, stream)):
        return False
    try:
        with reopen() as again:
            sizes = (packet.size for packet in demux.packets(again, again.streams[stream.index]))
            return len(list(islice(filter(None, sizes), 2))) == 1
    except RejectedInput:
        return False
