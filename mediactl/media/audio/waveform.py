"""Peaks of audio: lowest and highest sample of each of some thousand parts, as JSON or drawn.

ffmpeg's astats finds them at the full rate in the same decode that encodes the audio; Python sees two numbers a part.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.core.files import remove_if_there, removed_on_error
from mediactl.media.audio import loudness, mixdown
from mediactl.media.drafts import Draft
from mediactl.media.image import save
from mediactl.media.inspect.streams import InputAudio
from mediactl.model.assets import Target
from mediactl.model.media import Limits
from mediactl.outputs.image import StillParams
from mediactl.outputs.waveform import WaveformParams

COLOUR = (74, 85, 104)
"""Red, green, blue of what is drawn: a slate that is visible on white and on black."""

_SUFFIX = b".peaks"
_BLOCK = 1 << 16
"""Samples that ffmpeg holds at most to find the peaks of; parts may consist of several such blocks."""
_LINES = re.compile(rb"lavfi\.astats\.Overall\.Min_level=(\S+)\s+lavfi\.astats\.Overall\.Max_level=(\S+)")


class Peaks(msgspec.Struct, frozen=True):
    """Lowest and highest value (-128 to 127) of each part, interleaved."""

    rate: int
    per_point: int
    """Samples of a part; the last may have fewer."""
    data: list[int]


def listening(stream: Any, audio: InputAudio, params: WaveformParams, path: bytes, limits: Limits) -> Any:
    """Return an output node that writes no media, but the peaks of the stream mixed to mono beside ``path``."""
    block, _ = _blocks(audio, params.points)
    stream = mixdown.mixed_down(stream, audio.stream, 1)
    stream = stream.filter("aformat", sample_fmts="flt", channel_layouts="mono")
    stream = stream.filter("asetnsamples", n=block, p=0)
    levels = {"measure_perchannel": "none", "measure_overall": "Min_level+Max_level"}
    stream = stream.filter("astats", metadata=1, reset=1, **levels)
    stream = stream.filter("ametadata", mode="print", file=os.path.basename(os.fsdecode(path + _SUFFIX)))
    return loudness.nothing(stream, limits)


def written(target: Target[WaveformParams], audio: InputAudio, path: bytes) -> Draft:
    """Return the draft of a waveform whose peaks ffmpeg has found. Raises JobFailed, OSError on writing."""
    points, height = target.params.points, target.params.height
    found = _found(audio, points, path)
    if height is not None:
        still = StillParams(format="png", width=points, height=height, quality=100, effort=6, animated=False)
        return save.save(save.encode(_drawn(found.data, points, height), still), target, still, path)
    content = msgspec.json.encode({
        "version": 2,
        "channels": 1,
        "sample_rate": found.rate,
        "samples_per_pixel": found.per_point,
        "bits": 8,
        "length": len(found.data) // 2,
        "data": found.data,
    })  # fmt: skip
    with removed_on_error(path), open(path, "wb") as file:
        file.write(content)
    return Draft(target, path, "application/json")


def forget(path: bytes) -> None:
    """Remove the peaks of a run that failed."""
    remove_if_there(path + _SUFFIX)


def _blocks(audio: InputAudio, points: int) -> tuple[int, int]:
    """Return samples of a block, and blocks of a part, so that ``points`` parts cover the whole stream."""
    samples = math.ceil(audio.end * audio.stream.sample_rate)
    part = max(1, math.ceil(samples / points))
    several = math.ceil(part / _BLOCK)
    return math.ceil(part / several), several


def _found(audio: InputAudio, points: int, path: bytes) -> Peaks:
    block, several = _blocks(audio, points)
    try:
        with open(path + _SUFFIX, "rb") as file:
            levels = [(_level(low), _level(high)) for low, high in _LINES.findall(file.read())]
    except FileNotFoundError:
        levels = []
    forget(path)
    data: list[int] = []
    for first in range(0, len(levels), several):
        part = levels[first : first + several]
        # A stream that is a little longer than its header says does not get one more part.
        if len(data) == 2 * points:
            part = [*part, (data.pop(-2), data.pop())]
        data += [min(low for low, _ in part), max(high for _, high in part)]
    if not data:
        raise JobFailed("not one sample of the audio reached the waveform")
    return Peaks(audio.stream.sample_rate, block * several, data)


def _level(word: bytes) -> int:
    """Return a sample as 8 bits, rounded towards zero, as audiowaveform does it from 16 bits."""
    try:
        return max(-128, min(127, int(float(word) * 128)))
    except (ValueError, OverflowError):
        return 0  # nan, of damaged float samples


def _drawn(data: list[int], width: int, height: int) -> Any:
    """Return a column for each point on a transparent ground, at least one pixel high in the middle."""
    from mediactl.media.image.vips import pyvips

    pairs = len(data) // 2
    rows = []
    for column in range(width):
        at = column * pairs // width * 2
        top = min((127 - data[at + 1]) * height // 256, (height - 1) // 2)
        bottom = max(math.ceil((128 - data[at]) * height / 256), height // 2 + 1)
        rows.append(bytes(top) + b"\xff" * (bottom - top) + bytes(height - bottom))
    alpha = pyvips.Image.new_from_memory(b"".join(rows), height, width, 1, "uchar").rot("d90").fliphor()
    colour = alpha.new_from_image(list(COLOUR)).copy(interpretation="srgb")
    return colour.bandjoin(alpha)
