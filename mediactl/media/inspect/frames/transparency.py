"""Whether a video is transparent somewhere: many have an alpha channel that is opaque, or never filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av

from mediactl.core import machine
from mediactl.media.inspect import demux
from mediactl.model.media import Limits

DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that decodes its alpha, which Matroska keeps beside each frame: libav's own ones drop it."""
_SAMPLES = 8
"""Moments at which a frame is examined, evenly over the video."""
_PACKETS = 60
"""Packets within which a frame must come after a seek."""
_OPAQUE = 255


def decoder(stream: Any) -> str:
    """Return the decoder that a stream needs so that its alpha is not lost; "" for the usual one."""
    if {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") != "1":
        return ""
    return DECODERS.get(stream.codec_context.codec.canonical_name, "")


def has_alpha(stream: Any, frame: Any) -> bool:
    """Return whether frames of a stream have an alpha channel, be it opaque; ``frame`` is its first one."""
    return bool(decoder(stream)) or any(each.is_alpha for each in frame.format.components)


def is_transparent(fd: int, index: int, end: float, limits: Limits) -> bool:
    """Return whether a video with an alpha channel, ``end`` seconds long, shows its ground anywhere in some frames.

    A channel that is zero in all of them was never filled in: nothing would be visible.
    """
    visible = transparent = False
    for frame in _sampled(fd, index, end, limits):
        alpha = _alpha(frame)
        visible |= alpha.count(0) != len(alpha)
        transparent |= alpha.count(_OPAQUE) != len(alpha)
        if visible and transparent:
            return True
    return False


def _sampled(fd: int, index: int, end: float, limits: Limits) -> Iterator[Any]:
    """Yield frames from the whole video, as many as can be decoded."""
    with demux.opened(fd, limits) as container:
        stream = container.streams[index]
        context = _context(stream)
        for number in range(_SAMPLES):
            try:
                if number:
                    container.seek(int(end * number / _SAMPLES * 1e6) + (container.start_time or 0))
                    context.flush_buffers()
                yield from _first(container, stream, context)
            except av.FFmpegError as error:
                machine.pass_on(error)
                continue  # Damaged there, or its container cannot seek.


def _context(stream: Any) -> Any:
    """Return a codec context that decodes the alpha of a stream, too."""
    name = decoder(stream)
    if name not in av.codecs_available:
        return stream.codec_context
    context = av.CodecContext.create(name, "r")
    context.extradata = stream.codec_context.extradata
    return context


def _first(container: Any, stream: Any, context: Any) -> Iterator[Any]:
    """Yield the first frame that comes."""
    for number, packet in enumerate(demux.packets(container, stream)):
        frames = context.decode(packet)
        if frames:
            yield frames[0]
        if frames or number > _PACKETS:
            return


def _alpha(frame: Any) -> bytes:
    """Return the alpha of each pixel, 0 to 255; opaque for a frame without."""
    plane = frame.reformat(format="rgba").planes[0]
    data, width = bytes(plane), 4 * frame.width
    starts = range(0, frame.height * plane.line_size, plane.line_size)
    return b"".join(data[start + 3 : start + width : 4] for start in starts)
