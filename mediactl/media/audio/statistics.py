"""Statistics of audio, taken while it is encoded: how long it really lasts, silence, samples at full scale.

Three cheap filters in the encoder's own chain write them to a small file beside the output.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any

import msgspec

from mediactl.core.files import remove_if_there

_SUFFIX = b".stats"
_BLOCK = 1 << 15
"""Samples of a block: 0.7 s, and 800 kB of lines an hour."""
_SILENT = -70.0
"""dBFS up to which a block is called silent: the absolute gate of ITU-R BS.1770."""
_FULL = 20 * math.log10(32_766.5 / 32_768)
"""dBFS from which a sample of 16 bits is at full scale."""
_CLIPPING = 10
"""Samples at full scale from which it is called clipping: normalising to full scale leaves a few."""
_OVER = 1.0
"""dB over full scale without a warning: lossy encoders overshoot that much."""
_LONG = 10.0
"""Seconds of silence at the end from which there is a warning, and a tenth of the whole at least."""
_LINES = re.compile(
    rb"pts_time:(\S+)\s+lavfi\.astats\.Overall\.Peak_level=(\S+)\s+lavfi\.astats\.Overall\.Abs_Peak_count=(\S+)"
    rb"\s+lavfi\.astats\.Overall\.Number_of_samples=(\S+)"
)


class AudioStatistics(msgspec.Struct, frozen=True):
    """Statistics of one audio stream."""

    end: float
    """Seconds from the start to its last sample."""
    loud_end: float
    """The same for its last block that is not silent; 0: it is silent throughout."""
    peak: float
    """dBFS of its highest sample; -inf: digital silence."""
    full: int
    """Number of samples at full scale, of all channels."""


def measuring(stream: Any, path: bytes) -> Any:
    """Return the same stream, whose statistics will be in a file beside ``path``, which is in the folder of the run."""
    stream = stream.filter("asetnsamples", n=_BLOCK, p=0)
    measured = "Peak_level+Abs_Peak_count+Number_of_samples"
    stream = stream.filter("astats", metadata=1, reset=1, measure_perchannel="none", measure_overall=measured)
    return stream.filter("ametadata", mode="print", file=os.path.basename(os.fsdecode(path + _SUFFIX)))


def measured(path: bytes, rate: int, channels: int) -> AudioStatistics | None:
    """Return the statistics of the audio with ``rate`` samples a second written to ``path``; their file is removed.

    None when there are none: not one sample came.
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
    """Remove the statistics of a run that failed."""
    remove_if_there(path + _SUFFIX)


def remarks(measured: AudioStatistics, what: str, *, silenced: bool = False) -> list[str]:
    """Return warnings about silence and clipping of ``what`` ("the audio").

    ``silenced``: whether samples of it were replaced by silence.
    """
    if not measured.loud_end:
        return [] if silenced else [f"{what} is silent throughout"]
    found = []
    quiet = measured.end - measured.loud_end
    if quiet >= max(_LONG, measured.end / 10):
        found.append(f"{what} is silent from {measured.loud_end:.0f} s on, of {measured.end:.0f} s")
    if measured.peak <= _OVER and measured.full >= _CLIPPING:
        found.append(f"{what} clips: {measured.full} samples at full scale")
    return found


def excess(measured: AudioStatistics, what: str) -> str:
    """Return a warning about an output that keeps the level of audio beyond full scale; "" where it is not."""
    if measured.peak <= _OVER:
        return ""
    return f"{what} exceeds full scale by {measured.peak:.1f} dB, its level is kept: players may clip it"


def _number(word: bytes) -> float:
    try:
        value = float(word)
    except ValueError:
        return -math.inf
    return -math.inf if math.isnan(value) else value
