"""What is noticed of a sound while it is encoded: how long it really went on, silence, samples at full scale.

Three cheap filters in the encoder's own chain write it to a small file beside the output.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any

import msgspec

from mediactl.core.files import remove_if_there

_SUFFIX = b".heard"
_BLOCK = 1 << 15
"""Samples that are judged together: 0.7 s, and 800 kB of lines an hour."""
_SILENT = -70.0
"""dBFS up to which a block is called silent: the absolute gate of ITU-R BS.1770."""
_FULL = 20 * math.log10(32_766.5 / 32_768)
"""dBFS from which a sample of 16 bits is at full scale."""
_CLIPPING = 10
"""Samples at full scale from which it is called clipping: a few are what bringing to full scale leaves."""
_OVER = 1.0
"""dB over full scale that go unmentioned: lossy encoders overshoot that much."""
_LONG = 10.0
"""Seconds of silence at the end that are worth a word, and a tenth of the whole at least."""
_LINES = re.compile(
    rb"pts_time:(\S+)\s+lavfi\.astats\.Overall\.Peak_level=(\S+)\s+lavfi\.astats\.Overall\.Abs_Peak_count=(\S+)"
    rb"\s+lavfi\.astats\.Overall\.Number_of_samples=(\S+)"
)


class AudioStatistics(msgspec.Struct, frozen=True):
    """What was noticed of one sound."""

    end: float
    """Seconds from the start to its last sample."""
    loud_end: float
    """The same, of what is not silent; 0: it is silent throughout."""
    peak: float
    """dBFS of its highest sample; -inf: digital silence."""
    full: int
    """Number of samples at full scale, of all channels."""


def measuring(stream: Any, path: bytes) -> Any:
    """The same sound, whose properties will be in a file beside ``place``, which lies in the folder of the run."""
    stream = stream.filter("asetnsamples", n=_BLOCK, p=0)
    measured = "Peak_level+Abs_Peak_count+Number_of_samples"
    stream = stream.filter("astats", metadata=1, reset=1, measure_perchannel="none", measure_overall=measured)
    return stream.filter("ametadata", mode="print", file=os.path.basename(os.fsdecode(path + _SUFFIX)))


def measured(path: bytes, rate: int, channels: int) -> AudioStatistics | None:
    """What was noticed of the sound with ``rate`` samples a second that was written to ``place``; its file is removed.

    None when there is nothing to read: not one sample came.
    """
    try:
        with open(path + _SUFFIX, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    forget(path)
    end = loud_end = 0.0
    peak, full = -math.inf, 0.0
    for second, level, count, samples in (map(_number, found) for found in _LINES.findall(content)):
        end = second + samples / rate
        if level > _SILENT:
            loud_end = end
        if level >= _FULL:
            full += count * channels
        peak = max(peak, level)
    return AudioStatistics(end, loud_end, peak, round(full)) if end > 0 else None


def forget(path: bytes) -> None:
    """Remove what was noticed, of a run that failed."""
    remove_if_there(path + _SUFFIX)


def remarks(heard: AudioStatistics, what: str) -> list[str]:
    """Warnings about silence and clipping of ``what`` ("the recording")."""
    if not heard.loud_end:
        return [f"{what} is silent throughout"]
    found = []
    quiet = heard.end - heard.loud_end
    if quiet >= max(_LONG, heard.end / 10):
        found.append(f"{what} is silent from {heard.loud_end:.0f} s on, of {heard.end:.0f} s")
    if heard.peak > _OVER:
        found.append(f"{what} goes {heard.peak:.1f} dB over full scale: players may clip it")
    elif heard.full >= _CLIPPING:
        found.append(f"{what} clips: {heard.full} samples at full scale")
    return found


def _number(word: bytes) -> float:
    try:
        value = float(word)
    except ValueError:
        return -math.inf
    return -math.inf if math.isnan(value) else value
