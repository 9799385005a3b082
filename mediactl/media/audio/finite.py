"""Samples that are no finite numbers, as floating-point PCM may hold: encoders fail on them, and filters spread them.

They become silence, as do numbers that no audio has, and are counted in the same run.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any

from mediactl.core.files import remove_if_there
from mediactl.media.inspect.streams import InputAudio

_COUNTED = {b".nan": "Number of NaNs", b".inf": "Number of Infs"}
"""Suffix of a file -> what ffmpeg's astats calls its lines."""
_FORMATS = ("flt", "fltp", "dbl", "dblp")
"""libav's floating-point sample formats."""
_LARGEST = 180
"""dBFS: samples of 32-bit integers that were written as floats are the largest that mean anything."""
_ENCODABLE = 1 << 16
"""Times full scale. libavcodec's AAC encoder multiplies by 1 << 15 (aacenc.c) and quantizes to integers of 32 bits: it
may never end with larger samples."""
_BEYOND, _PEAK = b".peak", "lavfi.astats.Overall.Peak_level"
"""The same of peaks beyond it."""
_PEAKS = re.compile(rb"Peak_level=(\S+)")
_LINES = re.compile(rb"lavfi\.astats\.Number of (?:NaNs|Infs)=(\S+)")


def only(stream: Any, audio: InputAudio, path: bytes | None = None) -> Any:
    """Return a stream of a source with 0 for what is no finite number, or beyond measure.

    With ``path``, they are counted in files beside it, which is in the folder of the run. Streams that cannot have any
    are returned as they are.
    """
    if not _has_any(audio):
        return stream
    if path is not None:
        counts = {"measure_perchannel": "none", "measure_overall": "Number_of_NaNs+Number_of_Infs+Peak_level"}
        stream = stream.filter("astats", metadata=1, reset=1, **counts)
        for suffix, key, least in (
            *((suffix, f"lavfi.astats.{key}", 0) for suffix, key in _COUNTED.items()),
            (_BEYOND, _PEAK, _LARGEST),
        ):
            file, some = os.path.basename(os.fsdecode(path + suffix)), {"value": least, "function": "greater"}
            stream = stream.filter("ametadata", mode="print", key=key, file=file, **some)
        stream = stream.filter("ametadata", mode="delete")  # ``statistics`` comes after it.
    stream = stream.filter(
        "aeval", exprs=f"if(lt(abs(val(ch)),{10 ** (_LARGEST // 20)}),val(ch),0)", channel_layout="same"
    )
    return stream.filter("aformat", sample_fmts=audio.sample_format)


def encodable(stream: Any, audio: InputAudio, encoder: str) -> Any:
    """Return a stream, as it goes to an encoder, without samples at which that does not end."""
    if encoder != "aac" or not _has_any(audio):
        return stream
    stream = stream.filter("aeval", exprs=f"clip(val(ch),{-_ENCODABLE},{_ENCODABLE})", channel_layout="same")
    return stream.filter("aformat", sample_fmts="fltp")  # what the encoder takes


def _has_any(audio: InputAudio) -> bool:
    """Return whether a stream may hold samples beyond full scale as they were written."""
    lossless = audio.stream.codec.startswith("pcm_f") or audio.stream.codec == "wavpack"
    return lossless and audio.sample_format in _FORMATS


def remarks(path: bytes, what: str) -> list[str]:
    """Return warnings about the samples of ``what`` that became silence; the counts are removed."""
    count = sum(sum(map(float, _LINES.findall(_content(path + suffix)))) for suffix in _COUNTED)
    peak = max(filter(math.isfinite, map(float, _PEAKS.findall(_content(path + _BEYOND)))), default=0.0)
    forget(path)
    found = [f"{what} has {count:.0f} samples that are not finite numbers: they are silent"] if count else []
    if peak:
        found.append(f"{what} has samples beyond measure, up to {peak:.0f} dB over full scale: they are silent")
    return found


def forget(path: bytes) -> None:
    """Remove the counts of a run that failed."""
    for suffix in (*_COUNTED, _BEYOND):
        remove_if_there(path + suffix)


def _content(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
