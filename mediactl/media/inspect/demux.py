"""Open a video or audio file from its descriptor, and read its packets. Nothing else is ever opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
from av.container import InputContainer

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.media.ffmpeg import allowed
from mediactl.media.inspect.containers import flv
from mediactl.media.inspect.containers.isobmff import top_level_boxes
from mediactl.media.opening import BEGINNING, BLOCK, END
from mediactl.model.media import Limits

_METADATA: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
"""Bytes of tags that are not UTF-8 become surrogates, as PyAV 19 always has it; ``describe.clean`` replaces them."""


@contextmanager
def opened(fd: int, limits: Limits | None = None) -> Iterator[InputContainer]:
    """Yield a container opened from a descriptor, at its start, which can open nothing else.

    Raises RejectedInput when it is none of the containers that are allowed, or damaged at its beginning; libav errors
    inside the block become RejectedInput as well, errors of the disk JobFailed.
    """
    options = {"fd": str(fd), **allowed.LISTS}
    options |= {name: str(value) for name, value in flv.open_options(fd).items()}
    if limits:
        options["max_pixels"] = str(limits.pixels)
        options["max_streams"] = str(limits.streams + limits.attachments + 1)
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        with av.open("fd:", "r", options=options, **_METADATA) as container:
            yield container
    except av.FFmpegError as error:
        if error.errno == errno.EIO:
            _require_readable(fd)
        raise RejectedInput(_unopenable(fd)) from error


def packets(container: InputContainer, *streams: Any) -> Iterator[Any]:
    """Yield the packets of these streams (of all, without any), flushing ones at the end.

    PyAV's flush fails when a stream has appeared in the middle of the file, as in MPEG-TS and FLV.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


def _require_readable(fd: int) -> None:
    """Raise JobFailed where an open file cannot be read: libav reports some damaged files as errors of the disk."""
    size = os.fstat(fd).st_size
    try:
        for start, end in ((0, min(size, BEGINNING)), (max(0, size - END), size)):
            for offset in range(start, end, BLOCK):
                os.pread(fd, BLOCK, offset)
    except OSError as error:
        raise JobFailed(f"the source cannot be read: {error.strerror}") from error


def _unopenable(fd: int) -> str:
    kinds = {kind for kind, _, _ in top_level_boxes(fd)}
    if b"moov" not in kinds and kinds & {b"mdat", b"ftyp"}:
        return "the index (moov) is missing: the file is truncated"
    return "not a supported video or audio file, or damaged at its beginning"
