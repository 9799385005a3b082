"""Filters for videos: deinterlacing, colour tags, transparency, size, standard range; and exact pieces.

Pure functions over ffmpeg-python nodes. ffmpeg itself rotates a video upright before its first filter.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec

from mediactl.media.ffmpeg import binary
from mediactl.media.inspect.frames import frame_sizes
from mediactl.media.inspect.frames.colour_tags import HDR, UNKNOWN
from mediactl.media.inspect.streams import InputVideo, Streams
from mediactl.model.media import Treatment, VideoStream
from mediactl.outputs.geometry import even

TICKS = 120_000
"""Ticks a second of our own streams: exact for 24 to 120 frames a second, for their 1000/1001 variants, and for
Matroska's milliseconds."""
_HDR_METADATA = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS")
"""ffmpeg's names of side data that describe frames of high dynamic range."""
SCALER = "bicubic+accurate_rnd+full_chroma_int"

_HIGH_DEFINITION = 720
"""Lines from which videos without colour tags are BT.709, as browsers assume; below, BT.601."""
_PAL = (576, 288)
"""Lines of the European variant of BT.601."""
_IDENTITY, _BT709, _BT470BG, _SMPTE170M, _BT2020, _BT2020C = 0, 1, 5, 6, 9, 10
"""Primaries and matrices of ITU-T H.273, tables 2 and 4 (the numbers are the same in both)."""
_PEAK = 100
"""Luminance in cd/m² that becomes 1.0 before tone mapping: SDR's reference white."""


class Weave(msgspec.Struct, frozen=True):
    """How a video is interlaced: the even and odd lines of its frames are of two moments."""

    flagged: bool
    """Whether frames are flagged; else all of them are treated as interlaced."""
    parity: str = "auto"
    """The field that comes first: "tff" (top), "bff" or, as the frames are flagged, "auto"."""


def input_options(found: Streams, video: InputVideo, weave: Weave | None = None) -> dict[str, Any]:
    """Return ffmpeg's options of the source that a video needs, those of the whole source included; none for most.

    ``weave`` as for ``prepared``.
    """
    options: dict[str, Any] = dict(found.input_options)
    if video.decoder and video.decoder in binary.decoders():
        options[f"c:{video.index}"] = video.decoder
    if Treatment.RETAGGED in video.treatment:
        # The decoder begins with the container's matrix, and no filter takes frames with a reserved one.
        options[f"colorspace:{video.index}"] = _all_tags(found, video)["colorspace"]
    if _is_steady(found, video, weave):
        # Audio shares the graph, and so would lose its place whenever it is rebuilt.
        options[f"reinit_filter:{video.index}"] = 0
    return options


def prepared(
    stream: Any, found: Streams, video: InputVideo, count: int, *, weave: Weave | None = None, cut: Cut | None = None
) -> list[Any]:
    """Return the video (rotated and cropped by ffmpeg itself), progressive, of one shape, opaque and with all colour
    tags, ``count`` times. Its source needs ``input_options``.

    Missing tags are set to what players assume, so that a smaller rendition is not taken for BT.601. ``weave`` is what
    ``interlacing.detected`` returns; None: it is progressive. ``cut`` leaves only a piece of it.
    """
    if _is_steady(found, video, weave):
        stream = _of_one_size(stream, found.info.video)
    if weave:
        deint = "interlaced" if weave.flagged else "all"
        stream = stream.filter("bwdif", mode="send_frame", deint=deint, parity=weave.parity)
    if _is_resized(found) and not _is_steady(found, video, weave):
        stream = _of_one_size(stream, found.info.video)
    if tags := _all_tags(found, video) if Treatment.RETAGGED in video.treatment else _missing_tags(found, video):
        stream = stream.filter("setparams", **tags)
    if Treatment.STRIPPED in video.treatment:
        for kind in _HDR_METADATA:
            stream = stream.filter("sidedata", mode="delete", type=kind)
    if Treatment.FLATTENED in video.treatment:
        stream = _on_white(stream, None if video.rgb else _all_tags(found, video)["colorspace"])
    if cut:
        stream = cut.applied(stream)
    if count == 1:
        return [stream]
    split = stream.filter_multi_output("split", count)
    return [split.stream(number) for number in range(count)]


