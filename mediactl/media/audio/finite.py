"""Samples that are no finite numbers, as floating-point PCM may hold: encoders fail on them, and filters spread them.

They become silence, and are counted in the same run.
"""

from __future__ import annotations

import os
import re
from typing import Any

from mediactl.core.files import remove_if_there
from mediactl.media.inspect.streams import InputAudio

_COUNTED = {b".nan": "Number of NaNs", b".inf": "Number of Infs"}
"""Suffix of a file -> what ffmpeg's astats calls its lines."""
_FORMATS = ("flt", "fltp", "dbl", "dblp")
"""libav's floating-point sample formats."""
_LARGEST = "1e9"
"""Times full scale: samples of 32-bit integers that were written as floats are the largest that mean anything."""
_LINES = re.compile(rb"lavfi\.astats\.Number of (?:NaNs|Infs)=(\S+)")


def only(stream: Any, audio: InputAudio, path: bytes | None = None) -> Any:
    """Return a stream of a source with 0 for what is no finite number; with ``path``, they are counted in files beside
    it, which is in the folder of the run. Streams that cannot have any are returned as they are."""
    lossless = audio.stream.codec.startswith("pcm_f") or audio.stream.codec == "wavpack"
    if not lossless or audio.sample_format not in _FORMATS:
        return stream
    if path is not None:
        counts = {"measure_perchannel": "none", "measure_overall": "Number_of_NaNs+Number_of_Infs"}
        stream = stream.filter("astats", metadata=1, reset=1, **counts)
        for suffix, key in _COUNTED.items():
            file, some = os.path.basename(os.fsdecode(path + suffix)), {"value": 0, "function": "greater"}
            stream = stream.filter("ametadata", mode="print", key=f"lavfi.astats.{key}", file=file, **some)
        stream = stream.filter("ametadata", mode="delete")  # ``statistics`` comes after it.
    stream = stream.filter("aeval", exprs=f"if(lt(abs(val(ch)),{_LARGEST}),val(ch),0)", channel_layout="same")
    return stream.filter("aformat", sample_fmts=audio.sample_format)


def remark(path: bytes, what: str) -> str:
    """Return a warning about the samples of ``what`` that were counted, "" if none; the files are removed."""
    count = 0.0
    for suffix in _COUNTED:
        try:
            with open(path + suffix, "rb") as file:
                count += sum(map(float, _LINES.findall(file.read())))
        except FileNotFoundError:
            continue
    forget(path)
    return f"{what} has {count:.0f} samples that are not finite numbers: they are silent" if count else ""


def forget(path: bytes) -> None:
    """Remove the counts of a run that failed."""
    for suffix in _COUNTED:
        remove_if_there(path + suffix)
