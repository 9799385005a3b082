"""Audio in time: gaps and overlaps of its time stamps; channels and sample rates that change in the middle.

A gap is filled with silence, an overlap is cut off: playing slower or faster until the stamps agree again would change
the pitch, and be out of sync until then (decision 12).

Recorded television changes its channels. At such a change ffmpeg restarts its filters, and those that pad from 0 do so
a second time: what follows comes too late. So such a stream is first written, without any padding, to a lossless file
whose properties stay the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av

from mediactl.core.files import remove_if_there
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import command, process
from mediactl.media.inspect import demux
from mediactl.media.inspect.streams import InputAudio
from mediactl.model.media import AudioStream, Limits

_UNSEEN = 0.018
"""Seconds from which on a gap is filled that no time stamp of the source shows: frames that cannot be decoded (the
shortest usual ones, of Opus, last 20 ms). Decoded Vorbis is off by 10 ms and back wherever its blocks change."""
_DRIFT = 12
"""Samples a second by which what is no gap is compensated, where there are gaps: the clocks of recorders drift by less
than one sample in four thousand. That is inaudible; filled and cut off, it would be a click every other minute."""
_SUFFIX = b".even"
_FRAME = 1_024
"""Samples of an AAC packet (ISO/IEC 14496-3, section 4.5.2.1.1)."""
_SPARE = 4
"""Packets that a file may have beyond its duration: priming, padding."""


def aligned(stream: Any, audio: AudioStream) -> Any:
    """Return an ffmpeg-python audio node that begins at 0, and whose samples are where its time stamps say."""
    if audio.first_gap:
        stream = stream.filter("asetpts", f"PTS+if(eq(N,0),{audio.first_gap}/TB,0)")
    threshold, soft = (audio.gap_threshold, _DRIFT) if audio.gap_threshold else (_UNSEEN, 1)
    limits = {"min_comp": threshold / 2 if soft > 1 else threshold, "min_hard_comp": threshold}
    return stream.filter("aresample", **{"async": soft, **limits, "first_pts": 0})


def jumps(path: bytes) -> bool:
    """Return whether a file of ours (AAC or Opus) contains more than its duration: ffmpeg restarted its filters."""
    with av.open(os.fsdecode(path)) as container:
        stream = container.streams.audio[0]
        unit = float(stream.time_base or 0)
        if stream.frames:
            packet = _FRAME / stream.codec_context.sample_rate
            inside = stream.frames * packet
        else:
            durations = [(each.duration or 0) * unit for each in container.demux(stream)]
            packet, inside = max(durations, default=0.0), sum(durations)
        return inside > (stream.duration or 0) * unit + _SPARE * packet


@contextmanager
def uniform(
    fd: int, stream: Any, audio: InputAudio, path: bytes, threads: int, limits: Limits, report: Report = lambda _: None
) -> Iterator[tuple[int, int, float]]:
    """Yield a temporary file that contains ``stream`` of an open source: (descriptor, stream index, seconds of the
    source at which it begins). It is beside ``path``. Raises RejectedInput, JobFailed or MachineBlocked.
    """
    file = path + _SUFFIX
    try:
        output = command.output([stream], file, "matroska", limits, **{"c:a": "flac", "ar": audio.stream.sample_rate})
        arguments = command.arguments(output, threads=threads)
        folder = os.path.dirname(path)
        process.run(arguments, input_fd=fd, folder=folder, expected=audio.end, rate=None, report=report)
        with demux.opened(fd, limits) as source:
            listed = source.streams[audio.index]
            start = max(0.0, float((listed.start_time or 0) * (listed.time_base or 0)) - (source.start_time or 0) / 1e6)
        other = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with av.open(os.fsdecode(file)) as container:
                index = container.streams.audio[0].index
            yield other, index, start
        finally:
            os.close(other)
    finally:
        remove_if_there(file)