def scaled(stream: Any, video: InputVideo, width: int, height: int, *, hdr: bool = False) -> Any:
    """Return the video at exactly this size, with square pixels, in limited range.

    8 bit, BT.709 or BT.601, high dynamic range mapped to standard range; with ``hdr`` 10 bit as it is.
    """
    size = {"w": width, "h": height, "flags": SCALER}
    if hdr and video.transfer in HDR:
        matrix = {"out_color_matrix": "bt2020"} if video.rgb else {}
        stream = stream.filter("scale", **size, out_range="limited", **matrix)
        return stream.filter("format", "yuv420p10le").filter("setsar", 1)
    if is_wide(video) and "zscale" in binary.filters():
        matrix = {"out_color_matrix": "bt2020"} if video.rgb else {}
        stream = stream.filter("scale", **size, **matrix).filter("format", "yuv420p10le")
        if video.transfer in HDR:
            stream = _converted(stream, transfer="linear", npl=_PEAK).filter("format", "gbrpf32le")
            stream = _converted(stream, primaries="bt709").filter("tonemap", tonemap="hable", desat=0)
        stream = _converted(stream, primaries="bt709", transfer="bt709", matrix="bt709", range="limited")
        # Mastering display and Dolby Vision data describe the HDR frames that these no longer are.
        stream = stream.filter("sidedata", "delete")
    else:
        matrix = {"out_color_matrix": "bt709"} if video.rgb else {}
        stream = stream.filter("scale", **size, out_range="limited", **matrix)
    return stream.filter("format", "yuv420p").filter("setsar", 1)


def _converted(stream: Any, **to: str | int) -> Any:
    """Return a stream in other colours. One thread: zscale converts a slice a thread, and the lines where slices meet
    differ (by up to 6 of 255, ffmpeg 7.0), so that the bytes of a rendition would depend on the number of workers."""
    return stream.filter("zscale", threads=1, **to)


def is_wide(video: InputVideo) -> bool:
    """Return whether a video has colours or brightness outside BT.709."""
    return video.transfer in HDR or video.primaries == _BT2020 or video.matrix in (_BT2020, _BT2020C)


class Cut(msgspec.Struct, frozen=True):
    """Frames ``first`` to ``first + frames`` of a video with one every 1/``rate`` seconds from ``start`` on."""

    start: float
    """Seconds from the file's start."""
    rate: Fraction
    first: int
    frames: int

    def second(self, number: float) -> float:
        """Return when a frame is shown, in seconds from the file's start."""
        return self.start + float(number / self.rate)

    def stamps(self) -> list[int]:
        """Return when each frame of the piece is shown, in ticks from its beginning."""
        return [self._tick(number) - self._tick(self.first) for number in range(self.first, self.first + self.frames)]

    def applied(self, stream: Any) -> Any:
        """Return these frames of a stream whose times are counted from the file's start; the piece begins at 0.

        They are selected by time, half a frame from either neighbour: with counting, a lost frame would shift all
        that follow. Each gets the exact time of the number that its own time stands for.
        """
        begin, end = self.second(self.first - 0.5), self.second(self.first + self.frames - 0.5)
        number = f"round((T-{self.start:.6f})*{self.rate.numerator}/{self.rate.denominator})"
        ticks = f"round({number}*{self.rate.denominator}*{TICKS}/{self.rate.numerator})-{self._tick(self.first)}"
        stream = stream.filter("trim", start=f"{begin:.6f}", end=f"{end:.6f}")
        return stream.filter("settb", f"1/{TICKS}").filter("setpts", ticks)

    def _tick(self, number: int) -> int:
        return int(number * self.rate.denominator * TICKS / self.rate.numerator + 0.5)


