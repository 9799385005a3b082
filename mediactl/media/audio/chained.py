"""Chained Ogg (RFC 3533, section 4): decoded link by link into one lossless file.

Each link has headers of its own, with the tables that its packets are decoded by. libav keeps those of the first one,
and what it makes of the others is noise.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import av
from av.container import OutputContainer

from mediactl.media.inspect.containers import ogg

_DECODED = "s32"
"""Sample format of the copy: 24 bits of it are kept."""


def decoded(fd: int, path: bytes) -> bool:
    """Write the audio of all links to ``path``; return False where it is no chain of one audio stream each.

    What cannot be decoded of a link is left out. Raises OSError on writing.
    """
    spans = ogg.spans(fd)
    with ogg.opened(fd, spans[0]) as first:
        if len(first.streams) != 1 or not first.streams.audio:
            return False
        context = first.streams.audio[0].codec_context
        rate, layout = context.sample_rate, context.layout.name
        with av.open(os.fsdecode(path), "w", format="matroska") as target:
            stream: Any = target.add_stream("flac", rate=rate, layout=layout, format=_DECODED)
            stream.metadata.update(first.streams.audio[0].metadata)
            target.metadata.update(first.metadata)
            target.set_chapters(first.chapters())
            stream.codec_context.open()
            fifo, samples = av.AudioFifo(), 0
            for span in spans:
                for frame in _frames(fd, span, rate, layout):
                    frame.pts = samples
                    samples += frame.samples
                    fifo.write(frame)
                    _encode(target, stream, fifo.read_many(stream.codec_context.frame_size))
            _encode(target, stream, [fifo.read(), None])
    return True


def _frames(fd: int, span: tuple[int, int], rate: int, layout: str) -> Iterator[Any]:
    """Yield what can be decoded of a link, at this rate and with these channels."""
    resampler = av.AudioResampler(_DECODED, layout, rate)
    try:
        with ogg.opened(fd, span) as container:
            for packet in container.demux(audio=0):
                try:
                    for frame in packet.decode():
                        yield from resampler.resample(frame)
                except av.InvalidDataError:
                    continue
    except av.FFmpegError as error:
        if error.errno == errno.EIO:  # of the machine; what cannot be demuxed otherwise ends the link
            raise
    yield from resampler.resample(None)


def _encode(target: OutputContainer, stream: Any, frames: list[Any]) -> None:
    for frame in frames:
        for packet in stream.encode(frame):
            target.mux(packet)
