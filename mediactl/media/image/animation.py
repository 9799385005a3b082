"""An animated image (GIF, WebP, APNG) as a silent H.264 MP4: a tenth of a GIF's bytes, and played by hardware.

Each frame is shown as long as in the source. Frames go through a pipe, so thousands of them take no memory. Looping
is up to the page (``<video loop muted autoplay playsinline>``).
"""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from typing import Any

import av

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.core.files import removed_on_error
from mediactl.media.drafts import Draft, Report
from mediactl.media.ffmpeg import command, process
from mediactl.media.filters.video_filters import SCALER, TICKS
from mediactl.media.image.container import damage
from mediactl.media.image.save import played
from mediactl.media.image.vips import FAILURES, VipsImage, field, pyvips
from mediactl.media.inspect import verify
from mediactl.media.inspect.containers import isobmff
from mediactl.media.inspect.timing import durations
from mediactl.model.assets import Target
from mediactl.model.media import Limits
from mediactl.outputs.animation import AnimationParams

_PRESET = "medium"
_BT709 = 1
"""Primaries, transfer and matrix of ITU-T H.273: those of sRGB, except for the transfer, which is similar."""

_MILLISECOND = Fraction(1, 1000)
_FRAGMENTS = {"movflags": "empty_moov+frag_every_frame"}
"""Options of the MOV that goes through the pipe: unbuffered, and never rewritten."""


