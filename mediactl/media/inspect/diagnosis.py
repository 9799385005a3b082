"""Why ffmpeg failed: whether the source is to blame, or a retry may succeed."""

from __future__ import annotations

import av

from mediactl.core.errors import MediactlError, RejectedInput
from mediactl.media.ffmpeg import process
from mediactl.media.inspect import demux
from mediactl.model.media import Limits

DAMAGED = 2
"""Complaints of ffmpeg from which on a source is called damaged: one odd packet at either end is usual."""

_JUDGED = 3_000
"""Packets that are decoded to find whether a source is damaged."""


def cause(error: process.FfmpegFailed, fd: int, limits: Limits) -> MediactlError:
    """Return RejectedInput when ffmpeg failed because the source is damaged, else the error, which is worth a retry."""
    if error.status > 0 and (error.blames_input or _is_damaged(fd, limits)):
        return RejectedInput(f"cannot be decoded: {process.last_message(error.stderr)}")
    return error


def _is_damaged(fd: int, limits: Limits) -> bool:
    """Return whether a decoder fails within the first packets."""
    with demux.opened(fd, limits) as container:
        media = [stream for stream in container.streams if stream.type in ("video", "audio") and stream.codec_context]
        for number, packet in enumerate(demux.packets(container, *media)):
            try:
                packet.decode()
            except av.FFmpegError:
                return True
            if number >= _JUDGED:
                break
    return False
