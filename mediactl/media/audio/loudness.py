"""Loudness by EBU R128: measured in a first pass, then normalised, with untouched dynamics where possible.

The gain is one number for the whole stream ("linear"). Where its true peak would then exceed the ceiling, peaks are
limited, with a warning. ffmpeg's loudnorm is not used: its first pass takes six times ebur128's time for the same
numbers, and its dynamic mode changes the whole stream where only peaks exceed the ceiling (music that lacked 0.3 dB of
headroom came out 0.9 LU too loud, its loudness range 2.5 LU of 4.2; limited, 0.1 LU too quiet and 4.1 LU).
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.media.audio import mixdown
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import command, process
from mediactl.media.inspect import diagnosis
from mediactl.media.inspect.streams import InputAudio
from mediactl.model.media import Limits
from mediactl.outputs.audio import AudioParams

PEAK = -1.5
"""dBTP that nothing may exceed: EBU R128 allows -1, lossy encoders overshoot by some tenths."""
_QUIETEST = -65.0
"""LUFS below which nothing is amplified: ITU-R BS.1770 gates at -70, and it would be noise."""
_OVERSAMPLED = 192_000
"""Samples a second at which peaks are limited: four times 48 kHz, as BS.1770 measures true peaks."""
_ATTACK, _RELEASE = 5, 50
"""Milliseconds: ffmpeg's own defaults."""
_CLOSE = 1.0
"""LU of difference without a warning where peaks were limited, which takes away some."""
_HIGHEST = 6.0
"""dBTP up to which no block exceeds +10 LUFS, where the histogram of ebur128 ends (libavfilter/f_ebur128.c)."""
_LARGE = 20.0
"""dB."""
_OVERSHOOT = 1.0
"""dB over the ceiling without a warning: lossy encoders."""


class Loudness(msgspec.Struct, frozen=True):
    """What was measured of a whole stream, mixed as it will be encoded."""

    integrated: float
    """LUFS; -70: nothing of it passes the gate."""
    threshold: float
    """LUFS of the relative gate."""
    range: float
    """LU."""
    peak: float
    """dBTP; -inf for digital silence."""


class Change(msgspec.Struct, frozen=True):
    """How a stream is normalised to its target."""

    gain: float = 0.0
    """dB for all of it."""
    dynamic: bool = False
    """Whether peaks are limited after it."""
    remark: str = ""
    """A warning, "" if none."""

    @property
    def doubtful(self) -> bool:
        """Whether the result has to be measured: peaks were limited, or the gain is beyond what ebur128 is made for."""
        return self.dynamic or abs(self.gain) > _LARGE


def measure(
    fd: int,
    audio: InputAudio,
    params: AudioParams,
    *,
    threads: int,
    limits: Limits,
    folder: bytes,
    report: Report,
) -> Loudness:
    """Return the loudness of a stream mixed as an audio file has it.

    A stream that is beyond full scale, as floats may be, is measured a second time, lower by its peak.
    Raises RejectedInput, JobFailed or MachineBlocked.
    """

    def measured(lower: float) -> Loudness:
        source = command.source(fd, threads, **audio.input_options)
        stream = mixdown.fitted(mixdown.straight(source, audio), params, audio.stream)
        stream = _louder(stream, -lower).filter("ebur128", peak="true", framelog="quiet")
        try:
            lines = process.run(
                # Its summary is no error, and ``run`` asks for errors alone.
                ["-loglevel", "level+info", "-nostats", *command.arguments(nothing(stream, limits), threads=threads)],
                input_fd=fd,
                folder=folder,
                expected=audio.end,
                rate=None,
                report=report,
            )
        except process.FfmpegFailed as error:
            raise diagnosis.cause(error, fd, limits) from error
        found = parsed("\n".join(lines))
        return Loudness(found.integrated + lower, found.threshold + lower, found.range, found.peak + lower)

    found = measured(0.0)
    return measured(found.peak) if _HIGHEST < found.peak < math.inf else found


def nothing(stream: Any, limits: Limits) -> Any:
    """Return an output node that takes a stream and writes nothing."""
    return command.output([stream], b"nothing", "null", limits)


def parsed(lines: str) -> Loudness:
    """Return the numbers of ebur128's summary. Raises JobFailed when there is none."""
    summary = lines[lines.rfind("Integrated loudness:") :]
    found = [
        re.search(rf"\b{name}:\s+(-?inf|nan|-?[\d.]+) {unit}", summary)
        for name, unit in (("I", "LUFS"), ("Threshold", "LUFS"), ("LRA", "LU"), ("Peak", "dBFS"))
    ]
    if not all(found):
        raise JobFailed("the loudness cannot be measured: unexpected output of this ffmpeg's ebur128 filter")
    integrated, threshold, range_, peak = (float(match[1]) for match in found if match)
    return Loudness(integrated, threshold, range_, peak)


def change(measured: Loudness, target: float) -> Change:
    """Return what normalises a stream to ``target`` LUFS."""
    if not measured.integrated > _QUIETEST:
        return Change(remark="is silent, or too short or too quiet to be measured: its loudness is unchanged")
    gain = target - measured.integrated
    if measured.peak + gain <= PEAK:
        return Change(gain)
    over = measured.peak + gain - PEAK
    return Change(gain, True, f"has peaks without headroom for {gain:+.1f} dB: they were limited by {over:.1f} dB")


def changed(stream: Any, how: Change) -> Any:
    """Return the stream at its new loudness; where peaks were limited, at another sample rate."""
    stream = _louder(stream, how.gain)
    if not how.dynamic:
        return stream
    limits = {"limit": f"{10 ** (PEAK / 20):.4f}", "attack": _ATTACK, "release": _RELEASE, "level": 0, "latency": 1}
    return stream.filter("aresample", _OVERSAMPLED).filter("alimiter", **limits)


def shortfall(made: Loudness, target: float) -> str:
    """Return a warning about an audio file, measured again, that is not as loud as requested; "" if none."""
    less = target - made.integrated
    if less > _CLOSE:
        return f"is {less:.1f} LU quieter than requested: it consists of little but peaks"
    if less < -_CLOSE:
        return f"is {-less:.1f} LU louder than requested"
    over = made.peak - PEAK
    return f"has peaks {over:.1f} dB above the limit of {PEAK} dBTP" if over > _OVERSHOOT else ""


def _louder(stream: Any, gain: float) -> Any:
    """Return a stream after a gain in dB."""
    return stream.filter("volume", volume=f"{gain:.2f}dB", precision="float") if gain else stream
