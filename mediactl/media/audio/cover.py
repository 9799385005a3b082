"""Cover art: extracted from an audio file and re-encoded, so that nothing but pixels goes into an output."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

import av
import msgspec

from mediactl.core import machine, system
from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.media.inspect import demux, describe
from mediactl.media.inspect.covers import IMAGE_CODECS
from mediactl.model.media import Limits

SIDE = 1_000
"""Pixels of the longer side at most: what players show in full screen on a phone."""
_QUALITY = 85
_LARGEST = 64 << 20
"""Largest cover that is read, in bytes."""


class Cover(msgspec.Struct, frozen=True):
    """An image to be embedded into audio files."""

    jpeg: bytes
    width: int
    height: int


def extracted(fd: int, covers: Sequence[int], limits: Limits) -> Cover | None:
    """Return the front cover as a JPEG of at most ``SIDE`` pixels, upright, sRGB, without any metadata.

    ``covers``: the streams that are cover art. None when there is none that can be decoded.
    """
    found = _front(fd, covers, limits)
    if found is None:
        return None
    name, data = found
    from mediactl.media.image.load import content_of, header, still, true_format
    from mediactl.media.image.save import encode
    from mediactl.media.image.vips import FAILURES
    from mediactl.outputs.image import StillParams

    memory = system.memory_file("cover")
    try:
        os.write(memory, data)
        format = true_format(memory, name)
        head = header(memory, format, limits)
        scale = min(1.0, SIDE / max(head.width, head.height))
        width, height = max(1, round(head.width * scale)), max(1, round(head.height * scale))
        image = still(content_of(memory), format, width, height, limits, lambda _: None)
        params = StillParams(format="jpeg", width=width, height=height, quality=_QUALITY, effort=1, animated=False)
        return Cover(encode(image, params), image.width, image.height)
    except (RejectedInput, JobFailed, *FAILURES) as error:
        machine.pass_on(error)
        return None
    finally:
        os.close(memory)


def _front(fd: int, covers: Sequence[int], limits: Limits) -> tuple[str, bytes] | None:
    """Return format and content of the image called the front cover, else of the first one."""
    images: dict[int, tuple[str, bytes]] = {}
    with demux.opened(fd, limits) as container:
        streams = [container.streams[index] for index in covers]
        for packet in demux.packets(container, *streams):
            index = packet.stream.index
            if index in images:
                continue
            if 0 < packet.size <= _LARGEST and (format_ := IMAGE_CODECS.get(describe.codec(packet.stream))):
                images[index] = format_, bytes(packet)
            elif image := _decoded(packet):
                images[index] = image
            if len(images) == len(streams):
                break
        front = [each.index for each in streams if "front" in each.metadata.get("comment", "").lower()]
    return next((images[index] for index in [*front, *sorted(images)] if index in images), None)


def _decoded(packet: Any) -> tuple[str, bytes] | None:
    """Return the frame of a packet of video as a PNG; None: it has none, or not yet."""
    try:
        frames = packet.decode()
    except av.FFmpegError as error:
        machine.pass_on(error)
        return None
    if not frames:
        return None
    file = io.BytesIO()
    frames[0].to_image().save(file, "png")
    return "png", file.getvalue()
