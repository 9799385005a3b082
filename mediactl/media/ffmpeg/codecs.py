"""Which encoder encodes a stream: one in software for each codec, hardware where it is requested and really works.

The options make streams that can be cut and joined: closed groups of pictures, each of which begins with a frame that
decoders can start at, and no other key frames.
"""

from __future__ import annotations

import functools
import subprocess
from typing import Any

import msgspec

from mediactl.media.ffmpeg import binary
from mediactl.outputs.encoding import SOFTWARE

HARDWARE = ("nvenc", "qsv", "vaapi", "videotoolbox")
"""Kinds of hardware encoders, in the order in which "auto" tries them. ffmpeg calls them "h264_nvenc"."""

_DEVICE = "hw"
"""Our name for the device that VAAPI frames are uploaded to."""
_PROBE_TIME = 20
"""Seconds that the encoding of one frame may take; starting a graphics card takes one or two."""
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_X265_THREADS = 2
"""Frames that x265 encodes at once. Fixed, since the output depends on it."""


class Coder(msgspec.Struct, frozen=True):
    """An encoder that works here."""

    name: str
    """As ffmpeg calls it, "libx264"."""
    kind: str = "software"

    @property
    def setup(self) -> tuple[str, ...]:
        """Options of the whole run."""
        return ("-init_hw_device", f"vaapi={_DEVICE}", "-filter_hw_device", _DEVICE) if self.kind == "vaapi" else ()

    def fed(self, stream: Any, *, ten_bit: bool = False) -> Any:
        """Return a filtered stream in the pixel format that the encoder requires."""
        if self.kind == "software" or self.kind == "videotoolbox":
            return stream
        stream = stream.filter("format", "p010le" if ten_bit else "nv12")
        return stream.filter("hwupload") if self.kind == "vaapi" else stream


def chosen(codec: str, wanted: str) -> tuple[Coder, str]:
    """Return the encoder for ``codec``, and a warning when it is not the one that was requested, else "".

    ``wanted``: "software", "auto" (hardware that works here, else software) or one of ``HARDWARE``.
    """
    software = Coder(SOFTWARE[codec])
    if wanted == "software":
        return software, ""
    for kind in HARDWARE if wanted == "auto" else (wanted,):
        if works(Coder(f"{codec}_{kind}", kind)):
            return Coder(f"{codec}_{kind}", kind), ""
    if wanted == "auto":
        return software, f"no hardware encoder works here for {codec}: it was encoded in software"
    return software, f"{wanted} does not work here for {codec}: it was encoded in software"


def works(coder: Coder) -> bool:
    """Return whether an encoder encodes a frame here: being in ffmpeg's list is not enough. Tried once a process."""
    return coder.name in binary.encoders() and _makes_a_frame(binary.find(), coder)


def options(
    coder: Coder, codec: str, *, crf: float, preset: str, maxrate: int, hdr: bool, group: int | None, threads: int
) -> dict[str, Any]:
    """Return ffmpeg's options for one stream.

    ``group``: frames between key frames; None: they are forced by time. ``maxrate`` in kbit/s, 0: none.
    """
    common: dict[str, Any] = {"c:v": coder.name, "flags:v": "+bitexact", "g": group or _NEVER}
    if maxrate:
        # Two seconds of buffer: about the peaks that Apple's HLS authoring specification allows.
        common |= {"maxrate": f"{maxrate}k", "bufsize": f"{2 * maxrate}k"}
    if codec == "hevc":
        common["tag:v"] = "hvc1"  # Apple's players do not support hev1.
    make = {"software": _software, "nvenc": _nvenc, "qsv": _qsv, "vaapi": _vaapi, "videotoolbox": _videotoolbox}
    return common | make[coder.kind](codec, crf, preset, hdr, group, threads)


_NEVER = 100_000
"""Frames between key frames where they are forced by time: more than ever pass between two."""