def _is_resized(found: Streams) -> bool:
    return found.info.video is not None and frame_sizes.resized(found.info.video.shapes)


def _is_steady(found: Streams, video: InputVideo, weave: Weave | None) -> bool:
    """Return whether frames that change their size can be brought to one size before any other filter sees them."""
    shown = found.info.video
    return bool(_is_resized(found) and not weave and shown and not shown.rotation and not shown.cropped)


def _of_one_size(stream: Any, shown: VideoStream | None) -> Any:
    """Return frames of changing sizes at the size that the video is shown in: stretched if they nearly have its
    proportions, else with black bars."""
    assert shown is not None
    width, height = even(shown.width), even(shown.height)
    aspect = _aspect(shown)
    wider, same = f"gt({aspect}*{height},{width})", f"lt(abs({aspect}*{height}/{width}-1),{frame_sizes.SAME_SHAPE})"
    stream = stream.filter(
        "scale",
        w=f"if({same}+{wider},{width},2*round({height}*{aspect}/2))",
        h=f"if({same}+not({wider}),{height},2*round({width}/{aspect}/2))",
        eval="frame",
        flags=SCALER,
    ).filter("setsar", 1)
    return stream.filter("pad", width, height, "(ow-iw)/2", "(oh-ih)/2", eval="frame")


def _aspect(shown: VideoStream) -> str:
    """Return ffmpeg's expression of the aspect ratio that a frame is shown in, by its size: for ffmpeg, all pixels of a
    stream have the shape of the first."""
    if shown.cropped:
        return "dar"
    turned = shown.rotation in (90, 270)
    expression = "dar"
    for each in shown.shapes:
        width, height = (each.height, each.width) if turned else (each.width, each.height)
        aspect = 1 / each.aspect if turned else each.aspect
        expression = f"if(eq(iw,{width})*eq(ih,{height}),{aspect:.6f},{expression})"
    return f"({expression})"


def _on_white(stream: Any, matrix: int | None) -> Any:
    """Return transparent frames on white: negatives on black, which is what multiplying by alpha gives.

    ``matrix`` is that of YCbCr, None: they are RGB. These keep their alpha, for whoever scales them to drop: when
    libswscale does that alone (ffmpeg 9.0, more than 8 bit), the last half line of each slice becomes black.
    """
    stream = stream.filter("format", "gbrap|gbrap10|gbrap12|gbrap16")
    stream = stream.filter("negate").filter("premultiply", inplace=1).filter("negate")
    if matrix is None:
        return stream
    stream = stream.filter("scale", out_color_matrix=matrix, out_range="limited", flags=SCALER)
    return stream.filter("format", "yuv444p|yuv444p10|yuv444p12|yuv444p16")


def _all_tags(found: Streams, video: InputVideo) -> dict[str, int]:
    """Return all tags, the missing ones as below."""
    matrix = _IDENTITY if video.rgb else video.matrix
    known = {"color_primaries": video.primaries, "color_trc": video.transfer, "colorspace": matrix}
    return known | _missing_tags(found, video)


def _missing_tags(found: Streams, video: InputVideo) -> dict[str, int]:
    shown = found.info.video
    lines = min(shown.width, shown.height) if shown else 0
    guess = _BT709 if lines >= _HIGH_DEFINITION or video.rgb else _BT470BG if lines in _PAL else _SMPTE170M
    guess = _BT2020 if video.transfer in HDR else guess
    tags: dict[str, int] = {}
    if video.primaries == UNKNOWN:
        tags["color_primaries"] = guess
    if video.transfer == UNKNOWN:
        tags["color_trc"] = _BT709 if guess == _BT709 else _SMPTE170M
    if video.matrix == UNKNOWN and not video.rgb:
        tags["colorspace"] = guess
    return tags
