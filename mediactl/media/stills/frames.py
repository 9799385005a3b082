"""Selected frames of a video as PNG files, upright, with square pixels, in standard range like its renditions.

Either key frames alone: the index lists them, all else is neither read (MP4, MOV) nor decoded. Or any frames, with all
frames of the requested span decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mediactl.core.errors import RejectedInput
from mediactl.core.files import remove_if_there
from mediactl.media.ffmpeg import binary, command, process
from mediactl.media.filters.video_filters import input_options, prepared, scaled
from mediactl.media.inspect import diagnosis
from mediactl.media.inspect.streams import InputVideo
from mediactl.media.stills.source import Video

_NEAR = 0.002
"""Seconds that a frame's time may differ from itself: rounded to milliseconds, counted from another start."""
_ROUNDED = 0.0005
"""Seconds that it may seem to come before the second that was sought, which is rounded to the video's time base."""
_TOLERANT = ("-max_error_rate", "1")
"""However much of a video is damaged, one frame is enough; ffmpeg gives up at two thirds of the packets."""
_BUDGET = 2e10
"""Pixels up to which a video is decoded from its start where a seek gave damaged images: about a minute."""
_SMALL = 2e9
"""The same where a seek is likely to give another frame: about 6 s."""
_HEAD = 1.0
"""Seconds from the start that are decoded rather than sought: seeking to the first frames of AVI skips one."""
_INPUT_FILTERS = 7
"""Series of ffmpeg from which bitstream filters may precede a decoder (its changelog, 7.0)."""


class Output(msgspec.Struct, frozen=True):
    """A series of PNG files."""

    scratch: bytes
    """What they are named after."""
    size: tuple[int, int]
    chosen: Callable[[Any], Any]
    """Chooses frames of a stream of ffmpeg-python."""


class Sampling(msgspec.Struct, frozen=True):
    """At most one frame of every ``step`` seconds from ``begin`` to ``end``."""

    size: tuple[int, int]
    """Width and height of the images in pixels."""
    step: float
    begin: float
    end: float
    keys: bool = False
    """Key frames alone."""
    exact: bool = True
    """Whether each has its own time; else key frames may be off by a few frames, and what is between is not read."""


def spread(
    video: Video, samplings: Sequence[Sampling], scratch: Sequence[bytes], *, more: bool = False
) -> list[dict[float, bytes]] | None:
    """Return the frames of samplings of one decode (``are_alike``), for each: time -> PNG file, ascending.

    The files are named after ``scratch``, one each (temporary names in an existing folder). Of a damaged video, what
    can be decoded is returned; it may be nothing. ``more``: they can be taken one by one as well, so None is returned
    for what is damaged. Raises MachineBlocked, FfmpegFailed when ffmpeg failed for another reason.
    """
    options: dict[str, Any] = {"t": _clock(max(each.end for each in samplings) + 1.0)}
    thinned = False
    if samplings[0].keys:
        exact = any(each.exact for each in samplings)
        # "discard" makes the MP4 demuxer lose count of its composition offsets (ffmpeg 9.0), hence ``exact``.
        options |= {"skip_frame": "nokey", **({} if exact else {"discard": "nokey"})}
        if thinned := len(samplings) == 1 and is_thinned(video, samplings[0]):
            # Of more key frames than are needed, the others are dropped before they are decoded.
            bucket = f"floor(pts*tb/{samplings[0].step})"
            options["bsf:v"] = f"noise=drop='if(key*gt({bucket}+1,ld(0)),st(0,{bucket}+1)*0,1)'"
    outputs = [
        Output(path, each.size, _selecting(_chosen(each, dropped=is_thinned(video, each) and not thinned)))
        for each, path in zip(samplings, scratch, strict=True)
    ]
    files, flaws = _extract(video, options, outputs, more=more)
    return None if more and flaws else files


def are_alike(video: Video, one: Sampling, other: Sampling) -> bool:
    """Return whether the same frames are decoded for both, with the same times."""
    return one.keys == other.keys and (not one.keys or one.exact == other.exact or video.ordered)


def is_thinned(video: Video, sampling: Sampling) -> bool:
    """Return whether many more key frames are indexed than a sampling needs, so that most are dropped undecoded."""
    many = len(video.keys) * sampling.step > 2 * video.duration
    return sampling.keys and video.indexed and many and _filters_input()