def _software(codec: str, crf: float, preset: str, hdr: bool, group: int | None, threads: int) -> dict[str, Any]:
    if codec == "h264":
        return {
            "profile:v": "high", "preset": preset, "crf": crf, "keyint_min": group or 1, "sc_threshold": 0,
            "forced-idr": 1,
            # x264's output depends on the number of its threads and, with a maximum bit rate, on their progress.
            "threads": 1,
        }  # fmt: skip
    if codec == "hevc":
        params: dict[str, Any] = {
            "keyint": group or _NEVER, "min-keyint": group or 1, "scenecut": 0, "open-gop": 0, "info": 0,
            "pools": threads, "frame-threads": _X265_THREADS, "log-level": "error",
            "const-vbv": 1,  # Else the effect of a maximum bit rate depends on the progress of other threads.
        }  # fmt: skip
        return {
            "profile:v": "main10" if hdr else "main", "preset": preset, "crf": crf, "forced-idr": 1, "dolbyvision": 0,
            "x265-params": _joined(params),
        }  # fmt: skip
    params = {"scd": 0, "lp": min(threads, 6)} | ({} if group else {"enable-force-key-frames": 1})
    return {"preset": preset, "crf": round(crf), "dolbyvision": 0, "svtav1-params": _joined(params)}


def _nvenc(codec: str, crf: float, preset: str, hdr: bool, group: int | None, threads: int) -> dict[str, Any]:
    speed = 3 + min(4, _PRESETS.index(preset) // 2) if preset in _PRESETS else 4
    chosen = {
        "preset": f"p{speed}", "rc": "vbr", "cq": _nearest(codec, crf), "b:v": 0, "no-scenecut": 1, "forced-idr": 1,
        "strict_gop": 1,
    }  # fmt: skip
    return chosen | _profile(codec, hdr)


def _qsv(codec: str, crf: float, preset: str, hdr: bool, group: int | None, threads: int) -> dict[str, Any]:
    speed = preset if preset in _PRESETS[2:] else "veryfast"
    chosen = {"preset": speed, "global_quality": _nearest(codec, crf), "forced_idr": 1, "idr_interval": 0}
    if codec == "av1":
        del chosen["idr_interval"]
    return chosen | _profile(codec, hdr)


def _vaapi(codec: str, crf: float, preset: str, hdr: bool, group: int | None, threads: int) -> dict[str, Any]:
    # Constant quantiser: the one mode that every driver has. It does not support maxrate.
    chosen = {"rc_mode": "CQP", "qp" if codec != "av1" else "global_quality": _nearest(codec, crf)}
    return chosen | _profile(codec, hdr)


def _videotoolbox(codec: str, crf: float, preset: str, hdr: bool, group: int | None, threads: int) -> dict[str, Any]:
    # Its scale is 1 to 100, more is better: 65 looks about like CRF 23.
    return {"q:v": max(1, min(100, round(65 - 2 * (_nearest(codec, crf) - 23)))), "allow_sw": 0} | _profile(codec, hdr)


def _profile(codec: str, hdr: bool) -> dict[str, str]:
    return {} if codec == "av1" else {"profile:v": "high" if codec == "h264" else "main10" if hdr else "main"}


def _nearest(codec: str, crf: float) -> int:
    """Return the CRF on the quantiser's scale of H.264 and HEVC, which hardware encoders use for quality."""
    return round(crf if codec != "av1" else crf * 51 / 63)


def _joined(params: dict[str, Any]) -> str:
    return ":".join(f"{key}={value}" for key, value in params.items())


@functools.cache
def _makes_a_frame(path: str, coder: Coder) -> bool:
    filters = "format=nv12,hwupload" if coder.kind == "vaapi" else "format=nv12"
    command = [
        path, "-nostdin", "-loglevel", "quiet", *coder.setup, "-f", "lavfi", "-i", "color=gray:s=256x256:r=25:d=1",
        "-vf", filters, "-frames:v", "1", "-c:v", coder.name, "-f", "null", "-",
    ]  # fmt: skip
    try:
        return (
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_TIME).returncode == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False