def animation(
    strip: VipsImage,
    target: Target[AnimationParams],
    path: bytes,
    *,
    threads: int,
    limits: Limits,
    report: Report = lambda _: None,
) -> Draft:
    """Make the MP4 of all frames (as ``load.animation`` returns them, at the target's size), verified.

    Transparency is flattened onto white. Raises RejectedInput when a frame cannot be decoded, FfmpegFailed, JobFailed
    when the output is invalid, MachineBlocked, OSError.
    """
    width, height = target.params.width, target.params.height
    delays = played(field(strip, "delay") or [], strip.height // height)
    if (strip.width, strip.height) != (width, height * len(delays)):
        raise JobFailed(f"{target.name}: its frames are not {width} x {height} pixels")
    if sum(delays) / 1000 > limits.duration:
        raise RejectedInput(
            f"plays for {sum(delays) / 1000:.0f} s, the limit is {limits.duration:.0f} s (limits.duration)"
        )
    with removed_on_error(path):
        reading, writing = os.pipe()
        feeder = _Feeder(strip, width, height, delays, writing)
        try:
            feeder.start()
            process.run(
                command.arguments(_output(reading, target.params, delays, path, threads, limits), threads=threads),
                input_fd=reading,
                folder=os.path.dirname(path),
                expected=sum(delays) / 1000,
                rate=1000 * len(delays) / sum(delays),
                report=report,
            )
        except process.FfmpegFailed as error:
            feeder.failure = feeder.failure or error
        finally:
            os.close(reading)  # If the thread still writes, this ends it.
            feeder.join()
        if feeder.failure:
            raise feeder.failure
        return Draft(target, path, "video/mp4", width, height, _checked(path, target, delays, limits))


class _Feeder(threading.Thread):
    """Writes the frames, as they are decoded, to a pipe: raw, in a MOV that keeps their times and durations."""

    def __init__(self, strip: VipsImage, width: int, height: int, delays: list[int], pipe: int) -> None:
        super().__init__(daemon=True)
        self.failure: Exception | None = None
        """The error in the source."""
        self._strip, self._size, self._delays = strip, (width, height), delays
        self._bytes = width * height * 3
        self._pipe = pipe
        self._frame = bytearray()
        self._number, self._time = 0, 0
        self._closed = False

    def run(self) -> None:
        try:
            flat = self._strip.flatten(background=255) if self._strip.hasalpha() else self._strip
            rgb = flat.colourspace("srgb").cast("uchar")
            with av.open(_Pipe(self._pipe), "w", format="mov", options=_FRAGMENTS) as container:
                self._stream: Any = container.add_stream("rawvideo", rate=1000)
                self._stream.width, self._stream.height = self._size
                self._stream.pix_fmt = "rgb24"
                self._stream.time_base = _MILLISECOND
                self._container = container
                target = pyvips.TargetCustom()
                target.on_write(self._written)
                rgb.rawsave_target(target)
        except FAILURES as error:
            if not self._closed:
                self.failure = damage.rejection(error)
        except (av.FFmpegError, OSError):
            pass  # ffmpeg has ended, and its exit code says why.
        finally:
            os.close(self._pipe)

    def _written(self, block: Any) -> int:
        """Take rows from libvips; called from C, so nothing may be raised."""
        try:
            self._frame += block
            while len(self._frame) >= self._bytes:
                self._mux(bytes(memoryview(self._frame)[: self._bytes]))
                del self._frame[: self._bytes]
        except (av.FFmpegError, OSError):
            self._closed = True
            return -1
        return len(block)

    def _mux(self, frame: bytes) -> None:
        delay = self._delays[self._number]
        self._number += 1
        if _doubled(self._delays) and self._number == len(self._delays):
            self._packet(frame, delay // 2)
            self._packet(frame, delay - delay // 2)
        else:
            self._packet(frame, delay)

    def _packet(self, frame: bytes, delay: int) -> None:
        packet = av.Packet(frame)
        packet.stream, packet.time_base = self._stream, _MILLISECOND  # The stream's own becomes finer in the muxer.
        packet.pts = packet.dts = self._time
        packet.duration = delay
        packet.is_keyframe = True
        self._container.mux(packet)
        self._time += delay


class _Pipe:
    """A pipe that PyAV may write to, and nothing else."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, block: bytes) -> int:
        """Write all of it. Raises BrokenPipeError when the reader has closed the pipe."""
        view = memoryview(block)
        while view:
            view = view[os.write(self._fd, view) :]
        return len(block)


def _doubled(delays: list[int]) -> bool:
    """Return whether the last frame is written twice: ffmpeg shows the last one of an MP4 as long as the one before."""
    return len(delays) > 1 and delays[-1] != delays[-2] and delays[-1] > 1


def _output(pipe: int, params: AnimationParams, delays: list[int], path: bytes, threads: int, limits: Limits) -> Any:
    frames = command.source(pipe, threads)["v:0"]
    frames = frames.filter("scale", flags=SCALER, out_color_matrix="bt709", out_range="limited")
    frames = frames.filter("format", "yuv420p").filter("setsar", 1)
    frames = frames.filter("setparams", color_primaries=_BT709, color_trc=_BT709, colorspace=_BT709, range="limited")
    options = {  # x264 writes the number of its threads into the stream.
        "c:v": "libx264", "profile:v": "high", "preset": _PRESET, "crf": params.crf, "threads": 1,
        "fps_mode": "vfr", "enc_time_base": "1:1000", "video_track_timescale": TICKS, "flags:v": "+bitexact",
    }  # fmt: skip
    if len(set(delays)) > 1:
        options["bf"] = 0  # Else decoding times are uneven in another way, and so is the last frame's duration.
    return command.output([frames], path, "mp4", limits, movflags="+faststart", **options)


def _checked(path: bytes, target: Target[AnimationParams], delays: list[int], limits: Limits) -> float:
    """Return the duration of the output, after it was opened again. Raises JobFailed when it is invalid."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = verify.verified(fd, target.name, limits)
        streamable = isobmff.is_faststart(fd)
    finally:
        os.close(fd)
    video, duration = made.info.video, made.info.duration or 0.0
    wanted = (target.params.width, target.params.height, len(delays) + _doubled(delays))
    if video is None or (video.width, video.height, video.frames) != wanted:
        raise JobFailed(f"{target.name}: invalid output: other frames than requested")
    if abs(duration - sum(delays) / 1000) > durations.TOLERANCE:
        raise JobFailed(f"{target.name}: invalid output: {duration:.2f} s instead of {sum(delays) / 1000:.2f} s")
    if not streamable:
        raise JobFailed(f"{target.name}: invalid output: its index is at the end")
    return duration