def _chosen(sampling: Sampling, *, dropped: bool) -> str:
    """Return the expression that selects the frames; ``dropped``: of those that thinning would have left."""
    step = sampling.step
    # HEVC's key frames may come out of order when there are no frames between them: so "not the same", not "later".
    another = f"isnan(prev_selected_t)+not(eq(floor(t/{step}),floor(prev_selected_t/{step})))"
    within = f"between(t,{sampling.begin},{sampling.end})*({another})"
    bucket = f"floor(t/{step})"
    return f"if(gt({bucket}+1,ld(0)),st(0,{bucket}+1)*0+1,0)*{within}" if dropped else within


def on_screen(video: Video, times: Sequence[float], size: tuple[int, int], scratch: bytes) -> list[bytes]:
    """Return the frame that is on screen at each of these times, as PNG files in order: the last one until then.

    ``times`` are the middles of intervals (``storyboard.middles``). All frames are decoded, and all that can be are
    returned; where the first ones cannot, the next one takes their place. Raises as ``spread``.
    """
    count, last, step = len(times), times[-1], 2 * times[0]
    before = times[-2] if count > 1 else 0.0
    # Frames get new times so that the n-th of ``times`` is at n seconds; "up": at n comes the last frame until then.
    turn = f"if(lte(T,{before}),T/{step}+0.5,{count - 1}+(T-{before})/{last - before})" if count > 1 else f"T/{last}"

    def timed(stream: Any) -> Any:
        stream = stream.filter("settb", "1/1000000").filter("setpts", f"round(({turn})/TB)")
        return stream.filter("fps", fps=1, start_time=1, round="up", eof_action="pass")

    return list(_extract(video, {}, [Output(scratch, size, timed)], only=count)[0][0].values())


def moment(video: Video, time: float, sizes: list[tuple[int, int]], scratch: bytes, *, key: bool) -> list[bytes]:
    """Return the frame at this time (of ``spread``) at each of these sizes, as PNG files.

    Not every container gives a frame the same time wherever reading begins: where none has it, the next frame is
    returned, else the first that can be decoded; [] if there is no such frame. Raises as ``spread``.
    """
    paths = [scratch + b"-%d" % number for number in range(len(sizes))]
    # Deinterlacing requires neighbours.
    options: dict[str, Any] = {"skip_frame": "nokey"} if key and not video.weave else {}
    starts = _starts(video, time - _NEAR, key=key)
    attempts = [(options, start, f"between(t,{{}},{time - start + _NEAR})") for start in starts]
    attempts += [*((options, start, "gte(t,{})") for start in starts), ({}, 0.0, "1")]
    found: list[bytes] = []
    for number, (chosen, start, selection) in enumerate(attempts, 1):
        selecting = _selecting(selection.format(time - start - _NEAR - _ROUNDED))
        outputs = [Output(path, size, selecting) for path, size in zip(paths, sizes, strict=True)]
        more = number < len(attempts)
        made, flaws = _extract(video, chosen | _sought(start), outputs, only=1, more=more)
        found = [next(iter(files.values())) for files in made] if all(made) else []
        # What is damaged after a seek may be whole when all is decoded; after that, it is better than another frame.
        if found and (flaws < diagnosis.DAMAGED or not start or number >= len(starts)):
            break
    return found


def run(
    video: Video, begin: float, seconds: float, rate: float, size: tuple[int, int], scratch: bytes, *, still: bool
) -> list[bytes]:
    """Return frames of so many ``seconds`` from ``begin`` on at an even ``rate``, as PNG files in order.

    ``still``: the first is what is on screen at ``begin``, however long before it came. Raises as ``spread``.
    """
    made: list[dict[float, bytes]] = [{}]
    starts = _starts(video, begin)
    for number, start in enumerate(starts, 1):
        first = begin - start
        options = _sought(start)
        # Counted from the first frame; without it, ``trim`` ends the run.
        options |= {"noaccurate_seek": None} if still else {"t": _clock(first + seconds + 1.0)}

        def even(stream: Any, first: float = first) -> Any:
            rounding = {"round": "up"} if still else {}
            stream = stream.filter("fps", fps=rate, start_time=_clock(first), **rounding)
            return stream.filter("trim", start=_clock(first), duration=_clock(seconds))

        made, flaws = _extract(video, options, [Output(scratch, size, even)], more=number < len(starts))
        if flaws < diagnosis.DAMAGED:
            break
    return list(made[0].values())


def clear(scratch: bytes) -> None:
    """Remove the files that were named after ``scratch``."""
    for path in _files(scratch).values():
        remove_if_there(path)


