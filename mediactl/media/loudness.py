"""Loudness by EBU R128: measured in a first pass, then brought to a target, the dynamics untouched if that can be.

The gain is one number for the whole sound ("linear") when its true peak then stays below the ceiling; else ffmpeg's
loudnorm works dynamically with what was measured, which is told. Measured with ebur128, which takes a sixth of
loudnorm's time for the same numbers.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mediactl.errors import JobFailed
from mediactl.media import ffmpeg, sounds, tracks
from mediactl.media.execute import Report
from mediactl.media.tracks import Sound
from mediactl.model import Limits

PEAK = -1.5
"""dBTP that nothing may go over: EBU R128 says -1, lossy encoders overshoot by some tenths."""
SHORTEST = 3.0
"""Seconds from which loudness can be levelled dynamically: loudnorm looks 3 s ahead."""

_QUIETEST = -65.0
"""LUFS below which nothing is brought up: ITU-R BS.1770 gates at -70, and it would be noise."""
_NARROWEST = 7.0
"""LU: loudnorm's default target range, under which it would compress."""
_CLOSE = 0.5
"""LU that go unmentioned."""


class Loudness(msgspec.Struct, frozen=True):
    """What was measured of a whole sound, as it will be encoded."""

    integrated: float
    """LUFS; -70: nothing of it passes the gate."""
    threshold: float
    """LUFS of the relative gate."""
    range: float
    """LU."""
    peak: float
    """dBTP; -inf for digital silence."""


class Change(msgspec.Struct, frozen=True):
    """How a sound is brought to its target."""

    gain: float = 0.0
    """dB for all of it."""
    dynamic: bool = False
    """Whether loudnorm does it instead, with the loud parts made quieter."""
    remark: str = ""
    """What a person should know, "" if nothing."""


def measure(
    fd: int, sound: Sound, encoder: str, channels: int, *, threads: int, limits: Limits, folder: bytes, report: Report
) -> Loudness:
    """Loudness of a sound track mixed to so many channels. Raises RejectedInput, JobFailed or MachineBlocked."""
    stream = sounds.mixed(sounds.straight(ffmpeg.source(fd, threads), sound), encoder, channels)
    stream = stream.filter("ebur128", peak="true", framelog="quiet")
    try:
        told = ffmpeg.run(
            # Its summary is no error; ``run`` asks for errors alone.
            ["-loglevel", "level+info", "-nostats", *ffmpeg.arguments(nothing(stream, limits), threads=threads)],
            input_fd=fd,
            folder=folder,
            expected=sound.end,
            rate=None,
            report=report,
        )
    except ffmpeg.FfmpegFailed as error:
        raise tracks.judged(error, fd, limits) from error
    return parsed("\n".join(told))


def nothing(stream: Any, limits: Limits) -> Any:
    """An output node that takes a stream and writes nothing."""
    return ffmpeg.output([stream], b"nothing", "null", limits)


def parsed(told: str) -> Loudness:
    """The numbers of ebur128's summary. Raises JobFailed when there is none."""
    summary = told[told.rfind("Integrated loudness:") :]
    found = [
        re.search(rf"\b{name}:\s+(-?inf|nan|-?[\d.]+) {unit}", summary)
        for name, unit in (("I", "LUFS"), ("Threshold", "LUFS"), ("LRA", "LU"), ("Peak", "dBFS"))
    ]
    if not all(found):
        raise JobFailed("the loudness could not be measured: this ffmpeg's ebur128 says nothing that is understood")
    integrated, threshold, range_, peak = (float(match[1]) for match in found if match)
    return Loudness(integrated, threshold, range_, peak)


def change(measured: Loudness, target: float, duration: float) -> Change:
    """What brings a sound of so many seconds to ``target`` LUFS. Pure."""
    if not measured.integrated > _QUIETEST:
        return Change(remark="is silent, or too short or too quiet to be measured: its loudness was left as it is")
    gain, room = target - measured.integrated, PEAK - measured.peak
    if gain <= room:
        return Change(gain)
    if duration >= SHORTEST:
        return Change(dynamic=True, remark=f"was made louder dynamically: its peaks leave no room for {gain:.1f} dB")
    # Never quieter than it was, unless that is what was asked for.
    less = max(room, min(gain, 0.0))
    remark = (
        f"is {gain - less:.1f} LU quieter than asked for: its peaks leave no room, and it is too short to be levelled"
    )
    return Change(less, remark=remark if gain - less > _CLOSE else "")


def changed(stream: Any, measured: Loudness, target: float, how: Change) -> Any:
    """The sound at its new loudness."""
    if not how.dynamic:
        return stream.filter("volume", volume=f"{how.gain:.2f}dB", precision="float") if how.gain else stream
    return stream.filter(
        "loudnorm",
        I=f"{target:.1f}",
        TP=PEAK,
        LRA=f"{min(50.0, max(_NARROWEST, measured.range)):.1f}",
        measured_I=f"{measured.integrated:.1f}",
        measured_TP=f"{measured.peak:.1f}",
        measured_LRA=f"{measured.range:.1f}",
        measured_thresh=f"{measured.threshold:.1f}",
        linear="false",
    )