def _clock(seconds: float) -> str:
    """Return the seconds as ffmpeg reads them: without an exponent."""
    return f"{seconds:.6f}"


def _sought(start: float) -> dict[str, Any]:
    """Return the options of reading from a second on; none for the beginning: seeking 0 skips frames of AVI and FLV."""
    return {"ss": _clock(start)} if start else {}


def _starts(video: Video, wanted: float, *, key: bool = False) -> list[float]:
    """Return where to seek to, in turn; 0: everything is read. ``key``: key frames alone are decoded.

    Not every video can be decoded from any key frame on: parameters may come once, in its first packet (4:4:4 of x264
    before 2017), and indexes may be damaged. Where time stamps jump, there is no seeking by them.
    """
    if wanted <= (0.0 if video.indexed else _HEAD) or video.found.info.discontinuities or video.anchored:
        return [0.0]
    work = video.work * wanted
    if not video.seekable and (key or work <= _SMALL):
        return [0.0, wanted]
    return [wanted, 0.0] if work <= _BUDGET else [wanted]


def _selecting(expression: str) -> Callable[[Any], Any]:
    """Return a filter of frames by an expression."""
    return lambda stream: stream.filter("select", expression)


def _extract(
    video: Video, options: dict[str, Any], outputs: Sequence[Output], *, only: int | None = None, more: bool = False
) -> tuple[list[dict[float, bytes]], int]:
    """Return time -> file for each output, and ffmpeg's number of error lines. No file where the source is to blame.

    ``only`` is how many frames are chosen at most. ``more``: if this fails, another attempt follows.
    """
    for output in outputs:
        clear(output.scratch)
    # Key frames without their neighbours would be mixed with one another; shrunk, they show no lines anyway.
    weave = None if "skip_frame" in options else video.weave
    options = input_options(video.found, video.stream, weave) | options
    source = command.source(video.fd, video.threads, max_pixels=video.limits.pixels, **options)
    stream = source[str(video.stream.index)]
    if video.anchored:
        stream = stream.filter("setpts", f"PTS-STARTPTS+{_clock(video.begin)}/TB")
    [stream] = prepared(stream, video.found, video.stream, 1, weave=weave)
    split = stream.filter_multi_output("split", len(outputs))
    limit: dict[str, Any] = {"frames:v": only} if only else {}
    nodes = [
        command.output(
            [_exact(output.chosen(split.stream(number)).filter("settb", "1/1000"), video.stream, *output.size)],
            output.scratch + b"-%d.png", "image2", video.limits, frame_pts=1, fps_mode="passthrough",
            enc_time_base="1:1000", **{"c:v": "png", "compression_level": 1, "flags:v": "+bitexact"}, **limit,
        )
        for number, output in enumerate(outputs)
    ]  # fmt: skip
    flaws = 0

    try:
        complaints = process.run_repeatably(
            [*_TOLERANT, *command.arguments(*nodes, threads=video.threads)],
            input_fd=video.fd,
            folder=os.path.dirname(outputs[0].scratch),
            expected=video.duration,
            rate=None,
            report=lambda _: video.alive(),
        )
        flaws = len(complaints)
    except process.FfmpegFailed as error:
        flaws = diagnosis.DAMAGED
        missing = not more and not all(_files(output.scratch) for output in outputs)
        if missing and not isinstance(diagnosis.cause(error, video.fd, video.limits), RejectedInput):
            raise
    return [_files(output.scratch) for output in outputs], flaws


def _exact(stream: Any, image: InputVideo, width: int, height: int) -> Any:
    """Return the stream like a rendition, in RGB; those have even sides, so a surplus row or column is cropped."""
    even = scaled(stream, image, width + width % 2, height + height % 2).filter("format", "rgb24")
    return even.filter("crop", width, height, 0, 0) if width % 2 or height % 2 else even


def _files(scratch: bytes) -> dict[float, bytes]:
    """Return the files by time in seconds, ascending."""
    folder, name = os.path.split(scratch)
    made = {}
    for each in os.listdir(folder):
        number = each.removeprefix(name + b"-").removesuffix(b".png")
        if each == name + b"-" + number + b".png" and number.lstrip(b"-").isdigit():
            made[int(number) / 1000] = os.path.join(folder, each)
    return dict(sorted(made.items()))


def _filters_input() -> bool:
    series = binary.version().lstrip("n").split(".")[0]
    return series.isdigit() and int(series) >= _INPUT_FILTERS
